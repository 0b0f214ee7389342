/**
 * What routes are counted by: `vhost.<virtual host>.vcluster.<name>.…` of virtual clusters, and `….route.<prefix>.…` of
 * routes with a `stat_prefix`, as the router of Envoy counts them. Made when a name first counts; one that a newer
 * table uses too goes on counting. Names of tables that are gone are kept, up to a ceiling, beyond which new ones are
 * not counted and `route_stats.overflow` says how often.
 */
import type { Counter, Histogram, ResponseCounters } from './cluster-stats.ts'
import { responseCounters } from './response-counters.ts'
import type { StatsRegistry } from './stats-registry.ts'

export interface RouteStats {
  readonly rqTotal: Counter
  readonly rqTimeout: Counter
  readonly rqRetry: Counter
  readonly rqRetrySuccess: Counter
  readonly rqRetryOverflow: Counter
  readonly rqRetryLimitExceeded: Counter
  readonly answers: ResponseCounters
  /** Milliseconds. */
  readonly rqTime: Histogram
}

/** What of a request is counted by: `vcluster` where its virtual host has virtual clusters. */
export interface CountedRoute {
  readonly virtualHost: string
  readonly kind: 'vcluster' | 'route'
  readonly name: string
}

const namesMax = 4096

export class RouteStatsTable {
  readonly #registry: StatsRegistry
  readonly #namesMax: number
  readonly #byName = new Map<string, RouteStats>()
  #overflow: Counter | undefined

  constructor(registry: StatsRegistry, max = namesMax) {
    this.#registry = registry
    this.#namesMax = max
  }

  of(counted: CountedRoute): RouteStats | undefined {
    const path = `vhost.${counted.virtualHost}.${counted.kind}.${counted.name}`
    const known = this.#byName.get(path)
    if (known !== undefined) return known
    if (this.#byName.size >= this.#namesMax) {
      this.#overflow ??= this.#registry
        .scope({ path: 'route_stats', metric: 'envoy_route_stats', labels: [] })
        .counter('overflow')
      this.#overflow.add(1)
      return undefined
    }
    const made = createRouteStats(this.#registry, path, counted)
    this.#byName.set(path, made)
    return made
  }
}

function createRouteStats(
  registry: StatsRegistry,
  path: string,
  { virtualHost, kind, name }: CountedRoute,
): RouteStats {
  const label = kind === 'route' ? 'envoy_route' : 'envoy_virtual_cluster'
  const scope = registry.scope({
    path,
    metric: `envoy_vhost_${kind}`,
    labels: [
      [label, name],
      ['envoy_virtual_host', virtualHost],
    ],
  })
  return {
    rqTotal: scope.counter('upstream_rq_total'),
    rqTimeout: scope.counter('upstream_rq_timeout'),
    rqRetry: scope.counter('upstream_rq_retry'),
    rqRetrySuccess: scope.counter('upstream_rq_retry_success'),
    rqRetryOverflow: scope.counter('upstream_rq_retry_overflow'),
    rqRetryLimitExceeded: scope.counter('upstream_rq_retry_limit_exceeded'),
    answers: responseCounters(scope, { name: 'upstream_rq', hasCodes: true }),
    rqTime: scope.histogram('upstream_rq_time'),
  }
}
