/**
 * The compiled form of one Listener: where it listens and what happens to a connection.
 * Built by config/; a change of everything but the address swaps this object and cuts no connection.
 */
import type { HttpFilter, LocalReply } from '../filter/http-filter.ts'
import type { HeaderSpelling } from '../http1/spelling.ts'
import type { Http2Options } from '../http2/settings.ts'
import type { ReplyRewrite } from '../open-reply.ts'
import type { RouteTable } from '../route/route-table.ts'
import type { TunnelSettings } from '../tcp/open-tunnel.ts'
import type {
  AcceptStats,
  DownstreamStats,
  ListenerStats,
  TcpStats,
} from '../telemetry/cluster-stats.ts'
import type { Http2Stats } from '../telemetry/cluster-stats.ts'
import type { RequestObserver, TcpObserver } from '../telemetry/request-record.ts'
import type { DownstreamTls } from '../tls/downstream-tls.ts'
import type { ProxyProtocolSettings } from '../tls/inspect-socket.ts'
import type { WireAddress } from '../wire/wire.ts'
import type { ConnectionGate } from './connection-gate.ts'

export interface ListenerConfig {
  readonly name: string
  readonly address: WireAddress
  /** False: the listener is part of the config and somebody else accepts for it (Envoy bind_to_port). */
  readonly bindToPort: boolean
  /** Ceiling of open connections; 0 = none. */
  readonly connectionsMax: number
  readonly bufferLimitBytes: number
  readonly trafficDirection: 'inbound' | 'outbound' | 'unspecified'
  readonly chains: readonly FilterChain[]
  /** For connections that match no chain; absent: they end. */
  readonly defaultChain?: FilterChain | undefined
  readonly inspection?: ConnectionInspection | undefined
  readonly stats?: ListenerStats | undefined
  /** Of what is refused at the door; absent: not counted. */
  readonly acceptStats?: AcceptStats | undefined
  /** Whether responses close their connection while the sidecar fails its health checks (Envoy `drain_type`); absent: yes. */
  readonly drainsWithHealth?: boolean
  /** Neither held against the process-wide ceiling of connections, nor counted for it. */
  readonly ignoresGlobalLimit?: boolean
  /** Serves whatever the process is short of: for scrapes and probes. */
  readonly bypassesOverload?: boolean
}

/** What follows the accept: TLS or not, and what is spoken inside. */
export interface FilterChain {
  readonly name: string
  /** Tells the same chain in an older or newer config of the listener; absent: its name does. */
  readonly key?: string
  /** Absent: any connection. */
  readonly match?: ChainMatch
  /** Absent: plaintext, or TLS that is passed through. */
  readonly tls?: DownstreamTls
  readonly network: NetworkFilter
  /** What lets connections in, in order; absent: all come in. */
  readonly gates?: readonly ConnectionGate[]
}

/** Which connections a chain is for; what is empty or undefined says nothing. */
export interface ChainMatch {
  readonly destinationPort: number | undefined
  readonly destinationRanges: readonly AddressRange[]
  /** Exact names, and `.example.com` for `*.example.com`. */
  readonly serverNames: readonly string[]
  readonly transportProtocol: string
  readonly applicationProtocols: readonly string[]
  readonly directSourceRanges: readonly AddressRange[]
  readonly sourceType: 'any' | 'local' | 'external'
  readonly sourceRanges: readonly AddressRange[]
  readonly sourcePorts: readonly number[]
}

export interface AddressRange {
  readonly prefixLength: number
  contains(address: string): boolean
}

/** Looks at the first bytes of connections before a chain is chosen (Envoy listener filters). */
export interface ConnectionInspection {
  readonly tls: boolean
  readonly http: boolean
  /** 0 = none. */
  readonly timeoutMs: number
  /** Whether a connection that stays silent goes on as plaintext. */
  readonly continuesOnTimeout: boolean
  readonly proxyProtocol?: ProxyProtocolSettings | undefined
}

/** Envoy `forward_client_cert_details`. */
export interface ClientCertForwarding {
  readonly mode:
    | 'sanitize'
    | 'forward-only'
    | 'append-forward'
    | 'sanitize-set'
    | 'always-forward-only'
  /** In the header's order. */
  readonly details: readonly ('cert' | 'chain' | 'subject' | 'uri' | 'dns')[]
}

export type NetworkFilter =
  | { readonly kind: 'http'; readonly manager: HttpConnectionManager }
  | { readonly kind: 'tcp'; readonly proxy: TcpProxyConfig }

