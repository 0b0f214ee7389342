/**
 * A cluster and its hosts as the request path sees them. Compiled from CDS and EDS by config/; a change of
 * endpoints keeps the `Host` objects of addresses that stay, so that pools, counts and ejections survive.
 */
import type { Balancer } from '../balance/balancer.ts'
import type { HeaderSpelling } from '../http1/spelling.ts'
import type { Http2Options } from '../http2/settings.ts'
import type { CircuitBreaker } from '../resilience/circuit-breaker.ts'
import type { OutlierDetector, ResponseTest } from '../resilience/outlier-detector.ts'
import type { ClusterStats } from '../telemetry/cluster-stats.ts'
import type { ProxyAddresses } from '../wire/proxy-protocol.ts'
import type { ConnectOptions, KeepaliveProbing, WireTransport } from '../wire/wire.ts'
import type { FilterMetadata, Host } from './host.ts'

export interface Cluster {
  readonly name: string
  /** Service that the cluster stands for, from Istio's cluster metadata; for metric labels. */
  readonly service: ClusterService
  /** For logs and headers; absent: none. */
  readonly filterMetadata?: FilterMetadata | undefined
  readonly connectTimeoutMs: number
  /** Idle time of a pooled connection; 0 = never. Envoy HttpProtocolOptions.idle_timeout, 1 h. */
  readonly idleTimeoutMs: number
  /** 0 = unlimited. Envoy HttpProtocolOptions.max_requests_per_connection. */
  readonly requestsPerConnectionMax: number
  /** A pooled connection of this age takes no more requests; absent, 0: never. Envoy max_connection_duration. */
  readonly connectionDurationMsMax?: number
  /** Protocol for upstream connections. */
  readonly protocol: 'http1' | 'http2' | 'use-downstream'
  /** Of connections that speak HTTP/2; absent: the defaults. */
  readonly http2?: Http2Options | undefined
  /** Of connections that speak HTTP/1.1; absent: the defaults. */
  readonly http1?: Http1Upstream | undefined
  /** Ceiling of one attempt's life (Envoy `max_stream_duration`); absent or 0: none. */
  readonly maxStreamDurationMs?: number
  readonly bufferLimitBytes: number
  /** Idle time before the kernel probes an upstream connection; undefined leaves keep-alive off. */
  readonly tcpKeepaliveMs?: number | undefined
  readonly tcpKeepaliveProbing?: KeepaliveProbing | undefined
  readonly balancer: Balancer
  readonly breaker: CircuitBreaker
  readonly outlierDetector: OutlierDetector | undefined
  /** What counts as an error for it; absent: the statuses from 500 on. */
  readonly isError?: ResponseTest | undefined
  readonly stats: ClusterStats
  readonly hosts: readonly Host[]
  /**
   * Set on a dynamic forward proxy cluster (Envoy `envoy.clusters.dynamic_forward_proxy`): the host is found by
   * resolving the request's authority, and the balancer is not asked. `done` gets undefined when the name
   * does not resolve (flag DF).
   */
  readonly resolveHost:
    | ((authority: string, done: (host: Host | undefined) => void) => void)
    | undefined
  /** How connections to a host are secured; absent, or undefined for a host: plaintext. */
  readonly transportOf?: (host: Host, use: TransportUse) => WireTransport | undefined
  /** Aborts when the cluster is removed: its pools drain. */
  readonly removed: AbortSignal
  /** A host that is checked actively said in its answer that it goes. */
  failHost?(host: Host): void
}

/** How checks differ from requests where the cluster's connections are secured. */
export interface CheckSecurity {
  /** ALPN in place of the cluster's own; absent: its own. */
  readonly alpn?: readonly string[]
  /** Chooses among `transport_socket_matches` in place of the endpoint's metadata; absent: as requests do. */
  readonly socketMatch?: Readonly<Record<string, unknown>>
}

/** What a cluster says of HTTP/1.1 (Envoy `http_protocol_options`). */
export interface Http1Upstream {
  readonly spelling: HeaderSpelling | undefined
  /** Requests carry their whole URL. */
  readonly sendsUrl: boolean
  /** Fields of a response head. */
  readonly headersCountMax: number
  /** Trailers travel both ways; without, they are dropped, as in Envoy. */
  readonly keepsTrailers: boolean
}

/** What a connection is for: HTTP connections know the request's host, and say which HTTP they speak. */
export type TransportUse = (
  | { readonly kind: 'http'; readonly authority: string; readonly version: 'http1' | 'http2' }
  | { readonly kind: 'tcp' }
) & {
  /** Whose connection it continues, for clusters that are told (PROXY protocol). */
  readonly downstream: ProxyAddresses | undefined
  /** A health check's, which may be secured in another way. */
  readonly check?: CheckSecurity | undefined
}

/** How a connection to one of its hosts is opened, whoever opens it. */
export function connectOptions(
  cluster: Cluster,
  host: Host,
  transport: WireTransport | undefined,
): ConnectOptions {
  const { connectTimeoutMs, tcpKeepaliveMs, tcpKeepaliveProbing } = cluster
  const { address, otherAddresses = [] } = host
  return {
    address,
    ...(otherAddresses.length > 0 && { otherAddresses }),
    connectTimeoutMs,
    tcpKeepaliveMs,
    ...(tcpKeepaliveProbing && { tcpKeepaliveProbing }),
    transport,
  }
}
/** Istio's `services` metadata: what `destination_service*` labels say. */
export interface ClusterService {
  readonly host: string
  readonly name: string
  readonly namespace: string
}

/** Looks up clusters by name on the request path. */
export interface ClusterSet {
  get(name: string): Cluster | undefined
  /**
   * Of a cluster that is accepted and does not serve yet: `done` is called once when it does, when it goes, or when that
   * takes too long. Undefined: it is not coming.
   */
  whenServing?(name: string, done: () => void): { cancel(): void } | undefined
}
