/**
 * Numbered cells in shared memory: the one place where counts live that more than one thread may read or change.
 *
 * Gauges (active requests, breaker counts) are one number for the whole process and use Atomics; counters and
 * histograms belong to the thread that counts, and are summed when somebody reads. A slot is reused only after
 * everybody who knew it has let go, so a late decrement can never land in a stranger's cell.
 */

/** Shared, changed with Atomics by any thread: 32-bit. */
export type GaugeSlot = number & { readonly __slot: 'gauge' }
/** Of one thread: a double, exact to 2^53. */
export type CounterSlot = number & { readonly __slot: 'counter' }

export interface Slots {
  /**
   * Threads that ask for the same key get one and the same gauge; without a key it is the asker's own. Fails with an
   * assertion past the table's ceiling.
   */
  gauge(key?: string): GaugeSlot
  counter(): CounterSlot
  /** A run of neighbouring counters, for a histogram's buckets; returns the first. */
  counterBlock(length: number): CounterSlot
  /** Gives a slot (of a block: its first) back. It is handed out again only after `reclaim`. */
  free(slot: GaugeSlot | CounterSlot): void
  /** Nothing of this thread refers any more to what was freed before this call: it may be used again. */
  reclaim(): void
  add(slot: CounterSlot, amount: number): void
  read(slot: CounterSlot): number
  /** The value after the change. */
  addGauge(slot: GaugeSlot, amount: number): number
  setGauge(slot: GaugeSlot, value: number): void
  readGauge(slot: GaugeSlot): number
  /** As `addGauge`, for a number that no thread takes back by ending: a count. */
  tally(slot: GaugeSlot, amount: number): number
  /** The value, which becomes 0. */
  takeGauge(slot: GaugeSlot): number
  /** Cells of this thread's counters, indexed by slot: for handles that add without a call. */
  readonly counterCells: Float64Array
  usage(): SlotsUsage
}

export interface SlotsUsage {
  readonly gauges: number
  readonly gaugesMax: number
  readonly counters: number
  readonly countersMax: number
  /** Freed and not yet reclaimed. */
  readonly retired: number
}
