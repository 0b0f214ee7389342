import type { Timer } from '../lib/clock.ts'
/**
 * The life of one request, from top to bottom.
 *
 *   head → one spelling (exchange-request) → filters → route → cluster → host → attempt → response → observers
 *
 * Everything that can go wrong ends in `#fail` with a `Failure`, and failure.ts says what the client gets. An
 * attempt that failed is a value that `decideRetry` judges; nothing here throws to be understood. In the common
 * case a request makes this object, its record, its body and one attempt, and no closure, timer or promise.
 */
import {
  Attempt,
  type AttemptOwner,
  type AttemptReset,
  type StreamSource,
} from './exchange-attempt.ts'
import { RequestBody } from './exchange-body.ts'
import { createRecord, finishRecord } from './exchange-record.ts'
import { shapeRequest, shapeUpstreamRequest, type ShapedRequest } from './exchange-request.ts'
import {
  buildFailureReply,
  grpcStatusOf,
  isGrpc,
  plainReply,
  shapeResponse,
} from './exchange-response.ts'
import type { ExchangeScope, TimedExchange } from './exchange-scope.ts'
import { requestTimeoutMs, tryTimeoutMs } from './exchange-timeout.ts'
import { createTunnelSource } from './exchange-tunnel.ts'
import { failureReplies, type Failure } from './failure.ts'
import type { FilterContext, LocalReply } from './filter/http-filter.ts'
import type { HeaderList } from './http/header-list.ts'
import type { RequestHead, ResponseHead } from './http/message.ts'
import type { DownstreamStream, RequestEvents, RequestRefusal } from './http/stream.ts'
import { decideRetry } from './resilience/decide-retry.ts'
import { removeRetryHeaders, requestRetryPolicy } from './resilience/request-retry-policy.ts'
import { retryWaitMs } from './resilience/retry-backoff.ts'
import type { RetryPolicy } from './resilience/retry-policy.ts'
import type { ForwardAction, MatchedRoute, PickedCluster } from './route/route-table.ts'
import type { RequestRecord } from './telemetry/request-record.ts'
import type { Cluster } from './upstream/cluster.ts'
import type { Host } from './upstream/host.ts'

/** A request that the codec has read: starts its exchange. */
export function openExchange(
  scope: ExchangeScope,
  head: RequestHead,
  stream: DownstreamStream,
): RequestEvents {
  const exchange = new Exchange(scope, head, stream)
  exchange.start()
  return exchange
}

/** A request that the codec refused: answers it and tells the observers. */
export function refuseExchange(
  scope: ExchangeScope,
  head: RequestHead,
  refusal: { readonly stream: DownstreamStream; readonly why: RequestRefusal },
): RequestEvents {
  const exchange = new Exchange(scope, head, refusal.stream)
  exchange.onRequestInvalid(refusal.why)
  return exchange
}

class Exchange implements RequestEvents, AttemptOwner, FilterContext, TimedExchange {
  readonly #scope: ExchangeScope
  readonly #stream: DownstreamStream
  readonly request: RequestHead
  readonly record: RequestRecord
  readonly #startMs: number
  readonly #body: RequestBody
  route: MatchedRoute | undefined
  #filtersRun = 0
  #isSuspended = false
  #forward: ForwardAction | undefined
  #picked: PickedCluster | undefined
  #cluster: Cluster | undefined
  #source: StreamSource | undefined
  #retryPolicy: RetryPolicy | undefined
  #timeoutMs = 0
  #idleMs: number
  #attempt: Attempt | undefined
  #attempts = 0
  #tried: Host[] = noHosts
  #backoff: Timer | undefined
  #holdsRetry = false
  #isForwarding = false
  #isTunnel = false
  #isAccepted = false
  #forwardedAtMs = 0
  #responseStarted = false
  #isResponseEnded = false
  #isOver = false

  constructor(scope: ExchangeScope, head: RequestHead, stream: DownstreamStream) {
    const { runtime, manager, timers } = scope
    this.#scope = scope
    this.#stream = stream
    this.request = head
    this.#startMs = runtime.clock.monotonicMs()
    this.record = createRecord(scope, head)
    this.#body = new RequestBody(
      bufferBytesMax,
      head.bodyLength === 0 && head.upgrade === undefined,
    )
    this.#isTunnel = head.method === 'CONNECT' || head.upgrade !== undefined
    this.#idleMs = manager.streamIdleTimeoutMs
    timers.owner = this
    if (this.#idleMs !== 0) timers.idle.set(this.#idleMs, this.#startMs)
    manager.stats.rqTotal.add(1)
    manager.stats.rqActive.add(1)
  }

