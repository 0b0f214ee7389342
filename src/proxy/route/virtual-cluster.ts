/** Envoy's virtual clusters and the `stat_prefix` of routes: by what names a request is counted besides its cluster. */
import type {
  VirtualCluster,
  VirtualHost,
} from '../../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import { type FieldReport, type MessageRule, at, refuse, used } from '../config/field-rule.ts'
import type { RequestHead } from '../http/message.ts'
import type { CountedRoute } from '../telemetry/route-stats.ts'
import { compileRequestMatcher } from './header-matcher.ts'

/** The names of one request, the virtual cluster's first; asked once for each request. */
export type CountRoute = (head: RequestHead) => readonly CountedRoute[]

export const virtualClusterRule: MessageRule = {
  type: 'envoy.config.route.v3.VirtualCluster',
  fields: { headers: used(), name: used() },
}

type Match = (head: RequestHead) => boolean

interface NamedMatch {
  readonly matches: Match
  readonly counted: CountedRoute
}

export interface VirtualClusters {
  readonly all: readonly NamedMatch[]
  /** Envoy's name for what none of them matches. */
  readonly other: CountedRoute
}

/** Undefined where a virtual host has none. */
export function compileVirtualClusters(
  host: VirtualHost,
  report: FieldReport,
): VirtualClusters | undefined {
  if (host.virtualClusters.length === 0) return undefined
  const all = host.virtualClusters.map((cluster, index) =>
    compileOne(host.name, cluster, at(report, 'virtual_clusters', index)),
  )
  return { all, other: { virtualHost: host.name, kind: 'vcluster', name: 'other' } }
}

function compileOne(virtualHost: string, cluster: VirtualCluster, report: FieldReport): NamedMatch {
  const { name, headers } = cluster
  if (name === '') refuse(at(report, 'name'), 'value length must be at least 1 characters')
  // Envoy's own words.
  if (headers.length === 0) refuse(report, "virtual clusters must define 'headers'")
  const tests = headers.flatMap((matcher, index): Match[] => {
    const result = compileRequestMatcher(matcher)
    if (result.ok) return [result.value]
    for (const reason of result.reasons) refuse(at(report, 'headers', index), reason)
    return []
  })
  return {
    matches: (head) => tests.every((test) => test(head)),
    counted: { virtualHost, kind: 'vcluster', name },
  }
}

/** Undefined where a route is counted by nothing but its cluster. */
export function compileCount(
  virtualHost: string,
  clusters: VirtualClusters | undefined,
  statPrefix: string,
): CountRoute | undefined {
  const own: readonly CountedRoute[] =
    statPrefix === '' ? [] : [{ virtualHost, kind: 'route', name: statPrefix }]
  if (clusters === undefined) return own.length === 0 ? undefined : () => own
  const { all, other } = clusters
  return (head) => [all.find(({ matches }) => matches(head))?.counted ?? other, ...own]
}
