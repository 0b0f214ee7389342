/**
 * The main thread's side of one worker: asks it by message, starts another in its place when it dies, and takes back
 * what the dead one had added to shared numbers.
 *
 * A question that a dead worker owes an answer to is answered as if there were nothing: its successor is told everything
 * again (`replay`) before it is asked anything, so nothing is lost. A worker that dies too often is given up.
 */
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'

import { unreachable } from '../../lib/assert.ts'
import { MeshError, describeError } from '../../lib/mesh-error.ts'
import {
  nothingDemanded,
  type ApplyResult,
  type DataPlaneProgress,
  type DataPlaneStatus,
} from '../config/data-plane.ts'
import type { ConnectionTaker, ListenBroker } from './listen-broker.ts'
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
  /** Everything but what this class deals with itself. */
  readonly onMessage: (message: FromWorker) => void
  /** The worker has ended without being told to; called before its successor starts. */
  readonly onDeath: (reason: string) => void
  /** A successor is there and knows nothing yet. */
  readonly replay: () => Promise<void>
  /** No successor is started. */
  readonly onGivenUp: (error: MeshError) => void
}

/** Deaths of one worker after which it is given up. */
const deathsMax = 5

const entry = new URL(`./worker-thread${extname(import.meta.filename)}`, import.meta.url)

interface Pending {
  readonly name: WorkerCall
  readonly resolve: (output: WorkerCalls[WorkerCall]['output']) => void
}

export class WorkerPlane implements ConnectionTaker {
  stats: WorkerStats
  readonly #options: WorkerPlaneOptions
  readonly #pending = new Map<number, Pending>()
  #worker: Worker
  #ready: Promise<void>
  #becomeReady: () => void = () => {}
  #asked = 0
  #deaths = 0
  #isClosing = false

  constructor(options: WorkerPlaneOptions) {
    this.#options = options
    this.#ready = this.#awaitReady()
    this.stats = this.#openStats()
    this.#worker = this.#start()
  }

  /** Resolves when the worker, or a successor of it, has answered. */
  async call<C extends WorkerCall>(
    name: C,
    input: WorkerCalls[C]['input'],
  ): Promise<WorkerCalls[C]['output']> {
    await this.#ready
    return this.callNow(name, input)
  }

  /** The same before it has been told everything: for `replay`. */
  callNow<C extends WorkerCall>(
    name: C,
    input: WorkerCalls[C]['input'],
  ): Promise<WorkerCalls[C]['output']> {
    const id = (this.#asked += 1)
    const { promise, resolve } = Promise.withResolvers<WorkerCalls[WorkerCall]['output']>()
    this.#pending.set(id, { name, resolve })
    this.tell({ kind: 'call', id, name, input })
    return promise
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
    await Promise.race([this.callNow('close', undefined), ended])
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
    this.#becomeReady = resolve
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
    if (this.#deaths > 0) await this.#options.replay()
    this.#becomeReady()
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
    for (const { name, resolve } of pending) resolve(nothing[name])
  }

  #replace(reason: string): void {
    this.#deaths += 1
    this.#options.onDeath(reason)
    // What the dead one had counted is kept by whoever heard of its death; its successor begins at zero.
    new Float64Array(this.#options.setup.slots.counters).fill(0)
    this.stats = this.#openStats()
    this.#ready = this.#awaitReady()
    if (this.#deaths >= deathsMax) {
      const message = `a worker has died ${this.#deaths} times: ${reason}`
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
