/**
 * The part of a view that is one workload's own: listeners on its ports, clusters that lead to its application,
 * and a route configuration for each upstream that it reaches by a localhost port.
 */
import type { IngressListener } from '../model/istio/sidecar.ts'
import type { MeshPort, Upstream } from '../registry/node-metadata.ts'
import { endpointKey, type Endpoint } from '../registry/service.ts'
import type { EncodedResource } from '../xds/resource-set.ts'
import type { Client } from './client.ts'
import type { MergedRule } from './destination-rule-index.ts'
import { egressInputs, translateEgress } from './egress-listener.ts'
import { clusterName, resolveHost } from './host-name.ts'
import { hostInput, virtualHostInputs } from './host-part.ts'
import { translateInbound } from './inbound.ts'
import type { MtlsMode } from './input.ts'
import type { L4Routes } from './l4-route.ts'
import { clustersOfRoute, l4Clusters } from './on-demand.ts'
import { translateHttpProxy, translateTunnel, translateUpstream } from './outbound-listener.ts'
import { modeOfPort } from './peer-authentication-index.ts'
import { keyOfHeaders, withHeaders } from './proxy-header.ts'
import { encodeRouteConfiguration, encodeVirtualHost } from './route-configuration.ts'
import type { Scope } from './scope.ts'
import { namedAsSource } from './source-hash.ts'
import { translateTunnelCluster } from './system-cluster.ts'
import { isUnservable } from './tls-context.ts'
import type { Tunnel } from './tunnel.ts'
import { isHttp, singleVirtualHost } from './virtual-host.ts'
import {
  byHostname,
  ruleFor,
  serviceSeenFrom,
  visibleService,
  type ServedPort,
  type World,
} from './world.ts'
import { translateFellows } from './zone-aware.ts'

export interface WorkloadInput {
  readonly world: World
  readonly scope: Scope
  readonly client: Client
  /** Of the scope class. */
  readonly tunnels: readonly Tunnel[]
  /** Routes and clusters come when they are first called. */
  readonly isOnDemand?: boolean
}

export interface WorkloadResources {
  readonly listeners: ReadonlyMap<string, EncodedResource>
  readonly clusters: ReadonlyMap<string, EncodedResource>
  readonly routes: ReadonlyMap<string, EncodedResource>
  readonly endpoints: ReadonlyMap<string, EncodedResource>
}

export function translateWorkload(written: WorkloadInput): WorkloadResources {
  const { world } = written
  const client = namedAsSource(written.client, world.hashesSource)
  const input = { ...written, client }
  const { mesh } = world.input
  const { isOnDemand = false } = input
  const listeners = [...translateHttpProxy({ client, mesh, isOnDemand })]
  const clusters: EncodedResource[] = []
  // Without the proxy for HTTP nothing opens tunnels.
  for (const tunnel of client.httpProxyPort === undefined ? [] : input.tunnels) {
    listeners.push(translateTunnel(tunnel, { client, mesh, isOnDemand }))
    clusters.push(translateTunnelCluster(tunnel.name, mesh))
  }
  const egress = translateEgress(input)
  listeners.push(...egress.listeners)
  const routes: EncodedResource[] = [...egress.routes]
  for (const meshPort of client.meshPorts) {
    const served = servedBy(input, meshPort)
    const mode = inboundMode(input, meshPort, served)
    const ingress = ingressOf(input, meshPort, served)
    if (ingress === 'closed' || (mode === 'DISABLE' && isUnserved(ingress))) continue
    const inbound = translateInbound({
      meshPort,
      served,
      rule: inboundRule(input, served),
      mode,
      ingress,
      inboundPool: input.scope.sidecar?.inboundPool,
      client,
      mesh,
    })
    listeners.push(inbound.listener)
    clusters.push(inbound.cluster)
  }
  for (const upstream of client.upstreams) {
    const reached = reach(input, upstream)
    listeners.push(reached.listener)
    if (reached.routes !== undefined) routes.push(reached.routes)
  }
  return {
    listeners: byName(listeners),
    clusters: byName(clusters),
    routes: byName(routes),
    endpoints: byName([translateFellows(fellowsOf(input), client)]),
  }
}

/** Endpoints of the service that the workload is one of: of its first port, where it has several. */
function fellowsOf(input: WorkloadInput): readonly Endpoint[] {
  const { world, client } = input
  if (!world.routesByZone) return nobody
  const [own] = client.meshPorts.flatMap((meshPort) => servedBy(input, meshPort))
  if (own === undefined) return nobody
  return world.input.registry.endpoints.get(endpointKey(own.service, own.port.number)) ?? nobody
}

/** One object: inputs are compared by identity. */
const nobody: readonly Endpoint[] = []

/** The listener of a localhost port, and its routes where requests are routed. */
function reach(
  input: WorkloadInput,
  upstream: Upstream,
): { readonly listener: EncodedResource; readonly routes: EncodedResource | undefined } {
  const { world, scope, client } = input
  const { host, served } = targetOf(input, upstream)
  const part = served && hostInput(world, scope, served)
  const virtualHost = part !== undefined && isHttp(part.port) ? singleVirtualHost(part) : undefined
  const listener = translateUpstream({
    client,
    mesh: world.input.mesh,
    upstream,
    l4: part?.l4 ?? unknownRoutes(clusterName(upstream.port, '', host)),
    routes: virtualHost?.name,
    isSniffed: part?.port.protocol === 'auto',
    readsGrpcWeb: part?.port.protocol === 'grpc-web',
  })
  const routes =
    virtualHost &&
    encodeRouteConfiguration(virtualHost.name, [
      encodeVirtualHost(withHeaders(virtualHost, scope.headers)),
    ])
  return { listener, routes }
}

