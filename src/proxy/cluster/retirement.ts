/**
 * What has left the configuration and may still have requests in flight: a host, a cluster, a listener's statistics.
 *
 * Its slots in shared memory are given back only when nothing is active on it any more, so that a late decrement
 * never lands in a stranger's cell. Looked at once a second while there is something to look at.
 */
import type { Clock, Timer } from '../../lib/clock.ts'

export interface Retiring {
  /** Whether nothing is in flight any more. */
  isIdle(): boolean
  /** Gives the slots back; called once. */
  close(): void
}

const sweepMs = 1_000

export class Retirement {
  readonly #clock: Clock
  readonly #waiting = new Set<Retiring>()
  /** Told after slots were given back, so that they can be used again. */
  readonly #onClosed: () => void
  #timer: Timer | undefined

  constructor(clock: Clock, onClosed: () => void) {
    this.#clock = clock
    this.#onClosed = onClosed
  }

  get size(): number {
    return this.#waiting.size
  }

  retire(item: Retiring): void {
    this.#waiting.add(item)
    this.#arm()
  }

  /** Gives everything back, in flight or not: the sidecar ends. */
  close(): void {
    this.#timer?.cancel()
    for (const item of this.#waiting) item.close()
    this.#waiting.clear()
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#waiting.size === 0) return
    this.#timer = this.#clock.setTimer(sweepMs, () => {
      this.#timer = undefined
      this.#sweep()
      this.#arm()
    })
  }

  #sweep(): void {
    const before = this.#waiting.size
    for (const item of this.#waiting) {
      if (!item.isIdle()) continue
      this.#waiting.delete(item)
      item.close()
    }
    if (this.#waiting.size < before) this.#onClosed()
  }
}
