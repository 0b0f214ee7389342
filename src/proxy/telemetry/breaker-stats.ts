/**
 * How a cluster stands to its limits, `cluster.<name>.circuit_breakers.default.…`: whether each is reached, and what is
 * left of it where that is asked for (Envoy `track_remaining`). Worked out when somebody looks, so that requests pay
 * nothing for it.
 */
import type { BreakerResource, CircuitBreaker } from '../resilience/circuit-breaker.ts'
import type { StatScope, StatsRegistry } from './stats-registry.ts'

/** Envoy's names of what is open, and of what remains. */
const names: Readonly<Record<BreakerResource, readonly [open: string, remaining: string]>> = {
  connections: ['cx_open', 'remaining_cx'],
  pending: ['rq_pending_open', 'remaining_pending'],
  requests: ['rq_open', 'remaining_rq'],
  retries: ['rq_retry_open', 'remaining_retries'],
}

export function createBreakerStats(
  registry: StatsRegistry,
  clusterName: string,
  breaker: CircuitBreaker,
): StatScope {
  const scope = registry.scope({
    path: `cluster.${clusterName}.circuit_breakers.default`,
    metric: 'envoy_cluster_circuit_breakers_default',
    labels: [['envoy_cluster_name', clusterName]],
  })
  const resources: readonly BreakerResource[] = ['connections', 'pending', 'requests', 'retries']
  const tracks = breaker.limits().tracksRemaining === true
  for (const resource of resources) {
    const [open, remaining] = names[resource]
    // A limit of nothing is not reached before something is there, as in Envoy.
    scope.computed(open, () => {
      const active = breaker.active(resource)
      return active > 0 && active >= breaker.max(resource) ? 1 : 0
    })
    if (tracks) {
      scope.computed(remaining, () => Math.max(0, breaker.max(resource) - breaker.active(resource)))
    }
  }
  return scope
}
