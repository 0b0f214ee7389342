/**
 * Numbered cells in shared memory: the one place where counts live that more than one worker may change.
 *
 * Gauges (active requests, breaker counts, ejection state) are process-wide and use Atomics; counters and
 * histograms are one block per worker, summed when somebody reads. A slot is reused only after every worker
 * has acknowledged that it is free, so a late decrement can never land in a stranger's cell.
 */

/** Shared, changed with Atomics by any worker: 32-bit. */
export type GaugeSlot = number & { readonly __slot: 'gauge' }
/** Owned by one worker, read by the main thread: a double, exact to 2^53. */
export type CounterSlot = number & { readonly __slot: 'counter' }

export interface Slots {
  /** Fails with an assertion past the table's ceiling; `slotsMax` is a setting with a metric. */
  gauge(): GaugeSlot
  counter(): CounterSlot
  /** A run of neighbouring counters, for a histogram's buckets; returns the first. */
  counterBlock(length: number): CounterSlot
  /** Gives a slot (of a block: its first) back. It is handed out again only after `reclaim`. */
  free(slot: GaugeSlot | CounterSlot): void
  /** Every worker has acknowledged that it forgot what was freed before this call: zero it and reuse it. */
  reclaim(): void
  add(slot: CounterSlot, amount: number): void
  /** Sum over all workers. */
  read(slot: CounterSlot): number
  /** The value after the change. */
  addGauge(slot: GaugeSlot, amount: number): number
  readGauge(slot: GaugeSlot): number
  /** Cells of this worker's counters, indexed by slot: for handles that add without a call. */
  readonly counterCells: Float64Array
  readonly gaugeCells: Int32Array
  usage(): SlotsUsage
}

export interface SlotsUsage {
  readonly gauges: number
  readonly gaugesMax: number
  readonly counters: number
  readonly countersMax: number
  /** Freed and not yet acknowledged. */
  readonly retired: number
}
