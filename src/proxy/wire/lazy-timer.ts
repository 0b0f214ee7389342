/**
 * A deadline that moves with every request and arms no timer while it does.
 *
 * The timer stays armed instead of being set and cancelled per request, and when it fires before the deadline of the day it is set again for the rest. Deadlines are exact, except that one that
 * moves nearer re-arms at once.
 */
import type { Clock, Timer } from '../../lib/clock.ts'

export class LazyTimer {
  readonly #clock: Clock
  readonly #onExpire: () => void
  #deadlineMs = Infinity
  #armedMs = Infinity
  #timer: Timer | undefined

  constructor(clock: Clock, onExpire: () => void) {
    this.#clock = clock
    this.#onExpire = onExpire
  }

  get isSet(): boolean {
    return this.#deadlineMs !== Infinity
  }

  /** Runs the callback `delayMs` after `nowMs` (monotonic), instead of at any earlier set time. */
  set(delayMs: number, nowMs: number): void {
    const deadlineMs = nowMs + delayMs
    this.#deadlineMs = deadlineMs
    if (this.#armedMs <= deadlineMs) return
    this.#timer?.cancel()
    this.#arm(deadlineMs, delayMs)
  }

  /** Forgets the deadline; the timer behind it may stay armed until it next fires. */
  clear(): void {
    this.#deadlineMs = Infinity
  }

  /** Cancels everything: the owner is gone. */
  close(): void {
    this.#deadlineMs = Infinity
    this.#armedMs = Infinity
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #arm(deadlineMs: number, delayMs: number): void {
    this.#armedMs = deadlineMs
    // Node's timers count whole milliseconds and may fire early by a fraction of one.
    this.#timer = this.#clock.setTimer(Math.ceil(delayMs), () => this.#onTimer())
  }

  #onTimer(): void {
    this.#timer = undefined
    this.#armedMs = Infinity
    if (this.#deadlineMs === Infinity) return
    const restMs = this.#deadlineMs - this.#clock.monotonicMs()
    if (restMs > 0.5) {
      this.#arm(this.#deadlineMs, restMs)
      return
    }
    this.#deadlineMs = Infinity
    this.#onExpire()
  }
}
