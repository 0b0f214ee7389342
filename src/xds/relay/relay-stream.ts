/**
 * One local stream of the relay and what stands behind it: the control plane, or the cache while that does not
 * answer.
 *
 * Frames pass in both directions with back-pressure. When the upstream stream ends, so does the local one: its
 * client comes back with the versions that it has, and nothing is sent twice. When the upstream cannot be had
 * and there is a cache, the requests so far are answered from it, and a probe looks for the control plane; once
 * that answers, the local stream is ended so that its client comes back to it.
 */
import { Backoff } from '../../lib/backoff.ts'
import type { Clock, Timer } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Random } from '../../lib/random.ts'
import { openGrpcStream, type GrpcClientTls } from '../grpc/grpc-client.ts'
import { GrpcFrame } from '../grpc/grpc-frame.ts'
import { grpcCodes, type GrpcStatus } from '../grpc/grpc-status.ts'
import type { GrpcStream, GrpcStreamEvents } from '../grpc/grpc-stream.ts'
import { typeUrls } from '../resource-set.ts'
import { decodeRequest } from '../server/ads-request.ts'
import { AdsStream, type HealthReport, type StreamContext } from '../server/ads-stream.ts'
import { NameSets } from '../server/name-sets.ts'
import { WarmingIndex } from '../server/plan.ts'
import { ResourceDiffs } from '../server/resource-diff.ts'
import { ResponseFactory, type AdsVariant } from '../server/response.ts'
import type { RelayCache } from './relay-cache.ts'
import { RelayRecord } from './relay-record.ts'
import { healthRequest, probeRequest, withNode, type RelayNode } from './relay-request.ts'

export type RelayState = 'connecting' | 'connected' | 'cached' | 'closed'

export interface RelayStreamOptions {
  readonly variant: AdsVariant
  readonly path: string
  readonly upstream: string
  /** Asked for each connection, so that a renewed certificate is used. Undefined: plaintext. */
  readonly upstreamTls: (() => GrpcClientTls) | undefined
  readonly node: RelayNode
  readonly cache: RelayCache | undefined
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** A control plane that takes the connection and does not even answer a ping for so long does not count as there. */
  readonly answerTimeoutMs: number
  readonly onState: (state: RelayState, reason: string) => void
}

/** Requests that are kept until the upstream has answered. */
const keptRequestsMax = 256

export class RelayStream implements GrpcStreamEvents {
  readonly record: RelayRecord
  readonly #options: RelayStreamOptions
  readonly #local: GrpcStream
  readonly #kept: Uint8Array[] = []
  readonly #backoff: Backoff
  #upstream: GrpcStream | undefined
  #cached: AdsStream | undefined
  #state: RelayState = 'connecting'
  #timer: Timer | undefined
  #probe: GrpcStream | undefined
  #health: HealthReport | undefined
  #hasAsked = false
  #isAnswered = false

  constructor(local: GrpcStream, options: RelayStreamOptions, health: HealthReport | undefined) {
    this.#local = local
    this.#options = options
    this.#health = health
    this.record = new RelayRecord(options.variant, options.cache)
    this.#backoff = new Backoff({ baseMs: 500, maxMs: 10_000, random: options.random })
    this.#connect()
  }

