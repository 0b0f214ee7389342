/**
 * The life of one request, from top to bottom.
 *
 *   head → one spelling (exchange-request) → filters → route → cluster → host → attempt → response → observers
 *
 * Everything that can go wrong ends in `#fail` with a `Failure`, and failure.ts says what the client gets. An
 * attempt that failed is a value that `decideRetry` judges; nothing here throws to be understood. In the common
 * case a request makes this object, its record, its body, its answer, its plan and one attempt, and no timer or promise.
 */
import { Answer } from './exchange-answer.ts'
import {
  Attempt,
  type AttemptOwner,
  type AttemptReset,
  type StreamSource,
} from './exchange-attempt.ts'
import { RequestBody } from './exchange-body.ts'
import { filterConfigOf, openFilters } from './exchange-filters.ts'
import { pickHost } from './exchange-host.ts'
import { openMirrors, type Mirrors } from './exchange-mirror.ts'
import * as plans from './exchange-plan.ts'
import * as records from './exchange-record.ts'
import * as redirects from './exchange-redirect.ts'
import * as replies from './exchange-reply.ts'
import { shapeRequest, shapeTarget, type RefusedShape } from './exchange-request.ts'
import { addServiceTime } from './exchange-response.ts'
import { RetryState, attemptOutcome, tellTimeoutRetry } from './exchange-retry.ts'
import type { ExchangeScope, TimedExchange } from './exchange-scope.ts'
import * as tunnels from './exchange-tunnel.ts'
import { isUnanswered, type Failure } from './failure.ts'
import type { FilterContext, LocalReply } from './filter/http-filter.ts'
import type { FilterSetting } from './filter/route-config.ts'
import type { HeaderList } from './http/header-list.ts'
import type { RequestHead, ResponseHead } from './http/message.ts'
import type { DownstreamStream, RequestEvents, RequestRefusal, Translation } from './http/stream.ts'
import type { OpenReply } from './open-reply.ts'
import type { AttemptOutcome } from './resilience/retry-policy.ts'
import type { ForwardAction, MatchedRoute, PickedCluster } from './route/route-table.ts'
import type { RequestRecord } from './telemetry/request-record.ts'
import type { Host } from './upstream/host.ts'

export class Exchange implements RequestEvents, AttemptOwner, FilterContext, TimedExchange {
  readonly #scope: ExchangeScope
  readonly #stream: DownstreamStream
  readonly request: RequestHead
  readonly record: RequestRecord
  #body: RequestBody
  readonly #answer: Answer
  route: MatchedRoute | undefined
  #picked: PickedCluster | undefined
  #plan: plans.ForwardPlan | undefined
  #source: StreamSource | undefined
  #retry: RetryState | undefined
  #mirrors: Mirrors | undefined
  #attempt: Attempt | undefined
  #isTunnel: boolean
  #isAccepted = false
  /** The reply that is being made is the router's, which counts its attempts; uncounted where none is under way. */
  #routerReply: { readonly isUncounted: boolean } | undefined
  #isOver = false
  #trail: redirects.RedirectTrail | undefined
  /** Goes on with the request where a redirect was followed. */
  #successor: Exchange | undefined

