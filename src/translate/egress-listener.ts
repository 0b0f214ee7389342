/**
 * Listeners that a Sidecar's egress binds on the workload's own host: a port of its own, or a Unix socket, for the services
 * that it imports.
 *
 * HTTP: the port is known, so a name without one means it; on a socket any port, as on `http_proxy`. TLS: by server name. TCP:
 * nothing tells services apart, and the first by name has the port, as long as there is one. HTTP_PROXY: `http_proxy` itself,
 * in one more place. All but the last know only what the listener itself imports, as in Istio.
 */
import type { PortProtocol, Service } from '../registry/service.ts'
import { encodeResource } from '../xds/encode.ts'
import { Address } from '../xds/proto/generated/envoy/config/core/v3/address.ts'
import { TrafficDirection } from '../xds/proto/generated/envoy/config/core/v3/base.ts'
import { Listener } from '../xds/proto/generated/envoy/config/listener/v3/listener.ts'
import type { VirtualHost } from '../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import { typeUrls, type EncodedResource } from '../xds/resource-set.ts'
import type { Client } from './client.ts'
import { connectionManager } from './connection-manager.ts'
import { hostInput, translateUnregistered, virtualHostInputs } from './host-part.ts'
import { compareText } from './input.ts'
import { isTls, l4RoutesOf, nowhere, type L4Routes } from './l4-route.ts'
import { socketAddress } from './message.ts'
import { httpProxyName } from './outbound-listener.ts'
import { withHeaders } from './proxy-header.ts'
import {
  encodeRouteConfiguration,
  encodeVirtualHost,
  type EncodedVirtualHost,
} from './route-configuration.ts'
import type { Scope } from './scope.ts'
import { outboundPolicyOf, type BoundListener } from './sidecar-index.ts'
import { sourceFilters } from './source-hash.ts'
import type { tcpFilters } from './tcp-proxy.ts'
import { sniffedFields } from './tunnel.ts'
import {
  catchAllVirtualHost,
  isHttp,
  listenerVirtualHost,
  serviceVirtualHost,
} from './virtual-host.ts'
import { isUnregistered, type World } from './world.ts'

export interface EgressInput {
  readonly world: World
  readonly scope: Scope
  readonly client: Client
}

export interface EgressParts {
  readonly listeners: readonly EncodedResource[]
  readonly routes: readonly EncodedResource[]
}

export function translateEgress(input: EgressInput): EgressParts {
  const parts = (input.scope.sidecar?.bound ?? []).map((bound) => translateBound(input, bound))
  return {
    listeners: parts.flatMap(({ listeners }) => listeners),
    routes: parts.flatMap(({ routes }) => routes),
  }
}

/** Everything that they depend on besides the Sidecar, to be compared member by member. */
export function egressInputs({ world, scope }: EgressInput): unknown[] {
  return (scope.sidecar?.bound ?? []).flatMap((bound) => {
    const alone = scopeAlone(scope, bound)
    return [
      ...servicesOf(world, alone).flatMap((service) => [
        service,
        ...virtualHostInputs(world, alone, service),
      ]),
      ...unregisteredHosts(world, alone, bound).map(({ hash }) => hash),
    ]
  })
}

/** What a client sees of whose Sidecar no other listener counts. */
function scopeAlone(scope: Scope, { alone }: BoundListener): Scope {
  return { ...scope, sidecar: alone }
}

/** By name. */
function servicesOf(world: World, alone: Scope): Service[] {
  return [...(world.imports.of(alone)?.named.values() ?? [])].sort((left, right) =>
    compareText(left.hostname, right.hostname),
  )
}

/** By what a client is alike in and the listener, made once for a world: it is both compared and sent. */
const unregistered = new WeakMap<World, Map<string, readonly EncodedVirtualHost[]>>()

function unregisteredHosts(
  world: World,
  alone: Scope,
  bound: BoundListener,
): readonly EncodedVirtualHost[] {
  let known = unregistered.get(world)
  if (known === undefined) unregistered.set(world, (known = new Map()))
  const key = `${alone.key} ${bound.alone.key}`
  let hosts = known.get(key)
  if (hosts === undefined) known.set(key, (hosts = translateUnregisteredHosts(world, alone, bound)))
  return hosts
}

