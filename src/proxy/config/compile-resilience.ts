/** Circuit breakers and outlier detection of a Cluster, with Envoy's defaults and ranges. */
import type { CircuitBreakers_Thresholds_RetryBudget } from '../../xds/proto/generated/envoy/config/cluster/v3/circuit_breaker.ts'
import type { Cluster } from '../../xds/proto/generated/envoy/config/cluster/v3/cluster.ts'
import type { OutlierDetection } from '../../xds/proto/generated/envoy/config/cluster/v3/outlier_detection.ts'
import { RoutingPriority } from '../../xds/proto/generated/envoy/config/core/v3/base.ts'
import type { BreakerLimits } from '../resilience/circuit-breaker.ts'
import { breakerLimitsDefault } from '../resilience/create-circuit-breaker.ts'
import type { OutlierSettings } from '../resilience/outlier-detector.ts'
import { perHostThresholds } from './cluster-fields.ts'
import { type FieldReport, at, checkFields, refuse, snakeCase } from './field-rule.ts'
import { durationMs } from './message-value.ts'

/** The first entry of priority DEFAULT counts, as in Envoy. */
export function compileBreakers(cluster: Cluster, report: FieldReport): BreakerLimits {
  const perHost = compilePerHost(cluster, report)
  const thresholds = cluster.circuitBreakers?.thresholds ?? []
  const index = thresholds.findIndex((entry) => entry.priority === RoutingPriority.DEFAULT)
  const found = thresholds[index]
  if (found === undefined) return { ...breakerLimitsDefault, ...perHost }
  const limits = {
    connectionsMax: found.maxConnections ?? breakerLimitsDefault.connectionsMax,
    pendingMax: found.maxPendingRequests ?? breakerLimitsDefault.pendingMax,
    requestsMax: found.maxRequests ?? breakerLimitsDefault.requestsMax,
    retriesMax: found.maxRetries ?? breakerLimitsDefault.retriesMax,
    ...(found.trackRemaining && { tracksRemaining: true }),
    ...perHost,
  }
  if (found.retryBudget === undefined) return limits
  const here = at(report, 'circuit_breakers', 'thresholds', index, 'retry_budget')
  return { ...limits, retryBudget: compileBudget(found.retryBudget, here) }
}

function compilePerHost(
  cluster: Cluster,
  report: FieldReport,
): Pick<BreakerLimits, 'connectionsPerHostMax'> {
  const entries = cluster.circuitBreakers?.perHostThresholds ?? []
  for (const [index, entry] of entries.entries()) {
    const here = at(report, 'circuit_breakers', 'per_host_thresholds', index)
    checkFields(entry, perHostThresholds, here)
  }
  const found = entries.find((entry) => entry.priority === RoutingPriority.DEFAULT)
  const max = found?.maxConnections
  return max === undefined ? {} : { connectionsPerHostMax: max }
}

function compileBudget(
  budget: CircuitBreakers_Thresholds_RetryBudget,
  report: FieldReport,
): NonNullable<BreakerLimits['retryBudget']> {
  const budgetPercent = budget.budgetPercent?.value ?? 20
  if (budgetPercent < 0 || budgetPercent > 100) {
    const here = at(report, 'budget_percent')
    refuse(here, `value must be inside range [0, 100], got ${budgetPercent}`)
  }
  const intervalMs = durationMs(
    budget.budgetInterval,
    { absentMs: 0 },
    at(report, 'budget_interval'),
  )
  return {
    budgetPercent,
    retryConcurrencyMin: budget.minRetryConcurrency ?? 3,
    ...(intervalMs > 0 && { intervalMs }),
  }
}

const percentFields = [
  'maxEjectionPercent',
  'enforcingConsecutive5xx',
  'enforcingSuccessRate',
  'enforcingConsecutiveGatewayFailure',
  'enforcingConsecutiveLocalOriginFailure',
  'enforcingLocalOriginSuccessRate',
  'failurePercentageThreshold',
  'enforcingFailurePercentage',
  'enforcingFailurePercentageLocalOrigin',
] as const

export function compileOutlier(
  value: OutlierDetection | undefined,
  report: FieldReport,
): OutlierSettings | undefined {
  if (value === undefined) return undefined
  for (const field of percentFields) {
    const percent = value[field]
    if (percent === undefined || percent <= 100) continue
    refuse(at(report, snakeCase(field)), `value must be less than or equal to 100, got ${percent}`)
  }
  return { ...outlierTimes(value, report), ...outlierCounts(value) }
}

type OutlierTimes = Pick<
  OutlierSettings,
  'intervalMs' | 'baseEjectionTimeMs' | 'maxEjectionTimeMs' | 'maxEjectionTimeJitterMs'
>

function outlierTimes(value: OutlierDetection, report: FieldReport): OutlierTimes {
  const read = (name: 'interval' | 'baseEjectionTime' | 'maxEjectionTime', absentMs: number) =>
    durationMs(value[name], { absentMs, least: 'positive' }, at(report, snakeCase(name)))
  const baseEjectionTimeMs = read('baseEjectionTime', 30_000)
  // Envoy: the default of 300 s, or the base if that is larger.
  const maxEjectionTimeMs = read('maxEjectionTime', Math.max(300_000, baseEjectionTimeMs))
  if (maxEjectionTimeMs < baseEjectionTimeMs) {
    refuse(at(report, 'max_ejection_time'), 'cannot be smaller than base_ejection_time')
  }
  return {
    intervalMs: read('interval', 10_000),
    baseEjectionTimeMs,
    maxEjectionTimeMs,
    maxEjectionTimeJitterMs: durationMs(
      value.maxEjectionTimeJitter,
      { absentMs: 0 },
      at(report, 'max_ejection_time_jitter'),
    ),
  }
}

const countDefaults = {
  maxEjectionPercent: 10,
  consecutive5xx: 5,
  enforcingConsecutive5xx: 100,
  consecutiveGatewayFailure: 5,
  enforcingConsecutiveGatewayFailure: 0,
  consecutiveLocalOriginFailure: 5,
  enforcingConsecutiveLocalOriginFailure: 100,
  enforcingSuccessRate: 100,
  enforcingLocalOriginSuccessRate: 100,
  successRateMinimumHosts: 5,
  successRateRequestVolume: 100,
  successRateStdevFactor: 1900,
  failurePercentageThreshold: 85,
  enforcingFailurePercentage: 0,
  enforcingFailurePercentageLocalOrigin: 0,
  failurePercentageMinimumHosts: 5,
  failurePercentageRequestVolume: 50,
}

function outlierCounts(value: OutlierDetection): Omit<OutlierSettings, keyof OutlierTimes> {
  const counts = { ...countDefaults }
  for (const key of Object.keys(countDefaults) as (keyof typeof countDefaults)[]) {
    counts[key] = value[key] ?? countDefaults[key]
  }
  return {
    ...counts,
    alwaysEjectOneHost: value.alwaysEjectOneHost ?? false,
    splitExternalLocalOriginErrors: value.splitExternalLocalOriginErrors,
    checksUneject: value.successfulActiveHealthCheckUnejectHost ?? true,
  }
}
