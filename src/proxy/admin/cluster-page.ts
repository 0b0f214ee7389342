/** `/clusters`: every cluster with its hosts, as text and as JSON, in Envoy's form. */
import type { ClusterStatus, HostStatus } from '../config/data-plane.ts'
import { addressJson } from './address-json.ts'
import { type AdminPage, type AdminReply, adminPage, jsonReply, textReply } from './admin-page.ts'
import { nameFilter } from './name-filter.ts'

export interface ClusterPageSource {
  clusters(): Promise<readonly ClusterStatus[]>
  /** Names of those that CDS gave; the others are the bootstrap's. */
  dynamicNames(): ReadonlySet<string>
}

export function clusterPage(source: ClusterPageSource): AdminPage {
  return adminPage({
    path: '/clusters',
    help: 'upstream cluster status',
    parameters: [
      { name: 'format', help: 'File format to use; One of (text, json)' },
      { name: 'filter', help: 'Regular expression (Google re2) for filtering clusters by name' },
    ],
    run: (query) => render(source, query),
  })
}

async function render(source: ClusterPageSource, query: URLSearchParams): Promise<AdminReply> {
  const filter = nameFilter(query.get('filter'), 'part')
  if (!filter.ok) return textReply(`${filter.message}\n`, 400)
  const all = await source.clusters()
  const clusters = all.filter((cluster) => filter.matches(cluster.name))
  const dynamic = source.dynamicNames()
  if (query.get('format') === 'json') {
    return jsonReply({
      cluster_statuses: clusters.map((cluster) => clusterJson(cluster, dynamic.has(cluster.name))),
    })
  }
  return textReply(
    clusters.map((cluster) => clusterText(cluster, dynamic.has(cluster.name))).join(''),
  )
}

function clusterText(cluster: ClusterStatus, isDynamic: boolean): string {
  const { name, limits } = cluster
  const values: (readonly [string, string | number | boolean])[] = [
    ['observability_name', name],
    ...outlierValues(cluster),
    ['default_priority::max_connections', limits.connectionsMax],
    ['default_priority::max_pending_requests', limits.pendingMax],
    ['default_priority::max_requests', limits.requestsMax],
    ['default_priority::max_retries', limits.retriesMax],
    ['added_via_api', isDynamic],
  ]
  if (cluster.edsName !== undefined) values.push(['eds_service_name', cluster.edsName])
  for (const host of cluster.hosts) {
    for (const [key, value] of hostValues(host)) values.push([`${host.addressText}::${key}`, value])
  }
  return values.map(([key, value]) => `${name}::${key}::${value}\n`).join('')
}

function outlierValues({ averages }: ClusterStatus): readonly (readonly [string, number])[] {
  if (averages === undefined) return []
  const { external, local } = averages
  return [
    ['outlier::success_rate_average', external.average],
    ['outlier::success_rate_ejection_threshold', external.threshold],
    ['outlier::local_origin_success_rate_average', local.average],
    ['outlier::local_origin_success_rate_ejection_threshold', local.threshold],
  ]
}

/** Absent where too few hosts had enough traffic. */
function thresholdJson({ averages }: ClusterStatus): object {
  const external = averages?.external.threshold ?? -1
  const local = averages?.local.threshold ?? -1
  return {
    ...(external >= 0 && { success_rate_ejection_threshold: { value: external } }),
    ...(local >= 0 && { local_origin_success_rate_ejection_threshold: { value: local } }),
  }
}

function hostValues(host: HostStatus): readonly (readonly [string, string | number | boolean])[] {
  return [
    ...Object.entries(host.stats),
    ['hostname', host.hostname],
    ['health_flags', healthFlags(host)],
    ['weight', host.weight],
    ['region', host.locality.region],
    ['zone', host.locality.zone],
    ['sub_zone', host.locality.subZone],
    ['canary', false],
    ['priority', host.priority],
    ['success_rate', host.successRate],
    ['local_origin_success_rate', host.localOriginSuccessRate],
  ]
}

