/** How long a request and an attempt may take: the route's settings, as the request's own headers change them. */
import type { HeaderList } from './http/header-list.ts'
import type { RetryPolicy } from './resilience/retry-policy.ts'
import type { ForwardAction } from './route/route-table.ts'

/**
 * The route's time-out, unless an internal caller asks for another one (`x-envoy-upstream-rq-timeout-ms`; the
 * header of anybody else was removed when the request was read). 0 = none.
 */
export function requestTimeoutMs(forward: ForwardAction, headers: HeaderList): number {
  const asked = headers.get('x-envoy-upstream-rq-timeout-ms')
  if (asked === undefined) return forward.timeoutMs
  headers.remove('x-envoy-upstream-rq-timeout-ms')
  return /^\d{1,10}$/.test(asked) ? Number(asked) : forward.timeoutMs
}

/** Envoy ignores a per-try time-out that is not below the request's. */
export function tryTimeoutMs(policy: RetryPolicy | undefined, timeoutMs: number): number {
  const tryMs = policy?.perTryTimeoutMs ?? 0
  return timeoutMs !== 0 && tryMs >= timeoutMs ? 0 : tryMs
}
