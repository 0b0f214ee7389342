/**
 * The data plane of several threads, behind the same boundary as that of one: every batch goes to all of them, and what
 * they say is put together. Listeners are open when every worker takes connections of them. All run the same code on the
 * same bytes, so that what one refuses they all refuse, unless its surroundings fail one of them: what another has taken
 * is in force then, and the one that refused it serves nobody until it has caught up (worker-catch-up.ts).
 */
import type { Server } from 'node:net'

import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { MeshError } from '../../lib/mesh-error.ts'
import type { Random } from '../../lib/random.ts'
import type {
  ApplyResult,
  CertificateStatus,
  ClusterStatus,
  DataPlane,
  DataPlaneEvents,
  DataPlaneProgress,
  DataPlaneStatus,
  DrainRequest,
  HostCounts,
  HostStatus,
  ListenerStatus,
  WantedNames,
} from '../config/data-plane.ts'
import type { ResourceBatch } from '../config/resource-batch.ts'
import type { OutlierMessage } from '../resilience/outlier-share.ts'
import { GaugeTable, createGaugeBuffers } from '../telemetry/gauge-table.ts'
import {
  countersMaxDefault,
  createCounterBuffer,
  gaugesMaxDefault,
} from '../telemetry/shared-slots.ts'
import type { StatsRegistry } from '../telemetry/stats-registry.ts'
import type { DuplicateDescriptor } from './duplicate-descriptor.ts'
import { ListenBroker } from './listen-broker.ts'
import type { FromWorker, WorkerCall, WorkerCalls, WorkerSetup } from './worker-message.ts'
import { WorkerPlane } from './worker-plane.ts'
import { MergedStats } from './worker-stats.ts'

export interface WorkerGroupOptions {
  readonly workers: number
  readonly setup: Omit<WorkerSetup, 'thread' | 'slots'>
  readonly duplicate: DuplicateDescriptor
  /** Sockets that listen already, by `ip:port` or path. */
  readonly sockets: Map<string, Server | { readonly fd: number }>
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Of the main thread. */
  readonly stats: StatsRegistry
  readonly events: DataPlaneEvents
  /** Everything that is in force, in an order that can be applied. */
  readonly inForce: () => readonly ResourceBatch[]
  readonly onGivenUp: (error: MeshError) => void
}

/** See worker-outlier.ts. */
const leaderThread = 1

export class WorkerGroup implements DataPlane {
  readonly stats: MergedStats
  readonly #options: WorkerGroupOptions
  readonly #broker: ListenBroker
  readonly #gauges: GaugeTable
  readonly #workers: readonly WorkerPlane[]
  readonly #counts
  /** Batches that not all of them have answered yet. */
  readonly #underWay = new Set<ResourceBatch>()
  /** What each worker refers to, by its number. */
  readonly #wanted = new Map<number, WantedNames>()
  /** What dead ones referred to, until their successors have been told everything: it must not be forgotten meanwhile. */
  readonly #wantedBefore = new Map<number, WantedNames>()

