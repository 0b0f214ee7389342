/** Requests that wait for a name, each with a time of its own. */
import type { Clock, Timer } from '../../lib/clock.ts'
import type { Demand, DemandOutcome } from '../filter/on-demand-filter.ts'

interface Waiter {
  readonly timer: Timer
  readonly done: (outcome: DemandOutcome) => void
}

export class Waiters {
  readonly #clock: Clock
  readonly #byName = new Map<string, Set<Waiter>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get names(): readonly string[] {
    return [...this.#byName.keys()]
  }

  /** `done` is called once, with `late` when the time is over, and never from within this call. */
  add(name: string, timeoutMs: number, done: (outcome: DemandOutcome) => void): Demand {
    const waiter: Waiter = {
      done,
      timer: this.#clock.setTimer(timeoutMs, () => {
        this.#forget(name, waiter)
        done('late')
      }),
    }
    const waiters = this.#byName.get(name) ?? new Set()
    waiters.add(waiter)
    this.#byName.set(name, waiters)
    return {
      cancel: () => {
        waiter.timer.cancel()
        this.#forget(name, waiter)
      },
    }
  }

  settle(name: string): void {
    const waiters = this.#byName.get(name)
    if (waiters === undefined) return
    this.#byName.delete(name)
    for (const { timer, done } of waiters) {
      timer.cancel()
      done('answered')
    }
  }

  close(): void {
    for (const waiters of this.#byName.values()) for (const { timer } of waiters) timer.cancel()
    this.#byName.clear()
  }

  #forget(name: string, waiter: Waiter): void {
    const waiters = this.#byName.get(name)
    waiters?.delete(waiter)
    if (waiters?.size === 0) this.#byName.delete(name)
  }
}
