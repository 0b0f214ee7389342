/**
 * One client's stream, from its first request to its end: a state machine without clock or socket of its own.
 *
 * A request is answered from the view that the stream already has, so that a client never sees parts of two
 * views; a new view comes by `offer` and goes out whole: what is referred to before what refers to it, and
 * removals last (make before break). While a client has not taken what is on its way (`bytesInFlightMax`, or the
 * transport is full) the newest view waits, and views in between are skipped: there is never a queue.
 */
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { describeError, MeshError } from '../../lib/mesh-error.ts'
import { grpcCodes, statusOf } from '../grpc/grpc-status.ts'
import type { GrpcStream } from '../grpc/grpc-stream.ts'
import type { TlsPeer, TlsPeerVerdict } from '../grpc/tls-peer.ts'
import {
  isLayered,
  pushOrder,
  typeUrls,
  type EncodedResource,
  type ResourceView,
  type StreamNode,
} from '../resource-set.ts'
import { decodeRequest, type AdsRequest } from './ads-request.ts'
import { StreamDemand } from './demand.ts'
import type { NameSets } from './name-sets.ts'
import { allOf, planType, type TypePlan, type WarmingIndex } from './plan.ts'
import {
  noChanges,
  noNames,
  noResources,
  type ResourceDiffs,
  type ResourceMap,
} from './resource-diff.ts'
import type { AdsVariant, ResponseContent, ResponseFactory } from './response.ts'
import { typeStatus, type StreamStatus } from './stream-status.ts'
import { subscribeDelta, subscribeSotw, versionFor } from './subscribe.ts'
import { TypeState } from './type-state.ts'

/** Types that one stream may name. Envoy knows about a dozen. */
const typesMax = 64
/** Counted for each response beside its bytes, so that many empty ones reach the ceiling too. */
const responseOverheadBytes = 256
/** Requests that are kept while the first view is made; Envoy sends about five. */
const waitingMax = 64

export interface HealthReport {
  readonly isHealthy: boolean
  readonly message: string
}

/** What the server knows and does for all of its streams. */
export interface StreamContext {
  readonly diffs: ResourceDiffs
  readonly responses: ResponseFactory
  readonly warming: WarmingIndex
  readonly nameSets: NameSets
  readonly clock: Clock
  readonly log: Log
  readonly bytesInFlightMax: number
  /** False: what it does not have may exist, so that nobody is told that it does not. Absent: true. */
  readonly knowsAll?: boolean
  /** Who comes back with versions is told nothing yet; `release` follows. */
  isHolding(): boolean
  /** Absent, or undefined: the client can join at once. */
  prepare?(node: StreamNode): Promise<void> | undefined
  /** First request of the stream: gives the view to answer from. May throw MeshError to refuse the client. */
  join(stream: AdsStream, node: StreamNode): ResourceView
  /** The view of a client that has asked for something by name. */
  viewOf(stream: AdsStream, node: StreamNode): ResourceView
  reportHealth(stream: AdsStream, report: HealthReport): void
  readonly observer: AdsObserver
}

/** For metrics; each call is cheap and never throws. */
export interface AdsObserver {
  onSent(typeUrl: string, bytes: number): void
  onRejected(typeUrl: string): void
  /** All that a change caused was acknowledged by one client. */
  onConverged(seconds: number): void
}

export interface AdsStreamParts {
  readonly stream: GrpcStream
  readonly context: StreamContext
  readonly verdict?: TlsPeerVerdict | undefined
}

export class AdsStream {
  readonly id: number
  readonly variant: AdsVariant
  readonly connectedAtMs: number
  /** Who the client is by its certificate; undefined on a plaintext connection. */
  readonly verdict: TlsPeerVerdict | undefined
  readonly #stream: GrpcStream
  readonly #context: StreamContext
  readonly #types = new Map<string, TypeState>()
  /** Undefined where nothing can be asked for: in state of the world. */
  readonly demand: StreamDemand | undefined
  #node: StreamNode | undefined
  #view: ResourceView | undefined
  #next: ResourceView | undefined
  /** A client that comes back may ask for endpoints after it was given clusters that wait for them. */
  #clustersBeforeEndpoints = noChanges
  /** Requests since the first one, which waits for the first view; undefined: nothing waits. */
  #waiting: AdsRequest[] | undefined
  #isClosed = false
  #isFull = false
  /** It has what it was told before, and keeps that for the moment. */
  #isHeld = false
  #changedAtMs: number | undefined
  #lastPushMs: number | undefined