export interface HttpConnectionManager {
  /** For logs; absent: the chain has no name. */
  readonly filterChainName?: string
  readonly statPrefix: string
  /** The current table: a function, because RDS swaps it while connections live. Undefined: 404 NR. */
  readonly routes: () => RouteTable | undefined
  /** In order, without the router. */
  readonly filters: readonly HttpFilter[]
  /** Every filter is `isRouteOnly`: a request whose route says nothing to filters passes them by. */
  readonly filtersAreRouteOnly?: boolean
  /** Some filter has something to do where there is no route, or no cluster. */
  readonly filtersRunOnMiss?: boolean
  /** Some filter reads gRPC-Web; absent: none. */
  readonly readsGrpcWeb?: boolean
  readonly observers: readonly RequestObserver[]
  readonly stats: DownstreamStats
  readonly headersBytesMax: number
  readonly headersCountMax: number
  /** 0 = off, as are all the time-outs below. */
  readonly idleTimeoutMs: number
  readonly streamIdleTimeoutMs: number
  readonly requestTimeoutMs: number
  readonly requestHeadersTimeoutMs: number
  readonly maxConnectionDurationMs: number
  readonly drainTimeoutMs: number
  readonly requestsPerConnectionMax: number
  readonly serverName: string
  readonly serverHeader: 'overwrite' | 'append-if-absent' | 'pass-through'
  readonly generateRequestId: boolean
  readonly preserveExternalRequestId: boolean
  readonly useRemoteAddress: boolean
  readonly xffTrustedHops: number
  readonly skipXffAppend: boolean
  readonly normalizePath: boolean
  readonly mergeSlashes: boolean
  readonly escapedSlashes: 'keep' | 'reject' | 'unescape-redirect' | 'unescape-forward'
  readonly stripPort: 'none' | 'matching' | 'any'
  readonly acceptHttp10: boolean
  readonly allowAbsoluteUrl: boolean
  readonly upgrades: ReadonlySet<string>
  /** Absent: HTTP/1 only. */
  readonly http2?: DownstreamHttp2
  readonly via: string | undefined
  /** Router option: no `x-envoy-*` header is added to requests or responses. */
  readonly suppressEnvoyHeaders?: boolean
  /** Router option: requests in which one of these says nothing that could be meant are refused; absent: none. */
  readonly strictCheckHeaders?: readonly string[]
  /** Router option: what the proxy before this one expects is the request's time-out. */
  readonly respectExpectedTimeout?: boolean
  /** How long to wait for the peer's FIN after a response that closes. Envoy's default (absent): 1 s. */
  readonly delayedCloseTimeoutMs?: number
  /** Absent: allow. */
  readonly headersWithUnderscores?: 'allow' | 'reject' | 'drop'
  /** Envoy `allow_chunked_length`: Content-Length beside chunked is removed instead of refused. */
  readonly allowChunkedLength?: boolean
  /** Whether chunked trailers are forwarded; absent: dropped, as Envoy's default. */
  readonly enableTrailers?: boolean
  /** How header names leave; absent: in lower case (Envoy `header_key_format`). */
  readonly spelling?: HeaderSpelling | undefined
  /** Whether responses tell the request's id (Envoy `always_set_request_id_in_response`); absent: no. */
  readonly tellsRequestId?: boolean
  /** Whether `x-forwarded-port` tells the listener's port, with `useRemoteAddress`; absent: no. */
  readonly appendsForwardedPort?: boolean
  /** The scheme of every request (Envoy `scheme_header_transformation`); absent: its own. */
  readonly scheme?: 'http' | 'https'
  /** A head that is refused need not end its connection, where the next one's beginning is certain; absent: it does. */
  readonly keepsAfterInvalid?: boolean
  /** Changes replies of our own (Envoy `local_reply_config`); absent: they stay as they are. */
  readonly rewriteReply?: ReplyRewrite | undefined
  /** Absent: only the methods that Envoy knows. */
  readonly allowCustomMethods?: boolean
  readonly stripTrailingHostDot?: boolean
  /** Host for HTTP/1.0 requests without one. */
  readonly defaultHostHttp10?: string
  /** Envoy `max_stream_duration`; absent or 0: none. */
  readonly maxStreamDurationMs?: number
  /** What network filters say of every connection, for hash policies and logs; absent: nothing. */
  readonly filterState?: FilterState
  /** What becomes of x-forwarded-client-cert; absent: removed (Envoy's SANITIZE). */
  readonly clientCert?: ClientCertForwarding
  /** Of its listener: requests are served whatever the process is short of. */
  readonly bypassesOverload?: boolean
  /** Says to a client that it was this proxy that was short of something (Envoy `append_local_overload`); absent: nothing. */
  readonly overloadReply?: Pick<LocalReply, 'headers'>
  /** Interim responses pass in both directions (Envoy `proxy_100_continue`); else 100 is ours and others are dropped. */
  readonly proxies100Continue?: boolean
  /** Addresses whose requests are internal (Envoy `internal_address_config`); absent: none. */
  readonly isInternalAddress?: (address: string) => boolean
}

/** Whether a connection speaks HTTP/2, and how. */
export interface DownstreamHttp2 {
  /** `auto`: as ALPN says, else the first bytes. */
  readonly codec: 'auto' | 'http2'
  readonly options: Http2Options
  readonly stats: Http2Stats
}

/** Texts by key (Envoy `set_filter_state`). */
export type FilterState = Readonly<Record<string, string>>

export interface TcpProxyConfig {
  /** For logs; absent: the chain has no name. */
  readonly filterChainName?: string
  readonly statPrefix: string
  readonly pickCluster: (draw: number) => string
  readonly stats: TcpStats
  readonly observers: readonly TcpObserver[]
  readonly idleTimeoutMs: number
  readonly connectAttemptsMax: number
  /** What a hashing balancer gets the hash of: the client's IP, or a text; absent: nothing. */
  readonly hashes?: 'source-ip' | { readonly text: string } | undefined
  /** Hosts are HTTP proxies, which are asked for a tunnel first. */
  readonly tunnel?: TunnelSettings | undefined
  readonly maxDurationMs: number
  /** What network filters say of every connection, for logs; absent: nothing. */
  readonly filterState?: FilterState | undefined
}
