/**
 * Counters of HTTP filters, by Envoy's names: `http.<stat_prefix>.fault.…`, `….cors.…`, and ours of
 * `….on_demand.…`.
 */
import type { Counter, Gauge, Histogram } from './cluster-stats.ts'
import type { StatScope, StatsRegistry } from './stats-registry.ts'

export interface FaultStats {
  readonly delaysInjected: Counter
  readonly abortsInjected: Counter
  readonly responseRatesInjected: Counter
  readonly faultsOverflow: Counter
  readonly activeFaults: Gauge
  close(): void
}

export interface CorsStats {
  readonly originValid: Counter
  readonly originInvalid: Counter
  close(): void
}

export interface OnDemandStats {
  readonly hostsAsked: Counter
  /** Answered, and nothing there. */
  readonly hostsAbsent: Counter
  readonly hostsLate: Counter
  readonly hostsRefused: Counter
  readonly clustersAsked: Counter
  readonly clustersLate: Counter
  readonly clustersRefused: Counter
  /** What a request waited for each. */
  readonly waitMs: Histogram
  close(): void
}

export function createOnDemandStats(registry: StatsRegistry, statPrefix: string): OnDemandStats {
  const scope = managerScope(registry, statPrefix)
  const counter = (name: string): Counter => scope.counter(`on_demand.${name}`)
  return {
    hostsAsked: counter('hosts_asked'),
    hostsAbsent: counter('hosts_absent'),
    hostsLate: counter('hosts_late'),
    hostsRefused: counter('hosts_overflow'),
    clustersAsked: counter('clusters_asked'),
    clustersLate: counter('clusters_late'),
    clustersRefused: counter('clusters_overflow'),
    waitMs: scope.histogram('on_demand.wait_ms'),
    close: () => scope.close(),
  }
}

export interface LocalRateLimitStats {
  readonly enabled: Counter
  readonly enforced: Counter
  readonly rateLimited: Counter
  readonly ok: Counter
  close(): void
}

/** `<stat_prefix>.http_local_rate_limit.…`, which stands in no manager's tree. */
export function createLocalRateLimitStats(
  registry: StatsRegistry,
  statPrefix: string,
): LocalRateLimitStats {
  const scope = registry.scope({
    path: `${statPrefix}.http_local_rate_limit`,
    metric: 'envoy_http_local_rate_limit',
    labels: [['envoy_local_http_ratelimit_prefix', statPrefix]],
  })
  return {
    enabled: scope.counter('enabled'),
    enforced: scope.counter('enforced'),
    rateLimited: scope.counter('rate_limited'),
    ok: scope.counter('ok'),
    close: () => scope.close(),
  }
}

export function createFaultStats(registry: StatsRegistry, statPrefix: string): FaultStats {
  const scope = managerScope(registry, statPrefix)
  return {
    delaysInjected: scope.counter('fault.delays_injected'),
    abortsInjected: scope.counter('fault.aborts_injected'),
    responseRatesInjected: scope.counter('fault.response_rl_injected'),
    faultsOverflow: scope.counter('fault.faults_overflow'),
    activeFaults: scope.gauge('fault.active_faults'),
    close: () => scope.close(),
  }
}

export function createCorsStats(registry: StatsRegistry, statPrefix: string): CorsStats {
  const scope = managerScope(registry, statPrefix)
  return {
    originValid: scope.counter('cors.origin_valid'),
    originInvalid: scope.counter('cors.origin_invalid'),
    close: () => scope.close(),
  }
}

function managerScope(registry: StatsRegistry, statPrefix: string): StatScope {
  return registry.scope({
    path: `http.${statPrefix}`,
    metric: 'envoy_http',
    labels: [['envoy_http_conn_manager_prefix', statPrefix]],
  })
}
