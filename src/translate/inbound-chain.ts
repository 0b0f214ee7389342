/**
 * Filter chains of a mesh port, as Istio chooses them by PeerAuthentication:
 *
 * | mode | port | chain for | behind it |
 * | --- | --- | --- | --- |
 * | STRICT | any | TLS | mTLS |
 * | PERMISSIVE | HTTP | TLS with an ALPN of Istio's | mTLS |
 * | | | plaintext | |
 * | PERMISSIVE | TCP | TLS with an ALPN of Istio's | mTLS |
 * | | | other TLS | the application's own TLS, as bytes |
 * | | | plaintext | |
 * | DISABLE | any | everything | bytes as they come |
 *
 * A connection that no chain is for is closed.
 */
import { unreachable } from '../lib/assert.ts'
import type { FilterChain } from '../xds/proto/generated/envoy/config/listener/v3/listener_components.ts'
import {
  FilterChain as FilterChainCodec,
  ListenerFilter,
  type Filter,
} from '../xds/proto/generated/envoy/config/listener/v3/listener_components.ts'
import { TlsInspector } from '../xds/proto/generated/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.ts'
import type { MeshSettings, MtlsMode } from './input.ts'
import { noTimeout, packed } from './message.ts'
import { mutualDownstream } from './tls-context.ts'

export interface ChainInput {
  readonly mode: MtlsMode
  readonly isHttp: boolean
  readonly mesh: MeshSettings
  /** What handles a connection behind mTLS, or without. */
  readonly filters: (security: 'mutual-tls' | 'none') => Filter[]
}

/** What sidecars offer, whatever they want to say. */
const istioAlpn = ['istio', 'istio-peer-exchange', 'istio-http/1.0', 'istio-http/1.1', 'istio-h2']

/** What is answered: never Istio's own names on HTTP ports, which would be no protocol to speak. */
const httpAlpn = ['h2', 'http/1.1']
const tcpAlpn = ['istio-peer-exchange', 'h2', 'http/1.1']

/** The fields of a listener that depend on the mode. */
export function inboundChains(input: ChainInput) {
  switch (input.mode) {
    case 'STRICT':
      return { listenerFilters: [tlsInspector()], filterChains: [mutualChain(input, [])] }
    case 'PERMISSIVE':
      return {
        listenerFilters: [tlsInspector()],
        // Who waits for the other side to speak first is not cut off for saying nothing.
        listenerFiltersTimeout: noTimeout,
        filterChains: [
          mutualChain(input, istioAlpn),
          ...(input.isHttp ? [] : [plainChain(input, 'tls')]),
          plainChain(input, 'raw_buffer'),
        ],
      }
    case 'DISABLE':
      return { filterChains: [plainChain(input, undefined)] }
    default:
      return unreachable(input.mode)
  }
}

function mutualChain(
  { isHttp, mesh, filters }: ChainInput,
  applicationProtocols: readonly string[],
): FilterChain {
  return FilterChainCodec.fromPartial({
    filterChainMatch: {
      transportProtocol: 'tls',
      applicationProtocols: [...applicationProtocols],
    },
    transportSocket: mutualDownstream(mesh, isHttp ? httpAlpn : tcpAlpn),
    filters: filters('mutual-tls'),
  })
}

function plainChain(
  { filters }: ChainInput,
  transportProtocol: 'tls' | 'raw_buffer' | undefined,
): FilterChain {
  return FilterChainCodec.fromPartial({
    ...(transportProtocol !== undefined && { filterChainMatch: { transportProtocol } }),
    filters: filters('none'),
  })
}

function tlsInspector(): ListenerFilter {
  return ListenerFilter.fromPartial({
    name: 'envoy.filters.listener.tls_inspector',
    configType: {
      $case: 'typedConfig',
      value: packed(
        TlsInspector,
        'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector',
        {},
      ),
    },
  })
}
