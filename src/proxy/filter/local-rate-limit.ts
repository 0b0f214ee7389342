/**
 * Local rate limits (Envoy `envoy.filters.http.local_ratelimit`): a request takes a token, and one that finds none is
 * answered 429, or only counted. What a route says takes the filter's own place, with a bucket of its own.
 *
 * Flag `RL`, details `local_rate_limited`. Each thread has its own buckets; Envoy's are the process's.
 */
import type { Clock } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'
import { LocalRateLimit } from '../../xds/proto/generated/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit.ts'
import type { Any } from '../../xds/proto/generated/google/protobuf/any.ts'
import {
  type FieldReport,
  type MessageRule,
  at,
  checkFields,
  ignored,
  refuse,
  refusedField,
  used,
} from '../config/field-rule.ts'
import { decodeTyped } from '../config/message-value.ts'
import { runtimeFractionRule } from '../config/runtime-fields.ts'
import { HeaderList } from '../http/header-list.ts'
import { compileHeaderEdit } from '../route/header-edit.ts'
import type { HeaderEdit } from '../route/route-table.ts'
import type { LocalRateLimitStats } from '../telemetry/filter-stats.ts'
import { type Fraction, draws, fractionOf, never } from './fraction.ts'
import type { FilterContext, FilterVerdict, HttpFilter, LocalReply } from './http-filter.ts'
import type { RouteFilterConfig } from './route-config.ts'
import { TokenBucket, type TokenRate, compileTokenBucket, tokenBucketRule } from './token-bucket.ts'

export interface LocalRateLimitSettings extends RouteFilterConfig {
  readonly kind: 'local-rate-limit'
  readonly statPrefix: string
  readonly status: number
  /** Undefined: every request is let pass. */
  readonly rate: TokenRate | undefined
  readonly enabled: Fraction
  readonly enforced: Fraction
  readonly editLetPass: HeaderEdit | undefined
  readonly editReply: HeaderEdit | undefined
  readonly grpcStatus: number | undefined
}

const fraction = used(runtimeFractionRule)
const noDescriptors = 'descriptors are not implemented: the bucket is for all requests of a route'

export const localRateLimitRule: MessageRule = {
  type: 'envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit',
  fields: {
    statPrefix: used(),
    status: used({ type: 'envoy.type.v3.HttpStatus', fields: { code: used() } }),
    tokenBucket: used(tokenBucketRule),
    filterEnabled: fraction,
    filterEnforced: fraction,
    requestHeadersToAddWhenNotEnforced: used(),
    responseHeadersToAdd: used(),
    descriptors: refusedField(noDescriptors),
    stage: refusedField(noDescriptors),
    localRateLimitPerDownstreamConnection: refusedField(
      'a bucket for each connection is not implemented',
      false,
    ),
    localClusterRateLimit: refusedField('sharing a limit in a cluster is not implemented'),
    enableXRatelimitHeaders: refusedField('x-ratelimit headers are not implemented'),
    vhRateLimits: ignored('only descriptors read it'),
    alwaysConsumeDefaultTokenBucket: ignored('only descriptors make a difference'),
    rateLimitedAsResourceExhausted: used(),
  },
}

export function compileLocalRateLimit(
  any: Any,
  report: FieldReport,
): LocalRateLimitSettings | undefined {
  const message = decodeTyped(any, LocalRateLimit, report)
  if (message === undefined) return undefined
  checkFields(message, localRateLimitRule, report)
  const { statPrefix, tokenBucket, filterEnabled, filterEnforced } = message
  if (statPrefix === '') {
    refuse(at(report, 'stat_prefix'), 'value length must be at least 1 characters')
  }
  const code = message.status?.code ?? 0
  const edits = (field: string, add: LocalRateLimit['responseHeadersToAdd']) =>
    compileHeaderEdit({ add, remove: [], fields: [field, ''] }, { hostname: '' }, report)
  return {
    kind: 'local-rate-limit',
    statPrefix,
    // As Envoy, which takes nothing below 400 for an answer to what was too much.
    status: code < 400 ? 429 : code,
    rate: tokenBucket && compileTokenBucket(tokenBucket, at(report, 'token_bucket')),
    enabled: filterEnabled === undefined ? never : fractionOf(filterEnabled.defaultValue),
    enforced: filterEnforced === undefined ? never : fractionOf(filterEnforced.defaultValue),
    editLetPass: edits(
      'request_headers_to_add_when_not_enforced',
      message.requestHeadersToAddWhenNotEnforced,
    ),
    editReply: edits('response_headers_to_add', message.responseHeadersToAdd),
    grpcStatus: message.rateLimitedAsResourceExhausted ? 8 : undefined,
  }
}

export interface LocalRateLimitOptions {
  readonly name: string
  readonly settings: LocalRateLimitSettings
  readonly isOffByDefault: boolean
  readonly clock: Clock
  readonly random: Random
  /** Of a prefix; the same object for the same one. */
  readonly statsOf: (statPrefix: string) => LocalRateLimitStats
}

export class LocalRateLimitFilter implements HttpFilter {
  readonly name: string
  readonly isRouteOnly: boolean
  readonly isOffByDefault: boolean
  readonly #options: LocalRateLimitOptions
  /** By what says the limit: they go when it goes. */
  readonly #buckets = new WeakMap<LocalRateLimitSettings, TokenBucket>()

  constructor(options: LocalRateLimitOptions) {
    this.name = options.name
    this.isOffByDefault = options.isOffByDefault
    this.isRouteOnly = options.isOffByDefault || options.settings.enabled.numerator === 0
    this.#options = options
  }

  onRequest(context: FilterContext): FilterVerdict {
    const settings = this.#settingsOf(context)
    const { random, statsOf } = this.#options
    if (!draws(settings.enabled, random)) return 'continue'
    const stats = statsOf(settings.statPrefix)
    stats.enabled.add(1)
    if (this.#takes(settings)) {
      stats.ok.add(1)
      return 'continue'
    }
    stats.rateLimited.add(1)
    const { request, record } = context
    if (!draws(settings.enforced, random)) {
      settings.editLetPass?.(request.headers, request, record)
      return 'continue'
    }
    stats.enforced.add(1)
    return replyOf(settings, context)
  }

  #settingsOf(context: FilterContext): LocalRateLimitSettings {
    const said = context.filterConfig(this.name)
    const isLimit = typeof said === 'object' && said.kind === 'local-rate-limit'
    return isLimit ? (said as LocalRateLimitSettings) : this.#options.settings // of that kind
  }

  #takes(settings: LocalRateLimitSettings): boolean {
    const { rate } = settings
    if (rate === undefined) return true
    let bucket = this.#buckets.get(settings)
    if (bucket === undefined) {
      bucket = new TokenBucket(rate, this.#options.clock)
      this.#buckets.set(settings, bucket)
    }
    return bucket.take()
  }
}

function replyOf(settings: LocalRateLimitSettings, { request, record }: FilterContext): LocalReply {
  const { status, grpcStatus, editReply } = settings
  const headers = new HeaderList()
  editReply?.(headers, request, record)
  const pairs: [string, string][] = []
  for (let index = 0; index < headers.fields.length; index += 2) {
    pairs.push([headers.fields[index] as string, headers.fields[index + 1] as string]) // in bounds
  }
  return {
    failure: 'rate-limited',
    status,
    headers: pairs,
    ...(grpcStatus !== undefined && { grpcStatus }),
  }
}
