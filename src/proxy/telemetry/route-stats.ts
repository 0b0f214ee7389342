/**
 * Counters of routes that name themselves for statistics, and of virtual clusters, by Envoy's names:
 * `vhost.<virtual host>.route.<stat_prefix>.…` and `vhost.<virtual host>.vcluster.<name>.…`.
 *
 * They outlive the table that asked for them, so that a table that is pushed anew goes on counting where it was; how
 * many there may be is therefore limited.
 */
import type { Counter, Histogram, ResponseCounters } from './cluster-stats.ts'
import { responseCounters } from './response-counters.ts'
import type { StatsRegistry } from './stats-registry.ts'

/** Each has six counters and a histogram at the least. Routes beyond that are not counted. */
export const routeStatsMax = 1000

export interface RouteStats {
  readonly rqTotal: Counter
  readonly rqRetry: Counter
  readonly rqRetryLimitExceeded: Counter
  readonly rqRetryOverflow: Counter
  readonly rqRetrySuccess: Counter
  readonly rqTimeout: Counter
  readonly answers: ResponseCounters
  readonly rqTime: Histogram
}

export interface RouteNames {
  readonly virtualHost: string
  readonly kind: 'route' | 'vcluster'
  /** The `stat_prefix`, or the virtual cluster's name. */
  readonly name: string
}

export class RouteStatsTable {
  readonly #registry: StatsRegistry
  readonly #known = new Map<string, RouteStats>()
  readonly #uncounted

  constructor(registry: StatsRegistry) {
    this.#registry = registry
    const scope = registry.scope({ path: 'route_stats', metric: 'envoy_route_stats', labels: [] })
    this.#uncounted = scope.counter('overflow')
  }

  /** The same for the same names; undefined where there are too many already. */
  of(names: RouteNames): RouteStats | undefined {
    const path = `vhost.${names.virtualHost}.${names.kind}.${names.name}`
    const known = this.#known.get(path)
    if (known !== undefined) return known
    if (this.#known.size >= routeStatsMax) {
      this.#uncounted.add(1)
      return undefined
    }
    const made = createRouteStats(this.#registry, path, names)
    this.#known.set(path, made)
    return made
  }
}

function createRouteStats(registry: StatsRegistry, path: string, names: RouteNames): RouteStats {
  const scope = registry.scope({
    path,
    metric: `envoy_vhost_${names.kind}`,
    labels: [
      ['envoy_virtual_host', names.virtualHost],
      [names.kind === 'route' ? 'envoy_route' : 'envoy_virtual_cluster', names.name],
    ],
  })
  return {
    rqTotal: scope.counter('upstream_rq_total'),
    rqRetry: scope.counter('upstream_rq_retry'),
    rqRetryLimitExceeded: scope.counter('upstream_rq_retry_limit_exceeded'),
    rqRetryOverflow: scope.counter('upstream_rq_retry_overflow'),
    rqRetrySuccess: scope.counter('upstream_rq_retry_success'),
    rqTimeout: scope.counter('upstream_rq_timeout'),
    answers: responseCounters(scope, { name: 'upstream_rq', hasCodes: true }),
    rqTime: scope.histogram('upstream_rq_time'),
  }
}

/** Counts in both. */
export function joinRouteStats(
  one: RouteStats | undefined,
  other: RouteStats | undefined,
): RouteStats | undefined {
  if (one === undefined || other === undefined) return one ?? other
  const both = (name: CounterName): Counter => ({
    add(amount) {
      one[name].add(amount)
      other[name].add(amount)
    },
    value: () => one[name].value(),
  })
  return {
    rqTotal: both('rqTotal'),
    rqRetry: both('rqRetry'),
    rqRetryLimitExceeded: both('rqRetryLimitExceeded'),
    rqRetryOverflow: both('rqRetryOverflow'),
    rqRetrySuccess: both('rqRetrySuccess'),
    rqTimeout: both('rqTimeout'),
    answers: {
      add(status) {
        one.answers.add(status)
        other.answers.add(status)
      },
      count: (status) => one.answers.count(status),
    },
    rqTime: {
      record(value) {
        one.rqTime.record(value)
        other.rqTime.record(value)
      },
    },
  }
}

type CounterName = Exclude<keyof RouteStats, 'answers' | 'rqTime'>
