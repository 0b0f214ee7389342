/**
 * The life of one request, from top to bottom.
 *
 *   head → one spelling (exchange-request) → filters → route → cluster → host → attempt → response → observers
 *
 * Everything that can go wrong ends in `#fail` with a `Failure`, and failure.ts says what the client gets. An
 * attempt that failed is a value that `decideRetry` judges; nothing here throws to be understood. In the common
 * case a request makes this object, its record, its body, its plan and one attempt, and no timer or promise.
 */
import {
  Attempt,
  type AttemptOwner,
  type AttemptReset,
  type StreamSource,
} from './exchange-attempt.ts'
import { RequestBody } from './exchange-body.ts'
import {
  editResponse,
  planForward,
  rewriteAuthority,
  shapeUpstreamRequest,
  type ForwardPlan,
} from './exchange-plan.ts'
import {
  addFlag,
  countExchange,
  createRecord,
  finishRecord,
  noteFailure,
  noteUpstream,
} from './exchange-record.ts'
import { shapeRequest, type ShapedRequest } from './exchange-request.ts'
import {
  buildFailureReply,
  directReply,
  grpcStatusOf,
  isGrpc,
  refusalReply,
  redirectReply,
  shapeResponse,
  type PlainReply,
} from './exchange-response.ts'
import { RetryState, noHosts } from './exchange-retry.ts'
import type { ExchangeScope, TimedExchange } from './exchange-scope.ts'
import { acceptsTunnel, createTunnelSource } from './exchange-tunnel.ts'
import { failureReplies, type Failure } from './failure.ts'
import type { FilterContext, LocalReply } from './filter/http-filter.ts'
import type { HeaderList } from './http/header-list.ts'
import type { RequestHead, ResponseHead } from './http/message.ts'
import type { DownstreamStream, RequestEvents, RequestRefusal } from './http/stream.ts'
import type { AttemptOutcome } from './resilience/retry-policy.ts'
import type { MatchedRoute, Route } from './route/route-table.ts'
import type { RequestRecord } from './telemetry/request-record.ts'
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
  #plan: ForwardPlan | undefined
  #source: StreamSource | undefined
  #retry: RetryState | undefined
  #attempt: Attempt | undefined
  #attempts = 0
  #isTunnel: boolean
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
    this.#isTunnel = head.method === 'CONNECT' || head.upgrade !== undefined
    this.#body = new RequestBody(scope.bufferBytesMax, head.bodyLength === 0 && !this.#isTunnel)
    timers.start(this, manager.streamIdleTimeoutMs)
    manager.stats.rqTotal.add(1)
    manager.stats.rqActive.add(1)
  }

  // From the head to the first attempt.

  start(): void {
    if (this.#scope.runtime.overload.isActive('stop-accepting-requests')) {
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
    const { head, body } = redirectReply({ status: 307, location: shaped.location })
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
        this.#forward(planForward(this.#scope, this.request, action.forward), route.route)
        return
      case 'connect':
        this.#source = createTunnelSource(this.#scope.runtime.connector)
        this.#forward(planForward(this.#scope, this.request, action.forward), route.route)
        return
      case 'redirect':
      case 'direct':
        this.record.details = 'direct_response'
        this.#respondDirectly(directReply(action, this.request))
    }
  }

  #respondDirectly({ head, body }: PlainReply): void {
    this.route?.route.editResponse?.(head.headers, this.request)
    this.#respond(head, body)
  }

  #forward(plan: ReturnType<typeof planForward>, route: Route): void {
    const { runtime, manager, timers } = this.#scope
    const { record } = this
    if ('failure' in plan) {
      record.clusterName = plan.clusterName
      this.#fail(plan.failure, plan.reply)
      return
    }
    this.#plan = plan
    record.clusterName = plan.cluster.name
    record.cluster = plan.cluster
    this.#source ??= runtime.pools
    this.#body.limit(plan.forward.requestBufferLimitBytes)
    if (plan.retryPolicy !== undefined) {
      this.#retry = new RetryState(plan.retryPolicy, plan.cluster, runtime)
    }
    const suppressEnvoyHeaders = manager.suppressEnvoyHeaders === true
    shapeUpstreamRequest(this.request, plan, { route, suppressEnvoyHeaders })
    const { idleTimeoutMs } = plan.forward
    if (idleTimeoutMs !== undefined) timers.setIdle(idleTimeoutMs)
    timers.limitDuration(plan.durationMs, this.#startMs)
    if (this.#body.isEnded) timers.startRoute(plan.timeoutMs)
    this.#findHost(plan)
  }

  /** A dynamic forward proxy asks the resolver, every other cluster its balancer. */
  #findHost(plan: ForwardPlan): void {
    const { cluster, forward } = plan
    if (cluster.resolveHost !== undefined) {
      cluster.resolveHost(this.request.authority, (host) => {
        if (this.#isOver) return
        if (host === undefined) this.#fail('dns-failure')
        else this.#startAttempt(plan, host)
      })
      return
    }
    const host = cluster.balancer.pick({
      avoid: this.#retry?.avoid ?? noHosts,
      avoidAttemptsMax: this.#retry?.avoidAttemptsMax ?? 0,
      hash: forward.hashRequest?.(this.request, this.#scope.remoteAddress),
    })
    if (host !== undefined) {
      this.#startAttempt(plan, host)
      return
    }
    cluster.stats.cxNoneHealthy.add(1)
    this.#fail('no-healthy-upstream')
  }

  #startAttempt(plan: ForwardPlan, host: Host): void {
    const { forward, cluster } = plan
    this.#attempts += 1
    this.record.host = host
    this.#retry?.addTried(host)
    if (forward.includeAttemptCount === true) {
      this.request.headers.set('x-envoy-attempt-count', String(this.#attempts))
    }
    if (forward.autoHostRewrite === true && host.hostname !== '') {
      rewriteAuthority(this.request, host.hostname, forward)
    }
    // Set by `#act` and `#forward`, which come before any attempt.
    const source = this.#source as StreamSource
    const attempt = new Attempt(this, { cluster, host, source, authority: this.request.authority })
    this.#attempt = attempt
    attempt.start()
  }

  // The request flows.

  onRequestData(chunk: Uint8Array): void {
    if (this.#isOver) return
    this.record.bytesReceived += chunk.length
    this.#scope.timers.touch()
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
    if (!this.#isTunnel) this.#scope.timers.startRoute(this.#plan?.timeoutMs ?? 0)
    const attempt = this.#attempt
    if (attempt !== undefined && this.#canSendBody(attempt)) {
      this.#forwardedAtMs = this.#scope.runtime.clock.monotonicMs()
      attempt.sendEnd(trailers)
      this.#scope.timers.startTry(this.#plan)
    }
    if (this.#isTunnel && this.#isResponseEnded) this.#finish()
  }

  #canSendBody(attempt: Attempt): boolean {
    return attempt.isReady && (!this.#isTunnel || this.#isAccepted)
  }

  #mayRetry(): boolean {
    return this.#retry !== undefined && !this.#responseStarted && !this.#isTunnel
  }

  onAttemptReady(attempt: Attempt): void {
    noteUpstream(this.record, attempt)
    const { isEnded, chunks, trailers } = this.#body
    const isWhole = isEnded && chunks.length === 0 && trailers === undefined
    if (isEnded || this.#isTunnel) {
      this.#forwardedAtMs = this.#scope.runtime.clock.monotonicMs()
      this.#scope.timers.startTry(this.#plan)
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
    const isAccepting = this.#isTunnel && acceptsTunnel(this.request, head.status)
    if (!isAccepting && this.#retriesResponse(attempt, head)) return
    this.#settle(attempt, head)
    this.#shape(head)
    if (isAccepting) this.#stream.openTunnel()
    else if (this.#isTunnel) this.#isTunnel = false
    this.#sendHead(head, isEnd)
    if (isAccepting) this.#acceptTunnel(attempt)
  }

  /** This response is the one: no more attempts. */
  #settle(attempt: Attempt, head: ResponseHead): void {
    const { stats } = attempt.cluster
    if (this.#attempts > 1 && head.status < 500) stats.rqRetrySuccess.add(1)
    if (this.#retry !== undefined) {
      this.#retry.release()
      this.#scope.timers.endTry()
    }
    const nowMs = this.#scope.runtime.clock.monotonicMs()
    const fromMs = this.#forwardedAtMs === 0 ? this.#startMs : this.#forwardedAtMs
    this.record.upstreamServiceTimeMs = nowMs - fromMs
    stats.rqTime.record(nowMs - fromMs)
    this.#scope.timers.touch()
    this.record.details = 'via_upstream'
  }

  #shape(head: ResponseHead): void {
    shapeResponse(head, this.#scope, this.record.upstreamServiceTimeMs)
    const { route } = this
    if (this.#plan === undefined || route === undefined) return
    const { request } = this
    editResponse(head, this.#plan, { route: route.route, request, attempts: this.#attempts })
  }

  #acceptTunnel(attempt: Attempt): void {
    this.#isAccepted = true
    attempt.isTunnel = true
    this.#scope.timers.clearRoute()
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
    this.#scope.timers.touch()
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
    if (this.#retries(attempt, this.#outcome(failure, reset.requestSent))) return
    this.#fail(failure)
  }

  #retriesResponse(attempt: Attempt, head: ResponseHead): boolean {
    if (this.#retry === undefined) return false
    return this.#retries(attempt, this.#outcome(undefined, true, head))
  }

  #outcome(
    failure: Failure | undefined,
    requestSent: boolean,
    head?: ResponseHead,
  ): AttemptOutcome {
    return {
      attempt: this.#attempts,
      status: head?.status,
      grpcStatus: grpcStatusOf(head?.headers),
      responseHeaders: head?.headers,
      failure,
      requestSent,
      isReplayable: this.#body.isReplayable && !this.#isAccepted,
      responseStarted: this.#responseStarted,
    }
  }

  /** Decides, and starts the next attempt after its back-off. */
  #retries(attempt: Attempt, outcome: AttemptOutcome): boolean {
    const plan = this.#plan
    if (this.#retry === undefined || plan === undefined) return false
    const verdict = this.#retry.decide(outcome)
    if (verdict === 'limit-exceeded' && this.#attempts > 1) addFlag(this.record, 'URX')
    if (verdict === 'overflow') addFlag(this.record, 'UO')
    if (verdict !== 'retry') return false
    this.#attempt = undefined
    attempt.discard()
    this.#scope.timers.endTry()
    if (outcome.failure === 'per-try-timeout' && plan.forward.includeTimeoutRetryHeader === true) {
      this.request.headers.set('x-envoy-is-timeout-retry', 'true')
    }
    this.#retry.wait(this.#attempts, outcome.responseHeaders, () => {
      if (!this.#isOver) this.#findHost(plan)
    })
    return true
  }

  onRequestInvalid(refusal: RequestRefusal): void {
    if (this.#isOver) return
    const { stats } = this.#scope.manager
    stats.rejected(refusal.reason).add(1)
    stats.cxProtocolError.add(1)
    if (refusal.failure === 'headers-too-large') stats.rqTooLarge.add(1)
    this.record.transportFailure = refusal.reason
    this.#abort('reset')
    this.#fail(refusal.failure, refusalReply(refusal))
  }

  onDownstreamClose(): void {
    if (this.#isOver) return
    this.#abort('reset')
    noteFailure(this.record, 'downstream-disconnect')
    if (!this.#isAccepted) this.record.details = failureReplies['downstream-disconnect'].details
    this.#finish()
  }

  onRouteTimeout(): void {
    this.#plan?.cluster.stats.rqTimeout.add(1)
    this.#abort('timeout')
    this.#fail('upstream-timeout')
  }

  onTryTimeout(): void {
    const attempt = this.#attempt
    if (attempt === undefined) return
    attempt.cluster.stats.rqPerTryTimeout.add(1)
    this.#abort('timeout')
    if (this.#retries(attempt, this.#outcome('per-try-timeout', true))) return
    this.#fail('per-try-timeout')
  }

  onIdleTimeout(): void {
    this.#abort('reset')
    this.#fail('stream-idle-timeout', this.#gatewayTimeout())
  }

  onMaxDuration(): void {
    this.#abort('reset')
    this.#fail('max-duration', this.#gatewayTimeout())
  }

  /** As Envoy: 408 blames the client, so once its request is whole the answer is 504. */
  #gatewayTimeout(): Partial<LocalReply> {
    return this.#body.isEnded ? { status: 504 } : {}
  }

  #abort(reason: 'timeout' | 'reset'): void {
    const attempt = this.#attempt
    this.#attempt = undefined
    attempt?.abort(reason)
  }

  /** A reply of ours in place of the upstream's; a response that has begun is broken off, for the client to see. */
  #fail(failure: Failure, reply: Partial<LocalReply> = {}): void {
    if (this.#isOver) return
    const { record } = this
    noteFailure(record, failure)
    if (this.#responseStarted) {
      record.details = failureReplies[failure].details
      this.#stream.reset()
      this.#finish()
      return
    }
    const built = buildFailureReply(failure, reply, this.request)
    record.details = built.details
    record.grpcStatus = grpcStatusOf(built.head.headers)
    if (built.closesConnection) this.#stream.closeAfterResponse()
    this.#respond(built.head, built.body)
  }

  #respond(head: ResponseHead, body: Buffer): void {
    shapeResponse(head, this.#scope, undefined)
    this.#stream.finishEarly()
    const isEmpty = body.length === 0
    this.#sendHead(head, isEmpty)
    if (!isEmpty) {
      if (this.request.method !== 'HEAD') this.record.bytesSent += body.length
      this.#stream.sendData(body)
      this.#stream.sendEnd(undefined)
    }
    this.#finish()
  }

  // The end.

  #finish(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#retry?.close()
    if (this.#isTunnel && this.#body.isEnded && this.#isResponseEnded) this.#attempt?.complete()
    this.#abort('reset')
    this.#scope.timers.clear()
    const { record } = this
    record.attempts = this.#attempts
    record.isGrpc = isGrpc(this.request)
    record.grpcStatus ??= grpcStatusOf(record.response?.headers)
    const nowMs = this.#scope.runtime.clock.monotonicMs()
    finishRecord(record, this.#stream, nowMs - this.#startMs)
    this.#report()
  }

  #report(): void {
    const { manager } = this.#scope
    countExchange(manager.stats, this.record)
    for (let index = 0; index < this.#filtersRun; index += 1) manager.filters[index]?.onEnd?.(this)
    for (const observer of manager.observers) observer.onEnd(this.record)
  }
}
