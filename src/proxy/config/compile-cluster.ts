/**
 * Cluster → ClusterConfig, or every reason why it is refused. What passes here is either fully in effect or listed as
 * safe to ignore in cluster-fields.ts.
 */
import { unreachable } from '../../lib/assert.ts'
import { typeNameOf } from '../../xds/any.ts'
import {
  type Cluster,
  Cluster_DiscoveryType,
} from '../../xds/proto/generated/envoy/config/cluster/v3/cluster.ts'
import type { ClusterLoadAssignment } from '../../xds/proto/generated/envoy/config/endpoint/v3/endpoint.ts'
import { ClusterConfig as ForwardProxyClusterConfig } from '../../xds/proto/generated/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster.ts'
import type { TransportPlan, TransportsPlan } from '../tls/upstream-transports.ts'
import type { ClusterService } from '../upstream/cluster.ts'
import type { ClusterConfig, ClusterType, DnsCacheConfig } from './cluster-config.ts'
import { clusterRule, forwardProxyClusterRule } from './cluster-fields.ts'
import { compileBalancing } from './compile-balancing.ts'
import { compileDns, compileDnsCache } from './compile-dns.ts'
import { type EndpointList, compileEndpoints } from './compile-endpoints.ts'
import { type HealthCheckScope, compileHealthCheck } from './compile-health-check.ts'
import { compileBreakers, compileOutlier } from './compile-resilience.ts'
import { noSecrets } from './compile-scope.ts'
import { type UpstreamTlsScope, compileUpstreamTransport } from './compile-tls.ts'
import {
  type UpstreamHttpScope,
  compileUpstreamHttp,
  upstreamHttpNames,
} from './compile-upstream-http.ts'
import { type Compiled, compiled, refused } from './compiled.ts'
import { type FieldReport, at, checkFields, refuse, showValue } from './field-rule.ts'
import { durationMs } from './message-value.ts'

const initialFetchTimeoutDefaultMs = 15_000
const bufferLimitDefault = 1_048_576

export function compileCluster(
  cluster: Cluster,
  scope: UpstreamHttpScope = {},
): Compiled<ClusterConfig> {
  const report: FieldReport = { path: '', reasons: [] }
  checkFields(cluster, clusterRule, report)
  if (cluster.name === '') {
    refuse(at(report, 'name'), 'value length must be at least 1 characters')
  }
  const type = clusterType(cluster, report)
  const http = compileUpstreamHttp(cluster, report)
  const transports = compileTransports(
    cluster,
    { secrets: scope.secrets ?? noSecrets, http: upstreamHttpNames(cluster) },
    report,
  )
  const connectTimeoutMs = durationMs(
    cluster.connectTimeout,
    { absentMs: 5_000, least: 'positive' },
    at(report, 'connect_timeout'),
  )
  const config: ClusterConfig = {
    name: cluster.name,
    type,
    statName: cluster.altStatName || cluster.name,
    ...metadataOf(cluster),
    ...edsSettings(cluster, type, report),
    endpoints: ownEndpoints(cluster, type, report),
    connectTimeoutMs,
    ...http,
    bufferLimitBytes: cluster.perConnectionBufferLimitBytes ?? bufferLimitDefault,
    tcpKeepaliveMs: keepaliveMs(cluster),
    ...keepaliveProbing(cluster, report),
    balancing: compileBalancing(cluster, type, report),
    breakerLimits: compileBreakers(cluster, report),
    outlier: compileOutlier(cluster.outlierDetection, at(report, 'outlier_detection')),
    ...healthSettings(cluster, { hostname: scope.hostname ?? '', protocol: http.protocol }, report),
    dns: compileDns(cluster, { refreshMs: 5_000, takesOneMs: false }, report),
    dnsCache: forwardProxyCache(cluster, { type, isTls: isTls(transports?.fallback) }, report),
    waitForWarmOnInit: cluster.waitForWarmOnInit ?? true,
    transports,
    transportKey: `${type === 'dynamic-forward-proxy'} ${http.protocol} ${transports?.key ?? ''}`,
  }
  return report.reasons.length > 0 ? refused(...report.reasons) : compiled(config)
}

type HealthSettings = Pick<
  ClusterConfig,
  'healthCheck' | 'dropsHealthyHosts' | 'ignoresUncheckedHosts' | 'closesOnFailure'
>

