/**
 * One outbound cluster: a service port, or a subset of it, as clients of one scope class reach it.
 *
 * Where a rule asks for TLS with credentials that this version cannot get, the cluster has no endpoints: requests
 * fail (503 UH) rather than leave unprotected.
 */
import { unreachable } from '../lib/assert.ts'
import type { Subset } from '../model/istio/destination-rule.ts'
import type { Endpoint, Service, ServicePort } from '../registry/service.ts'
import { encodeResource } from '../xds/encode.ts'
import {
  Cluster,
  Cluster_DiscoveryType,
  Cluster_DnsLookupFamily,
  Cluster_LbPolicy,
} from '../xds/proto/generated/envoy/config/cluster/v3/cluster.ts'
import { typeUrls, type EncodedResource } from '../xds/resource-set.ts'
import { isBetweenSidecars } from './between-sidecars.ts'
import { noTls, tlsRefusal, translateClusterTls } from './cluster-tls.ts'
import { httpVersionOf, translateConnectionPool, type PoolInput } from './connection-pool.ts'
import type { MergedRule } from './destination-rule-index.ts'
import { dynamicForwardProxy } from './dynamic-forward-proxy.ts'
import { localitiesOf } from './endpoint.ts'
import { translateHealthChecks } from './health-check.ts'
import { clusterName } from './host-name.ts'
import type { MeshSettings } from './input.ts'
import { isPassthrough, translateLoadBalancer } from './load-balancer.ts'
import {
  type ClientPlace,
  isLocalityWeighted,
  type LocalityPolicy,
  localityPolicyOf,
} from './locality.ts'
import { adsSource, durationOf } from './message.ts'
import { translateOutlierDetection } from './outlier-detection.ts'
import { ruleConfig } from './provenance.ts'
import { toldOf } from './proxy-protocol.ts'
import type { DnsFamily } from './scope.ts'
import { withAffinity } from './source-hash.ts'
import { altStatName } from './stat-name.ts'
import { effectivePolicy, type EffectivePolicy } from './traffic-policy.ts'
import { acrossZones, withinZone } from './zone-aware.ts'

export interface ClusterInput {
  readonly service: Service
  readonly port: ServicePort
  readonly rule: MergedRule | undefined
  /** Undefined: the whole service. */
  readonly subset: Subset | undefined
  /** Of this port; read for services that are resolved by DNS, and for who stands before them. */
  readonly endpoints: readonly Endpoint[]
  readonly mesh: MeshSettings
  /** Names that the service's workloads may prove to have. */
  readonly identities: readonly string[]
  /** File of the authorities that the client's host trusts. */
  readonly systemRoots: string
  /** Read for services that are resolved by DNS. */
  readonly dnsFamily: DnsFamily
  /** Whether an endpoint is to be called with mTLS; read as `endpoints` are. */
  readonly takesMtls: (endpoint: Endpoint) => boolean
  /** Whether the sidecar before it takes HTTP/2 for whatever its application speaks. */
  readonly takesStreams: (endpoint: Endpoint) => boolean
  /** Where the client is. */
  readonly place: ClientPlace
  /** Whether names of headers go on as they came. */
  readonly preservesCase: boolean
  /** Whether requests to some service stay in their zone. */
  readonly routesByZone: boolean
}

/** Undefined when a service resolved by DNS has no endpoint (in this subset), as in Istio. */
export function translateCluster(written: ClusterInput): EncodedResource | undefined {
  const { port, subset, mesh } = written
  const policy = policyOf(written)
  const service = asBalanced(written.service, policy)
  const input = { ...written, service }
  const name = clusterName(port.number, subset?.name ?? '', service.hostname)
  const isByName = goesByName(service)
  const locality = placedBy(input, policy)
  const discovery = discoveryOf(input, { name, policy, locality })
  if (discovery === undefined) return undefined
  const pool: PoolInput = {
    settings: policy.connectionPool,
    retryBudget: policy.retryBudget,
    outlierDetection: policy.outlierDetection,
    port,
    mesh,
    direction: 'outbound',
    preservesCase: written.preservesCase,
    isBetweenSidecars: isBetweenSidecars(input, policy.tls),
  }
  const tls = isRefused(written, policy)
    ? noTls
    : translateClusterTls({
        ...input,
        tls: policy.tls,
        subset: subset?.name ?? '',
        httpVersion: httpVersionOf(pool),
      })
  const message = Cluster.fromPartial({
    name,
    ...altStatName(mesh.outboundStatName, input),
    ...discovery,
    ...translateConnectionPool({
      ...pool,
      autoSni: isByName || tls.autoSni,
      autoSanValidation: isByName || tls.autoSanValidation,
    }),
    ...toldOf(policy, tls.fields),
    ...(policy.outlierDetection !== undefined && {
      outlierDetection: translateOutlierDetection(policy.outlierDetection),
    }),
    ...translateHealthChecks(input, httpVersionOf(pool)),
    commonLbConfig: {
      ...commonLbConfig(policy),
      ...localitySpecifier(input, policy, locality),
    },
    metadata: { filterMetadata: { istio: istioMetadata(input) } },
  })
  return encodeResource({ name, typeUrl: typeUrls.cluster, codec: Cluster, message })
}

