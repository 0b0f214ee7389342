/**
 * What `tulle check` finds: chains, ends, clocks, and who trusts whom; each with what to do about it.
 *
 * Judged from here, by the certificates of the connections that are open: what the workloads really use.
 */
import type { CheckReport, Finding } from '../../api/identity.ts'
import type { CertificateAuthority, RootStatus } from '../../identity/certificate-authority.ts'
import { fingerprintOf } from '../../identity/certificate.ts'
import { rootHashOf } from '../../identity/join-token.ts'
import type { TokenStatus } from '../../identity/token-store.ts'
import { clockSkewMs } from '../../identity/trust-bundle.ts'
import type { StreamStatus } from '../../xds/server/stream-status.ts'
import type { CallerClock } from './identity-service.ts'

export interface FindingFacts {
  readonly authority: CertificateAuthority
  readonly tokens: readonly TokenStatus[]
  readonly clocks: readonly CallerClock[]
  readonly streams: readonly StreamStatus[]
  /** When the book of certificates was last written; undefined when it is empty. */
  readonly lastIssuedAtMs: number | undefined
  readonly openKeys: readonly string[]
  /** Where xDS is served without TLS; undefined: nowhere. */
  readonly plaintextAddress: string | undefined
  readonly nowMs: number
}

const day = 86_400_000
const rootNearEndMs = 90 * day
/** Further apart, certificates are of the future, or have ended, for one of the two. */
const clockApartMs = 30_000
/** Renewal is at half: beyond this it has failed again and again. */
const lateShare = 2 / 3

export function findFindings(facts: FindingFacts): CheckReport {
  const { authority, streams } = facts
  const { bundle } = authority
  const ids = new Map(authority.roots().map(({ fingerprint, id }) => [fingerprint, id]))
  const trust = bundle.trustDomains.map((trustDomain) => ({
    trustDomain,
    roots: bundle.rootsOf(trustDomain).map((root) => ids.get(fingerprintOf(root)) ?? 'plugged'),
  }))
  const findings = [
    ...authority.roots().flatMap((root) => rootFindings(root, facts)),
    ...keyFindings(facts),
    ...streams.flatMap((stream) => workloadFindings(stream, facts)),
    ...clockFindings(facts),
    ...tokenFindings(facts),
  ]
  const order = ['error', 'warning', 'info']
  return {
    trustDomain: authority.trustDomain,
    trust,
    workloads: streams.length,
    findings: findings.sort((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity)),
  }
}

function rootFindings(root: RootStatus, { nowMs }: FindingFacts): readonly Finding[] {
  const subject = `root ${root.id}`
  const change = 'tulle ca root add, then tulle ca root use ID, then tulle ca root drop ID'
  const found: Finding[] = []
  if (!root.signs) {
    const message = 'the mesh believes it, and it signs nothing'
    found.push({
      severity: 'info',
      subject,
      message,
      remedy: `tulle ca root use ${root.id}, or tulle ca root drop ${root.id}`,
    })
  }
  const endMs = Math.min(root.notAfterMs, root.signs ? root.signingNotAfterMs : Infinity)
  if (endMs <= nowMs) {
    found.push({
      severity: 'error',
      subject,
      message: `it ended on ${dateText(endMs)}`,
      remedy: change,
    })
  } else if (
    endMs - nowMs < rootNearEndMs &&
    (root.kind === 'plugged' || root.notAfterMs - nowMs < rootNearEndMs)
  ) {
    const days = Math.floor((endMs - nowMs) / day)
    const message = `it ends in ${days} days, on ${dateText(endMs)}`
    found.push({ severity: 'warning', subject, message, remedy: change })
  }
  return found
}

function keyFindings({ openKeys, plaintextAddress }: FindingFacts): readonly Finding[] {
  const keys = openKeys.map((path) => ({
    severity: 'error' as const,
    subject: path,
    message: 'others than its owner can read this key',
    remedy: `chmod 600 ${path}`,
  }))
  if (plaintextAddress === undefined) return keys
  const plaintext: Finding = {
    severity: 'warning',
    subject: plaintextAddress,
    message: 'xDS is served without TLS: whoever may open it may be any workload',
    remedy: 'start the control plane without --plaintext-xds-address',
  }
  return [...keys, plaintext]
}

function workloadFindings(stream: StreamStatus, facts: FindingFacts): readonly Finding[] {
  const { node, identity } = stream
  const subject = `workload ${node.id}`
  if (identity === undefined) {
    const message = 'it is connected without a certificate'
    return [
      {
        severity: 'warning',
        subject,
        message,
        remedy: 'let it join by a token (tulle token create)',
      },
    ]
  }
  const { validFromDate, validToDate } = identity.certificate
  // Its beginning is set back for clocks that are late.
  const lifetimeMs = validToDate.getTime() - validFromDate.getTime() - clockSkewMs
  const leftMs = validToDate.getTime() - facts.nowMs
  const found: Finding[] = []
  if (leftMs < lifetimeMs * (1 - lateShare)) {
    const message =
      leftMs <= 0
        ? 'its certificate has ended'
        : `its certificate ends in ${Math.floor(leftMs / 1_000)} s and was not renewed`
    const remedy = 'see why in the log of its agent; its metrics and /ready say the same'
    found.push({ severity: leftMs <= 0 ? 'error' : 'warning', subject, message, remedy })
  }
  const signing = facts.authority.roots()[0]
  if (signing !== undefined && fingerprintOf(identity.root) !== signing.fingerprint) {
    const message = `its certificate is below root ${fingerprintOf(identity.root).slice(0, 12)}, and ${signing.id} signs`
    found.push({
      severity: 'info',
      subject,
      message,
      remedy: 'nothing: it renews within seconds; if not, restart it',
    })
  }
  return found
}

function clockFindings({ clocks, lastIssuedAtMs, nowMs }: FindingFacts): readonly Finding[] {
  const apart = clocks
    .filter(({ aheadMs }) => Math.abs(aheadMs) > clockApartMs)
    .map(({ spiffeId, aheadMs }): Finding => {
      const how = `${Math.round(Math.abs(aheadMs) / 1_000)} s ${aheadMs > 0 ? 'ahead of' : 'behind'}`
      const message = `its clock is ${how} the control plane's`
      return {
        severity: 'warning',
        subject: spiffeId,
        message,
        remedy: 'synchronise the clocks (chrony, systemd-timesyncd)',
      }
    })
  if (lastIssuedAtMs === undefined || lastIssuedAtMs <= nowMs + clockApartMs) return apart
  const message = `its clock was set back: the last certificate was given on ${dateText(lastIssuedAtMs)}`
  const own: Finding = {
    severity: 'error',
    subject: 'control plane',
    message,
    remedy: 'set the clock of this host',
  }
  return [own, ...apart]
}

function tokenFindings({ tokens, authority }: FindingFacts): readonly Finding[] {
  const [signing] = authority.bundle.rootsOf(authority.trustDomain)
  if (signing === undefined) return []
  const hash = rootHashOf(signing)
  return tokens
    .filter(({ state, rootHashes }) => state === 'valid' && !rootHashes.includes(hash))
    .map(({ id }) => ({
      severity: 'warning',
      subject: `token ${id}`,
      message:
        'it was made before the root changed: who joins by it will not believe the control plane',
      remedy: `tulle token revoke ${id}, and make another`,
    }))
}

function dateText(ms: number): string {
  return new Date(ms).toISOString()
}
