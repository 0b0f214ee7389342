/**
 * Filter chains for connections of one service port of which only the bytes can say what they are: TLS with several
 * server names, or a port without a protocol; and those that go on through a tunnel of somebody else's.
 *
 * They stand in an internal listener for each such port, to which CONNECT leads (`http_proxy_tunnel|PORT|HOST`), and in the
 * listener of a localhost port. Silence does not end a connection: after `protocolDetectionTimeout` it counts as bytes, so
 * that servers may speak first.
 */
import type { Service, ServicePort } from '../registry/service.ts'
import {
  FilterChain as FilterChainCodec,
  ListenerFilter,
  type Filter,
  type FilterChain,
} from '../xds/proto/generated/envoy/config/listener/v3/listener_components.ts'
import { HttpInspector } from '../xds/proto/generated/envoy/extensions/filters/listener/http_inspector/v3/http_inspector.ts'
import { TlsInspector } from '../xds/proto/generated/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.ts'
import type { Client } from './client.ts'
import type { MeshSettings } from './input.ts'
import type { L4Routes, L4Target } from './l4-route.ts'
import { durationOf, packed } from './message.ts'
import { systemClusters } from './system-cluster.ts'
import { tcpFilters } from './tcp-proxy.ts'

/** Plain data: the same for all clients of a scope class. */
export interface Tunnel {
  readonly name: string
  readonly isHttpPossible: boolean
  readonly routes: L4Routes
}

export function tunnelName(service: Pick<Service, 'hostname'>, port: number): string {
  return `${systemClusters.tunnel}|${port}|${service.hostname}`
}

/** Undefined where a cluster is all there is to say. */
export function tunnelOf(
  { service, port }: { readonly service: Service; readonly port: ServicePort },
  routes: L4Routes,
): Tunnel | undefined {
  const isHttpPossible = port.protocol === 'auto'
  const isPlain = routes.named.length === 0 && routes.fallback.tunnel === undefined
  if (!isHttpPossible && isPlain) return undefined
  return { name: tunnelName(service, port.number), isHttpPossible, routes }
}

export interface ChainsInput {
  readonly routes: L4Routes
  /** What takes requests; undefined where none are expected. */
  readonly httpFilters: readonly Filter[] | undefined
  readonly client: Client
  readonly mesh: MeshSettings
}

/** The fields of a listener that say what is looked at, and what follows from it. */
export function sniffedFields({ routes, httpFilters, client, mesh }: ChainsInput) {
  const bytesTo = (target: L4Target): Filter[] =>
    tcpFilters({ target, reporter: 'source', client, mesh })
  const isHttpPossible = httpFilters !== undefined
  if (!isHttpPossible && routes.named.length === 0) {
    return { filterChains: [FilterChainCodec.fromPartial({ filters: bytesTo(routes.fallback) })] }
  }
  const chains = [
    ...routes.named.map(({ serverNames, target }) => ({
      filterChainMatch: { serverNames: [...serverNames] },
      filters: bytesTo(target),
    })),
    ...(isHttpPossible
      ? [
          {
            filterChainMatch: {
              transportProtocol: 'raw_buffer',
              applicationProtocols: [...plaintextHttp],
            },
            filters: [...httpFilters],
          },
        ]
      : []),
  ]
  return {
    ...detection(mesh, isHttpPossible ? ['tls', 'http'] : ['tls']),
    filterChains: chains.map((chain): FilterChain => FilterChainCodec.fromPartial(chain)),
    defaultFilterChain: FilterChainCodec.fromPartial({ filters: bytesTo(routes.fallback) }),
  }
}

/** HTTP as the inspector names it. */
export const plaintextHttp = ['http/1.0', 'http/1.1', 'h2c'] as const

export function detection(mesh: MeshSettings, inspectors: readonly ('tls' | 'http')[]) {
  return {
    listenerFilters: inspectors.map((kind) => (kind === 'tls' ? tlsInspector() : httpInspector())),
    listenerFiltersTimeout: durationOf(mesh.protocolDetectionTimeoutMs),
    continueOnListenerFiltersTimeout: true,
  }
}

export function tlsInspector(): ListenerFilter {
  const type = 'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector'
  return ListenerFilter.fromPartial({
    name: 'envoy.filters.listener.tls_inspector',
    configType: { $case: 'typedConfig', value: packed(TlsInspector, type, {}) },
  })
}

function httpInspector(): ListenerFilter {
  const type = 'envoy.extensions.filters.listener.http_inspector.v3.HttpInspector'
  return ListenerFilter.fromPartial({
    name: 'envoy.filters.listener.http_inspector',
    configType: { $case: 'typedConfig', value: packed(HttpInspector, type, {}) },
  })
}