function isRefused({ rule }: ClusterInput, policy: EffectivePolicy): boolean {
  return tlsRefusal(policy.tls, rule?.selector !== undefined) !== undefined
}

function policyOf({ service, port, rule, subset, mesh }: ClusterInput): EffectivePolicy {
  const policy = effectivePolicy({ rule: rule?.trafficPolicy, subset, port: port.number, mesh })
  return { ...policy, loadBalancer: withAffinity(policy.loadBalancer, service) }
}

/** A cluster that resolves the name that a request asked for speaks TLS, if any, with that name; it has no localities. */
function goesByName({ resolution }: Service): boolean {
  return resolution === 'none' || resolution === 'dynamic-dns'
}

function placedBy({ service, mesh }: ClusterInput, policy: EffectivePolicy) {
  return goesByName(service) ? undefined : localityPolicyOf({ policy, service, mesh })
}

/** PASSTHROUGH sends to the address that the caller named, whatever the service's endpoints are. */
function asBalanced(service: Service, policy: EffectivePolicy): Service {
  return isPassthrough(policy.loadBalancer) ? { ...service, resolution: 'none' } : service
}

function discoveryOf(
  input: ClusterInput,
  {
    name,
    policy,
    locality,
  }: { name: string; policy: EffectivePolicy; locality: LocalityPolicy | undefined },
) {
  const balancing = translateLoadBalancer(policy.loadBalancer)
  if (isRefused(input, policy)) {
    return { clusterDiscoveryType: typed(Cluster_DiscoveryType.STATIC), ...balancing }
  }
  switch (input.service.resolution) {
    case 'static':
      return {
        clusterDiscoveryType: typed(Cluster_DiscoveryType.EDS),
        edsClusterConfig: { serviceName: name, edsConfig: adsSource() },
        ...balancing,
      }
    case 'dns':
    case 'dns-round-robin': {
      const endpoints = localitiesOf({ ...input, subset: input.subset, locality })
      if (endpoints.length === 0) return undefined
      return {
        clusterDiscoveryType: typed(
          input.service.resolution === 'dns'
            ? Cluster_DiscoveryType.STRICT_DNS
            : Cluster_DiscoveryType.LOGICAL_DNS,
        ),
        dnsLookupFamily: lookupFamilies[input.dnsFamily],
        dnsRefreshRate: durationOf(input.mesh.dnsRefreshRateMs),
        respectDnsTtl: true,
        loadAssignment: { clusterName: name, endpoints },
        ...balancing,
      }
    }
    case 'none':
    case 'dynamic-dns':
      return {
        clusterDiscoveryType: dynamicForwardProxy(),
        lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED,
      }
    default:
      return unreachable(input.service.resolution)
  }
}

const lookupFamilies = {
  v4: Cluster_DnsLookupFamily.V4_ONLY,
  v6: Cluster_DnsLookupFamily.V6_ONLY,
} as const

function typed(value: Cluster_DiscoveryType) {
  return { $case: 'type' as const, value }
}

/** With outlier detection Istio turns Envoy's panic threshold of 50 per cent off, or sets the one asked for. */
function commonLbConfig(policy: EffectivePolicy) {
  const { outlierDetection } = policy
  if (outlierDetection === undefined) return {}
  return { healthyPanicThreshold: { value: outlierDetection.minHealthPercent ?? 0 } }
}

/** Proxies that know their fellows route by zone wherever nobody forbids it: Envoy's default. */
function localitySpecifier(
  { service, mesh, routesByZone }: ClusterInput,
  { loadBalancer }: EffectivePolicy,
  locality: LocalityPolicy | undefined,
) {
  if (isLocalityWeighted(locality)) return { localityConfigSpecifier: weightedByLocality }
  if (locality?.zones !== undefined) return { localityConfigSpecifier: withinZone(locality.zones) }
  const written = loadBalancer?.zoneAwareLbSetting ?? mesh.zoneAwareLb
  const isOff = routesByZone || written?.enabled === false
  return isOff && !goesByName(service) ? { localityConfigSpecifier: acrossZones } : {}
}

const weightedByLocality = { $case: 'localityWeightedLbConfig' as const, value: {} }

function istioMetadata({ service, rule, subset }: ClusterInput): Record<string, unknown> {
  return {
    services: [{ host: service.hostname, name: service.name, namespace: service.namespace }],
    ...ruleConfig(rule),
    ...(subset !== undefined && { subset: subset.name }),
    ...(service.isMeshExternal && { external: true }),
  }
}
