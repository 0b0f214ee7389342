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
  readonly downstreamLocalAddress?: string
  readonly downstreamRemoteAddress?: string
  /** The peer of the connection, where x-forwarded-for named another remote address. */
  readonly downstreamDirectRemoteAddress?: string | undefined
  readonly requestedServerName?: string | undefined
  readonly downstreamSecurity?: ConnectionSecurity | undefined
  readonly upstreamSecurity?: ConnectionSecurity | undefined
  readonly connectionId?: number
  readonly grpcStatus?: number | undefined
}

/** A value for a log line: numbers stay numbers in JSON; undefined is `-` in text and null in JSON. */
export type LogValue = string | number | undefined

export type LogOperator = (source: LogSource) => LogValue
