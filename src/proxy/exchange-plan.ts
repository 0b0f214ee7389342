/**
 * What the route decides for one request before its first attempt: the cluster, the time it may take, when it
 * is tried again, and the headers that the upstream gets. The router's part of Envoy's `decodeHeaders`.
 */
import type { ExchangeScope } from './exchange-scope.ts'
import type { Failure } from './failure.ts'
import type { LocalReply } from './filter/http-filter.ts'
import type { RequestHead, ResponseHead } from './http/message.ts'
import { removeRetryHeaders, requestRetryPolicy } from './resilience/request-retry-policy.ts'
import type { RetryPolicy } from './resilience/retry-policy.ts'
import {
  perTryTimeoutMs,
  removeTimeoutHeaders,
  requestTimeoutMs,
  streamDurationMs,
} from './route/request-timeout.ts'
import type { ForwardAction, PickedCluster, Route } from './route/route-table.ts'
import type { Cluster } from './upstream/cluster.ts'

export interface ForwardPlan {
  readonly forward: ForwardAction
  readonly picked: PickedCluster
  readonly cluster: Cluster
  readonly retryPolicy: RetryPolicy | undefined
  /** 0 = none, as below. */
  readonly timeoutMs: number
  readonly tryTimeoutMs: number
  readonly tryIdleTimeoutMs: number
  readonly durationMs: number
}

export interface PlanFailure {
  readonly failure: Failure
  readonly reply: Partial<LocalReply>
  /** The cluster that does not exist. */
  readonly clusterName: string
}

export function planForward(
  scope: ExchangeScope,
  head: RequestHead,
  forward: ForwardAction,
): ForwardPlan | PlanFailure {
  const isTunnel = head.method === 'CONNECT' || head.upgrade !== undefined
  if (isTunnel && !allowsTunnel(scope, head, forward)) {
    return { failure: 'upgrade-refused', reply: {}, clusterName: '' }
  }
  const { runtime } = scope
  const picked = forward.pickCluster(runtime.random, head)
  const cluster = runtime.clusters.get(picked.cluster)
  if (cluster === undefined) {
    const status = forward.clusterNotFoundStatus
    const reply = status === undefined ? {} : { status }
    return { failure: 'no-cluster', reply, clusterName: picked.cluster }
  }
  const limits = isTunnel ? tunnelLimits(forward) : requestLimits(scope, head, forward)
  const { retryPolicy, timeoutMs, tryTimeoutMs, tryIdleTimeoutMs, durationMs } = limits
  return {
    forward,
    picked,
    cluster,
    retryPolicy,
    timeoutMs,
    tryTimeoutMs,
    tryIdleTimeoutMs,
    durationMs,
  }
}

type Limits = Omit<ForwardPlan, 'forward' | 'picked' | 'cluster'>

function requestLimits(scope: ExchangeScope, head: RequestHead, forward: ForwardAction): Limits {
  const retryPolicy = requestRetryPolicy(forward.retryPolicy, head.headers)
  const timeoutMs = requestTimeoutMs(forward, head)
  return {
    retryPolicy,
    timeoutMs,
    tryTimeoutMs: perTryTimeoutMs(retryPolicy?.perTryTimeoutMs ?? 0, timeoutMs),
    tryIdleTimeoutMs: retryPolicy?.perTryIdleTimeoutMs ?? 0,
    durationMs: streamDurationMs(forward, head, scope.manager.maxStreamDurationMs ?? 0),
  }
}

/** A tunnel lasts as long as its two ends want, unless the route itself limits streams. */
function tunnelLimits(forward: ForwardAction): Limits {
  return {
    retryPolicy: forward.retryPolicy,
    timeoutMs: 0,
    tryTimeoutMs: 0,
    tryIdleTimeoutMs: 0,
    durationMs: forward.maxStreamDurationMs ?? 0,
  }
}

/** A route adds to the listener's upgrades, and may take some away. */
function allowsTunnel(scope: ExchangeScope, head: RequestHead, forward: ForwardAction): boolean {
  const name = head.method === 'CONNECT' ? 'connect' : (head.upgrade ?? '')
  if (forward.refusedUpgrades?.has(name) === true) return false
  return forward.upgrades.has(name) || scope.manager.upgrades.has(name)
}

/** Changes `head` into what every attempt sends. Envoy's order: own headers, edits, path, authority. */
export function shapeUpstreamRequest(
  head: RequestHead,
  plan: ForwardPlan,
  shape: UpstreamShape,
): void {
  const { forward, picked } = plan
  const { headers } = head
  removeRetryHeaders(headers)
  removeTimeoutHeaders(head)
  const expectedMs = plan.tryTimeoutMs === 0 ? plan.timeoutMs : plan.tryTimeoutMs
  if (!shape.suppressEnvoyHeaders && expectedMs > 0) {
    headers.set('x-envoy-expected-rq-timeout-ms', String(Math.round(expectedMs)))
  }
  picked.editRequest?.(headers, head)
  shape.route.editRequest?.(headers, head)
  if (forward.rewritePath !== undefined) {
    const before = head.path
    head.path = forward.rewritePath(before)
    if (!shape.suppressEnvoyHeaders) headers.set('x-envoy-original-path', before)
  }
  const authority =
    picked.rewriteAuthority ?? forward.rewriteAuthority ?? forward.rewriteAuthorityFrom?.(head)
  if (authority !== undefined) rewriteAuthority(head, authority, forward)
}

export interface UpstreamShape {
  readonly route: Route
  readonly suppressEnvoyHeaders: boolean
}

export function rewriteAuthority(
  head: RequestHead,
  authority: string,
  forward: ForwardAction,
): void {
  if (forward.appendForwardedHost === true) {
    const before = head.headers.getAll('x-forwarded-host')
    const value = before === undefined ? head.authority : `${before},${head.authority}`
    head.headers.set('x-forwarded-host', value)
  }
  head.authority = authority
}

/** The route's changes to the response, those of a weighted cluster first. */
export function editResponse(
  head: ResponseHead,
  plan: ForwardPlan,
  exchange: { readonly route: Route; readonly request: RequestHead; readonly attempts: number },
): void {
  plan.picked.editResponse?.(head.headers, exchange.request)
  exchange.route.editResponse?.(head.headers, exchange.request)
  if (plan.forward.includeAttemptCountInResponse === true) {
    head.headers.set('x-envoy-attempt-count', String(exchange.attempts))
  }
}
