/** Envoy's virtual clusters: by what name a request is counted besides its cluster, and by its route's `stat_prefix`. */
import type {
  VirtualCluster,
  VirtualHost,
} from '../../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import { acceptedEach } from '../config/compiled.ts'
import { type FieldReport, type MessageRule, at, refuse, used } from '../config/field-rule.ts'
import type { RequestHead } from '../http/message.ts'
import { type RouteNames, type RouteStats, joinRouteStats } from '../telemetry/route-stats.ts'
import { compileRequestMatcher } from './header-matcher.ts'
import type { CountRoute } from './route-table.ts'

export const virtualClusterRule: MessageRule = {
  type: 'envoy.config.route.v3.VirtualCluster',
  fields: { headers: used(), name: used() },
}

type Match = (head: RequestHead) => boolean

interface NamedMatch {
  readonly matches: Match
  readonly name: string
  readonly stats: RouteStats | undefined
}

export interface VirtualClusters {
  readonly all: readonly NamedMatch[]
  /** Envoy counts what none of them matches as `other`. */
  readonly other: RouteStats | undefined
}

type StatsOf = ((names: RouteNames) => RouteStats | undefined) | undefined

/** Undefined where a virtual host has none. */
export function compileVirtualClusters(
  host: VirtualHost,
  statsOf: StatsOf,
  report: FieldReport,
): VirtualClusters | undefined {
  if (host.virtualClusters.length === 0) return undefined
  const named = (name: string) => statsOf?.({ virtualHost: host.name, kind: 'vcluster', name })
  const all = host.virtualClusters.map((cluster, index) => ({
    name: cluster.name,
    matches: compileMatch(cluster, at(report, 'virtual_clusters', index)),
    stats: named(cluster.name),
  }))
  return { all, other: named('other') }
}

function compileMatch({ name, headers }: VirtualCluster, report: FieldReport): Match {
  if (name === '') refuse(at(report, 'name'), 'value length must be at least 1 characters')
  // Envoy's own words.
  if (headers.length === 0) refuse(report, "virtual clusters must define 'headers'")
  const tests = acceptedEach(headers, compileRequestMatcher, at(report, 'headers'))
  return (head) => tests.every((test) => test(head))
}

/** `own`: of the route's `stat_prefix`. */
export function countBy({ all, other }: VirtualClusters, own: RouteStats | undefined): CountRoute {
  const counts = all.map(({ matches, name, stats }) => ({
    matches,
    count: { virtualCluster: name, stats: joinRouteStats(stats, own) },
  }))
  const rest = { virtualCluster: undefined, stats: joinRouteStats(other, own) }
  return (head) => counts.find(({ matches }) => matches(head))?.count ?? rest
}
