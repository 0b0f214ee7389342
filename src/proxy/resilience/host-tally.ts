/**
 * What outlier detection counts of one host: a few numbers, this thread's own or one for all threads of the process.
 *
 * Shared ones lie in the table of gauges and change by Atomics: two threads that count at once get two numbers, so a
 * threshold is reached by exactly one of them. What a thread that dies had counted stays counted.
 */
import type { GaugeSlot, Slots } from '../telemetry/slots.ts'

export const tallyCells = {
  consecutive5xx: 0,
  consecutiveGateway: 1,
  consecutiveLocal: 2,
  externalTotal: 3,
  externalSuccesses: 4,
  localTotal: 5,
  localSuccesses: 6,
} as const

export type TallyCell = (typeof tallyCells)[keyof typeof tallyCells]

export interface HostTally {
  /** One more; the count with it. */
  add(cell: TallyCell): number
  read(cell: TallyCell): number
  clear(cell: TallyCell): void
  /** The count, which starts again. */
  take(cell: TallyCell): number
  close(): void
}

const cellsCount = Object.keys(tallyCells).length

export class OwnTally implements HostTally {
  readonly #cells = new Float64Array(cellsCount)

  add(cell: TallyCell): number {
    const count = (this.#cells[cell] as number) + 1 // in bounds: the cells are named above
    this.#cells[cell] = count
    return count
  }

  read(cell: TallyCell): number {
    return this.#cells[cell] as number // in bounds, as above
  }

  clear(cell: TallyCell): void {
    this.#cells[cell] = 0
  }

  take(cell: TallyCell): number {
    const count = this.read(cell)
    this.#cells[cell] = 0
    return count
  }

  close(): void {}
}

export class SharedTally implements HostTally {
  readonly #slots: Slots
  readonly #cells: readonly GaugeSlot[]

  /** Threads that give the same key count together. */
  constructor(slots: Slots, key: string) {
    this.#slots = slots
    this.#cells = Object.keys(tallyCells).map((name) => slots.gauge(`outlier ${name} ${key}`))
  }

  add(cell: TallyCell): number {
    return this.#slots.tally(this.#slot(cell), 1)
  }

  read(cell: TallyCell): number {
    return this.#slots.readGauge(this.#slot(cell))
  }

  /** Nearly always zero already, and a store costs the other threads' caches. */
  clear(cell: TallyCell): void {
    const slot = this.#slot(cell)
    if (this.#slots.readGauge(slot) !== 0) this.#slots.setGauge(slot, 0)
  }

  take(cell: TallyCell): number {
    return this.#slots.takeGauge(this.#slot(cell))
  }

  close(): void {
    for (const slot of this.#cells) this.#slots.free(slot)
  }

  #slot(cell: TallyCell): GaugeSlot {
    return this.#cells[cell] as GaugeSlot // one for each name
  }
}
