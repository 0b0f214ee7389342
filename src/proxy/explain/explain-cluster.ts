/** A destination's cluster in the words of an explanation: its settings, and its endpoints with their health. */
import {
  type Cluster,
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
} from '../../xds/proto/generated/envoy/config/cluster/v3/cluster.ts'
import type { Address } from '../../xds/proto/generated/envoy/config/core/v3/address.ts'
import type { Metadata } from '../../xds/proto/generated/envoy/config/core/v3/base.ts'
import { HealthStatus } from '../../xds/proto/generated/envoy/config/core/v3/health_check.ts'
import type { ClusterLoadAssignment } from '../../xds/proto/generated/envoy/config/endpoint/v3/endpoint.ts'
import type {
  LbEndpoint,
  LocalityLbEndpoints,
} from '../../xds/proto/generated/envoy/config/endpoint/v3/endpoint_components.ts'
import { HttpProtocolOptions } from '../../xds/proto/generated/envoy/extensions/upstreams/http/v3/http_protocol_options.ts'
import type { Duration } from '../../xds/proto/generated/google/protobuf/duration.ts'
import type { ClusterReference, ClusterSettings, ExplainedEndpoint } from './explanation.ts'
import { provenanceOf } from './provenance.ts'
import { clusterSecurity, endpointSecurity } from './security.ts'

/** Health as a running sidecar sees it; undefined where only the control plane's word is known. */
/** Health of a name for which a running sidecar has found no address. */
export const unresolved = 'not resolved'

export type HealthLookup = (cluster: string, address: string) => string | undefined

export function clusterReference(cluster: string): ClusterReference {
  const [, port = '', subset = '', host = ''] = cluster.split('|')
  return { cluster, host, port: port === '' ? undefined : Number(port), subset }
}

export function clusterSettings(cluster: Cluster): ClusterSettings {
  return {
    discovery: discoveryOf(cluster),
    destinationRule: provenanceOf(cluster.metadata),
    balancer: nameOf(Cluster_LbPolicy, cluster.lbPolicy).toLowerCase().replaceAll('_', ' '),
    protocol: protocolOf(cluster),
    connectTimeoutMs: cluster.connectTimeout === undefined ? 5000 : msOf(cluster.connectTimeout),
    limits: limitsOf(cluster),
    outlierDetection: outlierDetectionOf(cluster),
    security: clusterSecurity(cluster),
  }
}

function discoveryOf({ clusterDiscoveryType: type }: Cluster): string {
  if (type?.$case === 'clusterType') return type.value.name.replace('envoy.clusters.', '')
  return nameOf(Cluster_DiscoveryType, type?.value ?? Cluster_DiscoveryType.STATIC)
}

function nameOf(values: Readonly<Record<string, number>>, value: number): string {
  return Object.entries(values).find(([, number]) => number === value)?.[0] ?? String(value)
}

const httpOptions = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'

function protocolOf({ typedExtensionProtocolOptions: options }: Cluster): string {
  const any = options[httpOptions]
  const said = any && HttpProtocolOptions.decode(any.value).upstreamProtocolOptions
  if (said === undefined) return 'HTTP/1.1'
  if (said.$case !== 'explicitHttpConfig') return 'as the client speaks'
  const { protocolConfig } = said.value
  return protocolConfig?.$case === 'http2ProtocolOptions' ? 'HTTP/2' : 'HTTP/1.1'
}

/** Istio's word for "no limit". */
const unlimited = 4_294_967_295

function limitsOf({ circuitBreakers }: Cluster): ClusterSettings['limits'] {
  const thresholds = circuitBreakers?.thresholds.find(({ priority }) => priority === 0)
  const limits = {
    connections: thresholds?.maxConnections ?? 1024,
    pendingRequests: thresholds?.maxPendingRequests ?? 1024,
    requests: thresholds?.maxRequests ?? 1024,
    retries: thresholds?.maxRetries ?? 3,
  }
  return Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== unlimited))
}

/** Envoy's defaults where the message is silent. */
function outlierDetectionOf({ outlierDetection }: Cluster): ClusterSettings['outlierDetection'] {
  if (outlierDetection === undefined) return undefined
  const { interval, baseEjectionTime, enforcingConsecutive5xx = 100 } = outlierDetection
  const { enforcingConsecutiveGatewayFailure = 0 } = outlierDetection
  return {
    consecutive5xx: enforcingConsecutive5xx === 0 ? 0 : (outlierDetection.consecutive5xx ?? 5),
    consecutiveGatewayErrors:
      enforcingConsecutiveGatewayFailure === 0
        ? 0
        : (outlierDetection.consecutiveGatewayFailure ?? 5),
    intervalMs: interval === undefined ? 10_000 : msOf(interval),
    baseEjectionMs: baseEjectionTime === undefined ? 30_000 : msOf(baseEjectionTime),
    maxEjectionPercent: outlierDetection.maxEjectionPercent ?? 10,
    alwaysEjectsOne: outlierDetection.alwaysEjectOneHost ?? false,
  }
}

export function explainEndpoints(
  cluster: Cluster,
  assignment: ClusterLoadAssignment | undefined,
  healthOf: HealthLookup,
): readonly ExplainedEndpoint[] {
  const found = assignment ?? cluster.loadAssignment
  return (found?.endpoints ?? []).flatMap((locality) =>
    locality.lbEndpoints.map((endpoint) => {
      const address = addressOf(endpoint)
      const told = nameOf(HealthStatus, endpoint.healthStatus).toLowerCase()
      return {
        address,
        health: healthOf(cluster.name, address) ?? (told === 'unknown' ? 'healthy' : told),
        weight: endpoint.loadBalancingWeight ?? 1,
        workload: workloadOf(endpoint.metadata),
        locality: localityOf(locality),
        security: endpointSecurity(cluster, endpoint.metadata),
      }
    }),
  )
}

/** `workload;namespace;…` of Istio's endpoint metadata. */
function workloadOf(metadata: Metadata | undefined): string {
  const text: unknown = metadata?.filterMetadata['istio']?.['workload']
  if (typeof text !== 'string') return ''
  const [workload = '', namespace = ''] = text.split(';')
  return workload === '' ? '' : `${namespace}/${workload}`
}

function localityOf({ locality }: LocalityLbEndpoints): string {
  const { region = '', zone = '', subZone = '' } = locality ?? {}
  return [region, zone, subZone].join('/').replace(/\/+$/, '')
}

function addressOf({ hostIdentifier }: LbEndpoint): string {
  if (hostIdentifier?.$case !== 'endpoint') return hostIdentifier?.value ?? ''
  return addressText(hostIdentifier.value.address)
}

/** `127.0.0.1:80`, `/path`, or the name of an internal listener. */
export function addressText(address: Address | undefined): string {
  const one = address?.address
  switch (one?.$case) {
    case 'socketAddress': {
      const port = one.value.portSpecifier?.value ?? ''
      return `${one.value.address}:${port}`
    }
    case 'pipe':
      return one.value.path
    case 'envoyInternalAddress':
      return `internal ${one.value.addressNameSpecifier?.value ?? ''}`
    case undefined:
    default:
      return ''
  }
}

export function msOf({ seconds, nanos }: Duration): number {
  return seconds * 1000 + nanos / 1_000_000
}
