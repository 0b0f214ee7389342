/**
 * Envoy's `route.v3.RetryPolicy` → `RetryPolicy`, with Envoy's defaults and ranges. Which fields exist is checked by
 * the caller against retry-fields.ts.
 */
import { typeNameOf } from '../../xds/any.ts'
import {
  type RetryPolicy as RetryPolicyMessage,
  RetryPolicy_ResetHeaderFormat as ResetFormat,
} from '../../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import { PreviousPrioritiesConfig } from '../../xds/proto/generated/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config.ts'
import { acceptedEach } from '../config/compiled.ts'
import { type FieldReport, at, refuse, showValue } from '../config/field-rule.ts'
import { checkHeaderText } from '../config/header-text.ts'
import { checkEnum, decodeTyped, durationMs } from '../config/message-value.ts'
import { compileRequestMatcher, compileResponseMatcher } from '../route/header-matcher.ts'
import {
  type RateLimitedBackoff,
  type RetryCondition,
  type RetryPolicy,
  retryConditions,
} from './retry-policy.ts'

const backoffBaseDefaultMs = 25
/** Envoy raises a smaller base to this. */
const backoffBaseMinMs = 1
const previousHosts = 'envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate'
const previousPriorities =
  'envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig'

export function compileRetryPolicy(message: RetryPolicyMessage, report: FieldReport): RetryPolicy {
  return {
    conditions: compileConditions(message.retryOn, at(report, 'retry_on')),
    retriesMax: message.numRetries ?? 1,
    perTryTimeoutMs: optionalMs(message.perTryTimeout, at(report, 'per_try_timeout')),
    perTryIdleTimeoutMs: optionalMs(message.perTryIdleTimeout, at(report, 'per_try_idle_timeout')),
    retriableStatusCodes: new Set(message.retriableStatusCodes),
    ...compileRequestHeaders(message, report),
    retriableHeaders: compileHeaders(message, report),
    ...compileBackoff(message, report),
    rateLimitedBackoff: compileRateLimited(message, report),
    avoidPreviousHosts: avoidsPreviousHosts(message, report),
    hostSelectionAttemptsMax: Math.max(1, message.hostSelectionRetryMaxAttempts),
    ...compilePriority(message, at(report, 'retry_priority')),
  }
}

function optionalMs(value: RetryPolicyMessage['perTryTimeout'], report: FieldReport): number {
  return durationMs(value, { absentMs: 0 }, report)
}

const known = new Set<string>(retryConditions)
/** Conditions of protocols that no attempt of ours uses, so that they can never come true. */
const withoutEffect = new Set(['http3-post-connect-failure'])

function compileConditions(retryOn: string, report: FieldReport): ReadonlySet<RetryCondition> {
  const conditions = new Set<RetryCondition>()
  for (const part of retryOn.split(',')) {
    const name = part.trim()
    if (name === '' || withoutEffect.has(name)) continue
    if (known.has(name)) conditions.add(name as RetryCondition) // a member of the list of conditions
    else
      refuse(report, `unknown condition ${showValue(name)}, expected ${retryConditions.join(', ')}`)
  }
  return conditions
}

function compileHeaders(
  message: RetryPolicyMessage,
  report: FieldReport,
): RetryPolicy['retriableHeaders'] {
  const here = at(report, 'retriable_headers')
  return acceptedEach(message.retriableHeaders, compileResponseMatcher, here)
}

/** One of them has to match, where there are any. */
function compileRequestHeaders(
  message: RetryPolicyMessage,
  report: FieldReport,
): Pick<RetryPolicy, 'isMeant'> {
  if (message.retriableRequestHeaders.length === 0) return {}
  const here = at(report, 'retriable_request_headers')
  const matchers = acceptedEach(message.retriableRequestHeaders, compileRequestMatcher, here)
  return { isMeant: (head) => matchers.some((matches) => matches(head)) }
}

