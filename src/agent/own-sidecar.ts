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

import { MeshError } from '../lib/mesh-error.ts'
import type { Sidecar } from '../proxy/sidecar.ts'
import { ProcessGroup } from './process/process-group.ts'
import type { OpenSidecarOptions, WorkloadSidecar } from './sidecar.ts'
import { agentSocketPath } from './socket-path.ts'

/** From the start of the new process until it serves; its configuration comes from the relay beside it. */
const upgradeMsMax = 30_000
const stopGraceMs = 1_000

export class OwnSidecar implements WorkloadSidecar {
  readonly #options: OpenSidecarOptions
  /** The one in this process; closed by itself once another has taken over and what was open has ended. */
  readonly #first: Sidecar
  readonly #listenSockets: ReadonlyMap<string, Server>
  /** The newest, and those that still drain. */
  readonly #groups = new Set<ProcessGroup>()
  #newest: ProcessGroup | undefined
  #isUpgrading = false
  #isClosing = false

  constructor(
    options: OpenSidecarOptions,
    first: Sidecar,
    listenSockets: ReadonlyMap<string, Server>,
  ) {
    this.#options = options
    this.#first = first
    this.#listenSockets = listenSockets
  }

  async upgrade(command: readonly string[]): Promise<void> {
    if (this.#isUpgrading) throw failed('another upgrade is under way')
    this.#isUpgrading = true
    try {
      const group = await this.#start(command)
      const outcome = await this.#awaitLive(group)
      if (outcome !== 'live') {
        await group.stop(stopGraceMs)
        throw failed(outcome)
      }
      this.#newest = group
    } finally {
      this.#isUpgrading = false
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosing = true
    await Promise.all([
      this.#first[Symbol.asyncDispose](),
      ...[...this.#groups].map((group) => group.stop(stopGraceMs)),
    ])
    // Those that no listener has ever taken.
    for (const server of this.#listenSockets.values()) if (server.listening) server.close()
  }

  async #start(command: readonly string[]): Promise<ProcessGroup> {
    const { plan, bootstrapFile, env, log, reaper, clock } = this.#options
    const { concurrency = 1, drainTimeMs } = plan.proxy
    const flags = {
      '--config-path': bootstrapFile,
      '--take-over': agentSocketPath(plan.stateFolder, 'take-over.sock'),
      '--concurrency': String(concurrency),
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
    this.#groups.add(group)
    void this.#watch(group)
    return group
  }

  /** Or why it does not live. */
  #awaitLive(group: ProcessGroup): Promise<string> {
    const { clock } = this.#options
    return new Promise((resolve) => {
      const timer = clock.setTimer(upgradeMsMax, () => {
        resolve(`the new sidecar did not serve within ${upgradeMsMax / 1_000} s`)
      })
      const finish = (outcome: string): void => {
        timer.cancel()
        resolve(outcome)
      }
      group.child.on('error', () => {
        // Its end says the same.
      })
      group.child.on('message', (message: unknown) => {
        const isLive =
          typeof message === 'object' && message !== null && 'event' in message
            ? message.event === 'sidecar-live'
            : false
        if (isLive) finish('live')
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

const sidecarLevels: ReadonlySet<string> = new Set(['debug', 'info', 'warn', 'error', 'silent'])

function failed(reason: string): MeshError {
  return new MeshError('MESH_TAKE_OVER_FAILED', reason, {
    remedy: 'the old sidecar goes on',
  })
}
