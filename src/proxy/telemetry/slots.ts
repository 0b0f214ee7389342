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
  free(slot: GaugeSlot | CounterSlot): void
  add(slot: CounterSlot, amount: number): void
  read(slot: CounterSlot): number
  addGauge(slot: GaugeSlot, amount: number): number
  readGauge(slot: GaugeSlot): number
}
