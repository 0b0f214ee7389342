/**
 * Which priorities the attempts of one request have met (Envoy `previous_priorities`): after every so many attempts those
 * of all of them are left out, so that retries move on to other localities.
 */
import type { Host } from '../upstream/host.ts'

export class TriedPriorities {
  readonly #updateEvery: number
  readonly #leftOut = new Set<number>()
  #tried: Host[] = []
  #isLeavingOut = false

  constructor(updateEvery: number) {
    this.#updateEvery = updateEvery
  }

  add(host: Host): void {
    // The balancer had nothing else, and started over.
    if (this.#isLeavingOut && this.#leftOut.size === 0) this.#startOver()
    this.#tried.push(host)
  }

  /** For the next attempt; the balancer may empty it. */
  leftOut(): Set<number> | undefined {
    const count = this.#tried.length
    if (count < this.#updateEvery) return undefined
    if (count % this.#updateEvery === 0) {
      for (const { priority } of this.#tried) this.#leftOut.add(priority ?? 0)
      this.#isLeavingOut = true
    }
    return this.#leftOut
  }

  #startOver(): void {
    this.#tried = []
    this.#isLeavingOut = false
  }
}
