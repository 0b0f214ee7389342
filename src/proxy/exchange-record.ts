/** The record of an exchange: made with its request, completed at its end. */
import type { ConnectionSecurity } from './connection-security.ts'
import { isGrpc } from './exchange-response.ts'
import type { ExchangeScope } from './exchange-scope.ts'
import { failureReplies, isUnanswered, type Failure } from './failure.ts'
import type { HttpProtocol, RequestHead } from './http/message.ts'
import type { DownstreamStream, RequestRefusal } from './http/stream.ts'
import type { ProxyRuntime } from './runtime.ts'
import type { DownstreamStats } from './telemetry/cluster-stats.ts'
import { grpcStatusOf, httpAsGrpcStatus } from './telemetry/grpc-status.ts'
import type { RequestRecord } from './telemetry/request-record.ts'
import type { Cluster } from './upstream/cluster.ts'
import { connectFailureText } from './upstream/connect-failure.ts'
import { type Host, reachedAt } from './upstream/host.ts'

export function createRecord(scope: ExchangeScope, request: RequestHead): RequestRecord {
  return {
    startMs: scope.runtime.clock.nowMs(),
    durationMs: 0,
    isBrokenOff: false,
    isUpgrade: false,
    beginMs: scope.runtime.clock.monotonicMs(),
    requestEndMs: 0,
    attemptStartMs: 0,
    poolEndMs: 0,
    upstreamStartMs: 0,
    upstreamSentMs: 0,
    upstreamHeadMs: 0,
    upstreamEndMs: 0,
    responseStartMs: 0,
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
    routeStats: undefined,
    virtualCluster: undefined,
    virtualHost: '',
    cluster: undefined,
    clusterName: '',
    host: undefined,
    hostReached: undefined,
    upstreamLocalAddress: undefined,
    upstreamRemoteAddress: undefined,
    upstreamProtocol: undefined,
    upstreamWireBytesReceived: 0,
    upstreamWireBytesSent: 0,
    downstreamLocalAddress: scope.localAddressText,
    downstreamRemoteAddress: scope.remoteAddressText,
    downstreamDirectLocalAddress: scope.directLocalAddressText,
    downstreamDirectRemoteAddress: scope.directRemoteAddressText,
    requestedServerName: scope.requestedServerName,
    filterState: scope.manager.filterState,
    filterChainName: scope.manager.filterChainName,
    downstreamSecurity: scope.security,
    upstreamSecurity: undefined,
    connectionId: scope.connectionId,
    isGrpc: false,
    grpcStatus: undefined,
    responseTrailers: undefined,
  }
}

/** Completes the record and counts it. */
export function finishRecord(
  record: RequestRecord,
  stream: DownstreamStream,
  { runtime, manager }: ExchangeScope,
): void {
  const { stats } = manager
  record.isGrpc = isGrpc(record.request)
  if (record.isGrpc) {
    record.messages = stream.messages
    record.grpcStatus ??= grpcStatusOf(record.response?.headers)
    const isUpstreams = record.details === 'via_upstream'
    if (isUpstreams && stream.translation?.hasOwnStatus !== true) {
      record.upstreamGrpcStatus = record.grpcStatus
    }
    record.grpcStatus ??= statusMeant(record.status)
  } else record.grpcStatus = undefined
  record.durationMs = runtime.clock.monotonicMs() - record.beginMs
  record.wireBytesReceived = stream.wireBytesReceived
  record.wireBytesSent = stream.wireBytesSent
  stats.rqActive.add(-1)
  if (record.details !== 'internal_redirect') countGiven(record, stats)
  if (record.isUpgrade) stats.cxUpgradesActive.add(-1)
  countEnd(record, stats)
  stats.rqTime.record(record.durationMs)
}

/** Of an answer that was followed the client hears nothing: the exchange that goes on counts for both. */
function countGiven(record: RequestRecord, stats: DownstreamStats): void {
  if (record.status !== 0) {
    stats.answers.add(record.status)
    stats.listenerAnswers?.add(record.status)
  }
  stats.rxBytes.add(record.wireBytesReceived)
  stats.txBytes.add(record.wireBytesSent)
}

/** An interim response that the client gets. */
export function countInformed(stats: DownstreamStats, status: number): void {
  stats.answers.add(status)
  stats.listenerAnswers?.add(status)
}

/** One more tunnel or websocket is asked for, and may be; it counts as one until the exchange is over. */
export function startUpgrade(record: RequestRecord, stats: DownstreamStats): void {
  record.isUpgrade = true
  stats.cxUpgradesTotal.add(1)
  stats.cxUpgradesActive.add(1)
}

/** What is counted once of an exchange, by how it ended. */
function countEnd(record: RequestRecord, stats: DownstreamStats): void {
  const { failure } = record
  if (record.request.protocol !== 'HTTP/2') stats.rqHttp1Total.add(1)
  if (record.details === 'direct_response') stats.router.rqDirectResponse.add(1)
  if (isReset(record)) stats.rqRxReset.add(1)
  if (failure === undefined) return
  endCounters[failure]?.(stats, record)
  if (record.isBrokenOff) stats.rqTxReset.add(1)
}

/** As Envoy, which counts all streams that its codec is told to reset: also those that end before their request does. */
function isReset({ requestEndMs, isBrokenOff, status, failure }: RequestRecord): boolean {
  if (isBrokenOff || status === 0 || requestEndMs === 0) return true
  return failure !== undefined && isUnanswered(failure)
}

type CountEnd = (stats: DownstreamStats, record: RequestRecord) => void

