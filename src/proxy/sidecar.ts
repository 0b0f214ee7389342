/**
 * The composition root of a sidecar: builds everything in order and passes everything by argument.
 *
 * An instance, not a process: one process may hold many, and nothing here is at module level. Start-up follows Envoy:
 * static clusters, the first answer of CDS with its endpoints, then listeners; `/ready` says LIVE when the first
 * listeners serve. Without an ADS server `openSidecar` returns a sidecar that serves; with one it returns at once, and
 * `ready` tells.
 */
import { hostname } from 'node:os'

import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { MeshError, describeError } from '../lib/mesh-error.ts'
import type { Random } from '../lib/random.ts'
import type { AdsClientStatus } from '../xds/ads-client.ts'
import { Cluster } from '../xds/proto/generated/envoy/config/cluster/v3/cluster.ts'
import { Listener } from '../xds/proto/generated/envoy/config/listener/v3/listener.ts'
import { Secret } from '../xds/proto/generated/envoy/extensions/transport_sockets/tls/v3/secret.ts'
import { typeUrls } from '../xds/resource-set.ts'
import { type AdminServer, openAdminServer } from './admin/admin-server.ts'
import type { ServerState } from './admin/server-page.ts'
import { sidecarPages } from './admin/sidecar-pages.ts'
import { type Resolve, systemResolve } from './cluster/resolver.ts'
import { AdsSession } from './config/ads-session.ts'
import { secretSources } from './config/bootstrap-scope.ts'
import {
  type BootstrapConfig,
  type BootstrapText,
  invalid,
  parseBootstrap,
} from './config/bootstrap.ts'
import type {
  DataPlane,
  DataPlaneEvents,
  DataPlaneProgress,
  DataPlaneStatus,
  Rejection,
  WantedNames,
} from './config/data-plane.ts'
import { type ListenSockets, takeFrom } from './config/listener-table.ts'
import { LocalDataPlane } from './config/local-data-plane.ts'
import type { ResourceBytes } from './config/resource-batch.ts'
import { ResourceStore } from './config/resource-store.ts'
import { SdsSessions } from './config/sds-sessions.ts'
import { closeHandedOver } from './listener/listen.ts'
import { OverloadManager, overloadLimitsDefault } from './overload/overload-manager.ts'
import type { OverloadLimits } from './overload/overload-plan.ts'
import { processGauges } from './overload/process-gauges.ts'
import { adminKey } from './take-over/message.ts'
import { Succession } from './take-over/succession.ts'
import { createServerStats } from './telemetry/server-stats.ts'
import { createSlots } from './telemetry/shared-slots.ts'
import { ShownStats } from './telemetry/shown-stats.ts'
import { StatsRegistry, type StatsView } from './telemetry/stats-registry.ts'
import { type WireKind, chooseWire } from './wire/choose-wire.ts'
import type { HandleInternals } from './wire/node-handle.ts'
import {
  type DuplicateDescriptor,
  descriptorOf,
  openDuplicate,
} from './worker/duplicate-descriptor.ts'
import { WorkerGroup } from './worker/worker-group.ts'

export interface OpenSidecarOptions {
  readonly bootstrap: BootstrapText
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Threads that carry traffic; 1 (the default) is the main thread itself. */
  readonly concurrency?: number
  /** Names to addresses; the system's resolver unless said otherwise. */
  readonly resolve?: Resolve
  /** Sockets that listen already, by the `ip:port` or path of the listener that takes them. */
  readonly listenSockets?: ListenSockets
  /** How long removed listeners, and `/drain_listeners?graceful`, drain. Envoy's default: 600 s. */
  readonly drainTimeMs?: number
  /** Of `/drain_listeners?graceful`; Envoy's default: gradual. */
  readonly drainStrategy?: 'gradual' | 'immediate'
  /** What it bears of its own accord, before the bootstrap's keys `tulle.overload.…` and the defaults. */
  readonly overload?: Partial<OverloadLimits>
  /** What carries bytes: libuv's handles where they work (the default), or only `net.Socket`. */
  readonly wire?: WireKind
  readonly version?: string
  /**
   * Unix socket at which sidecars follow each other: takes over from the one that offers itself there, and offers itself
   * to the next. Absent: neither.
   */
  readonly takeOverPath?: string
  /** The next one has taken over; `retired` resolves when what is open here has ended, and this sidecar is closed. */
  readonly onReplaced?: (retired: Promise<void>) => void
  /** POST /quitquitquit; without it the sidecar closes itself. */
  readonly onQuit?: () => void
}

