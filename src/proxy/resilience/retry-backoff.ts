/**
 * How long to wait before a retry: what the upstream asked for, where the policy listens to it, otherwise the fully
 * jittered exponential back-off (lib/backoff.ts).
 */
import { backoffMs } from '../../lib/backoff.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'
import type { HeaderList } from '../http/header-list.ts'
import type { RateLimitedBackoff, RetryPolicy } from './retry-policy.ts'

export interface RetryWaitOptions {
  /** 1 for the first retry. */
  readonly retry: number
  readonly random: Random
  readonly clock: Clock
  /** Of the response that is retried, when there was one. */
  readonly responseHeaders: HeaderList | undefined
}

export interface RetryWait {
  readonly delayMs: number
  /** The upstream said when to come back. */
  readonly isAsked: boolean
}

export function retryWait(policy: RetryPolicy, options: RetryWaitOptions): RetryWait {
  const { retry, random, clock, responseHeaders } = options
  const { rateLimitedBackoff } = policy
  if (rateLimitedBackoff !== undefined && responseHeaders !== undefined) {
    const askedMs = askedWaitMs(rateLimitedBackoff, responseHeaders, clock)
    // Uniform in [asked, 1.5 × asked): never earlier than asked, and not all at once.
    if (askedMs !== undefined) {
      return { delayMs: askedMs + random() * askedMs * 0.5, isAsked: true }
    }
  }
  const { backoffBaseMs: baseMs, backoffMaxMs: maxMs } = policy
  return { delayMs: backoffMs(retry, { baseMs, maxMs, random }), isAsked: false }
}

/** The first header that holds a wait we believe. */
function askedWaitMs(
  backoff: RateLimitedBackoff,
  headers: HeaderList,
  clock: Clock,
): number | undefined {
  for (const { name, format } of backoff.headers) {
    const text = headers.get(name)
    if (text === undefined || !/^\d{1,15}$/.test(text)) continue
    const seconds = format === 'seconds' ? Number(text) : Number(text) - wholeSeconds(clock)
    const ms = seconds * 1000
    // As Envoy: now is no time to wait for.
    if (ms > 0 && ms <= backoff.maxMs) return ms
  }
  return undefined
}

/** As Envoy: a time-stamp of this second is no time away. */
function wholeSeconds(clock: Clock): number {
  return Math.floor(clock.nowMs() / 1000)
}