  // From the head to the first attempt.

  start(): void {
    const { runtime } = this.#scope
    if (runtime.overload.isActive('stop-accepting-requests')) {
      this.#scope.manager.stats.rqOverloadClose.add(1)
      this.#fail('overloaded')
      return
    }
    const shaped = shapeRequest(this.request, this.#scope)
    if (shaped.kind !== 'ok') {
      this.#refuseShape(shaped)
      return
    }
    this.record.downstreamRemoteAddress = shaped.remoteAddressText
    this.route = this.#scope.manager.routes()?.match(this.request)
    this.#runFilters()
  }

  #refuseShape(shaped: Exclude<ShapedRequest, { kind: 'ok' }>): void {
    if (shaped.kind === 'bad-path') {
      this.#fail('bad-request', { details: 'path_normalization_failed' })
      return
    }
    const { head, body } = plainReply(307, '')
    head.headers.append('location', shaped.location)
    this.record.details = 'path_normalization_failed'
    this.#respond(head, body)
  }

  /** Each filter once, in order; one that suspends is followed by `resume`. */
  #runFilters(): void {
    const { filters } = this.#scope.manager
    while (this.#filtersRun < filters.length) {
      const filter = filters[this.#filtersRun]
      this.#filtersRun += 1
      const verdict = filter?.onRequest?.(this) ?? 'continue'
      if (this.#isOver) return
      if (verdict === 'continue') continue
      if (verdict === 'suspend') this.#isSuspended = true
      else this.#fail(verdict.failure, verdict)
      return
    }
    this.#act()
  }

  get downstreamRemoteAddress(): string {
    return this.record.downstreamRemoteAddress
  }

  get peerPrincipal(): string | undefined {
    return this.#scope.peerPrincipal
  }

  clearRoute(): void {
    this.route = this.#scope.manager.routes()?.match(this.request)
  }

  resume(reply?: LocalReply): void {
    if (!this.#isSuspended || this.#isOver) return
    this.#isSuspended = false
    if (reply === undefined) this.#runFilters()
    else this.#fail(reply.failure, reply)
  }

  /** The router: what the route says. */
  #act(): void {
    const { route } = this
    if (route === undefined) {
      this.#fail('no-route')
      return
    }
    this.record.routeName = route.route.name
    this.record.virtualHost = route.virtualHost
    const { action } = route.route
    switch (action.kind) {
      case 'forward':
        this.#startForward(action.forward)
        return
      case 'connect':
        this.#source = createTunnelSource(this.#scope.runtime.connector)
        this.#startForward(action.forward)
        return
      case 'redirect': {
        const { status, location } = action.redirect(this.request)
        const { head, body } = plainReply(status, '')
        head.headers.append('location', location)
        this.#respondDirectly(head, body)
        return
      }
      case 'direct': {
        const { head, body } = plainReply(action.status, action.body)
        this.#respondDirectly(head, body)
      }
    }
  }

  #respondDirectly(head: ResponseHead, body: Buffer): void {
    this.record.details = 'direct_response'
    this.route?.route.editResponse?.(head.headers, this.request)
    this.#respond(head, body)
  }

