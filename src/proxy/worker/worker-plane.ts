/**
 * The main thread's side of one worker: asks it by message, starts another in its place when it dies, and takes back
 * what the dead one had added to shared numbers.
 *
 * A question that a dead worker owes an answer to is answered as if there were nothing, but for what it was to apply, which
 * its successor is asked to once it has been told everything (worker-catch-up.ts). A worker that dies too often is given
 * up.
 */
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'

import { unreachable } from '../../lib/assert.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { MeshError, describeError } from '../../lib/mesh-error.ts'
import type { Random } from '../../lib/random.ts'
import {
  nothingDemanded,
  type ApplyResult,
  type DataPlaneProgress,
  type DataPlaneStatus,
} from '../config/data-plane.ts'
import type { ResourceBatch } from '../config/resource-batch.ts'
import type { ConnectionTaker, ListenBroker } from './listen-broker.ts'
import { CatchUp } from './worker-catch-up.ts'
import type {
  FromWorker,
  ToWorker,
  WorkerCall,
  WorkerCalls,
  WorkerSetup,
} from './worker-message.ts'
import { WorkerStats } from './worker-stats.ts'

export interface WorkerPlaneOptions {
  readonly setup: WorkerSetup
  readonly broker: ListenBroker
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Everything but what this class deals with itself. */
  readonly onMessage: (message: FromWorker) => void
  /** The worker has ended without being told to; called before its successor starts. */
  readonly onDeath: (reason: string) => void
  /** Everything that is in force, or about to be, for a successor that knows nothing. */
  readonly inForce: () => readonly ResourceBatch[]
  /** It serves now, or does not any more. */
  readonly onServing: () => void
  /** It was told something that is in force, and refused it. */
  readonly onRefused: () => void
  /** The successor has been told everything. */
  readonly onReplaced: () => void
  /** No successor is started. */
  readonly onGivenUp: (error: MeshError) => void
}

/** Deaths of one worker within so long after which it is given up. */
const deathsMax = 5
const deathsWindowMs = 600_000

const entry = new URL(`./worker-thread${extname(import.meta.filename)}`, import.meta.url)

type Output = WorkerCalls[WorkerCall]['output']

interface Pending {
  /** Undefined: it has died. */
  readonly resolve: (output: Output | typeof died) => void
}

const died = Symbol('died')

export class WorkerPlane implements ConnectionTaker {
  stats: WorkerStats
  readonly #options: WorkerPlaneOptions
  readonly #catchUp: CatchUp
  readonly #pending = new Map<number, Pending>()
  #worker: Worker
  #ready: Promise<void>
  #becomeReady: (after?: Promise<void>) => void = () => {}
  #asked = 0
  /** Times of the last deaths. */
  #deaths: readonly number[] = []
  #isClosing = false
  #isGivenUp = false

