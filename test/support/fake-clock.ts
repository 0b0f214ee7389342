/** A clock that stands still until a test moves it; timers fire in order, at their exact time. */
import type { Clock, Timer } from '../../src/lib/clock.ts'

interface PendingTimer {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
}

export class FakeClock implements Clock {
  #nowMs: number
  #order = 0
  #timers: PendingTimer[] = []

  constructor(startMs = 1_700_000_000_000) {
    this.#nowMs = startMs
  }

  nowMs(): number {
    return this.#nowMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  setTimer(delayMs: number, run: () => void): Timer {
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, run }
    this.#timers.push(timer)
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer)
      },
    }
  }

  /** Timers that wait. */
  get pendingTimers(): number {
    return this.#timers.length
  }

  /** Moves time forward, running what falls due on the way, including timers that those set. */
  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs
    for (;;) {
      const due = this.#timers
        .filter((timer) => timer.atMs <= untilMs)
        .sort((a, b) => a.atMs - b.atMs || a.order - b.order)[0]
      if (due === undefined) break
      this.#timers = this.#timers.filter((timer) => timer !== due)
      this.#nowMs = Math.max(this.#nowMs, due.atMs)
      due.run()
    }
    this.#nowMs = untilMs
  }
}
