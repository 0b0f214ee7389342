/**
 * One of the processes of a mesh: the control plane or a workload's agent. Started, listened to, started again
 * with back-off when it ends, and ended with everything it holds.
 *
 * It talks over Node's IPC channel, and notices by it when we die. Its lines are read for the log.
 */
import { createInterface } from 'node:readline'

import { ProcessGroup, type ProcessExit } from '../../agent/process/process-group.ts'
import type { Reaper } from '../../agent/process/reaper.ts'
import { RestartDelay } from '../../agent/process/restart-delay.ts'
import type { Clock, Timer } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'

export interface MeshProcessOptions {
  readonly name: string
  readonly command: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** Sent each time it starts. */
  readonly firstMessage: unknown
  readonly reaper: Reaper
  readonly clock: Clock
  readonly random: Random
  readonly onMessage: (message: unknown) => void
  readonly onLine: (line: string) => void
  /** Its end, when nobody asked for it. */
  readonly onEnd: (exit: ProcessExit, restartMs: number) => void
}

/** Lines longer than this are cut; a process that writes no newline must not fill our memory. */
const lineLengthMax = 16_384

export class MeshProcess {
  readonly #options: MeshProcessOptions
  readonly #delay: RestartDelay
  #group: ProcessGroup | undefined
  #restart: Timer | undefined
  #isStopping = false

  constructor(options: MeshProcessOptions) {
    this.#options = options
    this.#delay = new RestartDelay(options.random)
  }

  get name(): string {
    return this.#options.name
  }

  get pid(): number | undefined {
    return this.#group?.pid
  }

  async start(): Promise<void> {
    const { command, cwd, env, reaper, clock } = this.#options
    const startedMs = clock.monotonicMs()
    const stdio = ['ignore', 'pipe', 'pipe', 'ipc'] as const
    const group = await ProcessGroup.start({ command, cwd, env, stdio: [...stdio], reaper, clock })
    this.#group = group
    this.#listen(group)
    void this.#watch(group, startedMs)
  }

  async stop(graceMs: number): Promise<void> {
    this.#isStopping = true
    this.#restart?.cancel()
    await this.#group?.stop(graceMs)
  }

  /** At once, with everything in its group. */
  kill(): void {
    this.#isStopping = true
    this.#group?.signal('SIGKILL')
  }

  #listen(group: ProcessGroup): void {
    const { child } = group
    const { firstMessage, onMessage, onLine } = this.#options
    // The channel closes when the process ends, perhaps before our message is through.
    child.on('error', () => {})
    child.on('message', (message) => onMessage(message))
    if (firstMessage !== undefined) child.send(firstMessage as object, () => {})
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue
      const lines = createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })
      lines.on('line', (line) => onLine(line.slice(0, lineLengthMax)))
    }
  }

  async #watch(group: ProcessGroup, startedMs: number): Promise<void> {
    const { clock, onEnd } = this.#options
    const exit = await group.exited
    if (this.#isStopping) return
    const restartMs = this.#delay.nextMs(clock.monotonicMs() - startedMs)
    onEnd(exit, restartMs)
    this.#restart = clock.setTimer(restartMs, () => void this.start())
  }
}
