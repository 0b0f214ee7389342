/**
 * Our own sidecar of a workload, through its upgrades.
 *
 * It begins in the agent's process, which costs one Node and not two. At an upgrade a process of its own takes over from
 * it, and from that one the next, at a socket in the workload's state folder; the one before drains and ends. The agent
 * stays: it is the parent of the application, holds its key and its place in the mesh, and no other process could take
 * that over (docs/decisions/0016-take-over.md).
 */
import type { Server } from 'node:net'
import { dirname } from 'node:path'

import type { Clock } from '../lib/clock.ts'
import { MeshError } from '../lib/mesh-error.ts'
import type { Sidecar } from '../proxy/sidecar.ts'
import type { EarlyConnections } from './early-connections.ts'
import { ProcessGroup } from './process/process-group.ts'
import type { OpenSidecarOptions, WorkloadSidecar } from './sidecar.ts'
import { agentSocketPath } from './socket-path.ts'
import { threadsOf } from './thread-count.ts'

/** From the start of the new process until it serves; its configuration comes from the relay beside it. */
const upgradeMsMax = 30_000
const stopGraceMs = 1_000
/** The one before says that it has let go a moment after it was asked to, when the new one may have died already. */
const letGoMsMax = 1_000

export class OwnSidecar implements WorkloadSidecar {
  readonly #options: OpenSidecarOptions
  /** The one in this process; closed by itself once another has taken over and what was open has ended. */
  #first: Sidecar | undefined
  readonly #listenSockets: ReadonlyMap<string, Server>
  readonly #early: EarlyConnections
  /** The newest, and those that still drain. */
  readonly #groups = new Set<ProcessGroup>()
  #newest: ProcessGroup | undefined
  #upgrade: Upgrade | undefined
  #isClosing = false

  constructor(
    options: OpenSidecarOptions,
    listenSockets: ReadonlyMap<string, Server>,
    early: EarlyConnections,
  ) {
    this.#options = options
    this.#early = early
    this.#listenSockets = listenSockets
  }

  async open(openFirst: (events: { readonly onReplaced: () => void }) => Promise<Sidecar>) {
    this.#first = await openFirst({ onReplaced: () => this.#upgrade?.letGo() })
    return this.#first
  }

  async upgrade(command: readonly string[]): Promise<void> {
    if (this.#upgrade !== undefined) throw failed('another upgrade is under way')
    const upgrade = new Upgrade()
    this.#upgrade = upgrade
    try {
      const group = await this.#start(command)
      const outcome = await this.#awaitLive(group, upgrade)
      if (outcome === 'live') this.#newest = group
      else await this.#fail(group, upgrade, outcome)
    } finally {
      this.#upgrade = undefined
    }
  }

  /** Before the take-over nothing has changed. After it nobody listens any more, and the workload cannot go on. */
  async #fail(group: ProcessGroup, upgrade: Upgrade, outcome: string): Promise<never> {
    await group.stop(stopGraceMs)
    if (!(await upgrade.hasLetGo(this.#options.clock, letGoMsMax))) throw failed(outcome)
    const message = `${outcome}; it had taken over, so that nobody listens any more`
    const error = new MeshError('MESH_TAKE_OVER_FAILED', message, {
      remedy: 'the workload ends, and is started again where `tulle up` runs it',
    })
    this.#options.onFailure(error)
    throw error
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosing = true
    await Promise.all([
      this.#first?.[Symbol.asyncDispose](),
      ...[...this.#groups].map((group) => group.stop(stopGraceMs)),
    ])
    this.#early[Symbol.dispose]()
    // Those that no listener has ever taken.
    for (const server of this.#listenSockets.values()) if (server.listening) server.close()
  }

  async #start(command: readonly string[]): Promise<ProcessGroup> {
    const { plan, bootstrapFile, env, log, reaper, clock } = this.#options
    const { drainTimeMs } = plan.proxy
    const flags = {
      '--config-path': bootstrapFile,
      '--take-over': agentSocketPath(plan.stateFolder, 'take-over.sock'),
      '--concurrency': String(threadsOf(plan.proxy)),
      '--drain-time-s': String(Math.ceil(drainTimeMs / 1_000)),
      '--log-level': sidecarLevels.has(log.level) ? log.level : 'warn',
    }
    const group = await ProcessGroup.start({
      command: [...command, 'sidecar', ...Object.entries(flags).flat()],
      cwd: dirname(bootstrapFile),
      env,
      // Its access log goes to standard output; by the channel it says that it serves, and learns when we have died.
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      reaper,
      clock,
    })
    group.child.on('error', () => {
      // Its end says the same.
    })
    group.child.on('message', (message: unknown) => {
      if (eventOf(message) === 'sidecar-replaced') this.#upgrade?.letGo()
    })
    this.#groups.add(group)
    void this.#watch(group)
    return group
  }

  /** Or why it does not live. */
  #awaitLive(group: ProcessGroup, upgrade: Upgrade): Promise<string> {
    const { clock, log } = this.#options
    return new Promise((resolve) => {
      const timer = clock.setTimer(upgradeMsMax, () => {
        if (!upgrade.isLetGo) {
          resolve(`the new sidecar did not serve within ${upgradeMsMax / 1_000} s`)
          return
        }
        log.warn({}, 'the new sidecar has taken over, and does not say that it is live')
        resolve('live')
      })
      const finish = (outcome: string): void => {
        timer.cancel()
        resolve(outcome)
      }
      group.child.on('message', (message: unknown) => {
        if (eventOf(message) === 'sidecar-live') finish('live')
      })
      void group.exited.then(({ code }) =>
        finish(`the new sidecar ended with code ${code}; its own lines say why`),
      )
    })
  }

  async #watch(group: ProcessGroup): Promise<void> {
    const { code } = await group.exited
    this.#groups.delete(group)
    // One that was replaced ends by itself, and so does one that never served.
    if (this.#isClosing || group !== this.#newest) return
    const message = `the sidecar's process ended with code ${code}`
    this.#options.onFailure(new MeshError('MESH_COMMAND_FAILED', message))
  }
}

/** One take-over: whether the sidecar before has let go of what it listened on. */
class Upgrade {
  isLetGo = false
  readonly #done = Promise.withResolvers<void>()

  letGo(): void {
    this.isLetGo = true
    this.#done.resolve()
  }

  async hasLetGo(clock: Clock, waitMs: number): Promise<boolean> {
    const timer = Promise.withResolvers<void>()
    const waiting = clock.setTimer(waitMs, timer.resolve)
    await Promise.race([this.#done.promise, timer.promise])
    waiting.cancel()
    return this.isLetGo
  }
}

function eventOf(message: unknown): unknown {
  return typeof message === 'object' && message !== null && 'event' in message
    ? message.event
    : undefined
}

const sidecarLevels: ReadonlySet<string> = new Set(['debug', 'info', 'warn', 'error', 'silent'])

function failed(reason: string): MeshError {
  return new MeshError('MESH_TAKE_OVER_FAILED', reason, {
    remedy: 'the old sidecar goes on',
  })
}