function healthSettings(
  cluster: Cluster,
  scope: HealthCheckScope,
  report: FieldReport,
): HealthSettings {
  return {
    healthCheck: compileHealthCheck(cluster, scope, report),
    dropsHealthyHosts: cluster.ignoreHealthOnHostRemoval,
    ignoresUncheckedHosts: cluster.commonLbConfig?.ignoreNewHostsUntilFirstHc ?? false,
    closesOnFailure: cluster.closeConnectionsOnHostHealthFailure,
  }
}

const plainTypes: Readonly<Record<number, ClusterType>> = {
  [Cluster_DiscoveryType.STATIC]: 'static',
  [Cluster_DiscoveryType.STRICT_DNS]: 'strict-dns',
  [Cluster_DiscoveryType.LOGICAL_DNS]: 'logical-dns',
  [Cluster_DiscoveryType.EDS]: 'eds',
}

function clusterType(cluster: Cluster, report: FieldReport): ClusterType {
  const discovery = cluster.clusterDiscoveryType
  if (discovery?.$case === 'clusterType') {
    const name = typeNameOf(discovery.value.typedConfig?.typeUrl ?? '')
    if (name === forwardProxyClusterRule.type) return 'dynamic-forward-proxy'
    refuse(
      at(report, 'cluster_type'),
      `${showValue(discovery.value.name)} (${name || 'no typed_config'}) is not implemented`,
    )
    return 'static'
  }
  const type = plainTypes[discovery?.value ?? Cluster_DiscoveryType.STATIC]
  if (type !== undefined) return type
  refuse(at(report, 'type'), 'ORIGINAL_DST is not implemented yet')
  return 'static'
}

type EdsSettings = Pick<ClusterConfig, 'edsName' | 'edsInitialFetchTimeoutMs'>

function edsSettings(cluster: Cluster, type: ClusterType, report: FieldReport): EdsSettings {
  const eds = cluster.edsClusterConfig
  if (type === 'eds' && eds?.edsConfig === undefined) {
    refuse(at(report, 'eds_cluster_config', 'eds_config'), 'is required for a cluster of type EDS')
  }
  if (type !== 'eds' && eds !== undefined) {
    refuse(at(report, 'eds_cluster_config'), 'set in a non-EDS cluster')
  }
  return {
    edsName: eds?.serviceName || cluster.name,
    edsInitialFetchTimeoutMs: durationMs(
      eds?.edsConfig?.initialFetchTimeout,
      { absentMs: initialFetchTimeoutDefaultMs },
      at(report, 'eds_cluster_config', 'eds_config', 'initial_fetch_timeout'),
    ),
  }
}

function ownEndpoints(
  cluster: Cluster,
  type: ClusterType,
  report: FieldReport,
): EndpointList | undefined {
  const here = at(report, 'load_assignment')
  const assignment = cluster.loadAssignment
  const isDns = type === 'strict-dns' || type === 'logical-dns'
  if (type === 'eds' || type === 'dynamic-forward-proxy') {
    if (assignment !== undefined) refuse(here, `does not fit a cluster of type ${type}`)
    return undefined
  }
  if (assignment === undefined) {
    if (type === 'logical-dns') refuse(here, oneEndpoint)
    return { clusterName: cluster.name, endpoints: [], overprovisioningPercent: 140 }
  }
  const own = type === 'logical-dns' ? logicalAssignment(assignment, here) : assignment
  const result = compileEndpoints(own, isDns ? 'resolve' : 'refuse')
  if (result.ok) return result.value
  for (const reason of result.reasons) refuse(report, `load_assignment.${reason}`)
  return undefined
}

/** As Envoy: there is a single endpoint, and it is in the first priority, whatever is written. */
function logicalAssignment(
  assignment: ClusterLoadAssignment,
  report: FieldReport,
): ClusterLoadAssignment {
  const [group, ...others] = assignment.endpoints
  if (others.length > 0 || group?.lbEndpoints.length !== 1) refuse(report, oneEndpoint)
  return { ...assignment, endpoints: assignment.endpoints.map((one) => ({ ...one, priority: 0 })) }
}

const oneEndpoint =
  'LOGICAL_DNS clusters must have a single locality_lb_endpoint and a single lb_endpoint'

