/**
 * Asks an application again and again whether it is ready, with the thresholds of Istio's WorkloadGroup.
 *
 * The first verdict comes after `successThreshold` answers in a row; until then the application counts as
 * starting, and is asked every `startupPeriodMs` rather than every `periodMs`, so that a mesh starts as fast
 * as its services do. After that, `failureThreshold` failures in a row make it unhealthy. `onChange` is told
 * changes only.
 */
import type { Clock, Timer } from '../../lib/clock.ts'

export type ProbeAction =
  | {
      readonly kind: 'http'
      readonly scheme: 'http' | 'https'
      readonly host: string
      readonly port: number
      readonly path: string
      readonly headers: readonly (readonly [string, string])[]
    }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | {
      readonly kind: 'grpc'
      readonly host: string
      readonly port: number
      /** Empty: the server as a whole. */
      readonly service: string
    }
  | { readonly kind: 'exec'; readonly command: readonly string[] }

export interface ProbeConfig {
  readonly action: ProbeAction
  readonly initialDelayMs: number
  readonly timeoutMs: number
  readonly periodMs: number
  readonly successThreshold: number
  readonly failureThreshold: number
}

/** One try: undefined = ready, text = why not. Never rejects. */
export type Check = (signal: AbortSignal) => Promise<string | undefined>

export interface Verdict {
  readonly isHealthy: boolean
  /** Why not; empty when healthy. */
  readonly message: string
}

export interface ProbeOptions {
  readonly config: ProbeConfig
  readonly check: Check
  readonly clock: Clock
  readonly onChange: (verdict: Verdict) => void
}

const startupPeriodMs = 200

export class Probe implements Disposable {
  readonly #options: ProbeOptions
  readonly #abort = new AbortController()
  #timer: Timer | undefined
  #successes = 0
  #failures = 0
  #state: 'starting' | 'healthy' | 'unhealthy' = 'starting'
  #hasBeenHealthy = false

  constructor(options: ProbeOptions) {
    this.#options = options
    this.#schedule(options.config.initialDelayMs)
  }

  [Symbol.dispose](): void {
    this.#timer?.cancel()
    this.#abort.abort()
  }

  #schedule(delayMs: number): void {
    this.#timer = this.#options.clock.setTimer(delayMs, () => void this.#try())
  }

  async #try(): Promise<void> {
    const { check, config, clock } = this.#options
    const attempt = new AbortController()
    const timer = clock.setTimer(config.timeoutMs, () => attempt.abort())
    const failure = await check(AbortSignal.any([attempt.signal, this.#abort.signal]))
    timer.cancel()
    if (this.#abort.signal.aborted) return
    const timedOut = `no answer within ${config.timeoutMs} ms`
    this.#count(failure !== undefined && attempt.signal.aborted ? timedOut : failure)
    this.#schedule(
      this.#hasBeenHealthy ? config.periodMs : Math.min(config.periodMs, startupPeriodMs),
    )
  }

  #count(failure: string | undefined): void {
    const { config } = this.#options
    if (failure === undefined) {
      this.#successes++
      this.#failures = 0
      if (this.#successes >= config.successThreshold) this.#become('healthy', '')
    } else {
      this.#failures++
      this.#successes = 0
      if (this.#failures >= config.failureThreshold) this.#become('unhealthy', failure)
    }
  }

  #become(state: 'healthy' | 'unhealthy', message: string): void {
    if (this.#state === state) return
    this.#state = state
    if (state === 'healthy') this.#hasBeenHealthy = true
    this.#options.onChange({ isHealthy: state === 'healthy', message })
  }
}
