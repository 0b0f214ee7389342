/**
 * Discovery services: streams of both variants, each kept at the newest view of its client's class. Aggregated
 * (ADS), or of one type (SDS).
 *
 * A change is debounced (push-schedule.ts) and then offered to all streams in turn, in slices with a pause for
 * requests between them, so that a thousand clients never hold up the event loop. Resources are encoded once and
 * responses framed once for all streams that are owed the same.
 */
import type { Clock, Timer } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { describeError, MeshError } from '../lib/mesh-error.ts'
import type { Random } from '../lib/random.ts'
import {
  openGrpcServer,
  type GrpcMethods,
  type GrpcServer,
  type ListenAddress,
} from './grpc/grpc-server.ts'
import { grpcCodes } from './grpc/grpc-status.ts'
import type { GrpcServerStream, GrpcStreamEvents } from './grpc/grpc-stream.ts'
import type { ResourceView, StreamNode, ViewSource } from './resource-set.ts'
import {
  AdsStream,
  type AdsObserver,
  type HealthReport,
  type StreamContext,
} from './server/ads-stream.ts'
import { NameSets } from './server/name-sets.ts'
import { WarmingIndex } from './server/plan.ts'
import { PushSchedule } from './server/push-schedule.ts'
import { ResourceDiffs } from './server/resource-diff.ts'
import { ResponseFactory, type AdsVariant } from './server/response.ts'
import type { StreamStatus } from './server/stream-status.ts'

/** Envoy's SDS: streams of secrets alone. */
export const secretPaths = {
  sotw: '/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets',
  delta: '/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets',
} as const

export const adsPaths = {
  sotw: '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources',
  delta: '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
} as const

/** Told of the life of each stream. `onOpen` may throw MeshError to refuse a client (PERMISSION_DENIED). */
export interface AdsHooks {
  onOpen?(stream: AdsStream, node: StreamNode): void
  onClose?(stream: AdsStream, node: StreamNode): void
  onHealth?(stream: AdsStream, report: HealthReport): void
}

export interface DiscoveryServiceOptions {
  /** `adsPaths`, or those of a service with one type of resource. */
  readonly paths: { readonly sotw: string; readonly delta: string }
  readonly source: ViewSource
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly hooks?: AdsHooks
  readonly observer?: Partial<AdsObserver>
  readonly debounce?: {
    readonly leadingMs?: number
    readonly quietMs?: number
    readonly waitMsMax?: number
  }
  /** Sent to one client and not acknowledged: beyond this the newest view waits. */
  readonly bytesInFlightMax?: number
  /**
   * How long after the start a client that comes back with versions keeps what it has: for a server that has lost who
   * was there, and would take away what is about to come back. Clients that are new are answered at once. 0: not at all.
   */
  readonly holdReturningMs?: number
}

export interface AdsServerOptions extends Omit<DiscoveryServiceOptions, 'paths'> {
  readonly listen: ListenAddress
  readonly streamsMax?: number
  readonly keepaliveMs?: number
}

/** One service of discovery, to be served by any number of gRPC servers. */
export interface DiscoveryService extends Disposable {
  readonly methods: GrpcMethods
  statuses(): StreamStatus[]
  status(id: number): StreamStatus | undefined
  /** Names of one type that any client has asked for. */
  asked(typeUrl: string): Iterable<string>
  /** Ends one client's stream with UNAVAILABLE; it will come back. */
  disconnect(id: number, reason: string): void
}

export interface AdsServer extends AsyncDisposable {
  readonly address: string
  /** Streams that have said who they are. */
  statuses(): StreamStatus[]
  status(id: number): StreamStatus | undefined
  /** Ends one client's stream with UNAVAILABLE; it will come back. */
  disconnect(id: number, reason: string): void
  close(): Promise<void>
}

/** How long streams are served before other work gets its turn. */
const sliceMs = 10

export function createDiscoveryService(options: DiscoveryServiceOptions): DiscoveryService {
  const streams = new AdsStreams(options)
  const { paths } = options
  return {
    methods: {
      [paths.sotw]: (stream) => streams.open('sotw', stream),
      [paths.delta]: (stream) => streams.open('delta', stream),
    },
    statuses: () => streams.all().flatMap((stream) => stream.status() ?? []),
    status: (id) => streams.get(id)?.status(),
    asked: (typeUrl) => streams.all().flatMap((stream) => [...stream.namesOf(typeUrl)]),
    disconnect: (id, reason) => streams.get(id)?.end(grpcCodes.unavailable, reason),
    [Symbol.dispose]: () => streams.stop(),
  }
}

/** ADS alone on a plaintext port. Rejections: MeshError MESH_LISTEN_FAILED. */
export async function openAdsServer(options: AdsServerOptions): Promise<AdsServer> {
  const service = createDiscoveryService({ ...options, paths: adsPaths })
  const { listen, clock, log, streamsMax, keepaliveMs } = options
  const grpc = await openGrpcServer({
    listen,
    clock,
    log,
    methods: service.methods,
    ...(streamsMax === undefined ? {} : { streamsMax }),
    ...(keepaliveMs === undefined ? {} : { keepaliveMs }),
  })
  return new RunningServer(grpc, service)
}

