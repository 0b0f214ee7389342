/**
 * How long to wait before a program that ended is started again: longer each time, at random so that many do not
 * start at once, never at once, and short again after it has run well for a while.
 */
import { Backoff } from '../../lib/backoff.ts'
import type { Random } from '../../lib/random.ts'

/** A program that ran this long had started well. */
const stableMs = 10_000
const floorMs = 200
const backoffBaseMs = 500
const backoffMaxMs = 10_000

export class RestartDelay {
  readonly #backoff: Backoff

  constructor(random: Random) {
    this.#backoff = new Backoff({ baseMs: backoffBaseMs, maxMs: backoffMaxMs, random })
  }

  /** After it ran for `ranMs`; 0 when it could not be started. */
  nextMs(ranMs: number): number {
    if (ranMs >= stableMs) this.#backoff.reset()
    return Math.max(floorMs, this.#backoff.nextMs())
  }
}
