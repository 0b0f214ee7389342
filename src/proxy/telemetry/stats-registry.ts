/**
 * Every counter, gauge and histogram of one sidecar, by Envoy's name.
 *
 * A stat has two names: the dotted one of admin `/stats` (`cluster.outbound|80||a.b.upstream_rq_total`) and a metric
 * with labels for Prometheus (`envoy_cluster_upstream_rq_total{envoy_cluster_name="outbound|80||a.b"}`). Envoy gets
 * the second from the first by regular expressions, which a dot in a cluster's name defeats; here whoever creates a
 * scope says what is name and what is label. Stats of the same name are one stat, counted by reference, so that a
 * cluster that is replaced goes on counting where it was.
 */
import { unreachable } from '../../lib/assert.ts'
import type { Counter, Gauge, Histogram } from './cluster-stats.ts'
import { bucketOf, histogramCells, overflowCell, sumCell } from './histogram-buckets.ts'
import type { CounterSlot, GaugeSlot, Slots } from './slots.ts'

export type StatLabels = readonly (readonly [name: string, value: string])[]

export interface StatScopeOptions {
  /** Start of the dotted names, without the last dot: `cluster.outbound|80||a.b`. */
  readonly path: string
  /** Start of the metric's name: `envoy_cluster`. */
  readonly metric: string
  readonly labels: StatLabels
}

/** For stats whose last part is a label to Prometheus: `upstream_rq_2xx` is `upstream_rq_xx`, class 2. */
export interface StatNaming {
  readonly metric: string
  readonly labels: StatLabels
}

export type StatKind = 'counter' | 'gauge' | 'histogram'

/** What a renderer sees of a stat. */
export interface Stat {
  readonly kind: StatKind
  readonly name: string
  readonly metric: string
  readonly labels: StatLabels
  /** Of a histogram: the number of values. */
  value(): number
  /** Of a histogram: counts of our buckets, of what is above them, and the sum; otherwise empty. */
  cells(): readonly number[]
}

/** What renders and resets: the stats of one thread, or of all together. */
export interface StatsView {
  /** Sorted by dotted name. */
  list(): readonly Stat[]
  /** Envoy's POST /reset_counters. */
  resetCounters(): void
}

/** Where the numbers of a stat stand, for a thread that reads another one's. */
export interface StatPlace {
  readonly kind: StatKind
  readonly name: string
  readonly metric: string
  readonly labels: StatLabels
  readonly slot: number
}

/** Told of every stat that comes and goes. */
export interface StatsDirectory {
  onAdded(place: StatPlace): void
  onRemoved(name: string): void
}

export class StatsRegistry implements StatsView {
  readonly #slots: Slots
  readonly #directory: StatsDirectory | undefined
  readonly #stats = new Map<string, StatEntry>()

  constructor(slots: Slots, directory?: StatsDirectory) {
    this.#slots = slots
    this.#directory = directory
  }

  get slots(): Slots {
    return this.#slots
  }

  scope(options: StatScopeOptions): StatScope {
    return new StatScope(this, options)
  }

