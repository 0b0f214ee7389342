/**
 * Answers the health checks that others make of this proxy (Envoy `envoy.filters.http.health_check`): itself, by what it
 * knows of clusters, or by what the application said, which may be kept for a while.
 *
 * While the proxy is told to fail (`POST /healthcheck/fail`), checks get 503 and every other response says
 * `x-envoy-immediate-health-check-fail`, so that clients that check this endpoint leave at once.
 */
import { addFlag } from '../exchange-record.ts'
import { HeaderList } from '../http/header-list.ts'
import type { RequestHead, ResponseHead } from '../http/message.ts'
import type { ClusterSet } from '../upstream/cluster.ts'
import type { FilterAnswer, FilterContext, FilterVerdict, HttpFilter } from './http-filter.ts'

export interface HealthCheckFilterSettings {
  readonly passesThrough: boolean
  /** How long an answer of the application stands for the next ones; 0: it does not. */
  readonly cacheMs: number
  /** Percent of each cluster's hosts that must be well. */
  readonly clusters: readonly (readonly [name: string, leastPercent: number])[]
  /** Whether a request is a health check: all of them must match. */
  readonly matchers: readonly ((head: RequestHead) => boolean)[]
}

export interface HealthCheckFilterOptions {
  readonly name: string
  readonly isOffByDefault: boolean
  readonly settings: HealthCheckFilterSettings
  readonly nowMs: () => number
  readonly isFailing: () => boolean
  readonly clusters: ClusterSet
  /** This proxy's own, which its answers name. */
  readonly nodeCluster: string
}

interface Answered {
  readonly status: number
  readonly details: string
  readonly isDegraded?: boolean
}

const clusterHeader = 'x-envoy-upstream-healthchecked-cluster'

export class HealthCheckFilter implements HttpFilter {
  readonly name: string
  readonly isOffByDefault: boolean
  readonly #options: HealthCheckFilterOptions
  readonly #checks = new WeakSet<FilterContext>()
  #cached: Answered | undefined
  /** Envoy forgets what it has kept by a timer of its own, not by the answer's age. */
  #periodEndMs: number

  constructor(options: HealthCheckFilterOptions) {
    this.name = options.name
    this.isOffByDefault = options.isOffByDefault
    this.#options = options
    this.#periodEndMs = options.nowMs() + options.settings.cacheMs
  }

  onRequest(context: FilterContext): FilterVerdict {
    const { settings, isFailing } = this.#options
    if (!settings.matchers.every((matches) => matches(context.request))) return 'continue'
    this.#checks.add(context)
    const cached = this.#takeCached()
    if (settings.passesThrough && !isFailing() && cached === undefined) return 'continue'
    const answered = this.#judge(cached)
    if (answered.status < 200 || answered.status > 299) addFlag(context.record, 'LH')
    return answer(answered)
  }

  onResponse(context: FilterContext, response: ResponseHead): void {
    const { settings, isFailing, nodeCluster } = this.#options
    if (!this.#checks.has(context)) {
      if (isFailing()) response.headers.set('x-envoy-immediate-health-check-fail', 'true')
      return
    }
    if (settings.cacheMs > 0) {
      const isDegraded = response.headers.has('x-envoy-degraded')
      this.#cached = { status: response.status, details: 'health_check_cached', isDegraded }
    }
    response.headers.set(clusterHeader, nodeCluster)
  }

  #takeCached(): Answered | undefined {
    const { settings, nowMs } = this.#options
    if (settings.cacheMs === 0) return undefined
    const now = nowMs()
    if (now >= this.#periodEndMs) {
      const periods = Math.floor((now - this.#periodEndMs) / settings.cacheMs) + 1
      this.#periodEndMs += periods * settings.cacheMs
      this.#cached = undefined
    }
    return this.#cached
  }

  #judge(cached: Answered | undefined): Answered {
    const { settings, isFailing } = this.#options
    if (isFailing()) return { status: 503, details: 'health_check_failed' }
    if (cached !== undefined) return cached
    for (const [name, least] of settings.clusters) {
      const failed = this.#judgeCluster(name, least)
      if (failed !== undefined) return { status: 503, details: failed }
    }
    const isOfClusters = settings.clusters.length > 0
    return {
      status: 200,
      details: isOfClusters ? 'health_check_ok_cluster_healthy' : 'health_check_ok',
    }
  }

  #judgeCluster(name: string, least: number): string | undefined {
    const cluster = this.#options.clusters.get(name)
    if (cluster === undefined) return 'health_check_failed_no_cluster_found'
    const { hosts } = cluster
    const total = hosts.length
    if (total === 0) return least === 0 ? undefined : 'health_check_failed_cluster_empty'
    const usable = hosts.reduce((count, host) => (host.isAvailable() ? count + 1 : count), 0)
    return usable * 100 < total * least ? 'health_check_failed_cluster_unhealthy' : undefined
  }
}

function answer({ status, details, isDegraded }: Answered): FilterAnswer {
  const headers = new HeaderList()
  if (isDegraded === true) headers.append('x-envoy-degraded', '')
  return { answer: { status, headers, bodyLength: 0, protocol: 'HTTP/1.1' }, details }
}