/** Clusters that the listeners of localhost ports lead to. */
export function upstreamClusters(input: WorkloadInput): readonly string[] {
  const { world, scope, client } = input
  return client.upstreams.flatMap((upstream) => {
    const { host, served } = targetOf(input, upstream)
    if (served === undefined) return [clusterName(upstream.port, '', host)]
    const part = hostInput(world, scope, served)
    const routes = isHttp(part.port) ? singleVirtualHost(part).routes : []
    return [...l4Clusters(part.l4), ...routes.flatMap(clustersOfRoute)]
  })
}

/** Everything that a workload's part depends on, to be compared member by member. */
export function workloadInputs(input: WorkloadInput): unknown[] {
  const { world, scope, client } = input
  return [
    world.input.mesh,
    input.tunnels,
    input.isOnDemand === true,
    world.hashesSource,
    fellowsOf(input),
    client.locality,
    scope.sidecar?.key,
    keyOfHeaders(scope.headers),
    JSON.stringify(client.proxyHeaders),
    ...egressInputs(input),
    JSON.stringify(client.labels),
    ...client.meshPorts.flatMap((meshPort) => {
      const served = servedBy(input, meshPort)
      return [
        ...served.flatMap(({ service, port }) => [service, port]),
        inboundRule(input, served),
        inboundMode(input, meshPort, served),
      ]
    }),
    ...client.upstreams.flatMap((upstream) => {
      const { served } = targetOf(input, upstream)
      return served === undefined
        ? [undefined]
        : [served.port, ...virtualHostInputs(world, scope, served.service)]
    }),
  ]
}

/** What a mesh port serves as the registry knows it; else what an ad-hoc workload says it serves. */
function servedBy({ world, client }: WorkloadInput, meshPort: MeshPort): readonly ServedPort[] {
  const known = world.served.get(`${client.namespace}/${client.workload}|${meshPort.meshPort}`)
  if (known !== undefined) return [...known].sort(byHostname)
  if (client.service === undefined) return []
  const host = resolveHost(client.service, client.namespace)
  const service = serviceSeenFrom(world, client.namespace, host)
  const port = service?.ports.find(({ number }) => number === meshPort.servicePort)
  return service === undefined || port === undefined ? [] : [{ service, port }]
}

/**
 * What a Sidecar's `ingress` says of a mesh port. Its port is the application's, or the one by which a service means it.
 * Where it says anything, ports that it does not name are closed.
 */
function ingressOf(
  { scope }: WorkloadInput,
  { appPort, servicePort }: MeshPort,
  served: readonly ServedPort[],
): IngressListener | 'closed' | undefined {
  const listeners = scope.sidecar?.ingress
  if (listeners === undefined) return undefined
  const targets = served.map(({ port }) => port.targetPort)
  const numbers = new Set<unknown>([appPort, ...targets])
  const byService = new Set<unknown>([servicePort, ...served.map(({ port }) => port.number)])
  const found =
    listeners.find(({ port }) => numbers.has(port.number)) ??
    listeners.find(({ port }) => byService.has(port.number))
  return found ?? 'closed'
}

/** Plaintext is not what was asked for. */
function isUnserved(ingress: IngressListener | undefined): boolean {
  return ingress?.tls !== undefined && isUnservable(ingress.tls)
}

function inboundRule(
  { world, scope }: WorkloadInput,
  served: readonly ServedPort[],
): MergedRule | undefined {
  const [first] = served
  return first && ruleFor(world, scope, first.service.hostname)
}

/** A policy's ports are those of the application: what it listens on, or the target port by which a service means it. */
function inboundMode(
  { world, client }: WorkloadInput,
  { appPort }: MeshPort,
  served: readonly ServedPort[],
): MtlsMode {
  const modes = world.peerAuthentications.modesOf(client.namespace, client.labels)
  const targets = served.map(({ port: { targetPort } }) =>
    typeof targetPort === 'number' ? targetPort : undefined,
  )
  return modeOfPort(modes, [appPort, ...targets])
}

interface UpstreamTarget {
  readonly host: string
  /** Undefined when nobody has that port. */
  readonly served: ServedPort | undefined
}

function targetOf({ world, scope, client }: WorkloadInput, upstream: Upstream): UpstreamTarget {
  const { services } = world.input.registry
  const [name = '', namespace = '', ...rest] = upstream.host.toLowerCase().split('.')
  const isShort = namespace !== '' && (rest.length === 0 || rest.join('.') === 'svc')
  const expanded = isShort
    ? resolveHost(name, namespace)
    : resolveHost(upstream.host, client.namespace)
  const host = services.has(upstream.host.toLowerCase()) ? upstream.host.toLowerCase() : expanded
  const owner = services.has(host) ? host : (world.addressOwners.get(host) ?? host)
  const service = visibleService(world, scope, owner)
  const port = service?.ports.find(({ number }) => number === upstream.port)
  return { host: owner, served: service && port && { service, port } }
}

/** A cluster that may come to be. */
function unknownRoutes(name: string): L4Routes {
  const target = {
    statPrefix: name,
    clusters: [{ name, weight: 1 }],
    idleTimeout: undefined,
    maxConnectionDuration: undefined,
    hashesSourceIp: false,
  }
  return { named: [], fallback: target }
}

function byName(resources: readonly EncodedResource[]): Map<string, EncodedResource> {
  return new Map(resources.map((resource) => [resource.name, resource]))
}
