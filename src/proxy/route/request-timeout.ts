/**
 * The time-outs of one request: the route's, as a gRPC deadline or the request's own headers change them. Envoy's
 * FilterUtility::finalTimeout and refreshDurationTimeout.
 */
import type { HeaderList } from '../http/header-list.ts'
import type { RequestHead } from '../http/message.ts'
import { hasEnvoyHeaders, unsigned } from '../resilience/request-retry-policy.ts'
import { isGrpcRequest } from './route-matcher.ts'
import type { ForwardAction } from './route-table.ts'

/** 0 = none. Counts from the end of the request, over all attempts. */
export function requestTimeoutMs(
  forward: ForwardAction,
  head: RequestHead,
  respectsExpected = false,
): number {
  const { headers } = head
  const fromHeader = hasEnvoyHeaders(headers) ? askedMs(headers, respectsExpected) : undefined
  return fromHeader ?? grpcRequestTimeoutMs(forward, head) ?? forward.timeoutMs
}

/** What the proxy before this one expects stands for what a client asks for: it has read that. */
function askedMs(headers: HeaderList, respectsExpected: boolean): number | undefined {
  const expected = respectsExpected ? headers.get('x-envoy-expected-rq-timeout-ms') : undefined
  return unsigned(expected ?? headers.get('x-envoy-upstream-rq-timeout-ms'))
}

/** A per-try time-out that is not below the request's says nothing. 0 = none. */
export function perTryTimeoutMs(policyMs: number, requestMs: number): number {
  return requestMs !== 0 && policyMs >= requestMs ? 0 : policyMs
}

/** Ceiling of the stream's whole life; 0 = none. `listenerMs` is the connection manager's. */
export function streamDurationMs(
  forward: ForwardAction,
  head: RequestHead,
  listenerMs: number,
): number {
  const { grpcTimeout } = forward
  const deadlineMs = grpcTimeout?.limits === 'stream' ? grpcDeadlineMs(head) : undefined
  if (grpcTimeout === undefined || deadlineMs === undefined) {
    return forward.maxStreamDurationMs ?? listenerMs
  }
  const { maxMs, offsetMs } = grpcTimeout
  const capped = maxMs !== 0 && deadlineMs > maxMs ? maxMs : deadlineMs
  // A deadline of nothing, or one that its offset eats, ends the stream at once; 0 would mean never.
  return Math.max(capped - offsetMs, 1)
}

/** Ceiling of one attempt's life: an internal client's word, or the cluster's. 0 = none. */
export function attemptDurationMs({ headers }: RequestHead, clusterMs: number): number {
  if (!hasEnvoyHeaders(headers)) return clusterMs
  return unsigned(headers.get('x-envoy-upstream-stream-duration-ms')) ?? clusterMs
}

/** Whether the client wants 204 in place of 504, as it says itself. */
export function wantsAltResponse({ headers }: RequestHead): boolean {
  return hasEnvoyHeaders(headers) && headers.has('x-envoy-upstream-rq-timeout-alt-response')
}

/** Removes what Envoy consumes, so that it does not act again one hop further. */
export function removeTimeoutHeaders({ headers }: RequestHead): void {
  if (!hasEnvoyHeaders(headers)) return
  headers.remove('x-envoy-upstream-rq-timeout-ms')
  headers.remove('x-envoy-upstream-rq-timeout-alt-response')
  headers.remove('x-envoy-upstream-stream-duration-ms')
  // Names statistics of a cluster, which have no other names here.
  headers.remove('x-envoy-upstream-alt-stat-name')
}

function grpcRequestTimeoutMs(forward: ForwardAction, head: RequestHead): number | undefined {
  const { grpcTimeout } = forward
  if (grpcTimeout?.limits !== 'request' || !isGrpcRequest(head)) return undefined
  const deadlineMs = grpcDeadlineMs(head) ?? 0
  const { maxMs, offsetMs } = grpcTimeout
  // An offset may shorten the deadline and never end it: 0 would mean no deadline.
  const ownMs = offsetMs < deadlineMs ? deadlineMs - offsetMs : deadlineMs
  return maxMs !== 0 && (ownMs === 0 || ownMs > maxMs) ? maxMs : ownMs
}

/** What the upstream is told, where the proxy decides on it: so that it stops when nobody waits any more. */
export function grpcTimeoutText(ms: number): string {
  let time = Math.round(ms)
  for (const [unit, next] of grpcUnits) {
    if (time <= grpcTimeoutMax) return `${time}${unit}`
    time = Math.floor(time / next)
  }
  return `${Math.min(time, grpcTimeoutMax)}H`
}

const grpcTimeoutMax = 99_999_999
const grpcUnits = [
  ['m', 1000],
  ['S', 60],
  ['M', 60],
] as const

const unitMs: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
}

/** `grpc-timeout`: at most 8 digits and a unit; a part of a millisecond counts as one. */
export function grpcDeadlineMs(head: RequestHead): number | undefined {
  const text = head.headers.get('grpc-timeout')
  const parts = text === undefined ? null : /^(\d{1,8})([HMSmun])$/.exec(text)
  if (parts === null) return undefined
  return Math.ceil(Number(parts[1]) * (unitMs[parts[2] ?? ''] ?? 0))
}