/** Envoy `HostUtility::healthFlagsToString`. */
function healthFlags(host: HostStatus): string {
  const { active, edsHealth } = host
  const flags: readonly (readonly [name: string, isSet: boolean | undefined])[] = [
    ['failed_active_hc', active?.isFailed],
    ['failed_outlier_check', host.isEjected],
    ['failed_eds_health', edsHealth === 'UNHEALTHY' || edsHealth === 'TIMEOUT'],
    ['degraded_active_hc', active?.isDegraded],
    ['degraded_eds_health', edsHealth === 'DEGRADED'],
    ['pending_dynamic_removal', host.isPendingRemoval],
    ['pending_active_hc', active?.isPending],
    ['excluded_via_immediate_hc_fail', active?.isExcluded],
    ['active_hc_timeout', active?.isTimeout],
    ['eds_status_draining', edsHealth === 'DRAINING'],
  ]
  const set = flags.filter(([, isSet]) => isSet === true)
  return set.length === 0 ? 'healthy' : set.map(([name]) => `/${name}`).join('')
}

function clusterJson(cluster: ClusterStatus, isDynamic: boolean): object {
  const { limits } = cluster
  return {
    name: cluster.name,
    ...(isDynamic && { added_via_api: true }),
    ...thresholdJson(cluster),
    ...(cluster.hosts.length > 0 && { host_statuses: cluster.hosts.map(hostJson) }),
    circuit_breakers: {
      thresholds: [
        {
          max_connections: limits.connectionsMax,
          max_pending_requests: limits.pendingMax,
          max_requests: limits.requestsMax,
          max_retries: limits.retriesMax,
        },
      ],
    },
    observability_name: cluster.name,
    ...(cluster.edsName !== undefined && { eds_service_name: cluster.edsName }),
  }
}

const gauges = new Set(['cx_active', 'rq_active'])

function hostJson(host: HostStatus): object {
  const { locality } = host
  return {
    address: addressJson(host.address),
    stats: Object.entries(host.stats).map(([name, value]: [string, number]) => ({
      ...(gauges.has(name) && { type: 'GAUGE' }),
      // A uint64 in protobuf's JSON: text, and absent when 0.
      ...(value !== 0 && { value: String(value) }),
      name,
    })),
    health_status: healthJson(host),
    ...(host.successRate >= 0 && { success_rate: { value: host.successRate } }),
    weight: host.weight,
    ...(host.hostname !== '' && { hostname: host.hostname }),
    ...(host.priority > 0 && { priority: host.priority }),
    ...(host.localOriginSuccessRate >= 0 && {
      local_origin_success_rate: { value: host.localOriginSuccessRate },
    }),
    locality: {
      ...(locality.region !== '' && { region: locality.region }),
      ...(locality.zone !== '' && { zone: locality.zone }),
      ...(locality.subZone !== '' && { sub_zone: locality.subZone }),
    },
    // Not in Envoy's answer: how long the ejection lasts, for `tulle proxy-config endpoints`.
    ...(host.isEjected && {
      tulle_outlier: {
        ejection_remaining_ms: Math.round(host.ejectionRemainingMs),
        ejections_in_a_row: host.ejectionsInARow,
      },
    }),
  }
}

/** Envoy `HostHealthStatus`: what is not so is left out. */
function healthJson({ active, isEjected, isPendingRemoval, edsHealth }: HostStatus): object {
  const flags = {
    failed_active_health_check: active?.isFailed,
    failed_outlier_check: isEjected,
    failed_active_degraded_check: active?.isDegraded,
    pending_dynamic_removal: isPendingRemoval,
    pending_active_hc: active?.isPending,
    excluded_via_immediate_hc_fail: active?.isExcluded,
    active_hc_timeout: active?.isTimeout,
  }
  const set = Object.entries(flags).filter(([, isSet]) => isSet === true)
  return { ...Object.fromEntries(set), eds_health_status: edsHealth }
}