  reportHealth(report: HealthReport): void {
    this.#health = report
    if (this.#hasAsked && this.#upstream !== undefined) this.#sendHealth()
  }

  /** The client of the local stream comes back at once, with the versions that it has, and gets a new way upstream. */
  reopen(reason: string): void {
    // Any other state opens its next connection by itself.
    if (this.#state === 'connected')
      this.#local.end({ code: grpcCodes.unavailable, message: reason })
  }

  close(): void {
    this.#local.end({ code: grpcCodes.unavailable, message: 'the agent is stopping' })
  }

  onMessage(bytes: Uint8Array): void {
    const { variant } = this.#options
    const request = withNode(variant, bytes, this.#node())
    this.record.onRequest(decodeRequest(variant, bytes))
    const isUndecided = !this.#isAnswered && this.#cached === undefined
    if (isUndecided && this.#kept.length < keptRequestsMax) this.#kept.push(request)
    if (this.#cached !== undefined) {
      this.#cached.onMessage(request)
      return
    }
    if (this.#upstream?.send(new GrpcFrame(request)) === false) this.#local.pause()
    if (!this.#hasAsked) {
      this.#hasAsked = true
      this.#sendHealth()
    }
  }

  /** The agent's own words, and what the sidecar had asked for by name before: it starts with that. */
  #node(): RelayNode {
    const { node, cache } = this.#options
    const kept = [...(cache?.resources(typeUrls.virtualHost).values() ?? [])]
    const hosts = kept.flatMap(({ aliases = [] }) => aliases)
    if (hosts.length === 0) return node
    return { ...node, metadata: { ...node.metadata, ON_DEMAND_HOSTS: hosts } }
  }

  onDrain(): void {
    this.#upstream?.resume()
    this.#cached?.onDrain()
  }

  onClose(): void {
    this.#setState('closed', 'the sidecar closed its stream')
    this.#timer?.cancel()
    for (const stream of [this.#upstream, this.#probe]) {
      stream?.end({ code: grpcCodes.cancelled, message: 'the sidecar closed its stream' })
    }
  }

  #setState(state: RelayState, reason: string): void {
    if (this.#state === 'closed') return
    this.#state = state
    this.#options.onState(state, reason)
  }

  #connect(): void {
    const { upstream, path, clock, answerTimeoutMs } = this.#options
    this.#options.onState('connecting', '')
    const stream: GrpcStream = openGrpcStream({
      target: upstream,
      tls: this.#options.upstreamTls?.(),
      path,
      clock,
      events: {
        onAlive: () => this.#onAlive(stream),
        onMessage: (bytes) => this.#onAnswer(stream, bytes),
        onDrain: () => this.#local.resume(),
        onClose: (status) => this.#onUpstreamClose(stream, status),
      },
    })
    this.#upstream = stream
    this.#timer = clock.setTimer(answerTimeoutMs, () => {
      const message = `no answer within ${answerTimeoutMs} ms`
      if (this.#options.cache?.isEmpty === false) {
        stream.end({ code: grpcCodes.deadlineExceeded, message })
      }
    })
  }

  /** To a client that has everything already a server need not say a word. */
  #onAlive(stream: GrpcStream): void {
    if (stream !== this.#upstream || this.#state !== 'connecting') return
    this.#timer?.cancel()
    this.#setState('connected', '')
  }

  #onAnswer(stream: GrpcStream, bytes: Uint8Array): void {
    if (stream !== this.#upstream) return
    this.#onAlive(stream)
    this.#isAnswered = true
    this.#kept.length = 0
    this.record.onResponse(bytes)
    if (!this.#local.send(new GrpcFrame(bytes))) stream.pause()
  }

  #onUpstreamClose(stream: GrpcStream, status: GrpcStatus): void {
    if (stream !== this.#upstream) return
    this.#timer?.cancel()
    this.#upstream = undefined
    if (this.#state === 'closed') return
    const reason = `control plane ${this.#options.upstream}: ${status.message}`
    const { cache } = this.#options
    // A refusal is an answer: it is not covered up by what was kept.
    const isRefused =
      status.code !== grpcCodes.unavailable && status.code !== grpcCodes.deadlineExceeded
    if (!this.#isAnswered && cache?.isEmpty === false && !isRefused) {
      this.#serveFromCache(cache, reason)
    } else {
      const code = isRefused && status.code !== grpcCodes.ok ? status.code : grpcCodes.unavailable
      this.#setState('closed', reason)
      this.#local.end({ code, message: reason })
    }
  }

  #serveFromCache(cache: RelayCache, reason: string): void {
    const { variant, log } = this.#options
    log.warn({ reason }, 'sidecar runs on kept resources: the control plane does not answer')
    this.#setState('cached', reason)
    const context = cacheContext(cache, this.#options)
    this.#cached = new AdsStream(0, variant, { stream: this.#local, context })
    for (const request of this.#kept.splice(0)) this.#cached.onMessage(request)
    this.#probeLater()
  }

  #probeLater(): void {
    this.#timer = this.#options.clock.setTimer(this.#backoff.nextMs(), () => this.#openProbe())
  }

  /** Any answer means that the control plane is back. */
  #openProbe(): void {
    const { upstream, path, clock, variant, answerTimeoutMs } = this.#options
    const end = (message: string) => probe.end({ code: grpcCodes.cancelled, message })
    const timer = clock.setTimer(answerTimeoutMs, () => end('no answer'))
    const probe: GrpcStream = openGrpcStream({
      target: upstream,
      tls: this.#options.upstreamTls?.(),
      path,
      clock,
      events: {
        onMessage: () => {
          const message = 'the control plane is back'
          this.#local.end({ code: grpcCodes.unavailable, message })
          end(message)
        },
        onDrain: () => {},
        onClose: () => {
          timer.cancel()
          this.#probe = undefined
          if (this.#state === 'cached') this.#probeLater()
        },
      },
    })
    this.#probe = probe
    const self = this.#cached?.node
    if (self === undefined) return
    const [kept = '*'] = this.#options.cache?.resources(typeUrls.cluster).keys() ?? []
    probe.send(new GrpcFrame(probeRequest(variant, self, kept)))
  }

  #sendHealth(): void {
    if (this.#health === undefined) return
    this.#upstream?.send(new GrpcFrame(healthRequest(this.#options.variant, this.#health)))
  }
}

/** The server's own state machine, over what was kept. */
function cacheContext(cache: RelayCache, options: RelayStreamOptions): StreamContext {
  const diffs = new ResourceDiffs()
  const view = cache.view()
  const noncePrefix = `cache-${Math.floor(options.random() * 36 ** 4).toString(36)}-`
  return {
    diffs,
    responses: new ResponseFactory(diffs, noncePrefix),
    warming: new WarmingIndex(),
    nameSets: new NameSets(),
    clock: options.clock,
    log: options.log,
    bytesInFlightMax: 8 << 20,
    isHolding: () => false,
    // What is not kept may well exist.
    knowsAll: false,
    join: () => view,
    viewOf: () => view,
    reportHealth: () => {},
    observer: { onSent() {}, onRejected() {}, onConverged() {} },
  }
}