export interface SidecarStatus extends DataPlaneStatus {
  readonly state: ServerState
  /** Undefined without an ADS server. */
  readonly ads: AdsClientStatus | undefined
}

export interface Sidecar extends AsyncDisposable {
  /** `127.0.0.1:port` or `unix:/path`; undefined when the bootstrap has no admin. */
  readonly adminAddress: string | undefined
  /** Resolves when the first configuration serves; rejects when a static listener cannot be opened. */
  readonly ready: Promise<void>
  readonly stats: StatsView
  status(): Promise<SidecarStatus>
  /**
   * `/ready` fails, connections are told, listeners stop accepting, what is in flight ends, inbound first; resolves when
   * idle, or at the deadline, by which everything has ended.
   */
  drain(deadlineMs: number): Promise<void>
  close(): Promise<void>
}

export async function openSidecar(options: OpenSidecarOptions): Promise<Sidecar> {
  const bootstrap = parseBootstrap(options.bootstrap)
  for (const warning of bootstrap.warnings) options.log.warn({ warning }, 'bootstrap')
  const { wire = 'handles', concurrency = 1, clock, log } = options
  const duplicate = concurrency === 1 ? undefined : await openDuplicate()
  const handles =
    duplicate === undefined ? await chooseWire({ wanted: wire, clock, log }) : undefined
  const { takeOverPath: path, version = 'unknown' } = options
  const succession =
    path === undefined ? undefined : await Succession.begin({ path, version, clock, log })
  const sidecar = new RunningSidecar(options, { bootstrap, handles, duplicate, succession })
  try {
    await sidecar.open()
  } catch (error) {
    await sidecar.close()
    throw error
  }
  return sidecar
}

const drainTimeDefaultMs = 600_000
/** Of a drain's time, what goes by while connections are still accepted. */
const toldMsMax = 1_000

interface SidecarParts {
  readonly bootstrap: BootstrapConfig
  readonly handles: HandleInternals | undefined
  /** Hands connections to workers; undefined: the main thread carries the traffic. */
  readonly duplicate: DuplicateDescriptor | undefined
  readonly succession: Succession | undefined
}

/** `own`, with what the sidecar before this one still counts, as the bootstrap wants them shown. */
function shownStats(own: StatsView, { bootstrap, succession }: SidecarParts): StatsView {
  const stats = succession?.joinStats(own) ?? own
  const { statsPolicy } = bootstrap
  return statsPolicy === undefined ? stats : new ShownStats(stats, statsPolicy)
}

class RunningSidecar implements Sidecar {
  readonly stats: StatsView
  readonly #ownStats = new StatsRegistry(createSlots())
  readonly #options: OpenSidecarOptions
  readonly #bootstrap: BootstrapConfig
  readonly #plane: DataPlane
  readonly #store: ResourceStore
  /** Of the main thread's data plane; workers have their own. */
  readonly #overload: OverloadManager | undefined
  readonly #succession: Succession | undefined
  /** Those that no listener has taken yet. */
  readonly #listenSockets: ListenSockets
  readonly #startedMs: number
  readonly #changed: (() => void)[] = []
  #ads: AdsSession | undefined
  #sds: SdsSessions | undefined
  #admin: AdminServer | undefined
  #phase: 'PRE_INITIALIZING' | 'INITIALIZING' | 'LIVE' = 'PRE_INITIALIZING'
  #isDraining = false
  #isFailingHealthCheck = false
  #closing: Promise<void> | undefined
  ready: Promise<void> = Promise.resolve()

