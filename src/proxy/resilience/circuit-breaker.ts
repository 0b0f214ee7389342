/**
 * Ceilings of one cluster (Envoy `circuit_breakers.thresholds`, priority DEFAULT): connections, pending
 * requests, active requests, active retries. Counts live in shared slots, so that workers share them.
 */

export type BreakerResource = 'connections' | 'pending' | 'requests' | 'retries'

export interface BreakerLimits {
  readonly connectionsMax: number
  readonly pendingMax: number
  readonly requestsMax: number
  readonly retriesMax: number
  /** Of one host (Envoy `per_host_thresholds`); absent: no limit. */
  readonly connectionsPerHostMax?: number
  /** What is left of each limit is shown among the statistics. */
  readonly tracksRemaining?: boolean
  /** Envoy retry_budget: when set it replaces `retriesMax`. */
  readonly retryBudget?: RetryBudget
}

/** Retries at once: a share of the requests that are under way, or of those that began in the last interval. */
export interface RetryBudget {
  readonly budgetPercent: number
  readonly retryConcurrencyMin: number
  /** Absent: those under way. */
  readonly intervalMs?: number
}

export interface CircuitBreaker {
  /** Takes one unit, or says false: overflow (flag UO), counted. Each taken unit is released once. */
  tryAcquire(resource: BreakerResource): boolean
  /** Takes one unit whatever the limit says (Envoy: a host without a connection may always open one). */
  acquire(resource: BreakerResource): void
  release(resource: BreakerResource): void
  active(resource: BreakerResource): number
  limits(): BreakerLimits
  /** How many there may be now: of retries, what a budget allows. */
  max(resource: BreakerResource): number
  /** New limits apply to what comes next; counts stay. */
  setLimits(limits: BreakerLimits): void
  /** The cluster is gone and nothing is in flight: gives the slots back. */
  close(): void
}
