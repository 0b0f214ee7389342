/**
 * The ADS client: keeps one stream to a server, says what it wants, and answers each response by ACK or NACK.
 *
 * What was accepted stays in force through NACKs and lost streams. A new stream tells the server the last good
 * versions, so that it sends only what changed meanwhile. Reconnects back off with jitter, and the back-off
 * starts anew once a server has answered. Responses are given to `onUpdate` one after the other, in the order
 * of arrival; while one is being worked on the stream is paused.
 */
import { Backoff } from '../lib/backoff.ts'
import type { Clock, Timer } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { describeError, MeshError } from '../lib/mesh-error.ts'
import type { Random } from '../lib/random.ts'
import { typeNameOf } from './any.ts'
import {
  decodeDeltaResponse,
  decodeSotwResponse,
  type ReceivedResource,
  type ReceivedResponse,
} from './client/received.ts'
import { encodeDeltaRequest, encodeSotwRequest } from './client/request.ts'
import {
  type RejectedResource,
  TypeSubscription,
  type WantedNames,
} from './client/type-subscription.ts'
import { openGrpcStream, type GrpcClientTls } from './grpc/grpc-client.ts'
import { GrpcFrame } from './grpc/grpc-frame.ts'
import { grpcCodes, type GrpcStatus } from './grpc/grpc-status.ts'
import type { GrpcStream } from './grpc/grpc-stream.ts'
import type { Node } from './proto/generated/envoy/config/core/v3/base.ts'
import { pushOrder } from './resource-set.ts'

export type { RejectedResource }

export interface AdsUpdate {
  readonly typeUrl: string
  readonly version: string
  /** What the response holds and we asked for, changed or not. */
  readonly resources: readonly ReceivedResource[]
  /** Gone: named by the server (delta), or left out of a complete answer (LDS and CDS). */
  readonly removed: readonly string[]
  /** Asked for, and nothing stands behind it (virtual hosts on demand). */
  readonly unresolved: readonly string[]
}

export interface AdsClientEvents {
  /** Returns what cannot be accepted; the rest counts as accepted. Must not throw. */
  onUpdate(update: AdsUpdate): readonly RejectedResource[] | Promise<readonly RejectedResource[]>
  /** The server did not answer in time for these names; no names: for a wildcard. */
  onMissing?(typeUrl: string, names: readonly string[]): void
  onConnection?(state: AdsConnection): void
}

export type AdsConnection =
  | { readonly state: 'connecting' }
  /** A response has arrived on this stream. */
  | { readonly state: 'connected' }
  | { readonly state: 'disconnected'; readonly reason: string; readonly retryInMs: number }

export interface AdsClientOptions {
  /** `127.0.0.1:15010`, `host:15010`, `unix:/path` or `/path`. */
  readonly target: string
  /** Asked for each connection, so that a renewed certificate is used. Undefined: plaintext. */
  readonly tls?: () => GrpcClientTls
  /** The service's paths, when it is not the aggregated one: secrets (discovery-service.ts). */
  readonly paths?: { readonly sotw: string; readonly delta: string }
  readonly variant: 'sotw' | 'delta'
  readonly node: Node
  readonly events: AdsClientEvents
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly authority?: string
  readonly metadata?: readonly (readonly [name: string, value: string])[]
  readonly backoffBaseMs?: number
  readonly backoffMaxMs?: number
  /** Envoy's initial_fetch_timeout; 0 = never. */
  readonly missingAfterMs?: number
  readonly connectTimeoutMs?: number
}

export interface AdsTypeStatus {
  readonly typeUrl: string
  readonly acceptedVersion: string
  readonly resources: number
  readonly lastRejection: string | undefined
}

export interface AdsClientStatus {
  readonly connection: AdsConnection
  /** Since when no server has answered; undefined while one does. */
  readonly staleSinceMs: number | undefined
  readonly types: readonly AdsTypeStatus[]
}

const paths = {
  sotw: '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources',
  delta: '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
}

