/**
 * Listeners that a Sidecar's egress binds on the workload's own host: a port of its own, or a Unix socket, for the services
 * that it imports.
 *
 * HTTP: the port is known, so a name without one means it. TLS: by server name. TCP: nothing tells services apart, and
 * the first by name has the port, as long as there is one. HTTP_PROXY, and HTTP on a socket: any port, as `http_proxy`.
 */
import type { PortProtocol, Service } from '../registry/service.ts'
import { encodeResource } from '../xds/encode.ts'
import { Address } from '../xds/proto/generated/envoy/config/core/v3/address.ts'
import { TrafficDirection } from '../xds/proto/generated/envoy/config/core/v3/base.ts'
import { Listener } from '../xds/proto/generated/envoy/config/listener/v3/listener.ts'
import { typeUrls, type EncodedResource } from '../xds/resource-set.ts'
import type { Client } from './client.ts'
import { connectionManager } from './connection-manager.ts'
import { hostInput, virtualHostInputs } from './host-part.ts'
import { compareText } from './input.ts'
import { isTls, l4RoutesOf, nowhere, type L4Routes } from './l4-route.ts'
import { socketAddress } from './message.ts'
import { httpProxyName } from './outbound-listener.ts'
import { withHeaders } from './proxy-header.ts'
import { encodeRouteConfiguration, encodeVirtualHost } from './route-configuration.ts'
import type { Scope } from './scope.ts'
import { isImportedBy, outboundPolicyOf, type BoundListener } from './sidecar-index.ts'
import { sourceFilters } from './source-hash.ts'
import type { tcpFilters } from './tcp-proxy.ts'
import { sniffedFields } from './tunnel.ts'
import { catchAllVirtualHost, isHttp, listenerVirtualHost } from './virtual-host.ts'
import type { World } from './world.ts'

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
  const bound = scope.sidecar?.bound ?? []
  return bound.flatMap((listener) =>
    servicesOf({ world, scope }, listener).flatMap((service) => [
      service,
      ...virtualHostInputs(world, scope, service),
    ]),
  )
}

function servicesOf(
  { world, scope }: Pick<EgressInput, 'world' | 'scope'>,
  { imports, port }: BoundListener,
): Service[] {
  const seen = world.imports.of(scope)
  return [...(seen?.named.values() ?? [])]
    .filter((service) => isImportedBy(imports, service))
    .filter(({ ports }) => port === 0 || ports.some(({ number }) => number === port))
    .sort((left, right) => compareText(left.hostname, right.hostname))
}

function translateBound(input: EgressInput, bound: BoundListener): EgressParts {
  const { world, scope, client } = input
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
  if (protocol === 'http-proxy' || (port === 0 && isHttp({ protocol }))) {
    return { listeners: [forAll([...sourceFilters(client), manager(httpProxyName)])], routes: [] }
  }
  const services = servicesOf(input, bound)
  if (isHttp({ protocol })) {
    const virtualHosts = services.flatMap((service) =>
      service.ports
        .filter(({ number }) => number === port)
        .flatMap(
          (own) => listenerVirtualHost(hostInput(world, scope, { service, port: own })) ?? [],
        ),
    )
    const policy = outboundPolicyOf(mesh, scope.sidecar)
    const all = [...virtualHosts, catchAllVirtualHost(policy)].map((virtualHost) =>
      encodeVirtualHost(withHeaders(virtualHost, scope.headers)),
    )
    const routes = [encodeRouteConfiguration(name, all)]
    return { listeners: [forAll([...sourceFilters(client), manager(name)])], routes }
  }
  const l4 = bytesOf(input, services, { protocol, port })
  if (l4 === undefined) return { listeners: [], routes: [] }
  const fields = sniffedFields({ routes: l4, httpFilters: undefined, client, mesh })
  return { listeners: [encodeListener(bound, name, fields)], routes: [] }
}

/** Undefined where there is nobody to send bytes to. */
function bytesOf(
  { world, scope }: EgressInput,
  services: readonly Service[],
  { protocol, port }: { readonly protocol: PortProtocol; readonly port: number },
): L4Routes | undefined {
  const all = services.flatMap((service) =>
    service.ports
      .filter(({ number }) => port === 0 || number === port)
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