  constructor(options: WorkerGroupOptions) {
    this.#options = options
    const { log, sockets, duplicate } = options
    const gauges = createGaugeBuffers({ gaugesMax: gaugesMaxDefault, threads: options.workers + 1 })
    this.#gauges = new GaugeTable(gauges, 0)
    const scope = options.stats.scope({ path: 'server', metric: 'envoy_server', labels: [] })
    this.#counts = {
      deaths: scope.counter('worker_deaths'),
      refusals: scope.counter('worker_replay_failed'),
      serving: scope.gauge('workers_serving'),
      notHanded: scope.counter('connections_not_handed_over'),
    }
    this.#broker = new ListenBroker({
      sockets,
      duplicate,
      clock: options.clock,
      log,
      onNotHanded: () => this.#counts.notHanded.add(1),
    })
    this.stats = new MergedStats({
      own: options.stats,
      workers: () => this.#workers.map((worker) => worker.stats),
      resetWorkers: () => {
        for (const worker of this.#workers) worker.tell({ kind: 'reset-counters' })
      },
    })
    this.#workers = Array.from({ length: options.workers }, (_, index) => {
      const counters = createCounterBuffer(gaugesMaxDefault, countersMaxDefault)
      const slots = { gauges, counters, countersMax: countersMaxDefault }
      return this.#openWorker({ ...options.setup, thread: index + 1, slots })
    })
    this.#counts.serving.set(options.workers)
  }

  /** One of them, at least, has all that is in force. */
  get isServing(): boolean {
    return this.#workers.some((worker) => worker.isServing)
  }

  async apply(batch: ResourceBatch): Promise<ApplyResult> {
    this.#underWay.add(batch)
    const results = await Promise.all(this.#workers.map((worker) => worker.apply(batch)))
    this.#underWay.delete(batch)
    const refused = results.map(
      ({ rejected }) => new Map(rejected.map(({ name, reason }) => [name, reason])),
    )
    const isTaken = (name: string): boolean => refused.some((names) => !names.has(name))
    for (const [index, worker] of this.#workers.entries()) {
      const result = results[index]
      if (result !== undefined) worker.settle(batch, result, isTaken)
    }
    const rejected = [...(refused[0] ?? [])].filter(([name]) => !isTaken(name))
    return { rejected: rejected.map(([name, reason]) => ({ name, reason })) }
  }

  async progress(): Promise<DataPlaneProgress> {
    return mergeProgress(await this.#ask('progress', undefined))
  }

  async status(): Promise<DataPlaneStatus> {
    const all = await this.#ask('status', undefined)
    const [first] = all
    return {
      ...mergeProgress(all),
      clusters: mergeBy(
        all.map(({ clusters }) => clusters),
        addCluster,
      ),
      listeners: mergeBy(
        all.map(({ listeners }) => listeners),
        addListener,
      ),
      warmingClusters: first?.warmingClusters ?? [],
      warmingListeners: first?.warmingListeners ?? [],
    }
  }

  /** They all have the same. */
  async certificates(): Promise<readonly CertificateStatus[]> {
    return (await this.#workers[0]?.call('certificates', undefined)) ?? []
  }

  reopenLogs(): void {
    for (const worker of this.#workers) worker.tell({ kind: 'reopen-logs' })
  }

  /** The main thread listens for all of them. */
  async descriptors(): Promise<ReadonlyMap<string, number>> {
    return this.#broker.descriptors()
  }

  /** First the door, then the workers: what is on its way to one of them is still served. */
  async release(): Promise<void> {
    this.#broker.release()
    await this.#ask('release', undefined)
  }

  failHealthCheck(isFailing: boolean): void {
    for (const worker of this.#workers) worker.tell({ kind: 'fail-health-check', isFailing })
  }

  async drain(request: DrainRequest): Promise<void> {
    await this.#ask('drain', request)
  }

  async close(): Promise<void> {
    this.#broker.close()
    await Promise.all(this.#workers.map((worker) => worker.close()))
  }

  #ask<C extends WorkerCall>(
    name: C,
    input: WorkerCalls[C]['input'],
  ): Promise<WorkerCalls[C]['output'][]> {
    return Promise.all(this.#workers.map((worker) => worker.call(name, input)))
  }

  #openWorker(setup: WorkerSetup): WorkerPlane {
    const { thread } = setup
    const { clock, random, log, onGivenUp, inForce } = this.#options
    const worker: WorkerPlane = new WorkerPlane({
      setup,
      broker: this.#broker,
      onGivenUp,
      onMessage: (message) => this.#onMessage(thread, message),
      onDeath: (reason) => {
        log.error({ thread, reason }, 'worker died')
        this.#counts.deaths.add(1)
        this.stats.keep(worker.stats)
        this.#gauges.bury(thread)
        if (thread === leaderThread) this.#passOn(thread, { kind: 'reset' })
        const wanted = this.#wanted.get(thread)
        // Of one that dies before it is told everything, what its predecessor wanted holds.
        if (wanted !== undefined && !this.#wantedBefore.has(thread)) {
          this.#wantedBefore.set(thread, wanted)
        }
      },
      clock,
      random,
      log,
      inForce: () => [...inForce(), ...this.#underWay],
      onServing: () => this.#noteServing(),
      onRefused: () => this.#counts.refusals.add(1),
      onReplaced: () => {
        log.info({ thread }, 'worker replaced')
        this.#wantedBefore.delete(thread)
        this.#announceWanted()
      },
    })
    return worker
  }

  /** The first worker decides on outliers for all of them. */
  #passOn(thread: number, message: OutlierMessage): void {
    const [leader, ...others] = this.#workers
    const to = thread === leaderThread ? others : [leader]
    for (const worker of to) worker?.tell({ kind: 'outlier', message })
  }

  #onMessage(thread: number, message: FromWorker): void {
    const { events, log } = this.#options
    if (message.kind === 'change') events.onChange()
    else if (message.kind === 'listener-failed') events.onListenerFailed(message.failure)
    else if (message.kind === 'outlier') this.#passOn(thread, message.message)
    else if (message.kind === 'log') {
      log[message.level]({ thread, ...message.fields }, message.message)
    } else if (message.kind === 'wanted') {
      this.#wanted.set(thread, message.wanted)
      this.#announceWanted()
    }
  }

  #announceWanted(): void {
    const all = [...this.#wanted.values(), ...this.#wantedBefore.values()]
    this.#options.events.onWanted(mergeWanted(all))
  }

  #noteServing(): void {
    this.#counts.serving.set(this.#workers.filter((worker) => worker.isServing).length)
  }
}

function mergeProgress(all: readonly DataPlaneProgress[]): DataPlaneProgress {
  return {
    clustersWarm: all.every(({ clustersWarm }) => clustersWarm),
    listenersWarm: all.every(({ listenersWarm }) => listenersWarm),
    wanted: mergeWanted(all.map(({ wanted }) => wanted)),
  }
}

function mergeWanted(all: readonly WantedNames[]): WantedNames {
  const names = (pick: (wanted: WantedNames) => readonly string[]): readonly string[] => [
    ...new Set(all.flatMap(pick)),
  ]
  const secrets = new Map(
    all.flatMap(({ secret }) => secret).map((secret) => [JSON.stringify(secret), secret]),
  )
  return {
    endpoint: names(({ endpoint }) => endpoint),
    route: names(({ route }) => route),
    secret: [...secrets.values()],
    onDemand: {
      routes: names(({ onDemand }) => onDemand.routes),
      hosts: names(({ onDemand }) => onDemand.hosts),
      clusters: names(({ onDemand }) => onDemand.clusters),
    },
  }
}

/** Those of the same name as one; the order is that of the first list. */
function mergeBy<T extends { readonly name: string }>(
  lists: readonly (readonly T[])[],
  add: (one: T, other: T) => T,
): readonly T[] {
  const merged = new Map<string, T>()
  for (const item of lists.flat()) {
    const known = merged.get(item.name)
    merged.set(item.name, known === undefined ? item : add(known, item))
  }
  return [...merged.values()]
}

function addListener(one: ListenerStatus, other: ListenerStatus): ListenerStatus {
  return {
    ...one,
    connectionsActive: one.connectionsActive + other.connectionsActive,
    overflowTotal: one.overflowTotal + other.overflowTotal,
  }
}

function addCluster(one: ClusterStatus, other: ClusterStatus): ClusterStatus {
  const others = new Map(other.hosts.map((host) => [host.addressText, host]))
  return { ...one, hosts: one.hosts.map((host) => addHost(host, others.get(host.addressText))) }
}

/** The first worker decides on outliers, and knows most of them. */
function addHost(one: HostStatus, other: HostStatus | undefined): HostStatus {
  if (other === undefined) return one
  const shown = other.ejectionRemainingMs > one.ejectionRemainingMs ? other : one
  return {
    ...shown,
    isEjected: one.isEjected || other.isEjected,
    stats: addCounts(one.stats, other.stats),
  }
}

function addCounts(one: HostCounts, other: HostCounts): HostCounts {
  return {
    // Gauges that all of them have in common.
    cx_active: one.cx_active,
    cx_connect_fail: one.cx_connect_fail + other.cx_connect_fail,
    cx_total: one.cx_total + other.cx_total,
    rq_active: one.rq_active,
    rq_error: one.rq_error + other.rq_error,
    rq_success: one.rq_success + other.rq_success,
    rq_timeout: one.rq_timeout + other.rq_timeout,
    rq_total: one.rq_total + other.rq_total,
  }
}
