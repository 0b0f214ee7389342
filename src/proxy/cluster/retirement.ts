/**
 * What has left the configuration and may still have requests in flight: a host, a cluster, a listener's statistics.
 *
 * Its slots in shared memory are given back only when nothing is active on it any more, so that a late decrement
 * never lands in a stranger's cell. Looked at once a second while there is something to look at. An item may say after
 * how long it is given back in any case: what a busy listener replaced is never seen idle, because the statistics of
 * both have the same names, and these are counted by reference.
 */
import type { Clock, Timer } from '../../lib/clock.ts'

export interface Retiring {
  /** Whether nothing is in flight any more. */
  isIdle(): boolean
  /** Gives the slots back; called once. */
  close(): void
  /** Given back after this long even when it is not idle; absent: never. */
  readonly retiresInMs?: number
}

interface Waiting {
  readonly item: Retiring
  readonly sinceMs: number
}

const sweepMs = 1_000

export class Retirement {
  readonly #clock: Clock
  readonly #waiting = new Set<Waiting>()
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
    this.#waiting.add({ item, sinceMs: this.#clock.monotonicMs() })
    this.#arm()
  }

  /** Gives everything back, in flight or not: the sidecar ends. */
  close(): void {
    this.#timer?.cancel()
    for (const { item } of this.#waiting) item.close()
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
    const nowMs = this.#clock.monotonicMs()
    for (const entry of this.#waiting) {
      const { item, sinceMs } = entry
      const isOver = item.retiresInMs !== undefined && nowMs - sinceMs >= item.retiresInMs
      if (!isOver && !item.isIdle()) continue
      this.#waiting.delete(entry)
      item.close()
    }
    if (this.#waiting.size < before) this.#onClosed()
  }
}
