/**
 * Listeners for what the application sends: the HTTP proxy that its environment names, the internal one that
 * takes what comes out of CONNECT tunnels, and a localhost port for each upstream of a TCP client.
 */
import type { Upstream } from '../registry/node-metadata.ts'
import { encodeResource } from '../xds/encode.ts'
import { TrafficDirection } from '../xds/proto/generated/envoy/config/core/v3/base.ts'
import { Listener } from '../xds/proto/generated/envoy/config/listener/v3/listener.ts'
import type { Filter } from '../xds/proto/generated/envoy/config/listener/v3/listener_components.ts'
import { typeUrls, type EncodedResource } from '../xds/resource-set.ts'
import type { Client } from './client.ts'
import { connectionManager } from './connection-manager.ts'
import type { MeshSettings } from './input.ts'
import type { L4Routes } from './l4-route.ts'
import { socketAddress } from './message.ts'
import { sourceFilters } from './source-hash.ts'
import { systemClusters } from './system-cluster.ts'
import { tcpFilters } from './tcp-proxy.ts'
import { sniffedFields, type Tunnel } from './tunnel.ts'

/** Name of the listener and of its route configuration, as in Istio. */
export const httpProxyName = 'http_proxy'

const loopback = '127.0.0.1'

export interface ListenerInput {
  readonly client: Client
  readonly mesh: MeshSettings
  /** Routes and clusters come when they are first called. */
  readonly isOnDemand?: boolean
}

export function translateHttpProxy(input: ListenerInput): EncodedResource[] {
  const { client, mesh, isOnDemand = false } = input
  const { httpProxyPort } = client
  if (httpProxyPort === undefined) return []
  const filterFor = (statPrefix: string) =>
    connectionManager({
      direction: 'outbound',
      statPrefix,
      routes: httpProxyName,
      acceptsConnect: true,
      isOnDemand,
      client,
      mesh,
    })
  return [
    encodeListener({
      name: httpProxyName,
      address: socketAddress(loopback, httpProxyPort),
      filters: [...sourceFilters(client), filterFor(`outbound_${loopback}_${httpProxyPort}`)],
    }),
    encodeListener({
      name: systemClusters.tunnel,
      filters: [...sourceFilters(client), filterFor(systemClusters.tunnel)],
    }),
  ]
}

/** The internal listener of a port of which the first bytes decide; CONNECT leads here. */
export function translateTunnel(tunnel: Tunnel, input: ListenerInput): EncodedResource {
  const { client, mesh, isOnDemand = false } = input
  const { name, isHttpPossible, routes } = tunnel
  const manager = connectionManager({
    direction: 'outbound',
    statPrefix: name,
    routes: httpProxyName,
    acceptsConnect: false,
    isOnDemand,
    client,
    mesh,
  })
  const httpFilters = isHttpPossible ? [...sourceFilters(client), manager] : undefined
  return encodeListener({ name, fields: sniffedFields({ routes, httpFilters, client, mesh }) })
}

export interface UpstreamInput extends ListenerInput {
  readonly upstream: Upstream
  /** Where connections go. */
  readonly l4: L4Routes
  /** Route configuration for a port that speaks HTTP; undefined: bytes. */
  readonly routes: string | undefined
  /** HTTP only where the first bytes say so. */
  readonly isSniffed: boolean
  readonly readsGrpcWeb: boolean
}

export function translateUpstream(input: UpstreamInput): EncodedResource {
  const { client, mesh, upstream, l4, routes, isSniffed } = input
  const name = `${loopback}_${upstream.localPort}`
  const address = socketAddress(loopback, upstream.localPort)
  const httpFilters =
    routes === undefined
      ? undefined
      : [...sourceFilters(client), upstreamManager(name, routes, input)]
  if (isSniffed || l4.named.length > 0) {
    const fields = sniffedFields({ routes: l4, httpFilters, client, mesh })
    return encodeListener({ name, address, fields })
  }
  const filters =
    httpFilters ?? tcpFilters({ target: l4.fallback, reporter: 'source', client, mesh })
  return encodeListener({ name, address, filters })
}

function upstreamManager(name: string, routes: string, input: UpstreamInput): Filter {
  const { client, mesh, readsGrpcWeb } = input
  return connectionManager({
    direction: 'outbound',
    statPrefix: `outbound_${name}`,
    routes,
    acceptsConnect: false,
    readsGrpcWeb,
    client,
    mesh,
  })
}

interface ListenerParts {
  readonly name: string
  /** Absent: an internal listener. */
  readonly address?: ReturnType<typeof socketAddress>
  /** For every connection. */
  readonly filters?: readonly Filter[]
  /** Or else what is looked at, and the chains. */
  readonly fields?: ReturnType<typeof sniffedFields>
}

function encodeListener({ name, address, filters, fields }: ListenerParts): EncodedResource {
  const message = Listener.fromPartial({
    name,
    ...(address === undefined
      ? { listenerSpecifier: { $case: 'internalListener', value: {} } }
      : { address }),
    trafficDirection: TrafficDirection.OUTBOUND,
    ...(fields ?? { filterChains: [{ filters: [...(filters ?? [])] }] }),
  })
  return encodeResource({ name, typeUrl: typeUrls.listener, codec: Listener, message })
}
