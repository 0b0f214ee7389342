/**
 * The lock of each hop: who calls whom, and whether it is mutual TLS.
 *
 * A caller's sidecar knows whom it has called, and whom they proved to be, which only mutual TLS tells. Callers without a
 * sidecar of ours are known to the called sidecar alone: by the name that they proved, or, in plaintext, not at all.
 */
import { askAdmin } from '../../agent/admin-client.ts'
import type { ProxyObject } from '../../api/view.ts'
import type { Cell, Table } from '../output.ts'
import { parsePrometheusText, type Sample } from '../prometheus-text.ts'

export type Lock = 'mutual TLS' | 'plaintext' | 'both'

export interface Hop {
  readonly namespace: string
  /** Workload; `namespace/service account` of one without metrics of ours; `unknown` of one that proved nothing. */
  readonly from: string
  /** Workload, all its instances together. */
  readonly to: string
  readonly lock: Lock
  /** SPIFFE id that the called one proved, or with `both` has proved where it could; empty in plaintext. */
  readonly principal: string
  /** Requests and TCP connections. */
  readonly count: number
}

const hopMetrics: ReadonlySet<string> = new Set([
  'istio_requests_total',
  'istio_tcp_connections_opened_total',
])

/** Sidecars that do not answer, and Envoys without Istio's metrics, say nothing. */
export async function readHops(proxies: readonly ProxyObject[]): Promise<readonly Hop[]> {
  const scrapes = proxies.map(async ({ status: { adminAddress: address } }) => {
    if (address === undefined) return []
    try {
      const { text } = await askAdmin({ address, path: '/stats/prometheus?usedonly' })
      return parsePrometheusText(text, hopMetrics)
    } catch {
      // It may be ending or starting; the others are still worth showing.
      return []
    }
  })
  return hopsOf((await Promise.all(scrapes)).flat())
}

/** From the samples of all sidecars. */
export function hopsOf(samples: readonly Sample[]): readonly Hop[] {
  const hops = new Map<string, Hop>()
  const add = (seen: Hop) => {
    const key = `${seen.namespace}/${seen.to} ${seen.from}`
    const before = hops.get(key)
    const lock = before === undefined || before.lock === seen.lock ? seen.lock : 'both'
    const principal = before?.principal || seen.principal
    hops.set(key, { ...seen, lock, principal, count: (before?.count ?? 0) + seen.count })
  }
  const used = samples.filter(({ value }) => value > 0)
  const told = used.filter(({ labels }) => labels['reporter'] === 'source')
  for (const sample of told) for (const hop of bySource(sample)) add(hop)
  const callers = new Set(told.map(({ labels }) => known(labels['source_principal'])))
  for (const { labels, value } of used) {
    if (labels['reporter'] !== 'destination') continue
    const caller = known(labels['source_principal'])
    const isLocked = labels['connection_security_policy'] === 'mutual_tls'
    // Those have told it themselves.
    if (isLocked && callers.has(caller)) continue
    add({
      ...calledOf(labels),
      from: isLocked ? shortName(caller) : 'unknown',
      lock: isLocked ? 'mutual TLS' : 'plaintext',
      principal: isLocked ? known(labels['destination_principal']) : '',
      count: value,
    })
  }
  return [...hops.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, hop]) => hop)
}

function bySource({ labels, value }: Sample): readonly Hop[] {
  const called = calledOf(labels)
  const principal = known(labels['destination_principal'])
  // Nobody of the mesh, or nobody was reached.
  const isNobody = called.to === '' || (principal === '' && labels['response_flags'] !== '-')
  if (isNobody) return []
  const lock = principal === '' ? 'plaintext' : 'mutual TLS'
  const from = known(labels['source_workload']) || 'unknown'
  return [{ ...called, from, lock, principal, count: value }]
}

function calledOf(labels: Sample['labels']): Pick<Hop, 'to' | 'namespace'> {
  return {
    to: known(labels['destination_workload']),
    namespace: known(labels['destination_workload_namespace']),
  }
}

/** Istio's word for a label that has no value. */
function known(label: string | undefined): string {
  return label === undefined || label === 'unknown' ? '' : label
}

/** `default/cart` of `spiffe://cluster.local/ns/default/sa/cart`. */
function shortName(spiffeId: string): string {
  const [, namespace, account] = /\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(spiffeId) ?? []
  return namespace === undefined ? spiffeId : `${namespace}/${account ?? ''}`
}

export function hopTable(hops: readonly Hop[]): Table {
  return {
    columns: ['FROM', 'TO', 'LOCK', 'REQUESTS', 'PROVED TO BE'],
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
  return { text: lock, colour: 'red' }
}
