/**
 * When a change is pushed: soon if the mesh was quiet, and once for a burst.
 *
 * A single edit after a quiet time goes out after `leadingMs`. Changes that follow each other wait until
 * `quietMs` passed without one, but no longer than `waitMsMax` since the first (Istio's PILOT_DEBOUNCE_AFTER and
 * PILOT_DEBOUNCE_MAX).
 */
import type { Clock, Timer } from '../../lib/clock.ts'

export interface PushScheduleOptions {
  readonly clock: Clock
  readonly leadingMs?: number
  readonly quietMs?: number
  readonly waitMsMax?: number
  /** Told when the first of the changes came; rejections are bugs and end the process. */
  readonly push: (changedAtMs: number) => Promise<void>
}

export class PushSchedule {
  readonly #options: Required<PushScheduleOptions>
  #timer: Timer | undefined
  #firstMs: number | undefined
  #lastMs = Number.NEGATIVE_INFINITY
  #isPushing = false
  #isDue = false
  #isStopped = false

  constructor(options: PushScheduleOptions) {
    this.#options = { leadingMs: 10, quietMs: 100, waitMsMax: 10_000, ...options }
  }

  changed(): void {
    if (this.#isStopped) return
    const { clock, leadingMs, quietMs, waitMsMax } = this.#options
    const nowMs = clock.monotonicMs()
    const wasQuiet = nowMs - this.#lastMs >= quietMs
    this.#lastMs = nowMs
    const isFirst = this.#firstMs === undefined
    this.#firstMs ??= nowMs
    const delayMs = isFirst && wasQuiet ? leadingMs : quietMs
    this.#timer?.cancel()
    const untilMaxMs = this.#firstMs + waitMsMax - nowMs
    this.#timer = clock.setTimer(Math.max(0, Math.min(delayMs, untilMaxMs)), () => this.#fall())
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
  }

  #fall(): void {
    this.#timer = undefined
    if (this.#isPushing) this.#isDue = true
    else void this.#push()
  }

  async #push(): Promise<void> {
    this.#isPushing = true
    do {
      this.#isDue = false
      const changedAtMs = this.#firstMs ?? this.#options.clock.monotonicMs()
      this.#firstMs = undefined
      await this.#options.push(changedAtMs)
    } while (this.#isDue && !this.#isStopped)
    this.#isPushing = false
  }
}
