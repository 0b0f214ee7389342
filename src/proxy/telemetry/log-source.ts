/**
 * What a format string can be asked about: an exchange or a TCP connection that has ended, or, while headers are
 * edited, an exchange that still runs. `RequestRecord` and `TcpRecord` are both of this shape, so nothing is copied.
 */
import type { ConnectionSecurity } from '../connection-security.ts'
import type { HeaderList } from '../http/header-list.ts'
import type { RequestHead } from '../http/message.ts'
import type { Cluster } from '../upstream/cluster.ts'
import type { Host } from '../upstream/host.ts'

export interface LogSource {
  readonly startMs?: number
  readonly durationMs?: number
  readonly upstreamServiceTimeMs?: number | undefined
  readonly request?: RequestHead
  readonly originalPath?: string
  readonly response?: { readonly headers: HeaderList } | undefined
  readonly status?: number
  readonly flags?: string
  readonly details?: string
  readonly transportFailure?: string | undefined
  readonly bytesReceived?: number
  readonly bytesSent?: number
  readonly wireBytesReceived?: number
  readonly wireBytesSent?: number
  readonly attempts?: number
  readonly routeName?: string
  readonly virtualHost?: string
  readonly cluster?: Cluster | undefined
  readonly clusterName?: string
  readonly host?: Host | undefined
  readonly upstreamLocalAddress?: string | undefined
  /** Of the connection: absent where none stood. */
  readonly upstreamRemoteAddress?: string | undefined
  readonly downstreamLocalAddress?: string
  readonly downstreamRemoteAddress?: string
  /** The peer of the connection, where x-forwarded-for named another remote address. */
  readonly downstreamDirectRemoteAddress?: string | undefined
  readonly requestedServerName?: string | undefined
  /** What network filters said of the connection, by key. */
  readonly filterState?: Readonly<Record<string, string>> | undefined
  readonly downstreamSecurity?: ConnectionSecurity | undefined
  readonly upstreamSecurity?: ConnectionSecurity | undefined
  readonly connectionId?: number
  readonly grpcStatus?: number | undefined
  /** While a reply of our own gets its format. */
  readonly localReplyBody?: string | undefined
  readonly responseTrailers?: HeaderList | undefined
  readonly beginMs?: number
  readonly requestEndMs?: number
  readonly attemptStartMs?: number
  /** A stream was there, or would not be. */
  readonly poolEndMs?: number
  readonly upstreamStartMs?: number
  readonly upstreamSentMs?: number
  readonly upstreamHeadMs?: number
  readonly upstreamEndMs?: number
  readonly responseStartMs?: number
  readonly upstreamProtocol?: string | undefined
  readonly upstreamWireBytesReceived?: number
  readonly upstreamWireBytesSent?: number
  /** The first host that a connection stood to, and all where there were others. */
  readonly hostReached?: Host | undefined
  readonly hostsReached?: readonly Host[] | undefined
  /** The response began, and did not come to its end. */
  readonly isBrokenOff?: boolean
  readonly virtualCluster?: string | undefined
  readonly filterChainName?: string | undefined
  /** Of a connection, where there is no id of a request. */
  readonly streamId?: string
  /** Before a PROXY header named another. */
  readonly downstreamDirectLocalAddress?: string | undefined
}

/** A value for a log line: numbers stay numbers in JSON; undefined is `-` in text and null in JSON. */
export type LogValue = string | number | LogStructure | undefined

/** What is neither text nor number; it comes from configuration alone, so that nothing in it could forge a line. */
export interface LogStructure {
  readonly json: string
  /** In a text. */
  readonly text: string
}

/** In a text, before anything is escaped. */
export function valueText(value: Exclude<LogValue, undefined>): string {
  return typeof value === 'object' ? value.text : String(value)
}

export type LogOperator = (source: LogSource) => LogValue

/** An operator as it stands in a format. */
export interface OperatorCall {
  readonly name: string
  /** What stands in parentheses, or undefined without them. */
  readonly argument: string | undefined
  /** `:Z` behind the parentheses: at most so many characters. */
  readonly lengthMax: number | undefined
}