  constructor(scope: ExchangeScope, head: RequestHead, stream: DownstreamStream) {
    const { manager, timers } = scope
    this.#scope = scope
    this.#stream = stream
    this.request = head
    this.record = records.createRecord(scope, head)
    this.#isTunnel = head.method === 'CONNECT' || head.upgrade !== undefined
    this.#body = new RequestBody(scope, head.bodyLength === 0 && !this.#isTunnel)
    this.#answer = new Answer(scope, stream)
    if (this.#body.isEnded) this.record.requestEndMs = this.record.beginMs
    timers.start(this, manager.streamIdleTimeoutMs)
    manager.stats.rqTotal.add(1)
    manager.stats.rqActive.add(1)
  }

  // From the head to the first attempt.

  start(): void {
    const { manager, runtime } = this.#scope
    if (runtime.overload.refusesRequests() && manager.bypassesOverload !== true) {
      manager.stats.rqOverloadClose.add(1)
      this.#fail('overloaded', manager.overloadReply)
      return
    }
    const shaped = shapeRequest(this.request, this.#scope)
    if (shaped.kind !== 'ok') {
      this.#refuseShape(shaped)
      return
    }
    const { record } = this
    record.originalPath = this.request.path
    record.downstreamRemoteAddress = shaped.remoteAddressText
    if (shaped.expectsContinue) this.#answer.inform(replies.continueHead())
    this.#begin()
  }

  /** Of a request that was shaped before, and leads somewhere else now. */
  restart(before: redirects.RedirectedFrom): void {
    this.#body = before.body
    this.#trail = before.trail
    redirects.noteTakenOver(this.record, before.record)
    const refused = shapeTarget(this.request, this.#scope)
    this.record.originalPath = this.request.path
    if (refused === undefined) this.#begin()
    else this.#refuseShape(refused)
  }

  #begin(): void {
    const { record } = this
    this.clearRoute()
    const target = { route: this.route, picked: this.#picked, cluster: record.cluster }
    this.#answer.filters = openFilters(this.#scope.manager, target)
    this.#runFilters()
  }

  #refuseShape(shaped: RefusedShape): void {
    this.record.originalPath = this.request.path
    if (shaped.kind !== 'redirect') {
      records.countRefusedShape(this.record, shaped.kind, this.#scope.manager.stats)
      this.#fail(shaped.kind)
      return
    }
    this.record.details = 'path_normalization_failed'
    this.#scope.manager.stats.rqRedirectedWithNormalizedPath.add(1)
    this.#respond(replies.redirectReply({ status: 307, location: shaped.location }, this.request))
  }

  #runFilters(): void {
    const verdict = this.#answer.filters?.run(this) ?? 'continue'
    if (this.#isOver || verdict === 'suspend') return
    if (verdict === 'continue') this.#act()
    else if ('failure' in verdict) this.#fail(verdict.failure, verdict)
    else {
      this.record.details = verdict.details
      this.#respond({ head: verdict.answer, body: Buffer.alloc(0) })
    }
  }

  filterConfig(name: string): FilterSetting | undefined {
    return filterConfigOf({ route: this.route, picked: this.#picked }, name)
  }

  limitResponse(kibPerSecond: number): void {
    this.#answer.pace(
      kibPerSecond,
      () => this.#attempt?.resumeResponse(),
      () => this.#finish(),
    )
  }

  holdRequest(bytesMax: number): void {
    this.#body.limit(bytesMax + 1)
  }

  get translation(): Translation | undefined {
    return this.#stream.translation
  }

  reject(reply: LocalReply): void {
    this.#abort('reset')
    this.#fail(reply.failure, reply)
  }

  changeHeld(change: (chunk: Uint8Array) => Uint8Array): void {
    this.#body.changeHeld(change)
  }

  get clusterName(): string {
    return this.#picked?.cluster ?? ''
  }

  get peerPrincipal(): string | undefined {
    return this.#scope.peerPrincipal
  }

  /** Matches, and draws the cluster, so that logs know both whoever answers in the end. */
  clearRoute(): void {
    this.route = this.#scope.manager.routes()?.match(this.request, this.#scope.security)
    this.#picked = plans.pickTarget(this.route, this.#scope, this.record)
  }

  resume(reply?: LocalReply): void {
    if (this.#isOver || this.#answer.filters?.wake() !== true) return
    this.#scope.runtime.turn.run(() => {
      if (reply === undefined) this.#runFilters()
      else this.#fail(reply.failure, reply)
    })
  }

  /** The router: what the route says. */
  #act(): void {
    const { route } = this
    const isRefused = this.#isTunnel && plans.isRefusedUpgrade(this.#scope, this.request, route)
    if (!isRefused) this.#scope.manager.stats.router.rqTotal.add(1)
    if (route === undefined || isRefused) {
      this.#fail(isRefused ? 'upgrade-refused' : 'no-route')
      return
    }
    const { action } = route.route
    switch (action.kind) {
      case 'forward':
        this.#forward(route, action.forward)
        return
      case 'connect':
        this.#source = tunnels.createTunnelSource(this.#scope.runtime.connector)
        this.#forward(route, action.forward)
        return
      case 'redirect':
      case 'direct':
        this.#answerWith('direct_response', replies.directReply(action, this.request))
    }
  }

  #forward(matched: MatchedRoute, forward: ForwardAction): void {
    const { runtime, manager, timers } = this.#scope
    // Drawn when the route was matched.
    const picked = this.#picked as PickedCluster
    const plan = plans.planForward(this.#scope, this.request, { forward, picked })
    if ('failure' in plan) {
      this.#fail(plan.failure, plan.reply)
      return
    }
    this.#plan = plan
    // As Envoy, which counts the attempt before it knows whether there is a host for it.
    this.record.attempts = 1
    if (this.#isTunnel) records.startUpgrade(this.record, manager.stats)
    this.#source ??= runtime.pools
    this.#body.limit(plan.forward.requestBufferLimitBytes)
    if (plan.retryPolicy !== undefined) {
      this.#retry = new RetryState(plan.retryPolicy, plan.cluster, runtime)
    }
    const suppressEnvoyHeaders = manager.suppressEnvoyHeaders === true
    const shape = { route: matched.route, record: this.record, suppressEnvoyHeaders }
    plans.shapeUpstreamRequest(this.request, plan, shape)
    const { idleTimeoutMs } = plan.forward
    if (idleTimeoutMs !== undefined) timers.setIdle(idleTimeoutMs)
    timers.limitDuration(plan.durationMs, this.record.beginMs)
    if (this.#body.isEnded || tunnels.isWebsocket(this.request)) timers.startRoute(plan.timeoutMs)
    this.#findHost(plan)
  }

  /** A dynamic forward proxy asks the resolver, every other cluster its balancer. */
  #findHost(plan: plans.ForwardPlan): void {
    const { cluster } = plan
    if (cluster.resolveHost !== undefined) {
      cluster.resolveHost(this.request.authority, (host) => {
        if (this.#isOver) return
        if (host === undefined) this.#fail('dns-failure')
        else this.#startAttempt(plan, host)
      })
      return
    }
    const host = pickHost(cluster, this.#retry, plans.requestHash(plan, this.record, this.#scope))
    if (host === undefined) this.#failUpstream('no-healthy-upstream')
    else this.#startAttempt(plan, host)
  }

  #startAttempt(plan: plans.ForwardPlan, host: Host): void {
    const { cluster } = plan
    records.noteAttempt(this.record, host, this.#nowMs())
    this.#retry?.addTried(host)
    if (plan.forward.mirrors !== undefined && this.record.attempts === 1) {
      this.#mirrors = openMirrors(this.#scope, { plan, head: this.request, body: this.#body })
    }
    plans.shapeAttempt(this.record, plan, this.#scope)
    const source = this.#source as StreamSource // `#act` and `#forward` come before any attempt
    const target = { cluster, host, source, request: this.request }
    this.#attempt = new Attempt(this, target, this.#scope.downstream)
    this.#attempt.start()
  }

  // The request flows.

  onRequestData(chunk: Uint8Array): void {
    if (this.#isOver) return
    this.record.bytesReceived += chunk.length
    this.#scope.timers.touch()
    this.#mirrors?.onData(chunk)
    const attempt = this.#attempt
    if (attempt === undefined || !this.#canSendBody(attempt)) {
      this.#body.hold(chunk)
      if (this.#body.isFull) this.#stream.pauseRequest()
      this.#answer.filters?.onRequestData(this, chunk.length)
      return
    }
    if (!this.#mayRetry()) this.#body.forget()
    else if (this.#body.holdForReplay(chunk)) attempt.cluster.stats.retryAbandoned.add(1)
    if (!attempt.sendData(chunk)) this.#stream.pauseRequest()
  }

  onRequestEnd(trailers: HeaderList | undefined): void {
    if (this.#isOver || this.#body.isEnded) return
    this.#body.isEnded = true
    this.#body.trailers = trailers
    this.#mirrors?.onEnd(trailers)
    this.record.requestEndMs = this.#nowMs()
    if (!this.#isTunnel) this.#scope.timers.startRoute(this.#plan?.timeoutMs ?? 0)
    const attempt = this.#attempt
    if (attempt !== undefined && this.#canSendBody(attempt)) {
      attempt.sendEnd(trailers)
      this.record.upstreamSentMs = this.#nowMs()
      this.#scope.timers.startTry(this.#plan)
    }
    this.#answer.filters?.onRequestEnd(this)
    if (this.#isTunnel && this.#answer.isEnded) this.#finish()
  }

  #canSendBody(attempt: Attempt): boolean {
    return attempt.isReady && (!this.#isTunnel || this.#isAccepted)
  }

  #mayRetry(): boolean {
    if (this.#retry === undefined && this.#plan?.forward.internalRedirect === undefined)
      return false
    return !this.#answer.isStarted && !this.#isTunnel
  }

  onAttemptReady(attempt: Attempt): void {
    records.noteUpstream(this.record, attempt, this.#nowMs())
    const { isEnded, isEmpty, trailers } = this.#body
    const isWhole = isEnded && isEmpty && trailers === undefined
    if (isEnded || tunnels.isWebsocket(this.request)) this.#scope.timers.startTry(this.#plan)
    this.#scope.timers.limitTry(this.#plan?.attemptDurationMs ?? 0)
    attempt.sendHead(this.request, isWhole)
    if (!isWhole && !this.#isTunnel) this.#sendHeld(attempt)
  }

  /** What came before there was somebody to send it to, or what is sent again. */
  #sendHeld(attempt: Attempt): void {
    const isBelow = this.#body.sendTo(attempt)
    if (isBelow && !this.#body.isEnded) this.#stream.resumeRequest()
    if (!this.#mayRetry()) this.#body.forget()
  }

  onAttemptDrain(): void {
    this.#stream.resumeRequest()
  }

  // The response flows.

  onAttemptInformational(head: ResponseHead): void {
    // As Envoy, which drops every interim response that it was not told to pass.
    if (this.#answer.isStarted) return
    plans.countInterim(head.status, this.record, this.#plan)
    if (this.#scope.manager.proxies100Continue === true) this.#answer.inform(head)
  }

  onAttemptHead(attempt: Attempt, head: ResponseHead, isEnd: boolean): void {
    const isAccepting = this.#isTunnel && tunnels.acceptsTunnel(this.request, head.status)
    if (this.#isTunnel && tunnels.isRefusedHandshake(this.request, head.status)) {
      this.#isTunnel = false
      this.#answerWith('websocket_handshake_unsuccessful', replies.refusedHandshake(head))
      return
    }
    if (!isAccepting && this.#retriesResponse(attempt, head)) return
    if (this.#redirects(attempt, head)) return
    this.#settle(attempt, head)
    addServiceTime(head, this.#scope, this.record.upstreamServiceTimeMs)
    this.#editResponse(head)
    plans.noteAnswer(head, this.#plan, this.record)
    if (isAccepting) this.#stream.openTunnel()
    else if (this.#isTunnel) this.#isTunnel = false
    this.#answer.sendHead(this, head, isEnd)
    if (isAccepting) this.#acceptTunnel(attempt)
  }

  /** Where the route follows redirects itself, another exchange goes on. */
  #redirects(attempt: Attempt, head: ResponseHead): boolean {
    const plan = this.#plan
    if (plan?.forward.internalRedirect === undefined || this.#isTunnel) return false
    const call = { plan, request: this.request, route: this.route, body: this.#body }
    const trail = redirects.followRedirect(this.#scope, { ...call, trail: this.#trail }, head)
    if (trail === undefined) return false
    redirects.noteRedirected(this.record, head)
    const before = { body: this.#body, trail, record: this.record }
    this.#body = new RequestBody(this.#scope, true)
    this.#attempt = undefined
    records.noteWire(this.record, attempt)
    attempt.discard()
    this.#finish(true)
    this.#successor = new Exchange(this.#scope, this.request, this.#stream)
    this.#successor.restart(before)
    return true
  }

  /** Without a failure, and with the route's edits. */
  #answerWith(details: string, reply: OpenReply | replies.PlainReply): void {
    this.record.details = details
    this.#editResponse(reply.head)
    this.#respond(reply)
  }

  /** This response is the one: no more attempts. */
  #settle(attempt: Attempt, head: ResponseHead): void {
    const { timers } = this.#scope
    this.#retry?.release()
    timers.settleTry()
    const nowMs = this.#nowMs()
    plans.addHashCookies(head, this.#plan)
    const isUnwanted = this.#retry?.isUnwanted === true
    records.noteServed(this.record, attempt.cluster, { status: head.status, nowMs, isUnwanted })
    timers.touch()
  }

  /** The route's edits: also of replies that we give ourselves. */
  #editResponse(head: ResponseHead): void {
    plans.editResponse(head, { route: this.route, picked: this.#picked }, this.record)
  }

  #acceptTunnel(attempt: Attempt): void {
    this.#isAccepted = true
    attempt.isTunnel = true
    this.#scope.timers.openTunnel()
    this.#sendHeld(attempt)
  }

  onAttemptData(chunk: Uint8Array): void {
    if (!this.#answer.sendData(this, chunk)) this.#attempt?.pauseResponse()
  }

  onDownstreamDrain(): void {
    this.#successor?.onDownstreamDrain()
    if (this.#answer.onDrain()) this.#attempt?.resumeResponse()
  }

  onAttemptEnd(trailers: HeaderList | undefined): void {
    // A response that is discarded for a retry ends here too, and is nobody's.
    if (!this.#answer.isStarted || this.#answer.isEnded) return
    this.#answer.sendEnd(this, trailers)
    if (this.#answer.isPaced || (this.#isTunnel && !this.#body.isEnded)) return
    this.#finish()
  }

  // What goes wrong.

  onAttemptFailure(attempt: Attempt, failure: Failure, reset: AttemptReset): void {
    if (this.#isOver) return
    records.noteReset(this.record, { failure, message: reset.message }, this.#scope.runtime)
    if (this.#retries(attempt, this.#outcome(failure, reset.requestSent))) return
    this.#failUpstream(failure)
  }

  #retriesResponse(attempt: Attempt, head: ResponseHead): boolean {
    if (this.#retry === undefined || this.#retry.isOrdinary(head)) return false
    return this.#retries(attempt, this.#outcome(undefined, true, head))
  }

  #outcome(failure?: Failure, requestSent = true, head?: ResponseHead): AttemptOutcome {
    const isReplayable = this.#body.isReplayable && !this.#isAccepted
    const sent = { requestSent, isReplayable, responseStarted: this.#answer.isStarted }
    return attemptOutcome(this.record.attempts, failure, { head, ...sent })
  }

  /** Decides, and starts the next attempt after its back-off. */
  #retries(attempt: Attempt, outcome: AttemptOutcome): boolean {
    const plan = this.#plan
    if (this.#retry === undefined || plan === undefined) return false
    if (this.#retry.decide(outcome, this.record) !== 'retry') return false
    this.#attempt = undefined
    attempt.discard()
    this.#scope.timers.endTry()
    tellTimeoutRetry(this.request, plan.forward, outcome)
    this.#retry.wait(this.record, outcome.responseHeaders, () => {
      if (this.#isOver) return
      this.record.attempts += 1
      this.#findHost(plan)
    })
    return true
  }

  onRequestInvalid(refusal: RequestRefusal): void {
    if (this.#isOver) return
    // What has no host is whole; all else ends where it is.
    if (refusal.failure !== 'missing-host') this.record.requestEndMs = 0
    records.countRefusal(this.#scope.manager.stats, refusal)
    // HTTP/2 has nobody to answer where a message is malformed: its stream is reset.
    if (isUnanswered(refusal.failure)) this.onDownstreamClose(refusal)
    else {
      this.#abort('reset')
      this.#fail(refusal.failure, replies.refusalReply(refusal))
    }
  }

  onDownstreamClose(why: RequestRefusal = replies.gone): void {
    this.#successor?.onDownstreamClose(why)
    if (this.#isOver) return
    this.#abort('reset')
    records.noteGone(this.record, why.failure, replies.refusalReply(why).details)
    this.#finish()
  }

  onRouteTimeout(): void {
    // As Envoy: while a retry waits no attempt is to blame, and the cluster counts neither time-out nor answer.
    const isUncounted = this.#attempt === undefined
    if (!isUncounted) records.countTimeout(this.record, this.#plan?.cluster)
    this.#abort('timeout')
    this.#failUpstream('upstream-timeout', this.#plan?.timeoutReply, isUncounted)
  }

  onTryTimeout(): void {
    this.#attempt?.cluster.stats.rqPerTryTimeout.add(1)
    this.#giveUpTry({})
  }

  onTryIdleTimeout(): void {
    this.#attempt?.cluster.stats.rqPerTryIdleTimeout.add(1)
    this.#giveUpTry({ details: 'upstream_per_try_idle_timeout' })
  }

  onUpstreamDuration(): void {
    this.#attempt?.cluster.stats.rqMaxDuration.add(1)
    this.#giveUpTry(this.#body.isEnded ? {} : { status: 408 }, 'upstream-max-duration')
  }

  #giveUpTry(reply: Partial<LocalReply>, failure: Failure = 'per-try-timeout'): void {
    const attempt = this.#attempt
    if (attempt === undefined) return
    const isTimeout = failure === 'per-try-timeout'
    this.#abort(isTimeout ? 'timeout' : 'reset')
    if (this.#retries(attempt, this.#outcome(failure, true))) return
    this.#failUpstream(failure, { ...reply, ...(isTimeout && this.#plan?.timeoutReply) })
  }

  /** As Envoy: 408 blames the client, so once its request is whole the answer is 504. */
  onExpired(failure: Failure): void {
    this.#abort('reset')
    this.#fail(failure, this.#body.isEnded ? { status: 504 } : {})
  }

  #abort(reason: 'timeout' | 'reset'): void {
    const attempt = this.#attempt
    this.#attempt = undefined
    if (attempt === undefined) return
    records.noteWire(this.record, attempt)
    attempt.abort(reason)
  }

  /** What the router says of its last attempt. */
  #failUpstream(failure: Failure, reply: Partial<LocalReply> = {}, isUncounted = false): void {
    this.#routerReply = { isUncounted }
    this.#fail(failure, { ...replies.upstreamReply(failure, this.record), ...reply })
  }

  /** A reply of ours in place of the upstream's; a response that has begun is broken off, for the client to see. */
  #fail(failure: Failure, reply: Partial<LocalReply> = {}): void {
    if (this.#isOver) return
    const { record } = this
    records.noteFailure(record, failure)
    if (this.#answer.isStarted || isUnanswered(failure)) {
      record.details = replies.brokenOffDetails(failure, reply)
      record.isBrokenOff = true
      this.#stream.reset()
      this.#finish()
      return
    }
    const built = replies.buildFailureReply(failure, reply, this.request)
    record.details = built.details
    // As Envoy: a route that answers by itself edits its own answers only.
    if (this.#picked !== undefined) this.#editResponse(built.head)
    if (this.#routerReply !== undefined) {
      const answer = { ...record, status: built.status, ...this.#routerReply }
      plans.noteAnswer(built.head, this.#plan, answer)
    }
    if (replies.endsConnection(built, failure, this.#scope)) this.#stream.closeAfterResponse()
    this.#respond(built)
  }

  #respond(reply: OpenReply | replies.PlainReply): void {
    this.#answer.reply(this, reply)
    this.#finish()
  }

  #nowMs(): number {
    return this.#scope.runtime.clock.monotonicMs()
  }

  // The end.

  #finish(hasSuccessor = false): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#scope.runtime.hiddenClasses.keep(this, this.#attempt)
    this.#retry?.close()
    this.#mirrors?.close()
    this.#answer.close()
    this.#body.close()
    if (this.#isTunnel && this.#body.isEnded && this.#answer.isEnded) this.#attempt?.complete()
    this.#abort('reset')
    this.#scope.timers.clear(hasSuccessor)
    records.finishRecord(this.record, this.#stream, this.#scope)
    this.#answer.filters?.onEnd(this)
    for (const observer of this.#scope.manager.observers) observer.onEnd(this.record)
  }
}
