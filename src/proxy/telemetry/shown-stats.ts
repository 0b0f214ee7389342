/**
 * What is shown of the statistics, and with which labels, as the bootstrap's `stats_config` says.
 *
 * Every statistic is counted whether it is shown or not: breakers, drains and threads read some of them. What is decided
 * about a name is remembered while there is a statistic of that name.
 */
import type { Stat, StatLabels, StatsView } from './stats-registry.ts'

export interface StatsPolicy {
  readonly isShown: (name: string) => boolean
  readonly tags: readonly TagRule[]
}

/** A tag for every statistic, or one whose value stands in the name. */
export type TagRule =
  | { readonly name: string; readonly value: string }
  | { readonly name: string; readonly pattern: RegExp }

interface Decision {
  readonly metric: string
  readonly labels: StatLabels
}

export class ShownStats implements StatsView {
  readonly #stats: StatsView
  readonly #policy: StatsPolicy
  /** Undefined: not shown. */
  #decisions = new Map<string, Decision | undefined>()

  constructor(stats: StatsView, policy: StatsPolicy) {
    this.#stats = stats
    this.#policy = policy
  }

  list(): readonly Stat[] {
    const before = this.#decisions
    const decisions = new Map<string, Decision | undefined>()
    const shown = this.#stats.list().flatMap((stat) => {
      const { name } = stat
      const decision = before.has(name) ? before.get(name) : this.#decide(stat)
      decisions.set(name, decision)
      return decision === undefined ? [] : [retagged(stat, decision)]
    })
    // Those of statistics that have gone are forgotten.
    this.#decisions = decisions
    return shown
  }

  resetCounters(): void {
    this.#stats.resetCounters()
  }

  #decide({ name, metric, labels }: Stat): Decision | undefined {
    if (!this.#policy.isShown(name)) return undefined
    let decision: Decision = { metric, labels }
    for (const rule of this.#policy.tags) decision = tagged(decision, rule, name)
    return decision
  }
}

function retagged(stat: Stat, { metric, labels }: Decision): Stat {
  if (metric === stat.metric && labels === stat.labels) return stat
  return {
    kind: stat.kind,
    name: stat.name,
    metric,
    labels,
    value: () => stat.value(),
    cells: () => stat.cells(),
  }
}

/** The first group is taken out of the metric's name; the second, or the first, is the value. */
function tagged(decision: Decision, rule: TagRule, name: string): Decision {
  const label = sanitized(rule.name)
  // What is known of itself stays as it is.
  if (decision.labels.some(([known]) => known === label)) return decision
  if ('value' in rule) return withLabel(decision, label, rule.value)
  const [, removed, value = removed] = rule.pattern.exec(name) ?? []
  if (removed === undefined || value === undefined) return decision
  const metric = decision.metric.replace(sanitized(removed), '')
  return withLabel({ ...decision, metric }, label, value)
}

function withLabel({ metric, labels }: Decision, name: string, value: string): Decision {
  return { metric, labels: [...labels, [name, value]] }
}

/** As Prometheus takes names. */
function sanitized(name: string): string {
  return name.replaceAll(/[^a-zA-Z0-9_]/g, '_')
}
