/**
 * When an attempt that failed is made again: the compiled policy, and the words that an attempt ends with.
 * Envoy `route.RetryPolicy`; the condition names are those of `x-envoy-retry-on`.
 */
import type { Failure } from '../failure.ts'

export type RetryCondition =
  | '5xx'
  | 'gateway-error'
  | 'reset'
  | 'reset-before-request'
  | 'connect-failure'
  | 'envoy-ratelimited'
  | 'retriable-4xx'
  | 'refused-stream'
  | 'retriable-status-codes'
  | 'retriable-headers'
  | 'cancelled'
  | 'deadline-exceeded'
  | 'internal'
  | 'resource-exhausted'
  | 'unavailable'

export interface RetryPolicy {
  readonly conditions: ReadonlySet<RetryCondition>
  /** Retries after the first attempt. Envoy `num_retries`. */
  readonly retriesMax: number
  /** 0: none. Ignored when it is not below the route's time-out. */
  readonly perTryTimeoutMs: number
  readonly retriableStatusCodes: ReadonlySet<number>
  readonly backoffBaseMs: number
  readonly backoffMaxMs: number
  /** Envoy `previous_hosts`: a retry avoids hosts already tried, for this many re-selections. */
  readonly avoidPreviousHosts: boolean
  readonly hostSelectionAttemptsMax: number
}

/** How one attempt ended, as far as a retry decision needs it. */
export interface AttemptOutcome {
  /** 1 for the first attempt. */
  readonly attempt: number
  /** Status of the response, when there was one. */
  readonly status: number | undefined
  /** `grpc-status` of a trailers-only response. */
  readonly grpcStatus: number | undefined
  readonly failure: Failure | undefined
  /** Whether any byte of the request may have reached the upstream application. */
  readonly requestSent: boolean
  /** Whether the whole request is still held, so that it can be sent again. */
  readonly isReplayable: boolean
  /** Whether a byte of a response has gone downstream; then nothing can be retried. */
  readonly responseStarted: boolean
}

export type RetryDecision = 'retry' | 'give-up'