class RunningServer implements AdsServer {
  readonly address: string
  readonly #grpc: GrpcServer
  readonly #service: DiscoveryService

  constructor(grpc: GrpcServer, service: DiscoveryService) {
    this.address = grpc.address
    this.#grpc = grpc
    this.#service = service
  }

  statuses(): StreamStatus[] {
    return this.#service.statuses()
  }

  status(id: number): StreamStatus | undefined {
    return this.#service.status(id)
  }

  disconnect(id: number, reason: string): void {
    this.#service.disconnect(id, reason)
  }

  close(): Promise<void> {
    this.#service[Symbol.dispose]()
    return this.#grpc.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

class AdsStreams {
  readonly #options: DiscoveryServiceOptions
  readonly #streams = new Map<number, AdsStream>()
  readonly #context: StreamContext
  readonly #schedule: PushSchedule
  readonly #watch: Disposable
  #lastId = 0
  #hold: Timer | undefined

  constructor(options: DiscoveryServiceOptions) {
    this.#options = options
    const { clock, holdReturningMs = 0 } = options
    if (holdReturningMs > 0) this.#hold = clock.setTimer(holdReturningMs, () => this.#release())
    const diffs = new ResourceDiffs()
    // Nonces of another run of this server must not look like ours.
    const noncePrefix = `${Math.floor(options.random() * 36 ** 4).toString(36)}-`
    this.#context = {
      diffs,
      responses: new ResponseFactory(diffs, noncePrefix),
      warming: new WarmingIndex(),
      nameSets: new NameSets(),
      clock: options.clock,
      log: options.log,
      bytesInFlightMax: options.bytesInFlightMax ?? 8 << 20,
      isHolding: () => this.#hold !== undefined,
      prepare: (node) => options.source.prepare?.(node),
      join: (stream, node) => this.#join(stream, node),
      viewOf: (stream, node) => options.source.viewOf(node, stream.demand),
      reportHealth: (stream, report) => options.hooks?.onHealth?.(stream, report),
      observer: { onSent() {}, onRejected() {}, onConverged() {}, ...options.observer },
    }
    const push = (changedAtMs: number) => this.#pushAll(changedAtMs)
    this.#schedule = new PushSchedule({ clock: options.clock, push, ...options.debounce })
    this.#watch = options.source.onChange(() => this.#schedule.changed())
  }

  all(): AdsStream[] {
    return [...this.#streams.values()]
  }

  get(id: number): AdsStream | undefined {
    return this.#streams.get(id)
  }

  open(variant: AdsVariant, stream: GrpcServerStream): GrpcStreamEvents {
    const { verdict } = stream
    const parts = { stream, verdict, context: this.#context }
    const opened = new AdsStream(++this.#lastId, variant, parts)
    this.#streams.set(opened.id, opened)
    return {
      onMessage: (bytes) => opened.onMessage(bytes),
      onDrain: () => opened.onDrain(),
      onClose: () => this.#close(opened),
    }
  }

  #release(): void {
    this.#hold = undefined
    for (const stream of this.all()) this.#guard(stream, () => stream.release())
  }

  stop(): void {
    this.#hold?.cancel()
    this.#watch[Symbol.dispose]()
    this.#schedule.stop()
  }

  #join(stream: AdsStream, node: StreamNode): ResourceView {
    this.#options.log.info(
      { node: node.id, peer: stream.peer, variant: stream.variant },
      'client joined',
    )
    this.#options.hooks?.onOpen?.(stream, node)
    return this.#options.source.viewOf(node, stream.demand)
  }

  #close(stream: AdsStream): void {
    stream.onClose()
    this.#streams.delete(stream.id)
    if (stream.node === undefined) return
    this.#options.log.info({ node: stream.node.id, peer: stream.peer }, 'client left')
    this.#options.hooks?.onClose?.(stream, stream.node)
  }

  async #pushAll(changedAtMs: number): Promise<void> {
    const { clock } = this.#options
    let sliceStartMs = clock.monotonicMs()
    for (const stream of this.all()) {
      this.#pushOne(stream, changedAtMs)
      if (clock.monotonicMs() - sliceStartMs < sliceMs) continue
      await new Promise((resolve) => setImmediate(resolve))
      sliceStartMs = clock.monotonicMs()
    }
  }

  #pushOne(stream: AdsStream, changedAtMs: number): void {
    const { node } = stream
    if (node === undefined) return
    this.#guard(stream, () =>
      stream.offer(this.#options.source.viewOf(node, stream.demand), changedAtMs),
    )
  }

  /** The connection's loop: a client that cannot be served loses its stream, and the others go on. */
  #guard(stream: AdsStream, serve: () => void): void {
    const { node } = stream
    if (node === undefined || !this.#streams.has(stream.id)) return
    try {
      serve()
    } catch (error) {
      this.#options.log.error({ node: node.id, error: describeError(error) }, 'push failed')
      const isOurs = error instanceof MeshError
      stream.end(grpcCodes.internal, isOurs ? error.message : 'the push failed')
    }
  }
}
