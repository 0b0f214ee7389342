/** Counts what became of a handshake, by Envoy's names and by our reason. */
import type { ConnectionSecurity } from '../connection-security.ts'
import type { Counter, TlsStats } from '../telemetry/cluster-stats.ts'
import { type TlsReason, tlsReasons } from './tls-reason.ts'

export function countSuccess(stats: TlsStats, security: ConnectionSecurity): void {
  stats.handshake.add(1)
  stats.version(security.version).add(1)
  stats.cipher(security.cipher).add(1)
  if (security.isResumed) stats.sessionReused.add(1)
  if (security.peer === undefined) stats.noCertificate.add(1)
}

export function countRefusal(stats: TlsStats, reason: TlsReason): void {
  stats.refused(reason).add(1)
  envoyCounter(stats, reason)?.add(1)
  if (reason === 'not-ready') stats.secretsNotReady.add(1)
}

function envoyCounter(stats: TlsStats, reason: TlsReason): Counter | undefined {
  const name = tlsReasons[reason]
  return name === undefined ? undefined : stats[name]
}
