/**
 * The stats of all threads as one: counters and histograms are summed over the threads, gauges are one cell for all of
 * them. Each worker says where its numbers stand when they come and go; from then on they are read from shared memory,
 * without asking the worker. What a worker that died had counted stays counted.
 */
import { histogramCells, overflowCell } from '../telemetry/histogram-buckets.ts'
import type {
  Stat,
  StatKind,
  StatLabels,
  StatPlace,
  StatsRegistry,
  StatsView,
} from '../telemetry/stats-registry.ts'

/** What has come and gone in a worker, in order: a place, or the name of what is gone. */
export type StatsChange = readonly (StatPlace | string)[]

export class WorkerStats {
  readonly #counters: Float64Array
  readonly #gauges: Int32Array
  readonly #places = new Map<string, StatPlace>()

  constructor(counters: SharedArrayBuffer, gauges: SharedArrayBuffer) {
    this.#counters = new Float64Array(counters)
    this.#gauges = new Int32Array(gauges)
  }

  apply(change: StatsChange): void {
    for (const entry of change) {
      if (typeof entry === 'string') this.#places.delete(entry)
      else this.#places.set(entry.name, entry)
    }
  }

  get places(): Iterable<StatPlace> {
    return this.#places.values()
  }

  /** One number, or all cells of a histogram. */
  read({ kind, slot }: StatPlace): readonly number[] {
    if (kind === 'gauge') return [Atomics.load(this.#gauges, slot)]
    return [...this.#counters.subarray(slot, slot + (kind === 'histogram' ? histogramCells : 1))]
  }
}

interface MergedStat extends Stat {
  numbers: number[]
}

export interface MergedStatsOptions {
  /** Of the main thread itself. */
  readonly own: StatsRegistry
  readonly workers: () => readonly WorkerStats[]
  /** Tells every worker to set its counters back. */
  readonly resetWorkers: () => void
}

export class MergedStats implements StatsView {
  readonly #options: MergedStatsOptions
  /** Of workers that are gone. */
  readonly #kept = new Map<string, MergedStat>()

  constructor(options: MergedStatsOptions) {
    this.#options = options
  }

  list(): readonly Stat[] {
    const merged = new Map<string, MergedStat>()
    for (const stat of this.#options.own.list()) addStat(merged, stat, numbersOf(stat))
    for (const worker of this.#options.workers()) {
      for (const place of worker.places) addStat(merged, place, worker.read(place))
    }
    for (const stat of this.#kept.values()) addStat(merged, stat, stat.numbers)
    return [...merged.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  resetCounters(): void {
    this.#options.own.resetCounters()
    this.#options.resetWorkers()
    this.#kept.clear()
  }

  /** The worker has ended: its counts stay. */
  keep(worker: WorkerStats): void {
    for (const place of worker.places) {
      if (place.kind !== 'gauge') addStat(this.#kept, place, worker.read(place))
    }
  }
}

interface Named {
  readonly kind: StatKind
  readonly name: string
  readonly metric: string
  readonly labels: StatLabels
}

function numbersOf(stat: Stat): readonly number[] {
  return stat.kind === 'histogram' ? stat.cells() : [stat.value()]
}

/** A gauge of several threads is one cell, so it is taken, not added. */
function addStat(into: Map<string, MergedStat>, stat: Named, numbers: readonly number[]): void {
  const known = into.get(stat.name)
  if (known === undefined) {
    into.set(stat.name, mergedStat(stat, numbers))
    return
  }
  for (const [index, number] of numbers.entries()) {
    const before = known.numbers[index] ?? 0
    known.numbers[index] = known.kind === 'gauge' ? number : before + number
  }
}

function mergedStat({ kind, name, metric, labels }: Named, start: readonly number[]): MergedStat {
  const numbers = [...start]
  const isHistogram = kind === 'histogram'
  return {
    kind,
    name,
    metric,
    labels,
    numbers,
    value: () =>
      isHistogram
        ? numbers.slice(0, overflowCell + 1).reduce((sum, count) => sum + count, 0)
        : (numbers[0] ?? 0),
    cells: () => (isHistogram ? numbers : []),
  }
}
