/**
 * Copies of a request that go to other clusters (Envoy `request_mirror_policies`): sent as the request comes, with
 * breakers, balancing and statistics like any request, answered by nobody. What becomes of them never shows in the
 * exchange.
 *
 * A copy whose upstream is slower than the client holds at most the listener's buffer, and is given up beyond it. (Envoy
 * slows the client down.) A copy goes on after its exchange when its request is whole, for the route's time-out at
 * most, and ends with it when it is not. Tunnels have no copies.
 */
import { isIP } from 'node:net'

import type { Timer } from '../lib/clock.ts'
import { Attempt, type AttemptOwner } from './exchange-attempt.ts'
import { RequestBody } from './exchange-body.ts'
import { findAnyHost } from './exchange-host.ts'
import { countAnswer, type ForwardPlan } from './exchange-plan.ts'
import type { ExchangeScope } from './exchange-scope.ts'
import { failureReplies, type Failure } from './failure.ts'
import { portColon } from './http/authority.ts'
import { HeaderList } from './http/header-list.ts'
import type { RequestHead, ResponseHead } from './http/message.ts'
import type { MirrorPolicy } from './route/route-table.ts'
import type { Cluster } from './upstream/cluster.ts'

/** What the copies of one exchange are told. */
export interface Mirrors {
  onData(chunk: Uint8Array): void
  onEnd(trailers: HeaderList | undefined): void
  /** The exchange is over. */
  close(): void
}

export interface MirrorSource {
  readonly plan: ForwardPlan
  /** As the upstream gets it. */
  readonly head: RequestHead
  /** What has come of the body. */
  readonly body: RequestBody
}

/** Undefined where nothing is copied. */
export function openMirrors(scope: ExchangeScope, source: MirrorSource): Mirrors | undefined {
  const { plan, head } = source
  const policies = plan.forward.mirrors
  if (policies === undefined || head.method === 'CONNECT' || head.upgrade !== undefined) {
    return undefined
  }
  // One draw for all, as in Envoy.
  const draw = Math.floor(scope.runtime.random() * 4_294_967_296)
  const copies: Copy[] = []
  for (const policy of policies) {
    const { numerator, denominator } = policy.share
    const cluster = scope.runtime.clusters.get(policy.clusterOf(head))
    if (cluster === undefined || draw % denominator >= numerator) continue
    copies.push(new Copy(scope, { cluster, head: copyHead(scope, source, policy), plan }))
  }
  if (copies.length === 0) return undefined
  for (const copy of copies) copy.start(source.body)
  return {
    onData: (chunk) => copies.forEach((copy) => copy.onData(chunk)),
    onEnd: (trailers) => copies.forEach((copy) => copy.onEnd(trailers)),
    close: () => copies.forEach((copy) => copy.onExchangeEnd()),
  }
}

/** Upstreams see by these headers that it is a copy, and from where. */
function copyHead(scope: ExchangeScope, source: MirrorSource, policy: MirrorPolicy): RequestHead {
  const { head, plan } = source
  const headers = new HeaderList()
  for (const field of head.headers.fields) headers.fields.push(field)
  if (plan.forward.includeAttemptCount === true) headers.set('x-envoy-attempt-count', '1')
  headers.set('x-envoy-internal', 'true')
  addOwnAddress(headers, scope.downstream.localAddress)
  const authority = policy.keepsHost ? head.authority : shadowAuthority(head.authority)
  return { ...head, headers, authority }
}

/** A listener inside the process, or on a Unix socket, has none to tell. */
function addOwnAddress(headers: HeaderList, own: string): void {
  if (isIP(own) === 0) return
  const before = headers.getAll('x-forwarded-for')
  headers.set('x-forwarded-for', before === undefined ? own : `${before},${own}`)
}

/** `reviews:9080` → `reviews-shadow:9080`. */
export function shadowAuthority(authority: string): string {
  const colon = portColon(authority)
  if (colon < 0) return `${authority}-shadow`
  return `${authority.slice(0, colon)}-shadow${authority.slice(colon)}`
}

interface CopyTarget {
  readonly cluster: Cluster
  readonly head: RequestHead
  readonly plan: ForwardPlan
}