  constructor(options: WorkerPlaneOptions) {
    this.#options = options
    const { setup, clock, random, log, inForce, onServing, onRefused } = options
    this.#catchUp = new CatchUp({
      thread: setup.thread,
      clock,
      random,
      log,
      inForce,
      ask: (batch) => this.#ask('apply', batch),
      isWarm: async () => {
        const progress = await this.#ask('progress', undefined)
        return progress?.clustersWarm === true && progress.listenersWarm
      },
      onChange: onServing,
      onRefused,
    })
    this.#ready = this.#awaitReady()
    this.stats = this.#openStats()
    this.#worker = this.#start()
  }

  /** It is there, and has everything that is in force. */
  get isServing(): boolean {
    return this.#catchUp.isServing && !this.#isGivenUp
  }

  /** Resolves when the worker, or a successor of it, has answered. */
  async call<C extends WorkerCall>(
    name: C,
    input: WorkerCalls[C]['input'],
  ): Promise<WorkerCalls[C]['output']> {
    await this.#ready
    return (await this.#ask(name, input)) ?? nothing[name]
  }

  /** One after another; one that it dies over is its successor's. */
  apply(batch: ResourceBatch): Promise<ApplyResult> {
    return this.#catchUp.inTurn(async () => {
      for (;;) {
        await this.#ready
        if (this.#isGivenUp || this.#isClosing) return nothing.apply
        const result = await this.#ask('apply', batch)
        if (result !== undefined) return result
      }
    })
  }

  /** All workers have answered what they were to apply. */
  settle(batch: ResourceBatch, result: ApplyResult, isTaken: (name: string) => boolean): void {
    this.#catchUp.settle(batch, result, isTaken)
  }

  /** Before it has been told everything, too. Undefined: it has died. */
  async #ask<C extends WorkerCall>(
    name: C,
    input: WorkerCalls[C]['input'],
  ): Promise<WorkerCalls[C]['output'] | undefined> {
    if (this.#isGivenUp) return undefined
    const id = (this.#asked += 1)
    const { promise, resolve } = Promise.withResolvers<Output | typeof died>()
    this.#pending.set(id, { resolve })
    this.tell({ kind: 'call', id, name, input })
    const output = await promise
    return output === died ? undefined : output
  }

  tell(message: ToWorker): void {
    this.#worker.postMessage(message)
  }

  take(listener: string, descriptor: number): void {
    this.tell({ kind: 'connection', listener, descriptor })
  }

  async close(): Promise<void> {
    this.#isClosing = true
    const ended = new Promise<void>((resolve) => this.#worker.once('exit', () => resolve()))
    this.#catchUp.close()
    await Promise.race([this.#ask('close', undefined), ended])
    await this.#worker.terminate()
  }

  #start(): Worker {
    const worker = new Worker(entry, { workerData: this.#options.setup, name: 'data plane' })
    let reason = 'it ended by itself'
    worker.on('message', (message: FromWorker) => this.#onMessage(message))
    worker.on('error', (error: unknown) => {
      reason = describeError(error)
    })
    worker.once('exit', () => this.#onExit(reason))
    return worker
  }

  #awaitReady(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#becomeReady = (after) => resolve(after)
    return promise
  }

  #openStats(): WorkerStats {
    const { slots } = this.#options.setup
    return new WorkerStats(slots.counters, slots.gauges.cells)
  }

  #onMessage(message: FromWorker): void {
    switch (message.kind) {
      case 'ready':
        void this.#onReady()
        return
      case 'answer':
        this.#pending.get(message.id)?.resolve(message.output)
        this.#pending.delete(message.id)
        return
      case 'listen':
        void this.#listen(message)
        return
      case 'unlisten':
        this.#options.broker.leave(message.listener, this)
        this.tell({ kind: 'unlistened', listener: message.listener })
        return
      case 'stats':
        this.stats.apply(message.change)
        return
      case 'change':
      case 'wanted':
      case 'outlier':
      case 'listener-failed':
      case 'log':
        this.#options.onMessage(message)
        return
      default:
        unreachable(message)
    }
  }

  async #onReady(): Promise<void> {
    const becomeReady = this.#becomeReady
    if (this.#deaths.length > 0) {
      // One that dies over it has been told nothing: its own successor is.
      if (!(await this.#catchUp.replay())) return
      this.#options.onReplaced()
    }
    becomeReady()
  }

  async #listen({ id, listener, address }: Extract<FromWorker, { kind: 'listen' }>): Promise<void> {
    try {
      const bound = await this.#options.broker.join(listener, address, this)
      this.tell({ kind: 'listening', id, result: { ok: true, address: bound } })
    } catch (error) {
      this.tell({ kind: 'listening', id, result: { ok: false, message: describeError(error) } })
    }
  }

  #onExit(reason: string): void {
    const pending = [...this.#pending.values()]
    this.#pending.clear()
    this.#options.broker.forget(this)
    if (!this.#isClosing) this.#replace(reason)
    for (const { resolve } of pending) resolve(died)
  }

  #replace(reason: string): void {
    const nowMs = this.#options.clock.monotonicMs()
    const recent = this.#deaths.filter((deathMs) => nowMs - deathMs < deathsWindowMs)
    this.#deaths = [...recent, nowMs]
    this.#catchUp.lose()
    this.#options.onDeath(reason)
    // What the dead one had counted is kept by whoever heard of its death; its successor begins at zero.
    new Float64Array(this.#options.setup.slots.counters).fill(0)
    this.stats = this.#openStats()
    const becomeReady = this.#becomeReady
    this.#ready = this.#awaitReady()
    // Who waited for the dead one waits for its successor.
    becomeReady(this.#ready)
    if (this.#deaths.length >= deathsMax) {
      this.#isGivenUp = true
      this.#becomeReady()
      const message = `a worker has died ${deathsMax} times in ten minutes: ${reason}`
      this.#options.onGivenUp(
        new MeshError('MESH_WORKER_LOST', message, {
          remedy: 'start the sidecar again, with --concurrency 1 if it comes back',
        }),
      )
      return
    }
    this.#worker = this.#start()
  }
}

const nothing: { readonly [C in WorkerCall]: WorkerCalls[C]['output'] } = {
  apply: { rejected: [] } satisfies ApplyResult,
  progress: emptyProgress(),
  status: {
    ...emptyProgress(),
    clusters: [],
    warmingClusters: [],
    listeners: [],
    warmingListeners: [],
  } satisfies DataPlaneStatus,
  certificates: [],
  drain: undefined,
  release: undefined,
  close: undefined,
}

function emptyProgress(): DataPlaneProgress {
  return {
    clustersWarm: false,
    listenersWarm: false,
    wanted: { endpoint: [], route: [], secret: [], onDemand: nothingDemanded },
  }
}
