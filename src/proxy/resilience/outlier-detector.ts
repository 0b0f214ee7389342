/**
 * Ejects hosts that answer badly (Envoy `cluster.OutlierDetection`). Fed with the end of every attempt;
 * consecutive counts act at once, intervals only un-eject and judge success rates.
 */
import type { Host } from '../upstream/host.ts'

/** What an attempt said about its host. A local-origin failure never produced a response. */
export type HostOutcome =
  | { readonly kind: 'response'; readonly status: number }
  | { readonly kind: 'local-failure'; readonly reason: 'connect-failure' | 'timeout' | 'reset' }
  | { readonly kind: 'connected' }

export interface OutlierDetector {
  report(host: Host, outcome: HostOutcome): void
  /** Hosts of the cluster changed; state of the ones that stay is kept. */
  update(hosts: readonly Host[]): void
  close(): void
}
