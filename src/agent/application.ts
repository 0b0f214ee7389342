/**
 * Keeps a workload's application running and says whether it is healthy.
 *
 * The application is started in its own process group, probed from then on, and, if the plan says so, started
 * again with back-off when it ends. Health is told as it changes: unhealthy from the moment that it ends.
 * Without ports there is nothing to ask; such an application is healthy while it runs.
 */
import type { StdioOptions } from 'node:child_process'

import type { Clock, Timer } from '../lib/clock.ts'
import { describeError } from '../lib/mesh-error.ts'
import type { Random } from '../lib/random.ts'
import { createCheck } from './probe/check.ts'
import { Probe, type ProbeConfig, type Verdict } from './probe/probe.ts'
import { ProcessGroup, type ProcessExit } from './process/process-group.ts'
import type { Reaper } from './process/reaper.ts'
import { RestartDelay } from './process/restart-delay.ts'

export interface ApplicationOptions {
  readonly command: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdio: StdioOptions
  readonly probe: ProbeConfig | undefined
  readonly restart: 'never' | 'always'
  readonly reaper: Reaper
  readonly clock: Clock
  readonly random: Random
  readonly onEvent: (event: ApplicationEvent) => void
}

export type ApplicationEvent =
  | { readonly event: 'application-started'; readonly pid: number }
  | {
      readonly event: 'application-ended'
      readonly code: number
      readonly message: string
      /** Undefined when it is not started again. */
      readonly restartMs: number | undefined
    }
  | ({ readonly event: 'health' } & Verdict)

export class Application {
  readonly #options: ApplicationOptions
  readonly #delay: RestartDelay
  #group: ProcessGroup | undefined
  #probe: Probe | undefined
  #restart: Timer | undefined
  #isStopping = false
  #finish: (code: number) => void = () => {}
  /** Resolves with the exit code when it has ended and is not started again. */
  readonly ended: Promise<number>

  constructor(options: ApplicationOptions) {
    this.#options = options
    this.#delay = new RestartDelay(options.random)
    this.ended = new Promise((resolve) => {
      this.#finish = resolve
    })
  }

  /** Rejects when the program cannot be started at all, with restarts too: that is a mistake in the plan. */
  async start(): Promise<void> {
    const { command, cwd, env, stdio, reaper, clock, onEvent } = this.#options
    const startedMs = clock.monotonicMs()
    const group = await ProcessGroup.start({ command, cwd, env, stdio, reaper, clock })
    this.#group = group
    onEvent({ event: 'application-started', pid: group.pid })
    this.#startProbe()
    void this.#watch(group, startedMs)
  }

  get isRunning(): boolean {
    return this.#group !== undefined && !this.#group.hasExited
  }

  signal(signal: NodeJS.Signals): void {
    this.#group?.signal(signal)
  }

  /** TERM, and KILL after the grace period. */
  async stop(graceMs: number): Promise<void> {
    this.#isStopping = true
    this.#restart?.cancel()
    this.#probe?.[Symbol.dispose]()
    if (this.isRunning) await this.#group?.stop(graceMs)
    // Not running: nothing will tell of its end.
    else this.#finish(0)
  }

  async #watch(group: ProcessGroup, startedMs: number): Promise<void> {
    const exit = await group.exited
    this.#onExit(exit, this.#options.clock.monotonicMs() - startedMs)
  }

  #startProbe(): void {
    const { probe, cwd, env, clock, onEvent } = this.#options
    if (probe === undefined) {
      onEvent({ event: 'health', isHealthy: true, message: '' })
      return
    }
    this.#probe = new Probe({
      config: probe,
      check: createCheck(probe.action, { cwd, env }),
      clock,
      onChange: (verdict) => onEvent({ event: 'health', ...verdict }),
    })
  }

  #onExit(exit: ProcessExit, ranMs: number): void {
    const { clock, onEvent, restart } = this.#options
    this.#probe?.[Symbol.dispose]()
    const message = describeExit(exit)
    const isRestarted = restart === 'always' && !this.#isStopping
    const restartMs = isRestarted ? this.#delay.nextMs(ranMs) : undefined
    onEvent({ event: 'health', isHealthy: false, message })
    onEvent({ event: 'application-ended', code: exit.code, message, restartMs })
    if (restartMs === undefined) this.#finish(exit.code)
    else this.#restart = clock.setTimer(restartMs, () => void this.#startAgain())
  }

  async #startAgain(): Promise<void> {
    if (this.#isStopping) return
    try {
      await this.start()
    } catch (error) {
      // It ran before, so it may come back: a build may be replacing the program.
      const { clock, onEvent } = this.#options
      const restartMs = this.#delay.nextMs(0)
      onEvent({ event: 'application-ended', code: 127, message: describeError(error), restartMs })
      this.#restart = clock.setTimer(restartMs, () => void this.#startAgain())
    }
  }
}

function describeExit({ code, signal }: ProcessExit): string {
  return signal === undefined
    ? `the application ended with code ${code}`
    : `the application was ended by ${signal}`
}
