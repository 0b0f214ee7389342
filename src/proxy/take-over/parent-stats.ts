/**
 * What the old sidecar goes on counting while it drains, in the statistics of the new one, as in Envoy's hot restart:
 * counters from the moment at which it let go, and gauges of what is open there for as long as it lives. Histograms stay
 * where they are, as Envoy's do.
 */
import type { Stat, StatLabels, StatsView } from '../telemetry/stats-registry.ts'

/** A line of the hand-over is a list of these. */
export interface PassedStat {
  readonly kind: 'counter' | 'gauge'
  readonly name: string
  readonly metric: string
  readonly labels: StatLabels
  /** Of a counter: since it was last told. Of a gauge: now. */
  readonly value: number
}

/** Gauges that count what is open, and so add up over two processes (Envoy: `Accumulate`). */
const additive = /_(active|buffered)$/

/** The old side: what has changed since it was last asked; at first, since it was made. */
export class StatsTeller {
  readonly #stats: StatsView
  readonly #told = new Map<string, number>()

  constructor(stats: StatsView) {
    this.#stats = stats
    for (const stat of stats.list())
      if (stat.kind === 'counter') this.#told.set(stat.name, stat.value())
  }

  next(): readonly PassedStat[] {
    return this.#stats.list().flatMap((stat) => {
      if (stat.kind === 'histogram' || (stat.kind === 'gauge' && !additive.test(stat.name)))
        return []
      const value = stat.value()
      const before = this.#told.get(stat.name) ?? 0
      if (value === before) return []
      this.#told.set(stat.name, value)
      return [passed(stat, stat.kind === 'gauge' ? value : sinceReset(value, before))]
    })
  }
}

/** A counter that was set back begins anew. */
function sinceReset(value: number, before: number): number {
  return value < before ? value : value - before
}

function passed({ kind, name, metric, labels }: Stat, value: number): PassedStat {
  return { kind: kind === 'gauge' ? 'gauge' : 'counter', name, metric, labels, value }
}

/** Names that are taken over; a sidecar with 1 000 clusters in use has 70 000. */
export const parentStatsMax = 200_000

/** The new side. */
export class ParentStats {
  readonly #stats = new Map<string, { readonly stat: PassedStat; value: number }>()
  /** Names that came beyond `parentStatsMax`, and lines that could not be read: `server.parent_stats_dropped`. */
  dropped = 0

  /** A line of the old one, which may be of another version: what cannot be read says nothing. */
  read(line: string): void {
    try {
      this.take(JSON.parse(line) as readonly PassedStat[])
    } catch {
      this.dropped += 1
    }
  }

  take(stats: readonly PassedStat[]): void {
    for (const stat of stats) {
      const known = this.#stats.get(stat.name)
      if (known !== undefined)
        known.value = stat.kind === 'gauge' ? stat.value : known.value + stat.value
      else if (this.#stats.size < parentStatsMax)
        this.#stats.set(stat.name, { stat, value: stat.value })
      else this.dropped += 1
    }
  }

  /** The old sidecar is gone: nothing is open there. */
  end(): void {
    for (const [name, { stat }] of this.#stats) if (stat.kind === 'gauge') this.#stats.delete(name)
  }

  /** `own` with what the old sidecar counts. */
  joinedTo(own: StatsView): StatsView {
    return {
      list: () => this.#join(own.list()),
      resetCounters: () => {
        own.resetCounters()
        for (const [name, { stat }] of this.#stats)
          if (stat.kind === 'counter') this.#stats.delete(name)
      },
    }
  }

  #join(own: readonly Stat[]): readonly Stat[] {
    if (this.#stats.size === 0) return own
    const left = new Map(this.#stats)
    const joined = own.map((stat) => {
      const before = left.get(stat.name)
      left.delete(stat.name)
      if (before === undefined || before.stat.kind !== stat.kind) return stat
      return withValue(stat, () => stat.value() + before.value)
    })
    // What nobody has counted here yet.
    const others = [...left.values()].map((entry) => withValue(entry.stat, () => entry.value))
    return [...joined, ...others].sort((a, b) => (a.name < b.name ? -1 : 1))
  }
}

function withValue({ kind, name, metric, labels }: Stat | PassedStat, value: () => number): Stat {
  return { kind, name, metric, labels, value, cells: () => [] }
}
