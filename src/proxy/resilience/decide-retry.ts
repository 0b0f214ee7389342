/**
 * Whether an attempt that failed is made again: Envoy's RetryStateImpl, condition by condition.
 *
 * Pure. Whether the cluster's breaker allows one more retry at this moment is asked afterwards (resource `retries`).
 * Three things end the question before the policy is read: a response that the downstream has begun to see, a request
 * that is no longer held whole, and a limit of ours that a second attempt would meet again.
 */
import type { Failure } from '../failure.ts'
import type { HeaderList } from '../http/header-list.ts'
import type { AttemptOutcome, RetryCondition, RetryDecision, RetryPolicy } from './retry-policy.ts'

export function decideRetry(
  policy: RetryPolicy | undefined,
  outcome: AttemptOutcome,
): RetryDecision {
  if (policy === undefined || outcome.responseStarted || !outcome.isReplayable) return 'give-up'
  if (!wouldRetry(policy, outcome)) return 'give-up'
  return outcome.attempt > policy.retriesMax ? 'limit-exceeded' : 'retry'
}

/** Whether a response is one that no condition of the policy could mean, at one look: nearly all are. */
export function isOrdinary(policy: RetryPolicy, { status, headers }: OrdinaryResponse): boolean {
  return (
    status < 400 &&
    policy.retriableHeaders.length === 0 &&
    !policy.retriableStatusCodes.has(status) &&
    !policy.conditions.has('envoy-ratelimited') &&
    !headers.has('grpc-status')
  )
}

interface OrdinaryResponse {
  readonly status: number
  readonly headers: HeaderList
}

function wouldRetry(policy: RetryPolicy, outcome: AttemptOutcome): boolean {
  if (outcome.failure !== undefined) return retriesFailure(policy, outcome, outcome.failure)
  return outcome.status !== undefined && retriesResponse(policy, outcome, outcome.status)
}

/** How a failure without a response looks to Envoy's conditions. */
type Reset = 'connect' | 'reset' | 'refused' | 'never'

/**
 * Failures that are not listed are the downstream's, the configuration's or a filter's: another attempt would meet
 * them again. The route's own time-out ends the request; a per-try time-out ends one attempt.
 */
const resets: Readonly<Partial<Record<Failure, Reset>>> = {
  'connect-failure': 'connect',
  'connect-timeout': 'connect',
  'upstream-reset': 'reset',
  'upstream-refused-stream': 'refused',
  'upstream-termination': 'reset',
  'upstream-protocol-error': 'reset',
  'upstream-headers-too-large': 'reset',
  'per-try-timeout': 'reset',
  'upstream-max-duration': 'reset',
}

function retriesFailure(policy: RetryPolicy, outcome: AttemptOutcome, failure: Failure): boolean {
  const reset = resets[failure] ?? 'never'
  if (reset === 'never') return false
  const { conditions } = policy
  // 5xx and gateway-error contain reset: without a response Envoy would answer 503.
  if (conditions.has('reset') || conditions.has('5xx') || conditions.has('gateway-error')) {
    return true
  }
  if (conditions.has('reset-before-request') && !outcome.requestSent) return true
  if (conditions.has('refused-stream') && reset === 'refused') return true
  return conditions.has('connect-failure') && reset === 'connect'
}

function retriesResponse(policy: RetryPolicy, outcome: AttemptOutcome, status: number): boolean {
  const { conditions } = policy
  // Another proxy's rate limit: only the condition made for it may try again, whatever the status is.
  if (outcome.responseHeaders?.has('x-envoy-ratelimited') === true) {
    return conditions.has('envoy-ratelimited')
  }
  if (retriesStatusClass(conditions, status)) return true
  if (conditions.has('retriable-status-codes') && policy.retriableStatusCodes.has(status)) {
    return true
  }
  return retriesHeaders(policy, outcome, status) || retriesGrpc(policy, outcome.grpcStatus)
}

function retriesHeaders(policy: RetryPolicy, outcome: AttemptOutcome, status: number): boolean {
  const { responseHeaders } = outcome
  if (responseHeaders === undefined || !policy.conditions.has('retriable-headers')) return false
  return policy.retriableHeaders.some((matches) => matches(responseHeaders, status))
}

/** Only a status among the response's headers counts (trailers-only); one in trailers comes too late. */
const grpcConditions: Readonly<Record<number, RetryCondition>> = {
  1: 'cancelled',
  4: 'deadline-exceeded',
  8: 'resource-exhausted',
  13: 'internal',
  14: 'unavailable',
}

function retriesGrpc(policy: RetryPolicy, grpcStatus: number | undefined): boolean {
  if (grpcStatus === undefined) return false
  const condition = grpcConditions[grpcStatus]
  return condition !== undefined && policy.conditions.has(condition)
}

function retriesStatusClass(conditions: ReadonlySet<RetryCondition>, status: number): boolean {
  if (conditions.has('5xx') && status >= 500 && status <= 599) return true
  if (conditions.has('gateway-error') && status >= 502 && status <= 504) return true
  return conditions.has('retriable-4xx') && status === 409
}
