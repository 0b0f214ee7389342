/** The configuration of one sidecar as messages, from what the control plane would send it or from its config dump. */
import { MessageJson } from '../../xds/json.ts'
import { Cluster } from '../../xds/proto/generated/envoy/config/cluster/v3/cluster.ts'
import { ClusterLoadAssignment } from '../../xds/proto/generated/envoy/config/endpoint/v3/endpoint.ts'
import { Listener } from '../../xds/proto/generated/envoy/config/listener/v3/listener.ts'
import { RouteConfiguration } from '../../xds/proto/generated/envoy/config/route/v3/route.ts'
import { Any } from '../../xds/proto/generated/google/protobuf/any.ts'
import { typeUrls, type ResourceView } from '../../xds/resource-set.ts'

export interface ConfigMessages {
  readonly listeners: readonly Listener[]
  /** By name, as the others. */
  route(name: string): RouteConfiguration | undefined
  cluster(name: string): Cluster | undefined
  assignment(name: string): ClusterLoadAssignment | undefined
}

export function messagesOfView(view: ResourceView): ConfigMessages {
  const bytesOf = (typeUrl: string, name: string) => {
    const resource = view.resources(typeUrl).get(name)
    return resource && Any.decode(resource.any).value
  }
  const find = <T>(typeUrl: string, codec: { decode(bytes: Uint8Array): T }) => {
    return remember((name) => {
      const bytes = bytesOf(typeUrl, name)
      return bytes && codec.decode(bytes)
    })
  }
  return {
    listeners: [...view.resources(typeUrls.listener).values()].map(({ any }) =>
      Listener.decode(Any.decode(any).value),
    ),
    route: find(typeUrls.route, RouteConfiguration),
    cluster: find(typeUrls.cluster, Cluster),
    assignment: find(typeUrls.endpoint, ClusterLoadAssignment),
  }
}

type Json = Readonly<Record<string, unknown>>

/** Resources as their JSON, in Envoy's field names. */
export interface ConfigJson {
  readonly listeners: readonly Json[]
  readonly routes: readonly Json[]
  readonly clusters: readonly Json[]
  readonly assignments: readonly Json[]
}

/** Rejections: MESH_CONFIG_REJECTED for a field that this version does not know. */
export function messagesOfJson(config: ConfigJson): ConfigMessages {
  const json = new MessageJson()
  const find =
    (items: readonly Json[], key: string) =>
    <T>(parse: (item: Json) => T) =>
      remember((name) => {
        const item = items.find((candidate) => candidate[key] === name)
        return item && parse(untyped(item))
      })
  return {
    listeners: config.listeners.map((item) =>
      json.parse(typeUrls.listener, Listener, untyped(item)),
    ),
    route: find(
      config.routes,
      'name',
    )((item) => json.parse(typeUrls.route, RouteConfiguration, item)),
    cluster: find(config.clusters, 'name')((item) => json.parse(typeUrls.cluster, Cluster, item)),
    assignment: find(
      config.assignments,
      'cluster_name',
    )((item) => json.parse(typeUrls.endpoint, ClusterLoadAssignment, item)),
  }
}

/** A config dump holds each resource as an Any. */
function untyped(item: Json): Json {
  const { '@type': _, ...fields } = item
  return fields
}

function remember<T>(read: (name: string) => T | undefined): (name: string) => T | undefined {
  const known = new Map<string, T | undefined>()
  return (name) => {
    if (!known.has(name)) known.set(name, read(name))
    return known.get(name)
  }
}