  #startForward(forward: ForwardAction): void {
    const { runtime, manager } = this.#scope
    const { request, record } = this
    if (this.#isTunnel && !this.#allowsTunnel(forward)) {
      this.#fail('upgrade-refused')
      return
    }
    this.#forward = forward
    const picked = forward.pickCluster(runtime.random, request)
    this.#picked = picked
    record.clusterName = picked.cluster
    const cluster = runtime.clusters.get(picked.cluster)
    if (cluster === undefined) {
      this.#fail('no-cluster')
      return
    }
    this.#cluster = cluster
    record.cluster = cluster
    this.#source ??= runtime.pools
    this.#retryPolicy = requestRetryPolicy(forward.retryPolicy, request.headers)
    this.#timeoutMs = this.#isTunnel ? 0 : requestTimeoutMs(forward, request.headers)
    removeRetryHeaders(request.headers)
    if (this.#body.isEnded) this.#startRouteTimer()
    if (forward.idleTimeoutMs !== undefined) this.#setIdle(forward.idleTimeoutMs)
    if ((forward.maxStreamDurationMs ?? 0) !== 0) {
      this.#scope.timers.duration.set(forward.maxStreamDurationMs ?? 0, runtime.clock.monotonicMs())
    }
    const tryMs = tryTimeoutMs(this.#retryPolicy, this.#timeoutMs)
    shapeUpstreamRequest(request, {
      route: (this.route as MatchedRoute).route, // set before any route acts
      forward,
      picked,
      suppressEnvoyHeaders: manager.suppressEnvoyHeaders === true,
      expectedTimeoutMs: tryMs === 0 ? this.#timeoutMs : tryMs,
    })
    this.#isForwarding = true
    this.#findHost(cluster)
  }

  #allowsTunnel(forward: ForwardAction): boolean {
    const name = this.request.method === 'CONNECT' ? 'connect' : (this.request.upgrade ?? '')
    return forward.upgrades.has(name)
  }

