/** A route's retries as Envoy's policy; Istio retries twice by default, only what was surely not served. */
import type { HttpRetry } from '../model/istio/virtual-service.ts'
import { PreviousHostsPredicate } from '../xds/proto/generated/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts.ts'
import { PreviousPrioritiesConfig } from '../xds/proto/generated/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config.ts'
import { durationOfText, packed } from './message.ts'

const defaultRetryOn = 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes'

export interface RetryOptions {
  /** Whether the destination is chosen by a hash: then the same host may be tried again. */
  readonly isHashed: boolean
}

/** Undefined when retries are switched off (`attempts: 0`). */
export function translateRetries(retries: HttpRetry | undefined, options: RetryOptions) {
  const attempts = retries === undefined ? 2 : (retries.attempts ?? 0)
  if (attempts <= 0) return undefined
  const { isHashed } = options
  const skipsPreviousHosts = retries?.retryIgnorePreviousHosts ?? !isHashed
  return {
    numRetries: attempts,
    ...conditions(retries?.retryOn ?? ''),
    hostSelectionRetryMaxAttempts: 5,
    retryHostPredicate: skipsPreviousHosts ? [previousHosts()] : [],
    ...(retries !== undefined && writtenFields(retries)),
  }
}

/**
 * Of requests that have reached the sidecar of the application: one whose connection was lost before it was sent is
 * repeated, unless the mesh says otherwise. Nothing is known there of several hosts.
 */
export function translateInboundRetries(retries: HttpRetry | undefined) {
  const { attempts = 0, retryOn = '', backoff } = retries ?? { attempts: 2 }
  if (attempts <= 0) return undefined
  return {
    numRetries: attempts,
    ...(retryOn === '' ? { retryOn: 'reset-before-request' } : conditions(retryOn)),
    ...(backoff !== undefined && { retryBackOff: { baseInterval: durationOfText(backoff) } }),
  }
}

function writtenFields(retries: HttpRetry) {
  const { perTryTimeout, backoff, retryRemoteLocalities } = retries
  return {
    ...(perTryTimeout !== undefined && { perTryTimeout: durationOfText(perTryTimeout) }),
    ...(backoff !== undefined && { retryBackOff: { baseInterval: durationOfText(backoff) } }),
    ...(retryRemoteLocalities === true && { retryPriority: previousPriorities() }),
  }
}

/** Bare numbers are status codes, which Envoy takes in a list of their own. */
function conditions(retryOn: string) {
  if (retryOn === '') return { retryOn: defaultRetryOn, retriableStatusCodes: [] }
  const tokens = retryOn
    .split(',')
    .map((token) => token.trim())
    .filter((token) => token !== '')
  const retriableStatusCodes = tokens.filter(isStatusCode).map(Number)
  const words = tokens.filter((token) => !isStatusCode(token))
  const needsWord = retriableStatusCodes.length > 0 && !words.includes('retriable-status-codes')
  return {
    retryOn: [...words, ...(needsWord ? ['retriable-status-codes'] : [])].join(','),
    retriableStatusCodes,
  }
}

function isStatusCode(token: string): boolean {
  return /^[1-5]\d\d$/.test(token)
}

function previousHosts() {
  return {
    name: 'envoy.retry_host_predicates.previous_hosts',
    configType: {
      $case: 'typedConfig' as const,
      value: packed(
        PreviousHostsPredicate,
        'envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate',
        {},
      ),
    },
  }
}

function previousPriorities() {
  return {
    name: 'envoy.retry_priorities.previous_priorities',
    configType: {
      $case: 'typedConfig' as const,
      value: packed(
        PreviousPrioritiesConfig,
        'envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig',
        { updateFrequency: 2 },
      ),
    },
  }
}
