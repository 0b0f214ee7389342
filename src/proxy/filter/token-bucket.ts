/**
 * Envoy's `TokenBucket`: tokens flow in at a steady rate, up to a ceiling, and each request or connection takes one.
 * It begins full. Nothing ticks: what has flowed in is worked out when somebody asks.
 */
import type { Clock } from '../../lib/clock.ts'
import type { TokenBucket as TokenBucketMessage } from '../../xds/proto/generated/envoy/type/v3/token_bucket.ts'
import { type FieldReport, type MessageRule, at, refuse, used } from '../config/field-rule.ts'
import { durationMs } from '../config/message-value.ts'

export const tokenBucketRule: MessageRule = {
  type: 'envoy.type.v3.TokenBucket',
  fields: { maxTokens: used(), tokensPerFill: used(), fillInterval: used() },
}

export interface TokenRate {
  readonly tokensMax: number
  readonly tokensPerMs: number
}

/** Envoy's least; a shorter one is refused. */
const fillIntervalMinMs = 50

export function compileTokenBucket(message: TokenBucketMessage, report: FieldReport): TokenRate {
  const { maxTokens, tokensPerFill = 1, fillInterval } = message
  if (maxTokens < 1) {
    refuse(at(report, 'max_tokens'), `value must be greater than 0, got ${maxTokens}`)
  }
  if (tokensPerFill < 1) {
    refuse(at(report, 'tokens_per_fill'), `value must be greater than 0, got ${tokensPerFill}`)
  }
  const here = at(report, 'fill_interval')
  if (fillInterval === undefined) refuse(here, 'is required')
  const rule = { absentMs: fillIntervalMinMs, least: 'positive' } as const
  const intervalMs = durationMs(fillInterval, rule, here)
  if (intervalMs < fillIntervalMinMs) {
    refuse(here, 'local rate limit token bucket fill timer must be >= 50ms')
  }
  return { tokensMax: maxTokens, tokensPerMs: tokensPerFill / intervalMs }
}

export class TokenBucket {
  readonly #rate: TokenRate
  readonly #clock: Clock
  #tokens: number
  #sinceMs: number

  constructor(rate: TokenRate, clock: Clock) {
    this.#rate = rate
    this.#clock = clock
    this.#tokens = rate.tokensMax
    this.#sinceMs = clock.monotonicMs()
  }

  take(): boolean {
    const { tokensMax, tokensPerMs } = this.#rate
    const nowMs = this.#clock.monotonicMs()
    this.#tokens = Math.min(tokensMax, this.#tokens + (nowMs - this.#sinceMs) * tokensPerMs)
    this.#sinceMs = nowMs
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }
}