  /** A dynamic forward proxy asks the resolver, every other cluster its balancer. */
  #findHost(cluster: Cluster): void {
    if (cluster.resolveHost !== undefined) {
      cluster.resolveHost(this.request.authority, (host) => {
        if (this.#isOver) return
        if (host === undefined) this.#fail('dns-failure')
        else this.#startAttempt(cluster, host)
      })
      return
    }
    const { runtime } = this.#scope
    const avoids = this.#tried.length !== 0 && this.#retryPolicy?.avoidPreviousHosts === true
    const host = cluster.balancer.pick({
      avoid: avoids ? this.#tried : noHosts,
      avoidAttemptsMax: avoids ? (this.#retryPolicy?.hostSelectionAttemptsMax ?? 1) : 0,
      hash: this.#forward?.hashRequest?.(this.request, this.#scope.remoteAddress),
    })
    if (host !== undefined) {
      this.#startAttempt(cluster, host)
      return
    }
    cluster.stats.cxNoneHealthy.add(1)
    runtime.log.debug({ cluster: cluster.name }, 'no healthy upstream')
    this.#fail('no-healthy-upstream')
  }

  #startAttempt(cluster: Cluster, host: Host): void {
    this.#attempts += 1
    this.record.host = host
    if (this.#retryPolicy !== undefined) {
      if (this.#tried === noHosts) this.#tried = []
      this.#tried.push(host)
    }
    if (this.#forward?.includeAttemptCount === true) {
      this.request.headers.set('x-envoy-attempt-count', String(this.#attempts))
    }
    // Known by `#startForward`, which set the source before the first attempt.
    const source = this.#source as StreamSource
    const attempt = new Attempt(this, { cluster, host, source })
    this.#attempt = attempt
    attempt.start()
  }

  // The request flows.

  onRequestData(chunk: Uint8Array): void {
    if (this.#isOver) return
    this.record.bytesReceived += chunk.length
    this.#touch()
    const attempt = this.#attempt
    if (attempt === undefined || !this.#canSendBody(attempt)) {
      this.#body.hold(chunk)
      if (this.#body.isFull) this.#stream.pauseRequest()
      return
    }
    if (this.#mayRetry()) this.#body.holdForReplay(chunk)
    else this.#body.forget()
    if (!attempt.sendData(chunk)) this.#stream.pauseRequest()
  }

  onRequestEnd(trailers: HeaderList | undefined): void {
    if (this.#isOver || this.#body.isEnded) return
    this.#body.isEnded = true
    this.#body.trailers = trailers
    if (this.#isForwarding && !this.#isTunnel) this.#startRouteTimer()
    const attempt = this.#attempt
    if (attempt !== undefined && this.#canSendBody(attempt)) {
      this.#forwardedAtMs = this.#scope.runtime.clock.monotonicMs()
      attempt.sendEnd(trailers)
      this.#startTryTimer()
    }
    if (this.#isTunnel && this.#isResponseEnded) this.#finish()
  }

  #canSendBody(attempt: Attempt): boolean {
    return attempt.isReady && (!this.#isTunnel || this.#isAccepted)
  }

  #mayRetry(): boolean {
    return this.#retryPolicy !== undefined && !this.#responseStarted && !this.#isTunnel
  }

  onAttemptReady(attempt: Attempt): void {
    this.record.upstreamLocalAddress = attempt.localAddress
    const { isEnded, chunks, trailers } = this.#body
    const isWhole = isEnded && chunks.length === 0 && trailers === undefined
    if (isEnded || this.#isTunnel) {
      this.#forwardedAtMs = this.#scope.runtime.clock.monotonicMs()
      this.#startTryTimer()
    }
    attempt.sendHead(this.request, isWhole)
    if (!isWhole && !this.#isTunnel) this.#sendHeld(attempt)
  }

  /** What came before there was somebody to send it to, or what is sent again. */
  #sendHeld(attempt: Attempt): void {
    let isBelow = true
    for (const chunk of this.#body.chunks) isBelow = attempt.sendData(chunk)
    if (this.#body.isEnded) attempt.sendEnd(this.#body.trailers)
    else if (isBelow) this.#stream.resumeRequest()
    if (!this.#mayRetry()) this.#body.forget()
  }

  onAttemptDrain(): void {
    this.#stream.resumeRequest()
  }

  // The response flows.

  onAttemptInformational(head: ResponseHead): void {
    if (!this.#responseStarted) this.#stream.sendInformational(head)
  }

  onAttemptHead(attempt: Attempt, head: ResponseHead, isEnd: boolean): void {
    const { runtime } = this.#scope
    const isAccepting = this.#isTunnel && this.#isAcceptance(head.status)
    if (!isAccepting && this.#retriesResponse(attempt, head)) return
    if (this.#attempts > 1 && head.status < 500) attempt.cluster.stats.rqRetrySuccess.add(1)
    this.#scope.timers.attempt.clear()
    this.#releaseRetry()
    const nowMs = runtime.clock.monotonicMs()
    if (this.#forwardedAtMs !== 0) {
      this.record.upstreamServiceTimeMs = nowMs - this.#forwardedAtMs
      attempt.cluster.stats.rqTime.record(this.record.upstreamServiceTimeMs)
    }
    this.#touch()
    this.record.details = 'via_upstream'
    shapeResponse(head, this.#scope, this.record.upstreamServiceTimeMs ?? nowMs - this.#startMs)
    this.#picked?.editResponse?.(head.headers, this.request)
    this.route?.route.editResponse?.(head.headers, this.request)
    if (isAccepting) this.#stream.openTunnel()
    else if (this.#isTunnel) this.#isTunnel = false
    this.#sendHead(head, isEnd)
    if (isAccepting) this.#acceptTunnel(attempt)
  }

  #isAcceptance(status: number): boolean {
    return this.request.method === 'CONNECT' ? status >= 200 && status < 300 : status === 101
  }

  #acceptTunnel(attempt: Attempt): void {
    this.#isAccepted = true
    attempt.isTunnel = true
    this.#scope.timers.route.clear()
    this.#sendHeld(attempt)
  }

  #sendHead(head: ResponseHead, isEnd: boolean): void {
    const { filters } = this.#scope.manager
    for (let index = this.#filtersRun - 1; index >= 0; index -= 1) {
      filters[index]?.onResponse?.(this, head)
    }
    this.#responseStarted = true
    this.record.response = head
    this.record.status = head.status
    this.#stream.sendHead(head, isEnd)
  }

  onAttemptData(chunk: Uint8Array): void {
    this.record.bytesSent += chunk.length
    this.#touch()
    if (!this.#stream.sendData(chunk)) this.#attempt?.pauseResponse()
  }

  onDownstreamDrain(): void {
    this.#attempt?.resumeResponse()
  }

  onAttemptEnd(trailers: HeaderList | undefined): void {
    // A response that is discarded for a retry ends here too, and is nobody's.
    if (!this.#responseStarted || this.#isResponseEnded) return
    this.#isResponseEnded = true
    this.record.grpcStatus ??= grpcStatusOf(trailers)
    const hadBody = this.record.response?.bodyLength !== 0
    if (hadBody) this.#stream.sendEnd(trailers)
    if (this.#isTunnel && !this.#body.isEnded) return
    this.#finish()
  }

  // What goes wrong.

  onAttemptFailure(attempt: Attempt, failure: Failure, reset: AttemptReset): void {
    if (this.#isOver) return
    this.record.transportFailure = reset.message
    if (this.#responseStarted) {
      this.#breakOff(failure)
      return
    }
    const outcome = this.#outcome({ failure, requestSent: reset.requestSent })
    if (!this.#retries(attempt, outcome)) this.#fail(failure)
  }

  #retriesResponse(attempt: Attempt, head: ResponseHead): boolean {
    if (this.#retryPolicy === undefined) return false
    const grpcStatus = grpcStatusOf(head.headers)
    const outcome = this.#outcome({
      status: head.status,
      grpcStatus,
      responseHeaders: head.headers,
    })
    return this.#retries(attempt, outcome)
  }

  #outcome(known: Partial<Parameters<typeof decideRetry>[1]>): Parameters<typeof decideRetry>[1] {
    return {
      attempt: this.#attempts,
      status: undefined,
      grpcStatus: undefined,
      failure: undefined,
      requestSent: true,
      isReplayable: this.#body.isReplayable && !this.#isTunnelSent(),
      responseStarted: this.#responseStarted,
      ...known,
    }
  }

  #isTunnelSent(): boolean {
    return this.#isTunnel && this.#isAccepted
  }

  /** Decides, and starts the next attempt after its back-off. */
  #retries(attempt: Attempt, outcome: Parameters<typeof decideRetry>[1]): boolean {
    this.#releaseRetry()
    const decision = decideRetry(this.#retryPolicy, outcome)
    if (decision === 'give-up') return false
    const { stats, breaker } = attempt.cluster
    if (decision === 'limit-exceeded') {
      if (this.#attempts > 1) this.#flag('URX')
      stats.rqRetryLimitExceeded.add(1)
      return false
    }
    if (!breaker.tryAcquire('retries')) {
      this.#flag('UO')
      return false
    }
    this.#holdsRetry = true
    stats.rqRetry.add(1)
    this.#attempt = undefined
    attempt.discard()
    this.#scope.timers.attempt.clear()
    this.#waitForRetry(attempt.cluster, outcome.responseHeaders)
    return true
  }

  #waitForRetry(cluster: Cluster, responseHeaders: HeaderList | undefined): void {
    const { clock, random } = this.#scope.runtime
    const policy = this.#retryPolicy
    if (policy === undefined) return
    const options = { retry: this.#attempts, random, clock, responseHeaders }
    this.#backoff = clock.setTimer(retryWaitMs(policy, options), () => {
      this.#backoff = undefined
      if (!this.#isOver) this.#findHost(cluster)
    })
  }

  #releaseRetry(): void {
    if (!this.#holdsRetry) return
    this.#holdsRetry = false
    this.#cluster?.breaker.release('retries')
  }

  onRequestInvalid(refusal: RequestRefusal): void {
    if (this.#isOver) return
    const { stats } = this.#scope.manager
    stats.rejected(refusal.reason).add(1)
    stats.cxProtocolError.add(1)
    if (refusal.failure === 'headers-too-large') stats.rqTooLarge.add(1)
    this.record.transportFailure = refusal.reason
    this.#abort('reset')
    if (this.#responseStarted) this.#breakOff(refusal.failure)
    else this.#fail(refusal.failure, detailsOf(refusal))
  }

  onDownstreamClose(): void {
    if (this.#isOver) return
    this.#abort('reset')
    this.#note('downstream-disconnect')
    if (!this.#isTunnelSent()) this.record.details = failureReplies['downstream-disconnect'].details
    this.#finish()
  }

  onRouteTimeout(): void {
    this.#cluster?.stats.rqTimeout.add(1)
    this.#abort('timeout')
    this.#timeOut('upstream-timeout')
  }

  onTryTimeout(): void {
    const attempt = this.#attempt
    if (attempt === undefined) return
    attempt.cluster.stats.rqPerTryTimeout.add(1)
    this.#abort('timeout')
    if (this.#retries(attempt, this.#outcome({ failure: 'per-try-timeout' }))) return
    this.#timeOut('per-try-timeout')
  }

  onIdleTimeout(): void {
    this.#abort('reset')
    this.#timeOut('stream-idle-timeout', this.#gatewayTimeout())
  }

  onMaxDuration(): void {
    this.#abort('reset')
    this.#timeOut('max-duration', this.#gatewayTimeout())
  }

  /** As Envoy: 408 blames the client, so once its request is whole the answer is 504. */
  #gatewayTimeout(): Partial<LocalReply> {
    return this.#body.isEnded ? { status: 504 } : {}
  }

  #timeOut(failure: Failure, reply: Partial<LocalReply> = {}): void {
    if (this.#responseStarted) this.#breakOff(failure)
    else this.#fail(failure, reply)
  }

  #abort(reason: 'timeout' | 'reset'): void {
    const attempt = this.#attempt
    this.#attempt = undefined
    attempt?.abort(reason)
    this.#backoff?.cancel()
    this.#backoff = undefined
  }

  /** A reply of ours in place of the upstream's. */
  #fail(failure: Failure, reply: Partial<LocalReply> = {}): void {
    if (this.#isOver) return
    this.#note(failure)
    const built = buildFailureReply(failure, reply, this.request)
    this.record.details = built.details
    this.record.grpcStatus = grpcStatusOf(built.head.headers)
    if (built.closesConnection) this.#stream.closeAfterResponse()
    this.#respond(built.head, built.body)
  }

  #respond(head: ResponseHead, body: Buffer): void {
    shapeResponse(head, this.#scope, undefined)
    const isEmpty = body.length === 0
    this.#sendHead(head, isEmpty)
    if (!isEmpty) {
      this.record.bytesSent += body.length
      this.#stream.sendData(body)
      this.#stream.sendEnd(undefined)
    }
    this.#finish()
  }

  /** The response has begun and cannot be completed: the client must see that. */
  #breakOff(failure: Failure): void {
    this.#note(failure)
    this.record.details = failureReplies[failure].details
    this.#stream.reset()
    this.#finish()
  }

  #note(failure: Failure): void {
    this.record.failure = failure
    const { flag } = failureReplies[failure]
    if (flag !== '-')
      this.record.flags = this.record.flags === '-' ? flag : `${flag},${this.record.flags}`
  }

  #flag(flag: string): void {
    this.record.flags = this.record.flags === '-' ? flag : `${this.record.flags},${flag}`
  }

  // Time.

  #touch(): void {
    if (this.#idleMs === 0) return
    this.#scope.timers.idle.set(this.#idleMs, this.#scope.runtime.clock.monotonicMs())
  }

  #setIdle(idleMs: number): void {
    this.#idleMs = idleMs
    if (idleMs === 0) this.#scope.timers.idle.clear()
    else this.#touch()
  }

  #startRouteTimer(): void {
    if (this.#timeoutMs === 0) return
    this.#scope.timers.route.set(this.#timeoutMs, this.#scope.runtime.clock.monotonicMs())
  }

  #startTryTimer(): void {
    const delayMs = tryTimeoutMs(this.#retryPolicy, this.#timeoutMs)
    if (delayMs === 0) return
    this.#scope.timers.attempt.set(delayMs, this.#scope.runtime.clock.monotonicMs())
  }

  // The end.

  #finish(): void {
    if (this.#isOver) return
    this.#isOver = true
    const { manager, runtime, timers } = this.#scope
    this.#releaseRetry()
    if (this.#isTunnel && this.#body.isEnded && this.#isResponseEnded) this.#attempt?.complete()
    this.#abort('reset')
    timers.clear()
    const { record } = this
    record.attempts = this.#attempts
    record.isGrpc = isGrpc(this.request)
    record.grpcStatus ??= grpcStatusOf(record.response?.headers)
    finishRecord(record, this.#stream, runtime.clock.monotonicMs() - this.#startMs)
    const { stats, filters } = manager
    stats.rqActive.add(-1)
    stats.rqByClass[(record.status / 100) | 0]?.add(1)
    stats.rqTime.record(record.durationMs)
    stats.rxBytes.add(record.wireBytesReceived)
    stats.txBytes.add(record.wireBytesSent)
    for (let index = 0; index < this.#filtersRun; index += 1) filters[index]?.onEnd?.(this)
    for (const observer of manager.observers) observer.onEnd(record)
  }
}

const noHosts: Host[] = []
/** Envoy's per-connection buffer limit: what may wait for an upstream, or for a retry. */
const bufferBytesMax = 1024 * 1024

function detailsOf(refusal: RequestRefusal): Partial<LocalReply> {
  return refusal.failure === 'bad-request' ? { details: `http1.codec_error:${refusal.reason}` } : {}
}
