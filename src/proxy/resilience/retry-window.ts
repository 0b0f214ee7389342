/**
 * How many requests a cluster has had in the last interval: what a retry budget with `budget_interval` is a share of.
 *
 * As in Envoy a request is counted when it starts, gathered with those of the same tenth of the interval, and forgotten
 * one interval after that tenth has ended. The count lies in a slot that all threads share; each thread forgets what it
 * counted itself. No timer runs while nothing is counted.
 */
import type { Clock, Timer } from '../../lib/clock.ts'
import type { GaugeSlot, Slots } from '../telemetry/slots.ts'

/** Parts of an interval that are forgotten together. */
const parts = 10

export interface RetryWindowOptions {
  /** Threads that give the same name count together. */
  readonly name: string
  readonly slots: Slots
  readonly clock: Clock
  readonly intervalMs: number
}

export class RetryWindow {
  readonly intervalMs: number
  readonly #slots: Slots
  readonly #clock: Clock
  readonly #slot: GaugeSlot
  #gathered = 0
  #gathering: Timer | undefined
  /** At most one for each part of an interval, and those of the part before. */
  readonly #forgetting = new Set<Timer>()
  #counted = 0

  constructor({ name, slots, clock, intervalMs }: RetryWindowOptions) {
    this.intervalMs = intervalMs
    this.#slots = slots
    this.#clock = clock
    this.#slot = slots.gauge(`breaker retry window ${name}`)
  }

  count(): void {
    this.#add(1)
    this.#gathered += 1
    this.#gathering ??= this.#clock.setTimer(this.intervalMs / parts, () => this.#endPart())
  }

  read(): number {
    return this.#slots.readGauge(this.#slot)
  }

  close(): void {
    this.#gathering?.cancel()
    for (const timer of this.#forgetting) timer.cancel()
    this.#add(-this.#counted)
    this.#slots.free(this.#slot)
  }

  #endPart(): void {
    const count = this.#gathered
    this.#gathered = 0
    this.#gathering = undefined
    const timer = this.#clock.setTimer(this.intervalMs, () => {
      this.#forgetting.delete(timer)
      this.#add(-count)
    })
    this.#forgetting.add(timer)
  }

  #add(delta: number): void {
    this.#counted += delta
    this.#slots.addGauge(this.#slot, delta)
  }
}
