/**
 * A thread that carries traffic: a data plane of its own behind the same boundary as the main thread's, told by messages
 * what to do. It listens to nothing and talks to no control plane; both are the main thread's.
 */
import { Socket } from 'node:net'
import { parentPort, workerData, type MessagePort } from 'node:worker_threads'

import { invariant, unreachable } from '../../lib/assert.ts'
import { systemClock } from '../../lib/clock.ts'
import type { Log, LogFields } from '../../lib/log.ts'
import { MeshError, describeError } from '../../lib/mesh-error.ts'
import { systemRandom } from '../../lib/random.ts'
import { systemResolve } from '../cluster/resolver.ts'
import { secretSources } from '../config/bootstrap-scope.ts'
import { parseBootstrap } from '../config/bootstrap.ts'
import type { ListenerPlan } from '../config/listener-plan.ts'
import { LocalDataPlane } from '../config/local-data-plane.ts'
import { OverloadManager, overloadLimitsDefault } from '../overload/overload-manager.ts'
import { processGauges } from '../overload/process-gauges.ts'
import { createSlots } from '../telemetry/shared-slots.ts'
import { type StatPlace, StatsRegistry } from '../telemetry/stats-registry.ts'
import { chooseWire } from '../wire/choose-wire.ts'
import { HandedServer } from './handed-server.ts'
import type {
  FromWorker,
  ListenResult,
  ToWorker,
  WorkerCall,
  WorkerCalls,
  WorkerSetup,
} from './worker-message.ts'
import { WorkerOutlierShare } from './worker-outlier.ts'

class WorkerThread {
  readonly #port: MessagePort
  readonly #stats: StatsRegistry
  readonly #plane: LocalDataPlane
  readonly #overload: OverloadManager
  readonly #outliers: WorkerOutlierShare
  readonly #servers = new Map<string, HandedServer>()
  readonly #asked = new Map<number, (result: ListenResult) => void>()
  #changes: (StatPlace | string)[] = []
  #askedTotal = 0

