/** The record of an exchange: made with its request, completed at its end. */
import type { ConnectionSecurity } from './connection-security.ts'
import type { ExchangeScope } from './exchange-scope.ts'
import { failureReplies, type Failure } from './failure.ts'
import type { RequestHead } from './http/message.ts'
import type { DownstreamStream } from './http/stream.ts'
import type { DownstreamStats } from './telemetry/cluster-stats.ts'
import type { RequestRecord } from './telemetry/request-record.ts'

export function createRecord(scope: ExchangeScope, request: RequestHead): RequestRecord {
  return {
    startMs: scope.runtime.clock.nowMs(),
    durationMs: 0,
    upstreamServiceTimeMs: undefined,
    request,
    originalPath: request.path,
    response: undefined,
    status: 0,
    flags: '-',
    details: '',
    failure: undefined,
    transportFailure: undefined,
    bytesReceived: 0,
    bytesSent: 0,
    wireBytesReceived: 0,
    wireBytesSent: 0,
    attempts: 0,
    routeName: '',
    virtualHost: '',
    cluster: undefined,
    clusterName: '',
    host: undefined,
    upstreamLocalAddress: undefined,
    downstreamLocalAddress: scope.localAddressText,
    downstreamRemoteAddress: scope.remoteAddressText,
    requestedServerName: scope.requestedServerName,
    downstreamSecurity: scope.security,
    upstreamSecurity: undefined,
    connectionId: scope.connectionId,
    isGrpc: false,
    grpcStatus: undefined,
  }
}

export function finishRecord(
  record: RequestRecord,
  stream: DownstreamStream,
  durationMs: number,
): void {
  record.durationMs = durationMs
  record.wireBytesReceived = stream.wireBytesReceived
  record.wireBytesSent = stream.wireBytesSent
}

/** The connection that the upstream is reached by. */
export function noteUpstream(
  record: RequestRecord,
  upstream: {
    readonly security: ConnectionSecurity | undefined
    readonly localAddress: string | undefined
  },
): void {
  record.upstreamLocalAddress = upstream.localAddress
  record.upstreamSecurity = upstream.security
}

/** The failure that ended the exchange; its flag stands before those that were added. */
export function noteFailure(record: RequestRecord, failure: Failure): void {
  record.failure = failure
  const { flag } = failureReplies[failure]
  if (flag === '-') return
  record.flags = record.flags === '-' ? flag : `${flag},${record.flags}`
}

export function addFlag(record: RequestRecord, flag: string): void {
  record.flags = record.flags === '-' ? flag : `${record.flags},${flag}`
}

export function countExchange(stats: DownstreamStats, record: RequestRecord): void {
  stats.rqActive.add(-1)
  stats.rqByClass[(record.status / 100) | 0]?.add(1)
  stats.rqTime.record(record.durationMs)
  stats.rxBytes.add(record.wireBytesReceived)
  stats.txBytes.add(record.wireBytesSent)
}
