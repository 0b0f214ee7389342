/**
 * Filter chains of a mesh port, as Istio chooses them by PeerAuthentication:
 *
 * | mode | port | chain for | behind it |
 * | --- | --- | --- | --- |
 * | STRICT | HTTP, TCP | TLS | mTLS |
 * | STRICT | detected | TLS with an ALPN of Istio's for HTTP | mTLS, then HTTP |
 * | | | TLS | mTLS, then bytes |
 * | PERMISSIVE | HTTP | TLS with an ALPN of Istio's | mTLS |
 * | | | plaintext | |
 * | PERMISSIVE | TCP | TLS with an ALPN of Istio's | mTLS |
 * | | | plaintext | |
 * | | | other TLS | the application's own TLS, as bytes |
 * | PERMISSIVE | detected | TLS with an ALPN of Istio's for HTTP | mTLS, then HTTP |
 * | | | plaintext HTTP | |
 * | | | TLS with another ALPN of Istio's | mTLS, then bytes |
 * | | | plaintext | bytes |
 * | | | other TLS | the application's own TLS, as bytes |
 * | DISABLE | HTTP, TCP | everything | bytes as they come |
 * | DISABLE | detected | plaintext HTTP | |
 * | | | everything else | bytes |
 * | DISABLE | a Sidecar's `tls` | TLS | the application's own certificate, then HTTP or bytes |
 *
 * A connection that no chain is for is closed. Who waits for the other side to speak first is not cut off for saying
 * nothing: after `protocolDetectionTimeout` it counts as plaintext bytes.
 */
import { unreachable } from '../lib/assert.ts'
import type { TransportSocket } from '../xds/proto/generated/envoy/config/core/v3/base.ts'
import type { FilterChain } from '../xds/proto/generated/envoy/config/listener/v3/listener_components.ts'
import {
  FilterChain as FilterChainCodec,
  type Filter,
} from '../xds/proto/generated/envoy/config/listener/v3/listener_components.ts'
import type { MeshSettings, MtlsMode } from './input.ts'
import { noTimeout } from './message.ts'
import { mutualDownstream } from './tls-context.ts'
import { detection, plaintextHttp, tlsInspector } from './tunnel.ts'

export type Spoken = 'http' | 'tcp'

export interface ChainInput {
  readonly mode: MtlsMode
  /** `auto`: the first bytes say whether it is HTTP. */
  readonly protocol: Spoken | 'auto'
  readonly mesh: MeshSettings
  /** TLS of the application's own, which the sidecar ends; counts where mTLS is disabled. */
  readonly serverTls?: TransportSocket | undefined
  /** What handles a connection behind mTLS, or without. */
  readonly filters: (security: 'mutual-tls' | 'none', spoken: Spoken) => Filter[]
}

const httpAlpn = ['istio-http/1.0', 'istio-http/1.1', 'istio-h2']
const bytesAlpn = ['istio-peer-exchange', 'istio']
/** What sidecars offer, whatever they want to say. */
const istioAlpn = ['istio', 'istio-peer-exchange', 'istio-http/1.0', 'istio-http/1.1', 'istio-h2']

/** What is answered: never Istio's own names on HTTP ports, which would be no protocol to speak. */
const answered: Readonly<Record<Spoken, readonly string[]>> = {
  http: ['h2', 'http/1.1'],
  tcp: ['istio-peer-exchange', 'h2', 'http/1.1'],
}

/** The fields of a listener that depend on the mode. */
export function inboundChains(input: ChainInput) {
  const { mode, mesh, protocol } = input
  switch (mode) {
    case 'STRICT':
      return { listenerFilters: [tlsInspector()], filterChains: strictChains(input) }
    case 'PERMISSIVE':
      return {
        ...detection(mesh, protocol === 'auto' ? ['tls', 'http'] : ['tls']),
        // A client of an HTTP port speaks first, when it likes.
        ...(protocol === 'http' && { listenerFiltersTimeout: noTimeout }),
        filterChains: permissiveChains(input),
      }
    case 'DISABLE':
      if (input.serverTls !== undefined) {
        const chain = serverChain(input, protocol === 'http' ? 'http' : 'tcp')
        return { listenerFilters: [tlsInspector()], filterChains: [chain] }
      }
      return protocol === 'auto'
        ? { ...detection(mesh, ['tls', 'http']), ...detectedPlaintext(input) }
        : { filterChains: [plainChain(input, protocol, undefined)] }
    default:
      return unreachable(mode)
  }
}

function strictChains(input: ChainInput): FilterChain[] {
  const { protocol } = input
  if (protocol !== 'auto') return [mutualChain(input, protocol, [])]
  return [mutualChain(input, 'http', httpAlpn), mutualChain(input, 'tcp', [])]
}

function permissiveChains(input: ChainInput): FilterChain[] {
  const plaintext = { transportProtocol: 'raw_buffer' }
  const otherTls = { transportProtocol: 'tls' }
  switch (input.protocol) {
    case 'http':
      return [mutualChain(input, 'http', istioAlpn), plainChain(input, 'http', plaintext)]
    case 'tcp':
      return [
        mutualChain(input, 'tcp', istioAlpn),
        plainChain(input, 'tcp', otherTls),
        plainChain(input, 'tcp', plaintext),
      ]
    case 'auto':
      return [
        mutualChain(input, 'http', httpAlpn),
        plaintextHttpChain(input),
        mutualChain(input, 'tcp', bytesAlpn),
        plainChain(input, 'tcp', plaintext),
        plainChain(input, 'tcp', otherTls),
      ]
    default:
      return unreachable(input.protocol)
  }
}

function detectedPlaintext(input: ChainInput) {
  return {
    filterChains: [plaintextHttpChain(input)],
    defaultFilterChain: plainChain(input, 'tcp', undefined),
  }
}

function plaintextHttpChain(input: ChainInput): FilterChain {
  return plainChain(input, 'http', {
    transportProtocol: 'raw_buffer',
    applicationProtocols: [...plaintextHttp],
  })
}

function mutualChain(
  { mesh, filters }: ChainInput,
  spoken: Spoken,
  applicationProtocols: readonly string[],
): FilterChain {
  return FilterChainCodec.fromPartial({
    filterChainMatch: {
      transportProtocol: 'tls',
      applicationProtocols: [...applicationProtocols],
    },
    transportSocket: mutualDownstream(mesh, [...answered[spoken]]),
    filters: filters('mutual-tls', spoken),
  })
}

function serverChain({ serverTls, filters }: ChainInput, spoken: Spoken): FilterChain {
  return FilterChainCodec.fromPartial({
    filterChainMatch: { transportProtocol: 'tls' },
    ...(serverTls !== undefined && { transportSocket: serverTls }),
    filters: filters('none', spoken),
  })
}

interface PlainMatch {
  readonly transportProtocol: string
  readonly applicationProtocols?: string[]
}

function plainChain(
  { filters }: ChainInput,
  spoken: Spoken,
  filterChainMatch: PlainMatch | undefined,
): FilterChain {
  return FilterChainCodec.fromPartial({
    ...(filterChainMatch !== undefined && { filterChainMatch }),
    filters: filters('none', spoken),
  })
}