  constructor(id: number, variant: AdsVariant, { stream, context, verdict }: AdsStreamParts) {
    this.id = id
    this.variant = variant
    this.#stream = stream
    this.#context = context
    this.verdict = verdict
    this.demand = variant === 'delta' ? new StreamDemand() : undefined
    this.connectedAtMs = context.clock.nowMs()
  }

  /** Undefined until the first request. */
  get node(): StreamNode | undefined {
    return this.#node
  }

  get peer(): string {
    return this.#stream.peer
  }

  status(): StreamStatus | undefined {
    if (this.#node === undefined) return undefined
    return {
      id: this.id,
      peer: this.#stream.peer,
      variant: this.variant,
      node: this.#node,
      identity: identityOf(this.verdict),
      connectedAtMs: this.connectedAtMs,
      types: [...this.#types.values()].map(typeStatus),
      isBehind: this.#next !== undefined,
      inFlightBytes: this.#inFlightBytes(),
      lastPushMs: this.#lastPushMs,
    }
  }

  /** Names of one type that the client has asked for. */
  namesOf(typeUrl: string): Iterable<string> {
    return this.#types.get(typeUrl)?.names ?? []
  }

  end(code: number, message: string): void {
    this.#stream.end({ code, message })
  }

  onMessage(bytes: Uint8Array): void {
    const request = decodeRequest(this.variant, bytes)
    if (this.#waiting === undefined) this.#onRequest(request)
    else if (this.#waiting.length < waitingMax) this.#waiting.push(request)
    else this.end(grpcCodes.resourceExhausted, `expected at most ${waitingMax} requests at first`)
  }

  onClose(): void {
    this.#isClosed = true
  }

  #onRequest(request: AdsRequest): void {
    if (this.#node === undefined) this.#onFirst(request)
    else this.#onNext(request)
  }

  #onFirst(request: AdsRequest): void {
    const { node } = request
    if (node === undefined || node.id === '') {
      const message = 'the first request of a stream must hold a node with an id'
      this.end(grpcCodes.invalidArgument, message)
      return
    }
    const prepared = this.#context.prepare?.(node)
    if (prepared === undefined) {
      this.#join(node, request)
      return
    }
    this.#waiting = [request]
    void prepared.then(
      () => this.#catchUp(node),
      () => this.#catchUp(node), // the view is then made at once, and fails for the same reason
    )
  }

  #join(node: StreamNode, request: AdsRequest): void {
    this.#node = node
    this.#view = this.#context.join(this, node)
    this.#onNext(request)
  }

  #catchUp(node: StreamNode): void {
    const [first, ...rest] = this.#waiting ?? []
    this.#waiting = undefined
    if (this.#isClosed || first === undefined) return
    try {
      this.#join(node, first)
      for (const request of rest) this.#onNext(request)
    } catch (error) {
      this.#context.log.warn({ node: node.id, error: describeError(error) }, 'client not served')
      this.#stream.end(statusOf(error))
    }
  }

  #onNext(request: AdsRequest): void {
    if (request.typeUrl === '') {
      this.end(grpcCodes.invalidArgument, 'a request on an aggregated stream must hold a type_url')
    } else if (request.typeUrl === typeUrls.healthInformation) {
      this.#context.reportHealth(this, healthOf(request))
    } else {
      this.#receive(request)
    }
  }

  onDrain(): void {
    this.#isFull = false
    this.#pushWaiting()
  }

  /** Brings a view that may be new; `changedAtMs` (monotonic) is when the change was noticed. */
  offer(view: ResourceView, changedAtMs: number): void {
    if (this.#view === undefined || (view === this.#view && this.#next === undefined)) return
    this.#next = view
    this.#changedAtMs ??= changedAtMs
    this.#pushWaiting()
  }

  #receive(request: AdsRequest): void {
    const known = this.#types.get(request.typeUrl)
    const state = known ?? this.#addType(request.typeUrl)
    const isFirst = known === undefined
    if (!isFirst && request.nonce !== '' && !this.#acknowledge(state, request)) return
    const resources = this.#resources(request.typeUrl)
    const change = { state, request, isFirst, resources, diffs: this.#context.diffs }
    if (this.variant === 'sotw') subscribeSotw(change)
    else subscribeDelta(change)
    state.shareNames(this.#context.nameSets)
    if (isFirst && request.typeUrl === typeUrls.endpoint) {
      this.#context.warming.forceEndpoints(this.#clustersBeforeEndpoints, state)
      this.#clustersBeforeEndpoints = noChanges
    }
    if (comesBack(request) && this.#context.isHolding()) this.#isHeld = true
    const isDemanding = this.#noteDemand(request)
    if (this.#isHeld) return
    if (!isDemanding) this.#answer(state)
    this.#pushWaiting()
    this.#noteConverged()
  }

  /** What it asks for by name it gets with all that this leads to, in one view. */
  #noteDemand(request: AdsRequest): boolean {
    if (this.#node === undefined || this.demand?.note(request) !== true) return false
    this.#next = this.#context.viewOf(this, this.#node)
    return true
  }

  /** The server knows again what it did not know after its start. */
  release(): void {
    if (!this.#isHeld) return
    this.#isHeld = false
    this.#view = this.#next ?? this.#view
    this.#next = undefined
    for (const typeUrl of this.#orderedTypes()) {
      const state = this.#types.get(typeUrl)
      if (state !== undefined) this.#answer(state)
    }
    this.#noteConverged()
  }

  #addType(typeUrl: string): TypeState {
    if (this.#types.size >= typesMax) {
      throw new MeshError('MESH_XDS_PROTOCOL', `expected at most ${typesMax} types in one stream`)
    }
    const state = new TypeState(typeUrl)
    this.#types.set(typeUrl, state)
    return state
  }

  /** False when the rest of the request is out of date. In delta the subscription counts in any case. */
  #acknowledge(state: TypeState, request: AdsRequest): boolean {
    const nowMs = this.#context.clock.nowMs()
    const result = state.acknowledge(request.nonce, nowMs, request.error)
    if (result !== 'unknown' && request.error !== undefined) {
      const { typeUrl, error } = request
      this.#context.observer.onRejected(typeUrl)
      this.#context.log.warn(
        { node: this.#node?.id, typeUrl, reason: error },
        'client refused a response',
      )
    }
    return this.variant === 'delta' || result === 'newest'
  }

  /** Answers a subscription at once, from the view that the stream has. */
  #answer(state: TypeState): void {
    const target = this.#resources(state.typeUrl)
    if (!isServed(state.typeUrl, target)) return
    const plan = planType(this.variant, state, { target, diffs: this.#context.diffs })
    if (plan === undefined) {
      if (state.hasInitialVersions && state.sentVersion === '') {
        state.confirm(this.#context.diffs.versionOf(target))
      }
      return
    }
    this.#send(plan)
    state.settle(target)
    if (state.typeUrl === typeUrls.cluster) this.#warm(plan.changed)
  }

  #warm(clusters: readonly EncodedResource[]): void {
    const endpoints = this.#types.get(typeUrls.endpoint)
    if (endpoints === undefined) {
      this.#clustersBeforeEndpoints = clusters
      return
    }
    this.#context.warming.forceEndpoints(clusters, endpoints)
    this.#answer(endpoints)
  }

  #pushWaiting(): void {
    if (this.#next === undefined || this.#isFull || this.#isHeld) return
    const inFlight = this.#inFlightBytes()
    if (inFlight > 0 && inFlight >= this.#context.bytesInFlightMax) return
    this.#view = this.#next
    this.#next = undefined
    const isSent = this.#push()
    if (isSent) return
    this.#noteConverged()
    this.#changedAtMs = undefined
  }

  /** Whether there was anything to say. */
  #push(): boolean {
    const plans = this.#plan()
    const isAlone = plans.length === 1
    for (const plan of plans) {
      if (isAlone || plan.removed.length === 0 || isWhole(plan)) this.#send(plan)
      else if (plan.changed.length > 0) this.#send(this.#withoutRemovals(plan))
    }
    if (!isAlone) {
      // What refers goes first, so that nothing points at what is gone.
      for (const plan of removalOrder(plans)) {
        if (plan.removed.length > 0 && !isWhole(plan)) this.#send({ ...plan, changed: noChanges })
      }
    }
    for (const { state, target } of plans) state.settle(target)
    return plans.length > 0
  }

  #plan(): TypePlan[] {
    const plans: TypePlan[] = []
    for (const typeUrl of this.#orderedTypes()) {
      const state = this.#types.get(typeUrl)
      const target = this.#resources(typeUrl)
      if (state === undefined || !isServed(typeUrl, target)) continue
      const plan = planType(this.variant, state, { target, diffs: this.#context.diffs })
      if (plan === undefined) continue
      plans.push(plan)
      const endpoints = this.#types.get(typeUrls.endpoint)
      if (typeUrl === typeUrls.cluster && endpoints !== undefined) {
        this.#context.warming.forceEndpoints(plan.changed, endpoints)
      }
    }
    return plans
  }

  *#orderedTypes(): Generator<string> {
    yield* pushOrder
    for (const typeUrl of this.#types.keys()) if (!pushOrder.includes(typeUrl)) yield typeUrl
  }

  /** In state of the world, what will be removed stays in the first of two complete answers. */
  #withoutRemovals(plan: TypePlan): TypePlan {
    if (this.variant === 'delta' || !plan.state.isComplete) return { ...plan, removed: noNames }
    const target = this.#context.diffs.union(plan.state.base, plan.target)
    return { ...plan, target, removed: noNames }
  }

  #send(plan: TypePlan): void {
    const { diffs } = this.#context
    const { state, target, changed, removed } = plan
    const unresolved = this.#context.knowsAll === false ? noNames : plan.unresolved
    if (this.variant === 'sotw') {
      const resources = state.isComplete ? allOf(state, target, diffs) : changed
      const version = versionFor(state, target, diffs)
      this.#respond(state, { version, resources, removed: noNames })
      return
    }
    // For people who debug; that it says nothing of this client alone lets many share one frame.
    const version = diffs.versionOf(isLayered(target) ? target.shared : target)
    const [own, shared] = splitLayers(target, changed)
    if (shared.length > 0) this.#respond(state, { version, resources: shared, removed: noNames })
    if (own.length + removed.length > 0 || shared.length === 0) {
      const gone = { removed, ...(unresolved !== undefined && { unresolved }) }
      this.#respond(state, { version, resources: own, ...gone })
    }
  }

  #respond(
    state: TypeState,
    content: Pick<ResponseContent, 'version' | 'resources' | 'removed' | 'unresolved'>,
  ): void {
    const { responses, clock, observer } = this.#context
    const { variant } = this
    const { typeUrl } = state
    const response = responses.respond({ variant, typeUrl, ...content }, state.lastSequence)
    const bytes = response.frame.messageBytes + responseOverheadBytes
    const { nonce, sequence } = response
    state.sent({ nonce, sequence, bytes, version: content.version }, clock.nowMs())
    observer.onSent(typeUrl, response.frame.messageBytes)
    if (!this.#stream.send(response.frame)) this.#isFull = true
  }

  #inFlightBytes(): number {
    let sum = 0
    for (const state of this.#types.values()) sum += state.inFlightBytes
    return sum
  }

  #noteConverged(): void {
    if (this.#changedAtMs === undefined || this.#next !== undefined) return
    for (const state of this.#types.values()) if (state.hasUnacknowledged) return
    this.#lastPushMs = this.#context.clock.monotonicMs() - this.#changedAtMs
    this.#changedAtMs = undefined
    this.#context.observer.onConverged(this.#lastPushMs / 1_000)
  }

  #resources(typeUrl: string): ResourceMap {
    return this.#view?.resources(typeUrl) ?? noResources
  }
}

/** Shorter lists are not worth a second response. */
const splitFrom = 32

/** What is this client's own, and what it has in common with its class, where that is much. */
function splitLayers(
  target: ResourceMap,
  changed: readonly EncodedResource[],
): readonly [own: readonly EncodedResource[], shared: readonly EncodedResource[]] {
  if (!isLayered(target) || changed.length < splitFrom) return [changed, noChanges]
  const own = changed.filter((resource) => target.own.has(resource.name))
  if (own.length === 0) return [changed, noChanges]
  return [own, changed.filter((resource) => !target.own.has(resource.name))]
}

/** A virtual host may take a domain from one that goes: said in one breath. */
function isWhole({ state }: TypePlan): boolean {
  return state.typeUrl === typeUrls.virtualHost
}

/** A type that nobody here makes is remembered and left unanswered, as other control planes do. */
function isServed(typeUrl: string, resources: ResourceMap): boolean {
  return resources.size > 0 || pushOrder.includes(typeUrl)
}

function* removalOrder(plans: readonly TypePlan[]): Generator<TypePlan> {
  const order = [typeUrls.listener, typeUrls.route]
  for (const plan of plans) if (order.some((typeUrl) => typeUrl === plan.state.typeUrl)) yield plan
  for (const plan of plans) if (!order.some((typeUrl) => typeUrl === plan.state.typeUrl)) yield plan
}

function identityOf(verdict: TlsPeerVerdict | undefined): TlsPeer | undefined {
  return verdict?.ok === true ? verdict : undefined
}

function healthOf(request: AdsRequest): HealthReport {
  return { isHealthy: request.error === undefined, message: request.error ?? '' }
}

function comesBack(request: AdsRequest): boolean {
  const hasVersion = request.version !== '' && request.nonce === ''
  return hasVersion || Object.keys(request.initialVersions).length > 0
}