class Copy implements AttemptOwner {
  readonly #scope: ExchangeScope
  readonly #cluster: Cluster
  readonly #head: RequestHead
  readonly #timeoutMs: number
  readonly #body: RequestBody
  #attempt: Attempt | undefined
  #timer: Timer | undefined
  #isOver = false
  /** The upstream takes more. */
  #isBelow = true

  constructor(scope: ExchangeScope, { cluster, head, plan }: CopyTarget) {
    this.#scope = scope
    this.#cluster = cluster
    this.#head = head
    this.#timeoutMs = plan.timeoutMs
    this.#body = new RequestBody(scope, head.bodyLength === 0)
    this.#body.limit(plan.forward.requestBufferLimitBytes)
  }

  start(body: RequestBody): void {
    body.forEachHeld((chunk) => this.#body.hold(chunk))
    if (body.isEnded) this.#end(body.trailers)
    findAnyHost(this.#cluster, this.#head, (host) => {
      if (this.#isOver) return
      if (host === undefined) {
        this.#fail('no-healthy-upstream')
        return
      }
      const source = this.#scope.runtime.pools
      const target = { cluster: this.#cluster, host, source, request: this.#head }
      this.#attempt = new Attempt(this, target, this.#scope.downstream)
      this.#attempt.start()
    })
  }

  onData(chunk: Uint8Array): void {
    if (this.#isOver) return
    const attempt = this.#attempt
    if (attempt?.isReady === true && this.#isBelow) {
      this.#isBelow = attempt.sendData(chunk)
      return
    }
    this.#body.hold(chunk)
    if (this.#body.isFull || this.#scope.runtime.overload.refusesRequests()) this.#giveUp()
  }

  onEnd(trailers: HeaderList | undefined): void {
    if (this.#isOver || this.#body.isEnded) return
    this.#end(trailers)
    if (this.#attempt?.isReady === true && this.#body.isEmpty) this.#attempt.sendEnd(trailers)
  }

  #end(trailers: HeaderList | undefined): void {
    this.#body.isEnded = true
    this.#body.trailers = trailers
    if (this.#timeoutMs === 0) return
    const { clock, turn } = this.#scope.runtime
    this.#timer = clock.setTimer(this.#timeoutMs, () => turn.run(() => this.#expire()))
  }

  onExchangeEnd(): void {
    if (!this.#body.isEnded) this.#giveUp()
  }

  onAttemptReady(attempt: Attempt): void {
    const { isEnded, isEmpty, trailers } = this.#body
    const isWhole = isEnded && isEmpty && trailers === undefined
    attempt.sendHead(this.#head, isWhole)
    if (!isWhole) this.#sendHeld(attempt)
  }

  #sendHeld(attempt: Attempt): void {
    this.#isBelow = this.#body.sendTo(attempt)
    this.#body.close()
  }

  onAttemptDrain(): void {
    this.#isBelow = true
    const attempt = this.#attempt
    if (attempt?.isReady === true && !this.#body.isEmpty) this.#sendHeld(attempt)
  }

  onAttemptInformational(): void {}

  onAttemptHead(_attempt: Attempt, head: ResponseHead): void {
    countAnswer(this.#cluster, this.#head, head.status)
  }

  onAttemptData(): void {}

  onAttemptEnd(): void {
    this.#close()
  }

  onAttemptFailure(attempt: Attempt, failure: Failure): void {
    if (attempt.hasResponse) this.#close()
    else this.#fail(failure)
  }

  #expire(): void {
    if (this.#isOver) return
    this.#cluster.stats.rqTimeout.add(1)
    const attempt = this.#attempt
    attempt?.abort('timeout')
    if (attempt?.hasResponse === true) this.#close()
    else this.#fail('upstream-timeout')
  }

  /** As Envoy's router, which counts the reply that nobody gets. */
  #fail(failure: Failure): void {
    countAnswer(this.#cluster, this.#head, failureReplies[failure].status)
    this.#close()
  }

  #giveUp(): void {
    if (this.#isOver) return
    this.#attempt?.abort('reset')
    this.#close()
  }

  #close(): void {
    this.#isOver = true
    this.#timer?.cancel()
    this.#body.close()
  }
}
