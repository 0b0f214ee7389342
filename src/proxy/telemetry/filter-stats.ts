/** Counters of HTTP filters, by Envoy's names: `http.<stat_prefix>.fault.…` and `http.<stat_prefix>.cors.…`. */
import type { Counter, Gauge } from './cluster-stats.ts'
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