function forwardProxyCache(
  cluster: Cluster,
  { type, isTls }: { readonly type: ClusterType; readonly isTls: boolean },
  report: FieldReport,
): DnsCacheConfig | undefined {
  if (type !== 'dynamic-forward-proxy') return undefined
  const discovery = cluster.clusterDiscoveryType
  const any = discovery?.$case === 'clusterType' ? discovery.value.typedConfig : undefined
  if (any === undefined) return undefined
  const here = at(report, 'cluster_type', 'typed_config')
  const config = ForwardProxyClusterConfig.decode(any.value)
  checkFields(config, forwardProxyClusterRule, here)
  const specifier = config.clusterImplementationSpecifier
  const cache = specifier?.$case === 'dnsCacheConfig' ? specifier.value : undefined
  const compiledCache = compileDnsCache(cache, at(here, 'dns_cache_config'))
  return compiledCache && isTls ? { ...compiledCache, defaultPort: 443 } : compiledCache
}

function compileTransports(
  cluster: Cluster,
  scope: UpstreamTlsScope,
  report: FieldReport,
): TransportsPlan | undefined {
  const matches = cluster.transportSocketMatches.map((match, index) => {
    const here = at(report, 'transport_socket_matches', index)
    if (match.name === '') {
      refuse(at(here, 'name'), 'value length must be at least 1 characters')
    }
    const socket = match.transportSocket
    const transport = compileUpstreamTransport(socket, scope, at(here, 'transport_socket'))
    return { name: match.name, fields: match.match ?? {}, transport }
  })
  const here = at(report, 'transport_socket')
  const fallback = compileUpstreamTransport(cluster.transportSocket, scope, here)
  const all = [fallback, ...matches.map(({ transport }) => transport)]
  if (all.every(({ kind }) => kind === 'plaintext')) return undefined
  const parts = matches.map(({ fields, transport }) => [fields, transportKey(transport)])
  return { matches, fallback, key: JSON.stringify([transportKey(fallback), parts]) }
}

function isTls(plan: TransportPlan | undefined): boolean {
  return plan?.kind === 'proxy-protocol' ? isTls(plan.inner) : plan?.kind === 'tls'
}

function transportKey(plan: TransportPlan): string {
  switch (plan.kind) {
    case 'plaintext':
      return ''
    case 'tls':
      return plan.tls.key
    case 'proxy-protocol':
      return `proxy${plan.version} ${transportKey(plan.inner)}`
    default:
      return unreachable(plan)
  }
}

function keepaliveMs(cluster: Cluster): number | undefined {
  const keepalive = cluster.upstreamConnectionOptions?.tcpKeepalive
  if (keepalive === undefined) return undefined
  // Linux's own default, which Envoy leaves in force where the field is absent.
  return (keepalive.keepaliveTime ?? 7_200) * 1000
}

function keepaliveProbing(
  cluster: Cluster,
  report: FieldReport,
): Pick<ClusterConfig, 'tcpKeepaliveProbing'> {
  const keepalive = cluster.upstreamConnectionOptions?.tcpKeepalive
  if (keepalive === undefined) return {}
  // Linux's own defaults, which Envoy leaves in force; Node would ask ten times in ten seconds.
  const probes = keepalive.keepaliveProbes ?? 9
  const seconds = keepalive.keepaliveInterval ?? 75
  const here = at(report, 'upstream_connection_options', 'tcp_keepalive')
  // What the kernel takes (tcp(7)); Envoy passes anything on, and then fails each connection.
  for (const [field, value, max] of [
    ['keepalive_probes', probes, 127],
    ['keepalive_interval', seconds, 32_767],
  ] as const) {
    if (value >= 1 && value <= max) continue
    refuse(at(here, field), `must be 1 to ${max}, got ${value}`)
  }
  return { tcpKeepaliveProbing: { intervalMs: seconds * 1000, probes } }
}

function metadataOf(cluster: Cluster): Pick<ClusterConfig, 'service' | 'filterMetadata'> {
  const filterMetadata = cluster.metadata?.filterMetadata
  return { service: clusterService(cluster), ...(filterMetadata && { filterMetadata }) }
}

/** Istio's cluster metadata; a cluster without it stands for itself. */
function clusterService(cluster: Cluster): ClusterService {
  const services: unknown = cluster.metadata?.filterMetadata['istio']?.['services']
  const first: unknown = Array.isArray(services) ? services[0] : undefined
  const field = (key: string): string => {
    if (typeof first !== 'object' || first === null || !(key in first)) return ''
    return String((first as Readonly<Record<string, unknown>>)[key])
  }
  return { host: field('host'), name: field('name'), namespace: field('namespace') }
}