  /** Sorted by dotted name. */
  list(): readonly Stat[] {
    return [...this.#stats.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  get size(): number {
    return this.#stats.size
  }

  /** Envoy's POST /reset_counters. */
  resetCounters(): void {
    for (const entry of this.#stats.values()) if (entry.kind !== 'gauge') entry.reset()
  }

  /** Finds or makes a stat, and holds it. */
  acquire(kind: StatKind, options: StatScopeOptions & { readonly name: string }): StatEntry {
    const name = options.path === '' ? options.name : `${options.path}.${options.name}`
    let entry = this.#stats.get(name)
    if (entry === undefined) {
      entry = createEntry(this.#slots, kind, { ...options, name })
      this.#stats.set(name, entry)
      const { metric, labels, slot } = entry
      this.#directory?.onAdded({ kind, name, metric, labels, slot })
    }
    entry.references += 1
    return entry
  }

  /** A gauge that is worked out when it is read. It has no cell, so other threads do not see it. */
  compute(read: () => number, options: StatScopeOptions & { readonly name: string }): StatEntry {
    const name = `${options.path}.${options.name}`
    const { metric, labels } = options
    const entry = new ComputedEntry({ name, metric, labels }, read)
    entry.references = 1
    // The newest of a name counts, as a cluster that takes another's place.
    this.#stats.set(name, entry)
    return entry
  }

  release(entry: StatEntry): void {
    entry.references -= 1
    if (entry.references > 0 || this.#stats.get(entry.name) !== entry) return
    this.#stats.delete(entry.name)
    this.#directory?.onRemoved(entry.name)
    entry.free()
  }
}

/** Stats that come and go together: those of a cluster, a host, a connection manager. */
export class StatScope {
  readonly #registry: StatsRegistry
  readonly #options: StatScopeOptions
  readonly #held: StatEntry[] = []

  constructor(registry: StatsRegistry, options: StatScopeOptions) {
    this.#registry = registry
    this.#options = options
  }

  counter(name: string, naming?: StatNaming): Counter {
    return this.#acquire('counter', name, naming) as CounterEntry // kind 'counter'
  }

  gauge(name: string, naming?: StatNaming): Gauge {
    return this.#acquire('gauge', name, naming) as GaugeEntry // kind 'gauge'
  }

  histogram(name: string, naming?: StatNaming): Histogram {
    return this.#acquire('histogram', name, naming) as HistogramEntry // kind 'histogram'
  }

  /** A gauge that is worked out when it is read. */
  computed(name: string, read: () => number): void {
    const { path, metric, labels } = this.#options
    const options = { path, name, metric: metricName(metric, name), labels }
    this.#held.push(this.#registry.compute(read, options))
  }

  /** Forgets the stats, where nobody else holds them. Handles must not be used afterwards. */
  close(): void {
    for (const entry of this.#held) this.#registry.release(entry)
    this.#held.length = 0
  }

  #acquire(kind: StatKind, name: string, naming: StatNaming | undefined): StatEntry {
    const { path, metric, labels } = this.#options
    const entry = this.#registry.acquire(kind, {
      path,
      name,
      metric: metricName(metric, naming?.metric ?? name),
      labels: naming === undefined ? labels : [...naming.labels, ...labels],
    })
    this.#held.push(entry)
    return entry
  }
}

/** Prometheus allows letters, digits and underscores; Envoy replaces the rest. */
function metricName(scope: string, name: string): string {
  return (scope === '' ? name : `${scope}_${name}`).replaceAll(/[^a-zA-Z0-9_]/g, '_')
}

interface EntryNames {
  readonly name: string
  readonly metric: string
  readonly labels: StatLabels
}

interface StatEntry extends Stat {
  /** Of a histogram: the first. */
  readonly slot: number
  references: number
  reset(): void
  free(): void
}

function createEntry(slots: Slots, kind: StatKind, names: EntryNames): StatEntry {
  switch (kind) {
    case 'counter':
      return new CounterEntry(slots, names)
    case 'gauge':
      return new GaugeEntry(slots, names)
    case 'histogram':
      return new HistogramEntry(slots, names)
    default:
      return unreachable(kind)
  }
}

class CounterEntry implements StatEntry, Counter {
  readonly kind = 'counter'
  readonly name: string
  readonly metric: string
  readonly labels: StatLabels
  references = 0
  readonly #slots: Slots
  readonly #cells: Float64Array
  readonly slot: CounterSlot

  constructor(slots: Slots, names: EntryNames) {
    this.name = names.name
    this.metric = names.metric
    this.labels = names.labels
    this.#slots = slots
    this.#cells = slots.counterCells
    this.slot = slots.counter()
  }

  add(amount: number): void {
    this.#cells[this.slot] = (this.#cells[this.slot] as number) + amount // in bounds: our slot
  }

  value(): number {
    return this.#slots.read(this.slot)
  }

  cells(): readonly number[] {
    return []
  }

  reset(): void {
    this.#cells[this.slot] = 0
  }

  free(): void {
    this.#slots.free(this.slot)
  }
}

class GaugeEntry implements StatEntry, Gauge {
  readonly kind = 'gauge'
  readonly name: string
  readonly metric: string
  readonly labels: StatLabels
  references = 0
  readonly #slots: Slots
  readonly slot: GaugeSlot

  constructor(slots: Slots, names: EntryNames) {
    this.name = names.name
    this.metric = names.metric
    this.labels = names.labels
    this.#slots = slots
    this.slot = slots.gauge(names.name)
  }

  add(amount: number): void {
    this.#slots.addGauge(this.slot, amount)
  }

  set(value: number): void {
    this.#slots.setGauge(this.slot, value)
  }

  value(): number {
    return this.#slots.readGauge(this.slot)
  }

  cells(): readonly number[] {
    return []
  }

  reset(): void {
    // A gauge says what is, not what was: Envoy's reset leaves it.
  }

  free(): void {
    this.#slots.free(this.slot)
  }
}

class ComputedEntry implements StatEntry {
  readonly kind = 'gauge'
  readonly name: string
  readonly metric: string
  readonly labels: StatLabels
  readonly slot = -1
  readonly value: () => number
  references = 0

  constructor(names: EntryNames, read: () => number) {
    this.name = names.name
    this.metric = names.metric
    this.labels = names.labels
    this.value = read
  }

  cells(): readonly number[] {
    return []
  }

  reset(): void {
    // As every gauge.
  }

  free(): void {
    // It has no cell.
  }
}

class HistogramEntry implements StatEntry, Histogram {
  readonly kind = 'histogram'
  readonly name: string
  readonly metric: string
  readonly labels: StatLabels
  references = 0
  readonly #slots: Slots
  readonly #cells: Float64Array
  readonly slot: CounterSlot

  constructor(slots: Slots, names: EntryNames) {
    this.name = names.name
    this.metric = names.metric
    this.labels = names.labels
    this.#slots = slots
    this.#cells = slots.counterCells
    this.slot = slots.counterBlock(histogramCells)
  }

  record(value: number): void {
    const cells = this.#cells
    const bucket = this.slot + bucketOf(value)
    const sum = this.slot + sumCell
    // In bounds: both lie in our block.
    cells[bucket] = (cells[bucket] as number) + 1
    cells[sum] = (cells[sum] as number) + value
  }

  value(): number {
    let count = 0
    for (let index = 0; index <= overflowCell; index += 1) count += this.#read(index)
    return count
  }

  cells(): readonly number[] {
    return Array.from({ length: histogramCells }, (_, index) => this.#read(index))
  }

  reset(): void {
    this.#cells.fill(0, this.slot, this.slot + histogramCells)
  }

  free(): void {
    this.#slots.free(this.slot)
  }

  #read(index: number): number {
    return this.#slots.read((this.slot + index) as CounterSlot) // inside our block
  }
}