const refusals: ReadonlySet<number> = new Set([
  grpcCodes.invalidArgument,
  grpcCodes.permissionDenied,
  grpcCodes.unauthenticated,
])

/** Connects at once, and again whenever the stream ends, until closed. */
export class AdsClient implements Disposable {
  readonly #options: AdsClientOptions
  readonly #backoff: Backoff
  readonly #types = new Map<string, TypeSubscription>()
  readonly #arrived: { readonly stream: GrpcStream; readonly message: Uint8Array }[] = []
  #stream: GrpcStream | undefined
  #connection: AdsConnection = { state: 'connecting' }
  #staleSinceMs: number | undefined
  #retry: Timer | undefined
  #isFirstRequest = true
  /** Whose answer is being worked on. */
  #undecided: GrpcStream | undefined
  #isWorking = false
  #isFlushing = false
  #isClosed = false

  constructor(options: AdsClientOptions) {
    this.#options = options
    this.#staleSinceMs = options.clock.nowMs()
    this.#backoff = new Backoff({
      baseMs: options.backoffBaseMs ?? 500,
      maxMs: options.backoffMaxMs ?? 30_000,
      random: options.random,
    })
    this.#connect()
  }

  /**
   * Sets all that is wanted of a type; names may stand beside a `*`. Requests of one turn of the event loop are sent
   * together.
   */
  subscribe(typeUrl: string, names: '*' | Iterable<string>): void {
    const wanted: WantedNames = names === '*' ? '*' : new Set(names)
    this.#typeOf(typeUrl).want(wanted)
    if (this.#isFlushing) return
    this.#isFlushing = true
    queueMicrotask(() => {
      this.#isFlushing = false
      this.#flush()
    })
  }

  /** Resources that are no longer kept, of a type whose server gives more than it is asked for. */
  forget(typeUrl: string, names: readonly string[]): void {
    const type = this.#types.get(typeUrl)
    for (const name of names) type?.accepted.delete(name)
  }

  /**
   * What was accepted cannot be put in force after all. The server hears it as a refusal of its last response, and sends the
   * resource again on the next stream.
   */
  reject(typeUrl: string, failure: RejectedResource): void {
    const type = this.#types.get(typeUrl)
    if (type === undefined) return
    // Without a version it is sent again, and with its name it can still be taken back.
    if (type.accepted.has(failure.name)) type.accepted.set(failure.name, '')
    type.isIncomplete = true
    if (this.#stream === undefined || type.nonce === '') return
    type.failed.push(failure)
    if (!this.#isWorking) this.#answerFailed()
  }

  #answerFailed(): void {
    for (const type of this.#types.values()) {
      if (type.failed.length > 0) this.#answer(type, type.nonce, type.failed.splice(0))
    }
  }

  status(): AdsClientStatus {
    const types = [...this.#types.values()].map((type) => ({
      typeUrl: type.typeUrl,
      acceptedVersion: type.acceptedVersion,
      resources: type.accepted.size,
      lastRejection: type.lastRejection,
    }))
    return { connection: this.#connection, staleSinceMs: this.#staleSinceMs, types }
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#retry?.cancel()
    for (const type of this.#types.values()) type.onStreamEnd()
    this.#stream?.end({ code: grpcCodes.cancelled, message: 'the client is closing' })
    this.#stream = undefined
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #typeOf(typeUrl: string): TypeSubscription {
    let type = this.#types.get(typeUrl)
    if (type === undefined) {
      type = new TypeSubscription({
        typeUrl,
        clock: this.#options.clock,
        missingAfterMs: this.#options.missingAfterMs ?? 15_000,
        onMissing: (names) => this.#options.events.onMissing?.(typeUrl, names),
      })
      this.#types.set(typeUrl, type)
    }
    return type
  }

  #connect(): void {
    const { target, variant, clock, authority, metadata, connectTimeoutMs } = this.#options
    this.#setConnection({ state: 'connecting' })
    this.#isFirstRequest = true
    const stream = openGrpcStream({
      target,
      tls: this.#options.tls?.(),
      path: (this.#options.paths ?? paths)[variant],
      clock,
      events: {
        onMessage: (message) => this.#arrive(stream, message),
        onDrain: () => {},
        onClose: (status) => this.#onClose(stream, status),
      },
      ...(authority === undefined ? {} : { authority }),
      ...(metadata === undefined ? {} : { metadata }),
      ...(connectTimeoutMs === undefined ? {} : { connectTimeoutMs }),
    })
    this.#stream = stream
    this.#flush()
  }

  #onClose(stream: GrpcStream, status: GrpcStatus): void {
    if (stream !== this.#stream || this.#isClosed) return
    this.#stream = undefined
    this.#arrived.length = 0
    for (const type of this.#types.values()) type.onStreamEnd()
    this.#staleSinceMs ??= this.#options.clock.nowMs()
    const retryInMs = this.#backoff.nextMs()
    const reason = status.message || `gRPC status ${status.code}`
    const { log, target } = this.#options
    // What is refused stays so until somebody acts.
    if (refusals.has(status.code)) log.error({ target, reason, retryInMs }, 'refused by the server')
    else log.info({ target, reason, retryInMs }, 'ADS stream ended')
    this.#setConnection({ state: 'disconnected', reason, retryInMs })
    this.#retry = this.#options.clock.setTimer(retryInMs, () => this.#connect())
  }

  #setConnection(connection: AdsConnection): void {
    this.#connection = connection
    this.#options.events.onConnection?.(connection)
  }

  /**
   * Sends what the server does not know yet of our wishes. A new stream says what we have, so it waits for the verdict
   * on an answer of the stream before: else the server would never take back what is accepted after that was said.
   */
  #flush(): void {
    if (this.#stream === undefined) return
    if (this.#undecided !== undefined && this.#undecided !== this.#stream) return
    const rank = (typeUrl: string) =>
      (pushOrder.indexOf(typeUrl) + pushOrder.length + 1) % (pushOrder.length + 1)
    const types = [...this.#types.values()].sort((a, b) => rank(a.typeUrl) - rank(b.typeUrl))
    for (const type of types) {
      const isNew = type.told === undefined
      if (isNew && !type.isOpen && type.wanted !== '*' && type.wanted.size === 0) continue
      if (isNew || !isSame(type.told, type.wanted)) this.#request(type)
    }
  }

  #request(type: TypeSubscription, answer?: { nonce: string; error?: string }): void {
    const node = this.#isFirstRequest ? this.#options.node : undefined
    const encode = this.#options.variant === 'sotw' ? encodeSotwRequest : encodeDeltaRequest
    const bytes = encode(type, { node, answer })
    this.#isFirstRequest = false
    type.onRequested()
    this.#stream?.send(new GrpcFrame(bytes))
  }

  #arrive(stream: GrpcStream, message: Uint8Array): void {
    if (stream !== this.#stream) return
    this.#arrived.push({ stream, message })
    if (!this.#isWorking) void this.#work()
  }

  async #work(): Promise<void> {
    this.#isWorking = true
    for (;;) {
      const arrived = this.#arrived.shift()
      if (arrived === undefined || this.#isClosed) break
      await this.#takeSafely(arrived.stream, arrived.message)
      this.#answerFailed()
    }
    this.#isWorking = false
  }

  /** The loop of this connection: what breaks the protocol ends the stream, and a new one is opened. */
  async #takeSafely(stream: GrpcStream, message: Uint8Array): Promise<void> {
    try {
      await this.#take(stream, message)
    } catch (error) {
      const reason = describeError(error)
      this.#options.log.error({ target: this.#options.target, reason }, 'ADS stream broken')
      stream.end({ code: grpcCodes.internal, message: reason })
    }
  }

  async #take(stream: GrpcStream, message: Uint8Array): Promise<void> {
    const response = this.#decode(message)
    if (this.#connection.state !== 'connected') {
      this.#backoff.reset()
      this.#staleSinceMs = undefined
      this.#setConnection({ state: 'connected' })
    }
    const type = this.#types.get(response.typeUrl)
    // Never asked for: nothing to say about it.
    if (type === undefined) return
    type.nonce = response.nonce
    const { update, faults } = this.#sift(type, response)
    type.onReceived(update.resources, update.removed)
    const verdict = this.#options.events.onUpdate(update)
    const settle = (decided: readonly RejectedResource[]) => {
      const all = [...faults, ...decided]
      this.#accept(type, update, all)
      return all
    }
    const isLater = verdict instanceof Promise
    const refused = isLater ? await this.#later(stream, verdict, settle) : settle(verdict)
    if (stream === this.#stream) {
      this.#answer(type, response.nonce, [...refused, ...type.failed.splice(0)])
    }
    this.#flush()
  }

  /** Nothing more is read until it is settled, and a stream that takes this one's place says nothing. */
  async #later<T, R>(stream: GrpcStream, value: Promise<T>, settle: (value: T) => R): Promise<R> {
    this.#undecided = stream
    stream.pause()
    try {
      return settle(await value)
    } finally {
      this.#undecided = undefined
      stream.resume()
    }
  }

  #decode(message: Uint8Array): ReceivedResponse {
    try {
      return this.#options.variant === 'sotw'
        ? decodeSotwResponse(message)
        : decodeDeltaResponse(message)
    } catch (cause) {
      throw new MeshError('MESH_XDS_PROTOCOL', 'decode a discovery response', { cause })
    }
  }

  /** Leaves out what nobody asked for, and finds what breaks the protocol. */
  #sift(type: TypeSubscription, response: ReceivedResponse) {
    const faults: RejectedResource[] = []
    const resources = new Map<string, ReceivedResource>()
    for (const resource of response.resources) {
      const { name } = resource
      if (typeNameOf(resource.typeUrl) !== typeNameOf(type.typeUrl)) {
        faults.push({ name, reason: `has type ${typeNameOf(resource.typeUrl)}` })
      } else if (resources.has(name)) {
        faults.push({ name, reason: 'is twice in one response' })
      } else if (type.wants(name)) {
        resources.set(name, resource)
      }
    }
    const isComplete = this.#options.variant === 'sotw' && type.isComplete
    const removed = isComplete
      ? [...type.accepted.keys()].filter((name) => !resources.has(name))
      : response.removed.filter((name) => type.wants(name))
    const update: AdsUpdate = {
      typeUrl: type.typeUrl,
      version: response.version,
      resources: [...resources.values()],
      removed,
      unresolved: response.unresolved,
    }
    return { update, faults }
  }

  #accept(type: TypeSubscription, update: AdsUpdate, refused: readonly RejectedResource[]): void {
    const refusedNames = new Set(refused.map((resource) => resource.name))
    for (const { name, version } of update.resources) {
      if (!refusedNames.has(name) && type.wants(name)) type.accepted.set(name, version)
    }
    for (const name of update.removed) if (!refusedNames.has(name)) type.accepted.delete(name)
    if (refused.length > 0) return
    type.acceptedVersion = update.version
    type.isIncomplete = false
  }

  #answer(type: TypeSubscription, nonce: string, refused: readonly RejectedResource[]): void {
    const reasons = refused.map(({ name, reason }) => `${name}: ${reason}`)
    const error = reasons.length === 0 ? undefined : reasons.join('; ')
    type.lastRejection = error
    if (error !== undefined) {
      this.#options.log.warn({ typeUrl: type.typeUrl, reason: error }, 'ADS response refused')
    }
    this.#request(type, error === undefined ? { nonce } : { nonce, error })
  }
}

function isSame(a: WantedNames | undefined, b: WantedNames): boolean {
  if (a === b) return true
  if (a === undefined || a === '*' || b === '*') return false
  return a.size === b.size && [...a].every((name) => b.has(name))
}