  constructor(options: OpenSidecarOptions, parts: SidecarParts) {
    const { bootstrap, handles } = parts
    this.#options = options
    this.#bootstrap = bootstrap
    const { clock, random, log } = options
    this.#startedMs = clock.nowMs()
    const { duplicate, succession } = parts
    this.#succession = succession
    this.#listenSockets = succession?.sockets ?? options.listenSockets ?? new Map()
    createServerStats(this.#ownStats, {
      concurrency: options.concurrency ?? 1,
      epoch: succession?.epoch ?? 0,
      parentStatsDropped: () => succession?.parentStatsDropped ?? 0,
      state: () => this.#state,
      hasStarted: () => this.#phase === 'LIVE',
      uptimeMs: () => clock.nowMs() - this.#startedMs,
      memory: () => process.memoryUsage(),
    })
    const events = {
      onWanted: (wanted: WantedNames) => this.#onWanted(wanted),
      onChange: () => this.#onChange(),
      onListenerFailed: (failure: Rejection) => {
        log.error({ listener: failure.name, reason: failure.reason }, 'listener not opened')
        this.#store.noteFailure(typeUrls.listener, failure)
        this.#ads?.reject(typeUrls.listener, failure)
      },
    }
    if (duplicate !== undefined) {
      const group = this.#openWorkers(duplicate, events)
      this.#plane = group
      this.stats = shownStats(group.stats, parts)
      this.#store = new ResourceStore(clock, [group])
      return
    }
    const plane = new LocalDataPlane({
      clock,
      random,
      log,
      stats: this.#ownStats,
      resolve: options.resolve ?? systemResolve,
      compileScope: {
        random,
        hostname: hostname(),
        runtime: bootstrap.runtime,
        secrets: secretSources(bootstrap),
      },
      takeSocket: takeFrom(this.#listenSockets),
      drainTimeMs: options.drainTimeMs ?? drainTimeDefaultMs,
      handles,
      events,
    })
    this.#plane = plane
    this.stats = shownStats(this.#ownStats, parts)
    this.#store = new ResourceStore(clock, [plane])
    this.#overload = new OverloadManager({
      overload: plane.runtime.overload,
      plan: bootstrap.overload,
      limits: {
        ...overloadLimitsDefault,
        ...bootstrap.runtime.overloadLimits,
        ...options.overload,
      },
      clock,
      log,
      stats: this.#ownStats,
      gauges: processGauges,
    })
  }

  #openWorkers(duplicate: DuplicateDescriptor, events: DataPlaneEvents): WorkerGroup {
    const { concurrency = 1, wire = 'handles', log, ...options } = this.#options
    return new WorkerGroup({
      workers: concurrency,
      setup: {
        bootstrap: options.bootstrap,
        hostname: hostname(),
        drainTimeMs: options.drainTimeMs ?? drainTimeDefaultMs,
        wire,
        overload: options.overload ?? {},
        logLevel: log.level,
      },
      duplicate,
      sockets: this.#listenSockets,
      clock: options.clock,
      random: options.random,
      log,
      stats: this.#ownStats,
      events,
      inForce: () => this.#store.batches(),
      onGivenUp: (error) => {
        log.error({ error: describeError(error) }, 'sidecar cannot go on')
        options.onQuit?.()
        void this.close()
      },
    })
  }

  get adminAddress(): string | undefined {
    return this.#admin?.address
  }

  get #state(): ServerState {
    if (this.#isDraining || this.#isFailingHealthCheck) return 'DRAINING'
    // It had begun to serve, and is about to again.
    if (this.#phase === 'LIVE' && !this.#plane.isServing) return 'INITIALIZING'
    return this.#phase
  }

  async open(): Promise<void> {
    // Until then the old one answers there.
    if (this.#succession?.isTakingOver !== true) await this.#openAdmin()
    this.#openSds()
    await this.#applyStatic(typeUrls.secret)
    await this.#applyStatic(typeUrls.cluster)
    this.#phase = 'INITIALIZING'
    if (this.#bootstrap.ads === undefined) {
      await this.#until((status) => status.clustersWarm)
      await this.#applyStatic(typeUrls.listener)
      await this.#until((status) => status.listenersWarm)
      await this.#becomeLive()
      return
    }
    this.#openAds()
    this.ready = this.#startDynamic()
    this.ready.catch((error: unknown) => {
      this.#options.log.error({ error: describeError(error) }, 'sidecar did not start')
    })
  }

  async status(): Promise<SidecarStatus> {
    const plane = await this.#plane.status()
    return { ...plane, state: this.#state, ads: this.#ads?.status() }
  }

  async drain(deadlineMs: number): Promise<void> {
    this.#isDraining = true
    await this.#leaveToOld()
    const { clock } = this.#options
    const endMs = clock.monotonicMs() + deadlineMs
    const leftMs = (): number => Math.max(0, endMs - clock.monotonicMs())
    // Clients that keep a connection are told while it serves them, before the door closes.
    const toldMs = Math.min(toldMsMax, deadlineMs / 4)
    const told = { strategy: 'gradual', deadlineMs: toldMs, keepAccepting: true } as const
    // What comes in may need to call out, so the outbound side stays open until the inbound side is idle.
    await Promise.all([
      this.#plane.drain({ ...told, atDeadline: 'nothing', inboundOnly: false }),
      this.#plane.drain({ ...told, atDeadline: 'stop-accepting', inboundOnly: true }),
    ])
    // At once, not gradually: an idle connection that stays would hold up the end until the deadline.
    const rest = { strategy: 'immediate', atDeadline: 'cut' } as const
    await this.#plane.drain({ ...rest, deadlineMs: leftMs(), inboundOnly: true })
    await this.#plane.drain({ ...rest, deadlineMs: leftMs(), inboundOnly: false })
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    this.#isDraining = true
    await this.#leaveToOld()
    this.#succession?.close()
    this.#overload?.close()
    this.#ads?.close()
    this.#sds?.close()
    await this.#plane.close()
    await this.#admin?.close()
  }

  /** The end of one that has not taken over yet must not touch what the old one serves: paths of Unix sockets, above all. */
  async #leaveToOld(): Promise<void> {
    if (this.#succession?.isTakingOver === true) await this.#plane.release()
  }

  async #startDynamic(): Promise<void> {
    const { cdsInitialFetchTimeoutMs: cds, ldsInitialFetchTimeoutMs: lds } = this.#bootstrap
    if (cds !== undefined) {
      this.#ads?.subscribeAll(typeUrls.cluster)
      await this.#awaitFirst(typeUrls.cluster, cds)
    }
    await this.#until((status) => status.clustersWarm)
    await this.#applyStatic(typeUrls.listener)
    if (lds !== undefined) {
      this.#ads?.subscribeAll(typeUrls.listener)
      await this.#awaitFirst(typeUrls.listener, lds)
    }
    await this.#until((status) => status.listenersWarm)
    await this.#becomeLive()
  }

  async #awaitFirst(typeUrl: string, timeoutMs: number): Promise<void> {
    const outcome = await this.#ads?.firstAnswer(typeUrl, timeoutMs)
    if (outcome === 'timed-out' && this.#succession?.isTakingOver === true) {
      throw new MeshError(
        'MESH_TAKE_OVER_FAILED',
        `no answer from the control plane within ${timeoutMs} ms: the old sidecar goes on`,
      )
    }
    if (outcome === 'timed-out') {
      this.#options.log.warn({ typeUrl, timeoutMs }, 'no answer from the control plane in time')
    }
  }

  async #becomeLive(): Promise<void> {
    if (this.#succession?.isTakingOver === true) await this.#replace(this.#succession)
    else await this.#offer()
    this.#phase = 'LIVE'
    this.#options.log.info({ admin: this.adminAddress }, 'sidecar is live')
  }

  async #replace(succession: Succession): Promise<void> {
    const { admin } = this.#bootstrap
    const adopt = admin && succession.takeAdmin(admin.address)
    // At another address than the old one's it is opened while that one could still go on.
    if (adopt === undefined) await this.#openAdmin()
    await succession.confirm()
    try {
      if (adopt !== undefined) await this.#openAdmin(adopt)
      await this.#offer()
    } catch (error) {
      // The old one has let go: this one carries the traffic, whatever else it cannot do.
      const { log } = this.#options
      log.error({ error: describeError(error) }, 'take-over: the next one cannot take over')
    }
  }

  async #offer(): Promise<void> {
    await this.#succession?.offer({
      descriptors: () => this.#descriptors(),
      release: () => this.#release(),
      onReleased: () => this.#onReplaced(),
      stats: this.stats,
    })
  }

  async #descriptors(): Promise<ReadonlyMap<string, number>> {
    const found = new Map(await this.#plane.descriptors())
    for (const [key, socket] of this.#listenSockets) {
      const descriptor = 'fd' in socket ? socket.fd : descriptorOf(socket)
      if (descriptor !== undefined) found.set(key, descriptor)
    }
    const descriptor = this.#admin?.descriptor
    const { admin } = this.#bootstrap
    if (admin !== undefined && descriptor !== undefined) {
      found.set(adminKey(admin.address), descriptor)
    }
    return found
  }

  async #release(): Promise<void> {
    for (const socket of this.#listenSockets.values()) {
      if (!('fd' in socket) && socket.listening) closeHandedOver(socket)
    }
    this.#admin?.release()
    await this.#plane.release()
  }

  #onReplaced(): void {
    this.#isDraining = true
    const retired = this.#retire()
    this.#options.log.info({ epoch: this.#succession?.epoch }, 'another process has taken over')
    this.#options.onReplaced?.(retired)
  }

  /** Envoy's drain time, in which connections are told, and half of it again until they are cut (parent shutdown). */
  async #retire(): Promise<void> {
    const { drainTimeMs: deadlineMs = drainTimeDefaultMs } = this.#options
    const all = { inboundOnly: false } as const
    await this.#plane.drain({ ...all, deadlineMs, strategy: 'gradual', atDeadline: 'nothing' })
    const cut = { strategy: 'immediate', atDeadline: 'cut' } as const
    await this.#plane.drain({ ...all, ...cut, deadlineMs: deadlineMs / 2 })
    await this.close()
  }

  #openAds(): void {
    const { ads: target } = this.#bootstrap
    if (target === undefined) return
    const { clock, random, log } = this.#options
    const store = this.#store
    const node = nodeOf(this.#bootstrap.node, this.#succession?.epoch ?? 0)
    this.#ads = new AdsSession({ target, node, store, clock, random, log, stats: this.#ownStats })
    void this.#plane.progress().then(({ wanted }) => this.#onWanted(wanted))
  }

  #openSds(): void {
    const { servers, node } = this.#bootstrap
    const { clock, random, log } = this.#options
    const store = this.#store
    this.#sds = new SdsSessions({ servers, node, store, clock, random, log, stats: this.#ownStats })
  }

  #onWanted(wanted: WantedNames): void {
    this.#ads?.want(wanted)
    this.#sds?.want(wanted.secret)
  }

  #onChange(): void {
    const waiting = this.#changed.splice(0)
    for (const resolve of waiting) resolve()
  }

  /** Resolves when the data plane says so; looks again after each of its changes. */
  async #until(condition: (progress: DataPlaneProgress) => boolean): Promise<void> {
    for (;;) {
      const changed = new Promise<void>((resolve) => this.#changed.push(resolve))
      if (condition(await this.#plane.progress())) return
      await changed
    }
  }

  /** Resources of the bootstrap: what is refused there ends the start. */
  async #applyStatic(typeUrl: string): Promise<void> {
    const { kind, resources } = this.#staticResources(typeUrl)
    const update = { typeUrl, resources, removed: [] }
    const rejected = await this.#store.update(update, 'static')
    if (rejected.length === 0) return
    const reasons = rejected.map(({ name, reason }) => {
      const index = resources.findIndex((resource) => resource.name === name)
      const path = `static_resources.${kind}[${index}]`
      return `${this.#bootstrap.placeOf(path)}: ${path} ${name}: ${reason}`
    })
    throw invalid(reasons)
  }

  #staticResources(typeUrl: string): { kind: string; resources: readonly ResourceBytes[] } {
    const {
      clusters = [],
      listeners = [],
      secrets = [],
    } = this.#bootstrap.message.staticResources ?? {}
    switch (typeUrl) {
      case typeUrls.secret:
        return { kind: 'secrets', resources: encoded(secrets, Secret) }
      case typeUrls.listener:
        return { kind: 'listeners', resources: encoded(listeners, Listener) }
      default:
        return { kind: 'clusters', resources: encoded(clusters, Cluster) }
    }
  }

  async #openAdmin(adopt?: { readonly fd: number }): Promise<void> {
    const { admin, message } = this.#bootstrap
    if (admin === undefined) return
    const { clock, log } = this.#options
    const plane = this.#plane
    const pages = sidecarPages({
      clock,
      bootstrap: message,
      startedMs: this.#startedMs,
      store: this.#store,
      plane,
      stats: this.stats,
      log,
      version: this.#options.version ?? 'unknown',
      concurrency: this.#options.concurrency ?? 1,
      drainTimeMs: this.#options.drainTimeMs ?? drainTimeDefaultMs,
      state: () => this.#state,
      uptimeMs: () => clock.nowMs() - this.#startedMs,
      memory: () => process.memoryUsage(),
      failHealthCheck: (isFailing) => {
        this.#isFailingHealthCheck = isFailing
        plane.failHealthCheck(isFailing)
      },
      drainStrategy: this.#options.drainStrategy ?? 'gradual',
      drain: (request) => void plane.drain(request),
      quit: this.#options.onQuit ?? (() => void this.close()),
    })
    this.#admin = await openAdminServer({ address: admin, pages, log, adopt })
  }
}

/** The control plane sees a second stream of one node, and is told that it is meant. */
function nodeOf(node: BootstrapConfig['node'], epoch: number): BootstrapConfig['node'] {
  return epoch === 0 ? node : { ...node, metadata: { ...node.metadata, TAKE_OVER_EPOCH: epoch } }
}

function encoded<T extends { readonly name: string }>(
  messages: readonly T[],
  codec: { encode(message: T): { finish(): Uint8Array } },
): readonly ResourceBytes[] {
  return messages.map((message) => ({
    name: message.name,
    version: '',
    value: codec.encode(message).finish(),
  }))
}
