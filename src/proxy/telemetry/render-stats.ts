/** The registry as admin /stats shows it (text, JSON) and as Prometheus scrapes it, in Envoy's formats. */
import {
  envoyBounds,
  envoyBucketEnds,
  overflowCell,
  quantile,
  sumCell,
} from './histogram-buckets.ts'
import type { Stat, StatLabels, StatsView } from './stats-registry.ts'

export interface RenderOptions {
  /** Only what was ever written to: here, what is not 0. */
  readonly usedOnly?: boolean
  readonly filter?: (name: string) => boolean
}

/** Percent, as Envoy lists them. */
const quantiles = [0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100]

/** `name: value`, a line each, then histograms; admin /stats. */
export function renderStatsText(registry: StatsView, options: RenderOptions = {}): string {
  const { scalars, histograms } = selectStats(registry, options)
  const lines = scalars.map((stat) => `${stat.name}: ${stat.value()}`)
  for (const stat of histograms) lines.push(`${stat.name}: ${quantilesText(stat)}`)
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`
}

/** The second number is over the process's life; there are no intervals, so the first is `nan`. */
function quantilesText(stat: Stat): string {
  const cells = stat.cells()
  const shown = quantiles.map((percent) => {
    const value = quantile(cells, percent / 100)
    return value === undefined ? undefined : `P${percent}(nan,${round(value)})`
  })
  return shown.includes(undefined) ? 'No recorded values' : shown.join(' ')
}

/** Admin /stats?format=json. */
export function renderStatsJson(registry: StatsView, options: RenderOptions = {}): string {
  const { scalars, histograms } = selectStats(registry, options)
  const stats: unknown[] = scalars.map((stat) => ({ name: stat.name, value: stat.value() }))
  if (histograms.length > 0) {
    const computed = histograms.map((stat) => {
      const cells = stat.cells()
      const values = quantiles.map((percent) => {
        const value = quantile(cells, percent / 100)
        return { cumulative: value === undefined ? null : round(value), interval: null }
      })
      return { name: stat.name, values }
    })
    stats.push({ histograms: { supported_quantiles: quantiles, computed_quantiles: computed } })
  }
  return JSON.stringify({ stats })
}

/** Prometheus' text format, version 0.0.4; admin /stats/prometheus. */
export function renderPrometheus(registry: StatsView, options: RenderOptions = {}): string {
  const { scalars, histograms } = selectStats(registry, options)
  const lines: string[] = []
  for (const [metric, group] of byMetric(scalars)) {
    lines.push(`# TYPE ${metric} ${group[0]?.kind ?? 'untyped'}`)
    for (const stat of group) lines.push(`${metric}${labelText(stat.labels)} ${stat.value()}`)
  }
  for (const [metric, group] of byMetric(histograms)) {
    lines.push(`# TYPE ${metric} histogram`)
    for (const stat of group) pushHistogram(lines, metric, stat)
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`
}

function pushHistogram(lines: string[], metric: string, stat: Stat): void {
  const cells = stat.cells()
  let count = 0
  let cell = 0
  for (const [index, bound] of envoyBounds.entries()) {
    const end = envoyBucketEnds[index] ?? 0
    for (; cell <= end; cell += 1) count += cells[cell] ?? 0
    lines.push(`${metric}_bucket${labelText(stat.labels, String(bound))} ${count}`)
  }
  for (; cell <= overflowCell; cell += 1) count += cells[cell] ?? 0
  lines.push(
    `${metric}_bucket${labelText(stat.labels, '+Inf')} ${count}`,
    `${metric}_sum${labelText(stat.labels)} ${round(cells[sumCell] ?? 0)}`,
    `${metric}_count${labelText(stat.labels)} ${count}`,
  )
}

interface Selected {
  readonly scalars: readonly Stat[]
  readonly histograms: readonly Stat[]
}

function selectStats(registry: StatsView, options: RenderOptions): Selected {
  const { usedOnly, filter } = options
  const stats = registry.list().filter((stat) => {
    if (filter !== undefined && !filter(stat.name)) return false
    return usedOnly !== true || stat.value() !== 0
  })
  return {
    scalars: stats.filter((stat) => stat.kind !== 'histogram'),
    histograms: stats.filter((stat) => stat.kind === 'histogram'),
  }
}

function byMetric(stats: readonly Stat[]): readonly (readonly [string, readonly Stat[]])[] {
  const groups = [...Map.groupBy(stats, (stat) => stat.metric)]
  return groups.sort(([a], [b]) => (a < b ? -1 : 1))
}

/** `le`, where there is one, stands last. */
function labelText(labels: StatLabels, bound?: string): string {
  const parts = labels.map(([name, value]) => `${name}="${escapeLabel(value)}"`)
  if (bound !== undefined) parts.push(`le="${bound}"`)
  return parts.length === 0 ? '{}' : `{${parts.join(',')}}`
}

const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '"': '\\"', '\n': '\\n' }

function escapeLabel(value: string): string {
  return value.replaceAll(/[\\"\n]/g, (character) => escapes[character] ?? character)
}

/** Six digits after the point are more than a histogram knows. */
function round(value: number): number {
  return Math.round(value * 1_000_000) / 1_000_000
}
