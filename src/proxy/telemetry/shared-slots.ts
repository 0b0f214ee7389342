/**
 * The slots of one thread: counters in a SharedArrayBuffer that the main thread reads, gauges in a table that all threads
 * of the process share (gauge-table.ts), or in one of its own where there is one thread only.
 *
 * Gauges and counters share one number space (counters start where gauges end), so that `free` knows what it is
 * given; the doubles below that start are never touched, and untouched pages of a SharedArrayBuffer cost no memory.
 */
import { invariant } from '../../lib/assert.ts'
import { type GaugeBuffers, GaugeTable, createGaugeBuffers } from './gauge-table.ts'
import { SlotRange } from './slot-range.ts'
import type { CounterSlot, GaugeSlot, Slots, SlotsUsage } from './slots.ts'

export interface SlotBuffers {
  readonly gauges: GaugeBuffers
  /** Of the thread `thread` alone. */
  readonly counters: SharedArrayBuffer
  readonly countersMax: number
}

export interface SlotOptions {
  /** Ceiling of gauges; 20 bytes each, and 8 for every thread, paid when first used. */
  readonly gaugesMax?: number
  /** Ceiling of counters; 8 bytes each, paid when first written. */
  readonly countersMax?: number
}

export const gaugesMaxDefault = 262_144
export const countersMaxDefault = 2_097_152

export function createSlotBuffers(options: SlotOptions = {}): SlotBuffers {
  const { gaugesMax = gaugesMaxDefault, countersMax = countersMaxDefault } = options
  const gauges = createGaugeBuffers({ gaugesMax, threads: 1 })
  return { gauges, counters: createCounterBuffer(gaugesMax, countersMax), countersMax }
}

/** Room for one thread's counters. */
export function createCounterBuffer(gaugesMax: number, countersMax: number): SharedArrayBuffer {
  return new SharedArrayBuffer((gaugesMax + countersMax) * Float64Array.BYTES_PER_ELEMENT)
}

/** Slots of the thread that has this number in the table of gauges; alone in its process unless given otherwise. */
export function createSlots(buffers: SlotBuffers = createSlotBuffers(), thread = 0): Slots {
  return new SharedSlots(buffers, thread)
}

class SharedSlots implements Slots {
  readonly counterCells: Float64Array
  readonly #gauges: GaugeTable
  readonly #gaugesMax: number
  readonly #counters: SlotRange
  #retired: number[] = []

  constructor({ gauges, counters, countersMax }: SlotBuffers, thread: number) {
    this.counterCells = new Float64Array(counters)
    this.#gauges = new GaugeTable(gauges, thread)
    this.#gaugesMax = gauges.gaugesMax
    this.#counters = new SlotRange('counter', this.#gaugesMax, this.#gaugesMax + countersMax)
  }

  gauge(key?: string): GaugeSlot {
    return this.#gauges.acquire(key) as GaugeSlot // from the table of gauges
  }

  counter(): CounterSlot {
    return this.counterBlock(1)
  }

  counterBlock(length: number): CounterSlot {
    return this.#counters.allocate(length) as CounterSlot // from the range of counters
  }

  free(slot: GaugeSlot | CounterSlot): void {
    const isUsed = this.#isGauge(slot)
      ? this.#gauges.isHeld(slot)
      : this.#counters.lengthOf(slot) > 0
    invariant(isUsed, `slot ${slot} is in use`)
    this.#retired.push(slot)
  }

  reclaim(): void {
    const retired = this.#retired
    this.#retired = []
    for (const slot of retired) {
      if (this.#isGauge(slot)) {
        this.#gauges.release(slot)
        continue
      }
      this.counterCells.fill(0, slot, slot + this.#counters.lengthOf(slot))
      this.#counters.release(slot)
    }
  }

  add(slot: CounterSlot, amount: number): void {
    // In bounds: slots come from this table only.
    this.counterCells[slot] = (this.counterCells[slot] as number) + amount
  }

  read(slot: CounterSlot): number {
    return this.counterCells[slot] ?? 0
  }

  addGauge(slot: GaugeSlot, amount: number): number {
    return this.#gauges.add(slot, amount)
  }

  setGauge(slot: GaugeSlot, value: number): void {
    this.#gauges.set(slot, value)
  }

  readGauge(slot: GaugeSlot): number {
    return this.#gauges.read(slot)
  }

  tally(slot: GaugeSlot, amount: number): number {
    return this.#gauges.tally(slot, amount)
  }

  takeGauge(slot: GaugeSlot): number {
    return this.#gauges.take(slot)
  }

  usage(): SlotsUsage {
    return {
      gauges: this.#gauges.used,
      gaugesMax: this.#gaugesMax,
      counters: this.#counters.used,
      countersMax: this.#counters.size,
      retired: this.#retired.length,
    }
  }

  #isGauge(slot: number): boolean {
    return slot < this.#gaugesMax
  }
}
