/**
 * Endpoints of one cluster, in localities, with the labels that metrics of the other side need.
 *
 * As Istio does, unhealthy and draining endpoints are left out rather than sent as UNHEALTHY: what a workload
 * says of itself, and its absence, then mean the same to every client, and a client's panic threshold never
 * brings them back.
 */
import type { Endpoint, Service, ServicePort } from '../registry/service.ts'
import { encodeResource } from '../xds/encode.ts'
import { Address } from '../xds/proto/generated/envoy/config/core/v3/address.ts'
import { HealthStatus } from '../xds/proto/generated/envoy/config/core/v3/health_check.ts'
import { ClusterLoadAssignment } from '../xds/proto/generated/envoy/config/endpoint/v3/endpoint.ts'
import {
  Endpoint as EndpointMessage,
  type LbEndpoint,
  type LocalityLbEndpoints,
} from '../xds/proto/generated/envoy/config/endpoint/v3/endpoint_components.ts'
import { typeUrls, type EncodedResource } from '../xds/resource-set.ts'
import { clusterName } from './host-name.ts'
import { compareText } from './input.ts'
import {
  type ClientPlace,
  isServing,
  type LocalityGroup,
  type LocalityPolicy,
  placeGroups,
} from './locality.ts'
import { socketAddress } from './message.ts'

export interface EndpointInput {
  readonly service: Service
  readonly port: ServicePort
  /** Name and labels of the subset; undefined: the whole service. */
  readonly subset:
    | { readonly name: string; readonly labels?: Readonly<Record<string, string>> }
    | undefined
  /** All endpoints of the port. */
  readonly endpoints: readonly Endpoint[]
  /** Whether an endpoint is to be called with mTLS where a rule does not say how. */
  readonly takesMtls: (endpoint: Endpoint) => boolean
  /** How places count, and where the client is. */
  readonly locality: LocalityPolicy | undefined
  readonly place: ClientPlace
}

export function translateEndpoints(input: EndpointInput): EncodedResource {
  const name = clusterName(input.port.number, input.subset?.name ?? '', input.service.hostname)
  const message: ClusterLoadAssignment = {
    clusterName: name,
    endpoints: localitiesOf(input),
    namedEndpoints: {},
    policy: undefined,
  }
  return encodeResource({
    name,
    typeUrl: typeUrls.endpoint,
    codec: ClusterLoadAssignment,
    message,
  })
}

/** Healthy endpoints of the subset by locality, as the client is to use them; the order depends on nothing but them. */
export function localitiesOf(input: EndpointInput): LocalityLbEndpoints[] {
  const serving = input.endpoints.filter(
    (endpoint) =>
      hasLabels(endpoint, input.subset?.labels) && isServing(endpoint, input.service, input.place),
  )
  return placeGroups(groupsOf(serving, input.takesMtls), input.locality, input.place)
}

/** Those that are healthy, by locality. */
export function groupsOf(
  endpoints: readonly Endpoint[],
  takesMtls: EndpointInput['takesMtls'],
): LocalityGroup[] {
  const byLocality = new Map<string, Endpoint[]>()
  for (const endpoint of endpoints) {
    if (endpoint.health !== 'healthy') continue
    const list = byLocality.get(endpoint.locality)
    if (list === undefined) byLocality.set(endpoint.locality, [endpoint])
    else list.push(endpoint)
  }
  return [...byLocality]
    .sort(([left], [right]) => compareText(left, right))
    .map(([locality, members]) => {
      members.sort(byAddress)
      return { endpoints: members, group: groupOf(locality, members, takesMtls) }
    })
}

function groupOf(
  locality: string,
  endpoints: readonly Endpoint[],
  takesMtls: EndpointInput['takesMtls'],
): LocalityLbEndpoints {
  return {
    locality: localityOf(locality),
    metadata: undefined,
    lbEndpoints: endpoints.map((endpoint) => lbEndpoint(endpoint, takesMtls(endpoint))),
    lbConfig: undefined,
    loadBalancingWeight: endpoints.reduce((sum, endpoint) => sum + weightOf(endpoint), 0),
    priority: 0,
    proximity: undefined,
  }
}

export function hasLabels(
  endpoint: Pick<Endpoint, 'labels'>,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  for (const key in labels) if (endpoint.labels[key] !== labels[key]) return false
  return true
}

const bareEndpoint = EndpointMessage.fromPartial({})

function lbEndpoint(endpoint: Endpoint, takesMtls: boolean): LbEndpoint {
  const { workload, namespace, canonicalName, canonicalRevision, cluster } = endpoint
  return {
    hostIdentifier: {
      $case: 'endpoint' as const,
      value: { ...bareEndpoint, address: addressOf(endpoint) },
    },
    healthStatus: HealthStatus.UNKNOWN,
    metadata: {
      typedFilterMetadata: {},
      filterMetadata: {
        ...(takesMtls && { 'envoy.transport_socket_match': { tlsMode: 'istio' } }),
        istio: {
          workload: [workload, namespace, canonicalName, canonicalRevision, cluster].join(';'),
        },
      },
    },
    loadBalancingWeight: weightOf(endpoint),
  }
}

function addressOf({ address, port }: Endpoint) {
  if (address.startsWith('unix://')) {
    return Address.fromPartial({
      address: { $case: 'pipe', value: { path: address.slice('unix://'.length) } },
    })
  }
  return socketAddress(address, port)
}

function localityOf(locality: string) {
  const [region = '', zone = '', subZone = ''] = locality.split('/')
  return { region, zone, subZone }
}

function weightOf(endpoint: Endpoint): number {
  return endpoint.weight > 0 ? endpoint.weight : 1
}

function byAddress(left: Endpoint, right: Endpoint): number {
  return compareText(left.address, right.address) || left.port - right.port
}
