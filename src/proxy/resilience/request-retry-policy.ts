/**
 * The retry policy of one request: the route's, as the request's own `x-envoy-…` headers change it.
 *
 * Envoy reads these headers from any client of a sidecar, because a sidecar does not use the remote address to tell
 * edge from mesh (Istio documents them); an edge removes them before. A request without them costs one look at the
 * first letters of its header names.
 */
import type { HeaderList } from '../http/header-list.ts'
import type { RequestHead } from '../http/message.ts'
import { type RetryCondition, type RetryPolicy, retryConditions } from './retry-policy.ts'

/** Read by the retry policy, and kept from the upstream. */
const retryHeaders = [
  'x-envoy-retry-on',
  'x-envoy-retry-grpc-on',
  'x-envoy-max-retries',
  'x-envoy-retriable-status-codes',
  'x-envoy-retriable-header-names',
  'x-envoy-hedge-on-per-try-timeout',
  'x-envoy-upstream-rq-per-try-timeout-ms',
] as const

const noConditions: ReadonlySet<RetryCondition> = new Set()

/** A policy that retries nothing: what the headers of a request without a route policy build on. */
export const emptyRetryPolicy: RetryPolicy = {
  conditions: new Set(),
  retriesMax: 1,
  perTryTimeoutMs: 0,
  perTryIdleTimeoutMs: 0,
  retriableStatusCodes: new Set(),
  retriableHeaders: [],
  backoffBaseMs: 25,
  backoffMaxMs: 250,
  rateLimitedBackoff: undefined,
  avoidPreviousHosts: false,
  hostSelectionAttemptsMax: 1,
}

const httpConditions = new Set<string>(retryConditions.slice(0, 10))
const grpcConditions = new Set<string>(retryConditions.slice(10))

/** Whether the request has any header that this file or the time-outs read. */
export function hasEnvoyHeaders(headers: HeaderList): boolean {
  const { fields } = headers
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string // in bounds
    // The third letter tells it from most; a call for each field would cost more than the look.
    if (name.charCodeAt(2) === 0x65 && name.startsWith('x-envoy-')) return true
  }
  return false
}

/** Undefined when neither the route nor the request asks for retries. Reads the headers and leaves them. */
export function requestRetryPolicy(
  route: RetryPolicy | undefined,
  head: RequestHead,
): RetryPolicy | undefined {
  const { headers } = head
  // A route that limits its retries to some requests limits those that a request asks for too.
  const isMeant = route?.isMeant?.(head) !== false
  const own = isMeant ? route : { ...route, conditions: noConditions }
  if (!hasEnvoyHeaders(headers)) return own
  const retryOn = headers.getAll('x-envoy-retry-on')
  const retryGrpcOn = headers.getAll('x-envoy-retry-grpc-on')
  if (own === undefined && retryOn === undefined && retryGrpcOn === undefined) return undefined
  const base = own ?? emptyRetryPolicy
  const asked = [
    ...namedConditions(retryOn, httpConditions),
    ...namedConditions(retryGrpcOn, grpcConditions),
  ]
  const conditions = isMeant ? new Set([...base.conditions, ...asked]) : noConditions
  return {
    ...base,
    conditions,
    retriesMax: unsigned(headers.get('x-envoy-max-retries')) ?? base.retriesMax,
    perTryTimeoutMs: askedPerTryMs(headers) ?? base.perTryTimeoutMs,
    retriableStatusCodes: new Set([
      ...base.retriableStatusCodes,
      ...list(headers.getAll('x-envoy-retriable-status-codes'))
        .filter((code) => /^\d{1,9}$/.test(code))
        .map(Number),
    ]),
    retriableHeaders: [
      ...base.retriableHeaders,
      ...list(headers.getAll('x-envoy-retriable-header-names')).map(presence),
    ],
  }
}

/** A request may limit its tries without asking for more than one. */
export function askedPerTryMs(headers: HeaderList): number | undefined {
  if (!hasEnvoyHeaders(headers)) return undefined
  return unsigned(headers.get('x-envoy-upstream-rq-per-try-timeout-ms'))
}

/** The status is a header to Envoy, which every response has. */
function presence(name: string): (response: HeaderList) => boolean {
  const lower = name.toLowerCase()
  return lower === ':status' ? () => true : (response) => response.has(lower)
}

/** Envoy consumes these, so that they do not act again one hop further. */
export function removeRetryHeaders(headers: HeaderList): void {
  if (!hasEnvoyHeaders(headers)) return
  for (const name of retryHeaders) headers.remove(name)
}

/** Names of another list, or of nobody, are skipped: a header is not a configuration that could be refused. */
function namedConditions(
  value: string | undefined,
  known: ReadonlySet<string>,
): readonly RetryCondition[] {
  // Members of `known` are conditions.
  return list(value).filter((name) => known.has(name)) as RetryCondition[]
}

function list(value: string | undefined): readonly string[] {
  if (value === undefined) return []
  return value
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

/** Beyond what a number can tell it says nothing. */
export function unsigned(value: string | undefined): number | undefined {
  return value !== undefined && /^\+?\d{1,15}$/.test(value) ? Number(value) : undefined
}

/** As Envoy reads 64 bits. */
export function isUnsigned(value: string): boolean {
  return /^\+?\d{1,30}$/.test(value) && BigInt(value.replace('+', '')) < 2n ** 64n
}

/** Whether a header of conditions names no other. */
export function knowsConditions(value: string, kind: 'http' | 'grpc'): boolean {
  const known = kind === 'http' ? httpConditions : grpcConditions
  return list(value).every((name) => known.has(name))
}