  static async start(port: MessagePort, setup: WorkerSetup): Promise<void> {
    const log = portLog(port, setup.logLevel)
    const handles = await chooseWire({ wanted: setup.wire, clock: systemClock, log })
    const thread = new WorkerThread(port, setup, { log, handles })
    port.on('message', (message: ToWorker) => thread.#onMessage(message))
    thread.#tell({ kind: 'ready' })
  }

  private constructor(
    port: MessagePort,
    setup: WorkerSetup,
    parts: { readonly log: Log; readonly handles: Awaited<ReturnType<typeof chooseWire>> },
  ) {
    const { log, handles } = parts
    this.#port = port
    this.#stats = new StatsRegistry(createSlots(setup.slots, setup.thread), {
      onAdded: (place) => this.#noteStat(place),
      onRemoved: (name) => this.#noteStat(name),
    })
    this.#outliers = new WorkerOutlierShare({
      thread: setup.thread,
      slots: this.#stats.slots,
      send: (outlier) => this.#tell({ kind: 'outlier', message: outlier }),
    })
    const bootstrap = parseBootstrap(setup.bootstrap)
    this.#plane = new LocalDataPlane({
      clock: systemClock,
      random: systemRandom,
      log,
      stats: this.#stats,
      resolve: systemResolve,
      compileScope: {
        random: systemRandom,
        hostname: setup.hostname,
        runtime: bootstrap.runtime,
        secrets: secretSources(bootstrap),
      },
      takeSocket: (listener) => this.#takeSocket(listener),
      drainTimeMs: setup.drainTimeMs,
      handles,
      outlierShare: this.#outliers,
      events: {
        onWanted: (wanted) => this.#tell({ kind: 'wanted', wanted }),
        onChange: () => this.#tell({ kind: 'change' }),
        onListenerFailed: (failure) => this.#tell({ kind: 'listener-failed', failure }),
      },
    })
    this.#overload = new OverloadManager({
      overload: this.#plane.runtime.overload,
      plan: bootstrap.overload,
      limits: { ...overloadLimitsDefault, ...bootstrap.runtime.overloadLimits, ...setup.overload },
      clock: systemClock,
      log,
      stats: this.#stats,
      gauges: processGauges,
    })
  }

  #tell(message: FromWorker): void {
    this.#port.postMessage(message)
  }

  #onMessage(message: ToWorker): void {
    switch (message.kind) {
      case 'call':
        void this.#answer(message.id, message.name, message.input)
        return
      case 'listening':
        this.#asked.get(message.id)?.(message.result)
        this.#asked.delete(message.id)
        return
      case 'connection':
        this.#onConnection(message.listener, message.descriptor)
        return
      case 'outlier':
        this.#outliers.receive(message.message)
        return
      case 'unlistened':
        // One of the same name may have been opened since.
        if (this.#servers.get(message.listener)?.listening === false) {
          this.#servers.delete(message.listener)
        }
        return
      case 'reopen-logs':
        this.#plane.reopenLogs()
        return
      case 'fail-health-check':
        this.#plane.failHealthCheck(message.isFailing)
        return
      case 'reset-counters':
        this.#stats.resetCounters()
        return
      default:
        unreachable(message)
    }
  }

  #onConnection(listener: string, fd: number): void {
    const server = this.#servers.get(listener)
    if (server === undefined) new Socket({ fd }).destroy()
    else server.hand(fd)
  }

  async #answer(
    id: number,
    name: WorkerCall,
    input: WorkerCalls[WorkerCall]['input'],
  ): Promise<void> {
    const output = await this.#call(name, input)
    this.#flushStats()
    this.#tell({ kind: 'answer', id, output })
  }

  #call(name: WorkerCall, input: unknown): Promise<WorkerCalls[WorkerCall]['output']> {
    const plane = this.#plane
    switch (name) {
      // What a call is asked with is checked where it is made (worker-plane.ts).
      case 'apply':
        return plane.apply(input as WorkerCalls['apply']['input'])
      case 'status':
        return plane.status()
      case 'progress':
        return plane.progress()
      case 'certificates':
        return plane.certificates()
      case 'drain':
        return plane.drain(input as WorkerCalls['drain']['input']).then(() => undefined)
      case 'release':
        return plane.release().then(() => undefined)
      case 'close':
        this.#overload.close()
        return plane.close().then(() => undefined)
      default:
        return unreachable(name)
    }
  }

  /** The main thread listens; what it accepts comes as descriptors under the same name. */
  async #takeSocket({
    name,
    address,
    bindToPort,
  }: Pick<ListenerPlan, 'name' | 'address' | 'bindToPort'>): Promise<HandedServer | undefined> {
    if (!bindToPort) return undefined
    // A listener that moves to another address has two sockets for a while.
    const listener = `${name} ${JSON.stringify(address)}`
    const id = (this.#askedTotal += 1)
    const { promise, resolve } = Promise.withResolvers<ListenResult>()
    this.#asked.set(id, resolve)
    // Made now: connections may come before this function goes on.
    const server = new HandedServer(address, () => this.#tell({ kind: 'unlisten', listener }))
    this.#servers.set(listener, server)
    this.#tell({ kind: 'listen', id, listener, address })
    const result = await promise
    if (result.ok) {
      server.bound = result.address
      return server
    }
    this.#servers.delete(listener)
    throw new MeshError('MESH_LISTEN_FAILED', result.message)
  }

  /** Once a turn: a thousand clusters come with fifty thousand stats. */
  #noteStat(change: StatPlace | string): void {
    this.#changes.push(change)
    if (this.#changes.length === 1) setImmediate(() => this.#flushStats())
  }

  #flushStats(): void {
    const change = this.#changes
    if (change.length === 0) return
    this.#changes = []
    this.#tell({ kind: 'stats', change })
  }
}

/** The process has one log, which is the main thread's. */
function portLog(port: MessagePort, level: string, own: LogFields = {}): Log {
  const ranks = ['debug', 'info', 'warn', 'error']
  const lowest = level === 'trace' ? 0 : ranks.indexOf(level)
  const at =
    (rank: 'debug' | 'info' | 'warn' | 'error') =>
    (fields: LogFields, message: string): void => {
      if (lowest < 0 || ranks.indexOf(rank) < lowest) return
      const line = { kind: 'log', level: rank, fields: { ...own, ...fields }, message } as const
      try {
        port.postMessage(line satisfies FromWorker)
      } catch (error) {
        // A field that cannot be cloned must not cost the line.
        const text = `${message}: ${describeError(error)}`
        port.postMessage({ ...line, fields: {}, message: text } satisfies FromWorker)
      }
    }
  return {
    level,
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => portLog(port, level, { ...own, ...fields }),
  }
}

invariant(parentPort, 'this file is the start of a worker thread')
await WorkerThread.start(parentPort, workerData as WorkerSetup)
