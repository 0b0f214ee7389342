/**
 * Counters of routes that name themselves for statistics, by Envoy's names: `vhost.<virtual host>.route.<stat_prefix>.…`.
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
  readonly statPrefix: string
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
  of({ virtualHost, statPrefix }: RouteNames): RouteStats | undefined {
    const path = `vhost.${virtualHost}.route.${statPrefix}`
    const known = this.#known.get(path)
    if (known !== undefined) return known
    if (this.#known.size >= routeStatsMax) {
      this.#uncounted.add(1)
      return undefined
    }
    const made = createRouteStats(this.#registry, path, { virtualHost, statPrefix })
    this.#known.set(path, made)
    return made
  }
}

function createRouteStats(registry: StatsRegistry, path: string, names: RouteNames): RouteStats {
  const scope = registry.scope({
    path,
    metric: 'envoy_vhost_route',
    labels: [
      ['envoy_virtual_host', names.virtualHost],
      ['envoy_route', names.statPrefix],
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