function compileBackoff(
  message: RetryPolicyMessage,
  report: FieldReport,
): Pick<RetryPolicy, 'backoffBaseMs' | 'backoffMaxMs'> {
  const { retryBackOff } = message
  if (retryBackOff === undefined) {
    return { backoffBaseMs: backoffBaseDefaultMs, backoffMaxMs: 10 * backoffBaseDefaultMs }
  }
  const here = at(report, 'retry_back_off')
  if (retryBackOff.baseInterval === undefined) refuse(at(here, 'base_interval'), 'is required')
  const baseMs = durationMs(
    retryBackOff.baseInterval,
    { absentMs: backoffBaseDefaultMs, least: 'positive' },
    at(here, 'base_interval'),
  )
  const backoffBaseMs = Math.max(backoffBaseMinMs, baseMs)
  const backoffMaxMs = durationMs(
    retryBackOff.maxInterval,
    { absentMs: 10 * backoffBaseMs, least: 'positive' },
    at(here, 'max_interval'),
  )
  // As Envoy, which counts whole milliseconds.
  if (Math.max(backoffBaseMinMs, Math.floor(backoffMaxMs)) < Math.floor(backoffBaseMs)) {
    refuse(here, 'max_interval must be at least base_interval')
  }
  return { backoffBaseMs, backoffMaxMs: Math.max(backoffBaseMs, backoffMaxMs) }
}

function compileRateLimited(
  message: RetryPolicyMessage,
  report: FieldReport,
): RateLimitedBackoff | undefined {
  const backoff = message.rateLimitedRetryBackOff
  if (backoff === undefined) return undefined
  const here = at(report, 'rate_limited_retry_back_off')
  if (backoff.resetHeaders.length === 0) {
    refuse(at(here, 'reset_headers'), 'value must contain at least 1 item(s)')
  }
  backoff.resetHeaders.forEach(({ name, format }, index) => {
    const header = at(here, 'reset_headers', index)
    if (name === '') refuse(at(header, 'name'), 'value length must be at least 1 characters')
    checkHeaderText(name, at(header, 'name'))
    checkEnum(format, ResetFormat, at(header, 'format'))
  })
  return {
    headers: backoff.resetHeaders.map(({ name, format }) => ({
      name: name.toLowerCase(),
      format: format === ResetFormat.UNIX_TIMESTAMP ? 'unix-timestamp' : 'seconds',
    })),
    maxMs: durationMs(
      backoff.maxInterval,
      { absentMs: 300_000, least: 'positive' },
      at(here, 'max_interval'),
    ),
  }
}

function compilePriority(
  { retryPriority }: RetryPolicyMessage,
  report: FieldReport,
): Pick<RetryPolicy, 'prioritiesUpdateEvery'> {
  if (retryPriority === undefined) return {}
  const { name, configType } = retryPriority
  const type = typeNameOf(configType?.value.typeUrl ?? '')
  if (configType === undefined || type !== previousPriorities) {
    refuse(report, `${showValue(name)} is not implemented`)
    return {}
  }
  const config = decodeTyped(configType.value, PreviousPrioritiesConfig, report)
  const every = config?.updateFrequency ?? 0
  if (every <= 0) {
    const here = at(report, 'typed_config', 'update_frequency')
    refuse(here, `value must be greater than 0, got ${every}`)
  }
  return { prioritiesUpdateEvery: every }
}

function avoidsPreviousHosts(message: RetryPolicyMessage, report: FieldReport): boolean {
  let avoids = false
  message.retryHostPredicate.forEach(({ name, configType }, index) => {
    if (name === '') {
      refuse(
        at(report, 'retry_host_predicate', index, 'name'),
        'value length must be at least 1 characters',
      )
    }
    // As Envoy: the type of its configuration says what it is, whatever its name.
    if (typeNameOf(configType?.value.typeUrl ?? '') === previousHosts) avoids = true
    else refuse(at(report, 'retry_host_predicate', index), `${showValue(name)} is not implemented`)
  })
  return avoids
}