const endCounters: Readonly<Partial<Record<Failure, CountEnd>>> = {
  'no-route': ({ router }) => router.noRoute.add(1),
  'no-cluster': ({ router }) => router.noCluster.add(1),
  'stream-idle-timeout': (stats) => stats.rqIdleTimeout.add(1),
  'max-duration': (stats) => stats.rqMaxDurationReached.add(1),
  'request-timeout': (stats, { details }) =>
    details === 'request_header_timeout' ? stats.rqHeaderTimeout.add(1) : stats.rqTimeout.add(1),
  'relative-path': (stats) => stats.rqNonRelativePath.add(1),
  'upgrade-refused': (stats) => stats.rqWsOnNonWsRoute.add(1),
  'bad-path': (stats) => stats.rqFailedPathNormalization.add(1),
  'payload-too-large': (stats) => stats.rqTooLarge.add(1),
}

/** A gRPC client takes a response without a status for what its HTTP status stands for. */
function statusMeant(status: number): number | undefined {
  return status === 0 ? undefined : httpAsGrpcStatus(status)
}

/** The connection that the upstream is reached by. */
export function noteUpstream(
  record: RequestRecord,
  upstream: {
    readonly security: ConnectionSecurity | undefined
    readonly localAddress: string | undefined
    readonly remoteAddress: string | undefined
    readonly upstreamProtocol: HttpProtocol | undefined
  },
  nowMs: number,
): void {
  record.routeStats?.rqTotal.add(1)
  record.poolEndMs = nowMs
  record.upstreamStartMs = nowMs
  record.upstreamRemoteAddress = record.host && reachedAt(record.host, upstream)
  if (record.hostReached !== record.host) noteReached(record)
  record.upstreamProtocol = upstream.upstreamProtocol
  if (record.requestEndMs !== 0) record.upstreamSentMs = nowMs
  record.upstreamLocalAddress = upstream.localAddress
  record.upstreamSecurity = upstream.security
}

/** Most requests reach one host. */
function noteReached(record: RequestRecord): void {
  const { host, hostReached } = record
  if (host === undefined) return
  if (hostReached === undefined) {
    record.hostReached = host
    return
  }
  record.hostsReached ??= [hostReached]
  if (!record.hostsReached.includes(host)) record.hostsReached.push(host)
}

/** A host is asked. */
export function noteAttempt(record: RequestRecord, host: Host, nowMs: number): void {
  record.host = host
  record.attemptStartMs = nowMs
  record.poolEndMs = 0
}

/** What the last attempt has sent and received, before it is let go. */
export function noteWire(
  record: RequestRecord,
  attempt: { readonly wireBytesReceived: number; readonly wireBytesSent: number },
): void {
  record.upstreamWireBytesReceived = attempt.wireBytesReceived
  record.upstreamWireBytesSent = attempt.wireBytesSent
}

/** The response of the upstream that the client gets; no time where the request had not ended yet. */
export function noteServed(
  record: RequestRecord,
  { stats }: Cluster,
  answer: { readonly status: number; readonly nowMs: number; readonly isUnwanted: boolean },
): void {
  const { status, nowMs, isUnwanted } = answer
  record.upstreamHeadMs = nowMs
  const { routeStats } = record
  if (record.attempts > 1 && !isUnwanted) {
    stats.rqRetrySuccess.add(1)
    routeStats?.rqRetrySuccess.add(1)
  }
  if (record.requestEndMs !== 0) {
    const timeMs = nowMs - record.requestEndMs
    record.upstreamServiceTimeMs = timeMs
    stats.rqTime.record(timeMs)
    routeStats?.rqTime.record(timeMs)
  }
  record.details = 'via_upstream'
  record.status = status
}

/** The time of the route is up. */
export function countTimeout(record: RequestRecord, cluster: Cluster | undefined): void {
  cluster?.stats.rqTimeout.add(1)
  record.routeStats?.rqTimeout.add(1)
}

/** The failure that ended the exchange. */
export function noteFailure(record: RequestRecord, failure: Failure): void {
  record.failure = failure
  // To Envoy a filter looks names up, before there is an attempt.
  if (failure === 'dns-failure') record.attempts -= 1
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

/** Nobody broke a rule of HTTP/1.1; of HTTP/2 the connection counts it itself. */
const isNoFault: ReadonlySet<Failure> = new Set([
  'request-timeout',
  'messaging-error',
  'missing-host',
  'stream-idle-timeout',
  'max-duration',
])

/** A request that is no valid message. */
export function countRefusal(stats: DownstreamStats, refusal: RequestRefusal): void {
  // It was not refused: its client has left.
  if (refusal.failure === 'downstream-disconnect') return
  stats.rejected(refusal.reason).add(1)
  if (!isNoFault.has(refusal.failure)) stats.cxProtocolError.add(1)
}

/** The same where the codec had nothing against it; a scheme that is not believed is Envoy's codec's business. */
export function countRefusedShape(
  record: RequestRecord,
  failure: Failure,
  stats: DownstreamStats,
): void {
  stats.rejected('path').add(1)
  if (failure !== 'forbidden-scheme') return
  stats.cxProtocolError.add(1)
  record.requestEndMs = 0
}

/** Envoy's details tell why no connection stood, and not what was wrong with an answer: that is in the process's log. */
export function noteReset(
  record: RequestRecord,
  reset: { readonly failure: Failure; readonly message: string },
  { log, clock }: Pick<ProxyRuntime, 'log' | 'clock'>,
): void {
  if (record.poolEndMs === 0) record.poolEndMs = clock.monotonicMs()
  if (reset.failure === 'connect-failure') {
    record.transportFailure = connectFailureText(reset.message)
    return
  }
  const fields = { cluster: record.clusterName, host: record.host?.addressText, ...reset }
  log.debug(fields, 'attempt failed')
}
