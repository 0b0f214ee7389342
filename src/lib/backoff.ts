/**
 * Fully jittered exponential back-off, as Envoy defines it: the Nth wait is uniform in
 * [0, min((2^N - 1) × base, max)). Used for reconnects, restarts and retries alike.
 */
import type { Random } from './random.ts'

export interface BackoffOptions {
  readonly baseMs: number
  /** Ceiling of the interval that a wait is drawn from. Envoy: ten times the base. */
  readonly maxMs: number
  readonly random: Random
}

/** The wait before the `attempt`-th try (1 is the first retry), in milliseconds. */
export function backoffMs(attempt: number, options: BackoffOptions): number {
  const ceiling = Math.min((2 ** Math.min(attempt, 30) - 1) * options.baseMs, options.maxMs)
  return options.random() * ceiling
}

/** Counts attempts and gives the next wait; `reset` after a success. */
export class Backoff {
  readonly #options: BackoffOptions
  #attempt = 0

  constructor(options: BackoffOptions) {
    this.#options = options
  }

  nextMs(): number {
    this.#attempt += 1
    return backoffMs(this.#attempt, this.#options)
  }

  reset(): void {
    this.#attempt = 0
  }
}
