/**
 * When an attempt that failed is made again: the compiled policy, and the words that an attempt ends with.
 * Envoy `route.RetryPolicy`; the condition names are those of `x-envoy-retry-on`.
 */
import type { Failure } from '../failure.ts'
import type { HeaderList } from '../http/header-list.ts'
import type { RequestHead } from '../http/message.ts'

/** In the order of Envoy's documentation. */
export const retryConditions = [
  '5xx',
  'gateway-error',
  'reset',
  'reset-before-request',
  'connect-failure',
  'envoy-ratelimited',
  'retriable-4xx',
  'refused-stream',
  'retriable-status-codes',
  'retriable-headers',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
] as const

export type RetryCondition = (typeof retryConditions)[number]

export interface RetryPolicy {
  readonly conditions: ReadonlySet<RetryCondition>
  /** Retries after the first attempt. Envoy `num_retries`. */
  readonly retriesMax: number
  /** 0: none. Ignored when it is not below the route's time-out. */
  readonly perTryTimeoutMs: number
  /** No progress within one attempt; 0: none. */
  readonly perTryIdleTimeoutMs: number
  readonly retriableStatusCodes: ReadonlySet<number>
  /** Whether the route's own conditions hold for a request; absent: for all. */
  readonly isMeant?: (head: RequestHead) => boolean
  /** `retriable-headers`: any of these. */
  readonly retriableHeaders: readonly ((headers: HeaderList, status: number) => boolean)[]
  readonly backoffBaseMs: number
  readonly backoffMaxMs: number
  readonly rateLimitedBackoff: RateLimitedBackoff | undefined
  /** Envoy `previous_hosts`: a retry avoids hosts already tried, for this many re-selections. */
  readonly avoidPreviousHosts: boolean
  readonly hostSelectionAttemptsMax: number
  /** Envoy `previous_priorities`: after so many attempts their priorities are left out; absent: they are not. */
  readonly prioritiesUpdateEvery?: number
}

/** Envoy `rate_limited_retry_back_off`: the upstream says when to come back. */
export interface RateLimitedBackoff {
  readonly headers: readonly {
    readonly name: string
    readonly format: 'seconds' | 'unix-timestamp'
  }[]
  /** A longer wait than this is not believed. */
  readonly maxMs: number
}

/** How one attempt ended, as far as a retry decision needs it. */
export interface AttemptOutcome {
  /** 1 for the first attempt. */
  readonly attempt: number
  /** Status of the response, when there was one. */
  readonly status: number | undefined
  /** `grpc-status` of a trailers-only response. */
  readonly grpcStatus: number | undefined
  /** Header fields of the response, when there was one. */
  readonly responseHeaders?: HeaderList | undefined
  readonly failure: Failure | undefined
  /** Whether any byte of the request may have reached the upstream application. */
  readonly requestSent: boolean
  /** Whether the whole request is still held, so that it can be sent again. */
  readonly isReplayable: boolean
  /** Whether a byte of a response has gone downstream; then nothing can be retried. */
  readonly responseStarted: boolean
}

/** `limit-exceeded`: the policy says retry, and its retries are used up (flag URX, counted). */
export type RetryDecision = 'retry' | 'give-up' | 'limit-exceeded'
