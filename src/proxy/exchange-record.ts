/** The record of an exchange: made with its request, completed at its end. */
import type { Log } from '../lib/log.ts'
import type { ConnectionSecurity } from './connection-security.ts'
import { grpcStatusOf, isGrpc } from './exchange-response.ts'
import type { ExchangeScope } from './exchange-scope.ts'
import { failureReplies, type Failure } from './failure.ts'
import type { RequestHead } from './http/message.ts'
import type { DownstreamStream, RequestRefusal } from './http/stream.ts'
import type { DownstreamStats } from './telemetry/cluster-stats.ts'
import type { RequestRecord } from './telemetry/request-record.ts'
import type { Cluster } from './upstream/cluster.ts'
import { connectFailureText } from './upstream/connect-failure.ts'

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
    downstreamDirectRemoteAddress: scope.remoteAddressText,
    requestedServerName: scope.requestedServerName,
    downstreamSecurity: scope.security,
    upstreamSecurity: undefined,
    connectionId: scope.connectionId,
    isGrpc: false,
    grpcStatus: undefined,
  }
}

export interface ExchangeEnd {
  readonly stream: DownstreamStream
  readonly stats: DownstreamStats
  readonly durationMs: number
}

/** Completes the record and counts it. */
export function finishRecord(record: RequestRecord, end: ExchangeEnd): void {
  const { stream, stats } = end
  record.isGrpc = isGrpc(record.request)
  record.grpcStatus ??= grpcStatusOf(record.response?.headers)
  record.durationMs = end.durationMs
  record.wireBytesReceived = stream.wireBytesReceived
  record.wireBytesSent = stream.wireBytesSent
  stats.rqActive.add(-1)
  stats.rqByClass[(record.status / 100) | 0]?.add(1)
  stats.rqTime.record(record.durationMs)
  stats.rxBytes.add(record.wireBytesReceived)
  stats.txBytes.add(record.wireBytesSent)
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

/** The response of the upstream that the client gets; no time where the request had not ended yet. */
export function noteServed(
  record: RequestRecord,
  { stats }: Cluster,
  answer: { readonly status: number; readonly timeMs: number | undefined },
): void {
  const { status, timeMs } = answer
  if (record.attempts > 1 && status < 500) stats.rqRetrySuccess.add(1)
  if (timeMs !== undefined) {
    record.upstreamServiceTimeMs = timeMs
    stats.rqTime.record(timeMs)
  }
  record.details = 'via_upstream'
  record.status = status
}

/** The failure that ended the exchange. */
export function noteFailure(record: RequestRecord, failure: Failure): void {
  record.failure = failure
  addFlag(record, failureReplies[failure].flag)
}

/** The same where nothing is answered. */
export function noteGone(record: RequestRecord, failure: Failure, details?: string): void {
  noteFailure(record, failure)
  record.details = details ?? failureReplies[failure].details
}

/** Flags stand in the order in which they came, as in Envoy. */
export function addFlag(record: RequestRecord, flag: string): void {
  if (flag === '-') return
  record.flags = record.flags === '-' ? flag : `${record.flags},${flag}`
}

/** A request that is no valid message. */
export function countRefusal(stats: DownstreamStats, refusal: RequestRefusal): void {
  stats.rejected(refusal.reason).add(1)
  stats.cxProtocolError.add(1)
  if (refusal.failure === 'headers-too-large') stats.rqTooLarge.add(1)
}

/** Envoy's details tell why no connection stood, and not what was wrong with an answer: that is in the process's log. */
export function noteReset(
  record: RequestRecord,
  reset: { readonly failure: Failure; readonly message: string },
  log: Log,
): void {
  if (reset.failure === 'connect-failure') {
    record.transportFailure = connectFailureText(reset.message)
    return
  }
  const fields = { cluster: record.clusterName, host: record.host?.addressText, ...reset }
  log.debug(fields, 'attempt failed')
}
