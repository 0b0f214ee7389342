/**
 * Slots over two SharedArrayBuffers: one of 32-bit gauges, one of doubles with a block of counters per worker.
 *
 * Gauges and counters share one number space (counters start where gauges end), so that `free` knows what it is
 * given; the doubles below that start are never touched, and untouched pages of a SharedArrayBuffer cost no memory.
 * The main thread allocates; workers are handed the buffers and slot numbers, and only add.
 */
import { invariant } from '../../lib/assert.ts'
import type { CounterSlot, GaugeSlot, Slots, SlotsUsage } from './slots.ts'

export interface SlotBuffers {
  readonly gauges: SharedArrayBuffer
  readonly counters: SharedArrayBuffer
  readonly gaugesMax: number
  readonly countersMax: number
  readonly workers: number
}

export interface SharedSlotsOptions {
  /** Ceiling of gauges; 4 bytes each. */
  readonly gaugesMax?: number
  /** Ceiling of counters; 8 bytes each for every worker, paid when first written. */
  readonly countersMax?: number
  readonly workers?: number
}

const gaugesMaxDefault = 262_144
const countersMaxDefault = 2_097_152

/** Makes the shared memory; once per process, in the main thread. */
export function createSlotBuffers(options: SharedSlotsOptions = {}): SlotBuffers {
  const gaugesMax = options.gaugesMax ?? gaugesMaxDefault
  const countersMax = options.countersMax ?? countersMaxDefault
  const workers = options.workers ?? 1
  return {
    gauges: new SharedArrayBuffer(gaugesMax * Int32Array.BYTES_PER_ELEMENT),
    counters: new SharedArrayBuffer(
      (gaugesMax + countersMax) * workers * Float64Array.BYTES_PER_ELEMENT,
    ),
    gaugesMax,
    countersMax,
    workers,
  }
}

/** Slots of one thread; with `worker` 0 it is the main thread, which alone may allocate and free. */
export function createSlots(buffers: SlotBuffers = createSlotBuffers(), worker = 0): Slots {
  return new SharedSlots(buffers, worker)
}

class SharedSlots implements Slots {
  readonly gaugeCells: Int32Array
  readonly counterCells: Float64Array
  readonly #blocks: readonly Float64Array[]
  readonly #worker: number
  readonly #gauges: SlotRange
  readonly #counters: SlotRange
  #retired: number[] = []

  constructor(buffers: SlotBuffers, worker: number) {
    const { gaugesMax, countersMax, workers } = buffers
    const block = gaugesMax + countersMax
    this.gaugeCells = new Int32Array(buffers.gauges)
    this.#blocks = Array.from(
      { length: workers },
      (_, index) =>
        new Float64Array(buffers.counters, index * block * Float64Array.BYTES_PER_ELEMENT, block),
    )
    const own = this.#blocks[worker]
    invariant(own, `worker ${worker} has a block among ${workers}`)
    this.counterCells = own
    this.#worker = worker
    this.#gauges = new SlotRange('gauge', 0, gaugesMax)
    this.#counters = new SlotRange('counter', gaugesMax, block)
  }

  gauge(): GaugeSlot {
    return this.#allocate(this.#gauges, 1) as GaugeSlot // from the range of gauges
  }

  counter(): CounterSlot {
    return this.counterBlock(1)
  }

  counterBlock(length: number): CounterSlot {
    return this.#allocate(this.#counters, length) as CounterSlot // from the range of counters
  }

  free(slot: GaugeSlot | CounterSlot): void {
    const range = this.#rangeOf(slot)
    invariant(range.lengthOf(slot) > 0, `slot ${slot} is in use`)
    this.#retired.push(slot)
  }

  reclaim(): void {
    const retired = this.#retired
    this.#retired = []
    for (const slot of retired) {
      const range = this.#rangeOf(slot)
      const length = range.lengthOf(slot)
      if (range === this.#gauges) Atomics.store(this.gaugeCells, slot, 0)
      else for (const cells of this.#blocks) cells.fill(0, slot, slot + length)
      range.release(slot)
    }
  }

  add(slot: CounterSlot, amount: number): void {
    // In bounds: slots come from this table only.
    this.counterCells[slot] = (this.counterCells[slot] as number) + amount
  }

  read(slot: CounterSlot): number {
    if (this.#blocks.length === 1) return this.counterCells[slot] ?? 0
    let sum = 0
    for (const cells of this.#blocks) sum += cells[slot] ?? 0
    return sum
  }

  addGauge(slot: GaugeSlot, amount: number): number {
    return Atomics.add(this.gaugeCells, slot, amount) + amount
  }

  readGauge(slot: GaugeSlot): number {
    return Atomics.load(this.gaugeCells, slot)
  }

  usage(): SlotsUsage {
    return {
      gauges: this.#gauges.used,
      gaugesMax: this.#gauges.size,
      counters: this.#counters.used,
      countersMax: this.#counters.size,
      retired: this.#retired.length,
    }
  }

  #allocate(range: SlotRange, length: number): number {
    invariant(this.#worker === 0, 'only the main thread allocates slots')
    return range.allocate(length)
  }

  #rangeOf(slot: number): SlotRange {
    return slot < this.#gauges.end ? this.#gauges : this.#counters
  }
}

/** Hands out runs of neighbouring slots; a freed run is reused for one of the same length. */
class SlotRange {
  readonly end: number
  readonly size: number
  used = 0
  readonly #name: string
  readonly #lengths = new Map<number, number>()
  readonly #free = new Map<number, number[]>()
  #next: number

  constructor(name: string, start: number, end: number) {
    this.#name = name
    this.#next = start
    this.end = end
    this.size = end - start
  }

  allocate(length: number): number {
    const reused = this.#free.get(length)?.pop()
    const slot = reused ?? this.#next
    if (reused === undefined) {
      invariant(
        this.#next + length <= this.end,
        `at most ${this.size} ${this.#name} slots (${this.#name}sMax)`,
      )
      this.#next += length
    }
    this.#lengths.set(slot, length)
    this.used += length
    return slot
  }

  /** 0 when the slot is not in use. */
  lengthOf(slot: number): number {
    return this.#lengths.get(slot) ?? 0
  }

  release(slot: number): void {
    const length = this.lengthOf(slot)
    this.#lengths.delete(slot)
    this.used -= length
    const list = this.#free.get(length)
    if (list === undefined) this.#free.set(length, [slot])
    else list.push(slot)
  }
}
