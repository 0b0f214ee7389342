/**
 * What is known about one exchange when it has ended: the input of access logs, metrics and traces.
 * The exchange owns one record and fills it as it goes; observers read it in `onEnd` and keep nothing.
 */
import type { ConnectionSecurity } from '../connection-security.ts'
import type { Failure } from '../failure.ts'
import type { HeaderList } from '../http/header-list.ts'
import type { HttpProtocol, RequestHead, ResponseHead } from '../http/message.ts'
import type { MessageCounts } from '../http/stream.ts'
import type { Cluster } from '../upstream/cluster.ts'
import type { Host } from '../upstream/host.ts'
import type { RouteStats } from './route-stats.ts'

export interface RequestRecord {
  /** Wall clock at the first byte of the request, in milliseconds. */
  startMs: number
  /** Whole life of the exchange in milliseconds, with a fraction. */
  durationMs: number
  /** The response began, and did not come to its end. */
  isBrokenOff: boolean
  /** Asks for a tunnel, and may. */
  isUpgrade: boolean
  /** From the request's end to the first byte of the upstream's response; undefined without an upstream. */
  upstreamServiceTimeMs: number | undefined
  request: RequestHead
  /** The path before any rewrite. */
  originalPath: string
  response: ResponseHead | undefined
  /** Status sent downstream; 0 when none was. */
  status: number
  /** Envoy's short flags, joined by commas; `-` for none. */
  flags: string
  /** `%RESPONSE_CODE_DETAILS%`: via_upstream, route_not_found, … */
  details: string
  failure: Failure | undefined
  transportFailure: string | undefined
  /** Body bytes received from and sent to the downstream. */
  bytesReceived: number
  bytesSent: number
  /** All bytes, heads included: for istio_request_bytes and istio_response_bytes. */
  wireBytesReceived: number
  wireBytesSent: number
  /** When the exchange came how far, by the monotonic clock; 0: it did not. */
  beginMs: number
  requestEndMs: number
  attemptStartMs: number
  poolEndMs: number
  upstreamStartMs: number
  upstreamSentMs: number
  upstreamHeadMs: number
  upstreamEndMs: number
  responseStartMs: number
  attempts: number
  /** The first host that a connection stood to, and all where there were others. */
  hostReached: Host | undefined
  hostsReached?: Host[] | undefined
  routeName: string
  /** Of the route, where it has some. */
  routeStats: RouteStats | undefined
  virtualHost: string
  virtualCluster?: string | undefined
  cluster: Cluster | undefined
  clusterName: string
  host: Host | undefined
  upstreamLocalAddress: string | undefined
  upstreamRemoteAddress: string | undefined
  upstreamProtocol: HttpProtocol | undefined
  upstreamWireBytesReceived: number
  upstreamWireBytesSent: number
  downstreamLocalAddress: string
  downstreamRemoteAddress: string
  /** The ends of the connection, where x-forwarded-for or a PROXY header named others. */
  downstreamDirectLocalAddress: string
  downstreamDirectRemoteAddress: string
  requestedServerName: string | undefined
  /** What network filters said of the connection, by key. */
  filterState?: Readonly<Record<string, string>> | undefined
  filterChainName: string | undefined
  /** What TLS has proved on each side; absent on plaintext. */
  downstreamSecurity?: ConnectionSecurity | undefined
  upstreamSecurity?: ConnectionSecurity | undefined
  connectionId: number
  isGrpc: boolean
  /** Of a gRPC call; absent where they were not counted. */
  messages?: MessageCounts | undefined
  grpcStatus: number | undefined
  /** As the upstream said it; absent where only its HTTP status says something, and where we answered. */
  upstreamGrpcStatus?: number | undefined
  /** While a reply of our own gets its format. */
  localReplyBody?: string | undefined
  responseTrailers: HeaderList | undefined
}

/** Told once per exchange. Must not throw and must not keep the record. */
export interface RequestObserver {
  onEnd(record: RequestRecord): void
}

/** Told about TCP connections; byte counts are since the last call. */
export interface TcpRecord {
  startMs: number
  durationMs: number
  bytesReceived: number
  bytesSent: number
  /** Of those, what observers have not been told of before. */
  newBytesReceived: number
  newBytesSent: number
  flags: string
  details: string
  cluster: Cluster | undefined
  clusterName: string
  host: Host | undefined
  upstreamLocalAddress?: string | undefined
  upstreamRemoteAddress?: string | undefined
  /** Hosts that were asked, and why the last one was not reached. */
  attempts?: number
  transportFailure?: string | undefined
  downstreamLocalAddress: string
  downstreamRemoteAddress: string
  downstreamDirectLocalAddress?: string | undefined
  downstreamDirectRemoteAddress?: string | undefined
  requestedServerName?: string | undefined
  filterChainName?: string | undefined
  /** Hosts that were asked, in order. */
  hostsReached?: readonly Host[]
  downstreamSecurity?: ConnectionSecurity | undefined
  upstreamSecurity?: ConnectionSecurity | undefined
  filterState?: Readonly<Record<string, string>> | undefined
  connectionId: number
}

export interface TcpObserver {
  onOpen(record: TcpRecord): void
  /** Bytes have moved, and the connection goes on. */
  onProgress?(record: TcpRecord): void
  onEnd(record: TcpRecord): void
}
