/**
 * The lock of each hop: who has called whom, and whether it was mutual TLS, as the called sidecars saw it. Only they
 * know; a caller's sidecar says `unknown`, as in Istio.
 */
import { askAdmin } from '../../agent/admin-client.ts'
import type { ProxyObject } from '../../api/view.ts'
import type { Cell, Table } from '../output.ts'
import { parsePrometheusText, type Sample } from '../prometheus-text.ts'

export type Lock = 'mutual TLS' | 'plaintext' | 'both' | 'unknown'

export interface Hop {
  readonly from: string
  readonly to: string
  readonly namespace: string
  readonly lock: Lock
  /** SPIFFE id that the caller proved; empty in plaintext. */
  readonly principal: string
  /** Requests and TCP connections. */
  readonly count: number
}

const hopMetrics: ReadonlySet<string> = new Set([
  'istio_requests_total',
  'istio_tcp_connections_opened_total',
])

/** Sidecars that do not answer, and Envoys without Istio's metrics, have no hops. */
export async function readHops(proxies: readonly ProxyObject[]): Promise<readonly Hop[]> {
  const scrapes = proxies.map(async ({ metadata, status }) => {
    const { adminAddress: address } = status
    if (address === undefined) return []
    try {
      const { text } = await askAdmin({ address, path: '/stats/prometheus?usedonly' })
      const samples = parsePrometheusText(text, hopMetrics)
      return hopsOf(samples, { to: metadata.name, namespace: metadata.namespace ?? '' })
    } catch {
      // It may be ending or starting; the others are still worth showing.
      return []
    }
  })
  const key = ({ namespace, to, from }: Hop) => `${namespace}/${to}/${from}`
  return (await Promise.all(scrapes)).flat().sort((a, b) => (key(a) < key(b) ? -1 : 1))
}

export function hopsOf(
  samples: readonly Sample[],
  { to, namespace }: { readonly to: string; readonly namespace: string },
): readonly Hop[] {
  const hops = new Map<string, Hop>()
  for (const { labels, value } of samples) {
    if (labels['reporter'] !== 'destination' || value === 0) continue
    const from = labels['source_workload'] ?? 'unknown'
    const before = hops.get(from)
    const lock = joined(before?.lock, lockOf(labels['connection_security_policy']))
    const proved = labels['source_principal'] ?? ''
    const principal = before?.principal || (proved === 'unknown' ? '' : proved)
    hops.set(from, { from, to, namespace, lock, principal, count: (before?.count ?? 0) + value })
  }
  return [...hops.values()]
}

function lockOf(policy: string | undefined): Lock {
  if (policy === 'mutual_tls') return 'mutual TLS'
  return policy === 'none' ? 'plaintext' : 'unknown'
}

function joined(before: Lock | undefined, lock: Lock): Lock {
  if (before === undefined || before === 'unknown' || before === lock) return lock
  return lock === 'unknown' ? before : 'both'
}

export function hopTable(hops: readonly Hop[]): Table {
  return {
    columns: ['FROM', 'TO', 'LOCK', 'REQUESTS', 'CALLER PROVED TO BE'],
    rows: hops.map(({ from, to, lock, principal, count }) => [
      from,
      to,
      lockCell(lock),
      String(count),
      principal || '-',
    ]),
    empty: 'nobody has called anybody yet',
  }
}

function lockCell(lock: Lock): Cell {
  if (lock === 'mutual TLS') return { text: lock, colour: 'green' }
  return lock === 'unknown' ? lock : { text: lock, colour: 'red' }
}