function translateUnregisteredHosts(
  world: World,
  alone: Scope,
  { port, protocol }: BoundListener,
): readonly EncodedVirtualHost[] {
  if (protocol === 'http-proxy' || !isHttp({ protocol })) return []
  const place = port === 0 ? {} : { listenerPort: port }
  return [...world.imports.virtualServices(alone).byHost.keys()]
    .filter((host) => isUnregistered(world, alone, host))
    .flatMap((host) => translateUnregistered(world, alone, { host, ...place }))
}

function translateBound(input: EgressInput, bound: BoundListener): EgressParts {
  const { world, client } = input
  const { mesh } = world.input
  const { protocol, port } = bound
  const name = port === 0 ? bound.bind : `${bound.bind}_${port}`
  const manager = (routes: string) =>
    connectionManager({
      direction: 'outbound',
      statPrefix: `outbound_${name}`,
      routes,
      acceptsConnect: protocol === 'http-proxy',
      readsGrpcWeb: protocol === 'grpc-web',
      client,
      mesh,
    })
  const forAll = (filters: ReturnType<typeof tcpFilters>) =>
    encodeListener(bound, name, { filterChains: [{ filters }] })
  if (protocol === 'http-proxy') {
    return { listeners: [forAll([...sourceFilters(client), manager(httpProxyName)])], routes: [] }
  }
  const scope = scopeAlone(input.scope, bound)
  const services = servicesOf(world, scope)
  if (isHttp({ protocol })) {
    const encode = (virtualHost: VirtualHost) =>
      encodeVirtualHost(withHeaders(virtualHost, scope.headers))
    const virtualHostOf = port === 0 ? serviceVirtualHost : listenerVirtualHost
    const virtualHosts = services.flatMap((service) =>
      service.ports
        .filter(isHttp)
        .flatMap((own) => virtualHostOf(hostInput(world, scope, { service, port: own })) ?? []),
    )
    const routes = encodeRouteConfiguration(name, [
      ...virtualHosts.map(encode),
      ...unregisteredHosts(world, scope, bound),
      encode(catchAllVirtualHost(outboundPolicyOf(mesh, scope.sidecar))),
    ])
    return { listeners: [forAll([...sourceFilters(client), manager(name)])], routes: [routes] }
  }
  const l4 = bytesOf({ world, scope }, services, protocol)
  if (l4 === undefined) return { listeners: [], routes: [] }
  const fields = sniffedFields({ routes: l4, httpFilters: undefined, client, mesh })
  return { listeners: [encodeListener(bound, name, fields)], routes: [] }
}

/** Undefined where there is nobody to send bytes to. */
function bytesOf(
  { world, scope }: Pick<EgressInput, 'world' | 'scope'>,
  services: readonly Service[],
  protocol: PortProtocol,
): L4Routes | undefined {
  const all = services.flatMap((service) =>
    service.ports
      .slice(0, 1)
      .map((own) => ({ service, routes: l4RoutesOf({ world, scope, service, port: own }) })),
  )
  const [first] = all
  if (first === undefined || !isTls({ protocol })) return first?.routes
  const taken = new Set<string>()
  const named = all.flatMap(({ service, routes }) => {
    const own = [{ serverNames: [service.hostname], target: routes.fallback }]
    return (routes.named.length > 0 ? routes.named : own).flatMap(({ serverNames, target }) => {
      const free = serverNames.filter((name) => !taken.has(name))
      for (const name of free) taken.add(name)
      return free.length === 0 ? [] : [{ serverNames: free, target }]
    })
  })
  // A name of nobody's among several has nowhere to go.
  return { named, fallback: all.length === 1 ? first.routes.fallback : nowhere }
}

function encodeListener({ bind, port }: BoundListener, name: string, fields: object) {
  const message = Listener.fromPartial({
    name,
    address:
      port === 0
        ? Address.fromPartial({ address: { $case: 'pipe', value: { path: bind.slice(7) } } })
        : socketAddress(bind, port),
    trafficDirection: TrafficDirection.OUTBOUND,
    ...fields,
  })
  return encodeResource({ name, typeUrl: typeUrls.listener, codec: Listener, message })
}
