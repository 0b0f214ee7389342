/**
 * What the route decides for one request before its first attempt: the cluster, the time it may take, when it
 * is tried again, and the headers that the upstream gets. The router's part of Envoy's `decodeHeaders`.
 */
import type { Hash64 } from '../lib/xx-hash.ts'
import { isGrpc } from './exchange-response.ts'
import type { ExchangeScope } from './exchange-scope.ts'
import type { Failure } from './failure.ts'
import type { LocalReply } from './filter/http-filter.ts'
import type { RequestHead, ResponseHead } from './http/message.ts'
import {
  askedPerTryMs,
  removeRetryHeaders,
  requestRetryPolicy,
} from './resilience/request-retry-policy.ts'
import type { RetryPolicy } from './resilience/retry-policy.ts'
import { type BadHeader, findBadHeader } from './resilience/strict-header.ts'
import {
  grpcTimeoutText,
  attemptDurationMs,
  perTryTimeoutMs,
  removeTimeoutHeaders,
  wantsAltResponse,
  requestTimeoutMs,
  streamDurationMs,
} from './route/request-timeout.ts'
import type { ForwardAction, MatchedRoute, PickedCluster, Route } from './route/route-table.ts'
import type { RequestRecord } from './telemetry/request-record.ts'
import type { Cluster } from './upstream/cluster.ts'

export interface ForwardPlan {
  readonly forward: ForwardAction
  readonly picked: PickedCluster
  readonly cluster: Cluster
  /** For hashing balancers; see `requestHash`. */
  hash: Hash64 | undefined
  setCookies: string[] | undefined
  readonly retryPolicy: RetryPolicy | undefined
  /** 0 = none, as below. */
  readonly timeoutMs: number
  readonly tryTimeoutMs: number
  readonly tryIdleTimeoutMs: number
  readonly durationMs: number
  /** Of one attempt. */
  readonly attemptDurationMs: number
  /** In place of 504. */
  readonly timeoutReply: Partial<LocalReply> | undefined
}

export interface PlanFailure {
  readonly failure: Failure
  readonly reply: Partial<LocalReply>
}

/** The cluster that a matched route draws; undefined where it forwards nothing. Tells the record of both. */
export function pickTarget(
  route: MatchedRoute | undefined,
  scope: ExchangeScope,
  record: RequestRecord,
): PickedCluster | undefined {
  record.routeName = route?.route.name ?? ''
  record.virtualHost = route?.virtualHost ?? ''
  const action = route?.route.action
  const isForwarding = action?.kind === 'forward' || action?.kind === 'connect'
  const { random, clusters } = scope.runtime
  const picked = isForwarding ? action.forward.pickCluster(random, record.request) : undefined
  noteCluster(record, picked && clusters.get(picked.cluster))
  noteCount(record, route?.route, picked)
  return picked
}

/** By virtual clusters only what is forwarded is counted. */
function noteCount(
  record: RequestRecord,
  route: Route | undefined,
  picked: PickedCluster | undefined,
): void {
  record.routeStats = route?.stats
  if (route?.count === undefined || picked === undefined) return
  const { stats, virtualCluster } = route.count(record.request)
  record.routeStats = stats
  record.virtualCluster = virtualCluster
}

function noteCluster(record: RequestRecord, cluster: Cluster | undefined): void {
  record.cluster = cluster
  record.clusterName = cluster?.name ?? ''
}

export function planForward(
  scope: ExchangeScope,
  head: RequestHead,
  target: { readonly forward: ForwardAction; readonly picked: PickedCluster },
): ForwardPlan | PlanFailure {
  const { forward, picked } = target
  const cluster = scope.runtime.clusters.get(picked.cluster)
  if (cluster === undefined) {
    const status = forward.clusterNotFoundStatus
    const reply = status === undefined ? {} : { status }
    return { failure: 'no-cluster', reply }
  }
  const { strictCheckHeaders } = scope.manager
  const bad = strictCheckHeaders && findBadHeader(head.headers, strictCheckHeaders)
  if (bad !== undefined) return { failure: 'bad-envoy-header', reply: badHeaderReply(bad) }
  const limits = requestLimits(scope, head, forward)
  const { retryPolicy, timeoutMs, tryTimeoutMs, tryIdleTimeoutMs, durationMs, timeoutReply } =
    limits
  return {
    forward,
    picked,
    cluster,
    hash: undefined,
    setCookies: undefined,
    retryPolicy,
    timeoutMs,
    tryTimeoutMs,
    tryIdleTimeoutMs,
    durationMs,
    attemptDurationMs: attemptDurationMs(head, cluster.maxStreamDurationMs ?? 0),
    timeoutReply,
  }
}

/** In Envoy's words. */
function badHeaderReply({ name, value }: BadHeader): Partial<LocalReply> {
  const details = `request_headers_failed_strict_check{${name}}`
  return { details, body: `invalid header '${name}' with value '${value}'` }
}

/**
 * Of the request as it leaves, with the route's edits, as in Envoy: once, so that a retry means the same key. Cookies
 * that are made for it go out with the upstream's response.
 */
export function requestHash(
  plan: ForwardPlan,
  record: RequestRecord,
  scope: ExchangeScope,
): Hash64 | undefined {
  const { hashRequest } = plan.forward
  if (hashRequest === undefined || plan.hash !== undefined) return plan.hash
  plan.hash = hashRequest(record.request, {
    remoteAddressText: record.downstreamRemoteAddress,
    localAddressText: scope.localAddressText,
    filterState: scope.manager.filterState,
    addCookie: (text) => (plan.setCookies ??= []).push(text),
  })
  return plan.hash
}

export function addHashCookies(head: ResponseHead, plan: ForwardPlan | undefined): void {
  for (const cookie of plan?.setCookies ?? []) head.headers.append('set-cookie', cookie)
}

type Limits = Omit<
  ForwardPlan,
  'forward' | 'picked' | 'cluster' | 'hash' | 'setCookies' | 'attemptDurationMs'
>

/** Time-outs count from the end of the request, which a tunnel does not have; its duration is limited all the same. */
function requestLimits(scope: ExchangeScope, head: RequestHead, forward: ForwardAction): Limits {
  const retryPolicy = requestRetryPolicy(forward.retryPolicy, head)
  const ownTryMs = retryPolicy?.perTryTimeoutMs ?? askedPerTryMs(head.headers) ?? 0
  const timeoutMs = requestTimeoutMs(forward, head, scope.manager.respectExpectedTimeout)
  return {
    retryPolicy,
    timeoutMs,
    tryTimeoutMs: perTryTimeoutMs(ownTryMs, timeoutMs),
    tryIdleTimeoutMs: retryPolicy?.perTryIdleTimeoutMs ?? 0,
    durationMs: streamDurationMs(forward, head, scope.manager.maxStreamDurationMs ?? 0),
    timeoutReply: wantsAltResponse(head) ? noContent : undefined,
  }
}

const noContent: Partial<LocalReply> = { status: 204, body: '' }

/** Of a tunnel: a route adds to the listener's upgrades, and may take some away; the router is not asked then. */
export function isRefusedUpgrade(
  scope: ExchangeScope,
  head: RequestHead,
  matched: MatchedRoute | undefined,
): boolean {
  if (matched === undefined) return false
  const { action } = matched.route
  if (action.kind !== 'forward' && action.kind !== 'connect') return false
  return !allowsTunnel(scope, head, action.forward)
}

function allowsTunnel(scope: ExchangeScope, head: RequestHead, forward: ForwardAction): boolean {
  const name = head.method === 'CONNECT' ? 'connect' : (head.upgrade ?? '')
  if (forward.refusedUpgrades?.has(name) === true) return false
  return forward.upgrades.has(name) || scope.manager.upgrades.has(name)
}

/** Changes `head` into what every attempt sends. Envoy's order: own headers, edits, path, authority. */
export function shapeUpstreamRequest(
  head: RequestHead,
  plan: ShapePlan,
  shape: UpstreamShape,
): void {
  const { forward, picked } = plan
  const { headers } = head
  removeRetryHeaders(headers)
  removeTimeoutHeaders(head)
  // Before the router, as in Envoy: the connection manager limits the stream.
  if (forward.limitsStream === true && plan.durationMs > 0 && isGrpc(head)) {
    headers.set('grpc-timeout', grpcTimeoutText(plan.durationMs))
  }
  tellTimeout(head, plan, shape)
  picked.editRequest?.(headers, head, shape.record)
  shape.route.editRequest?.(headers, head, shape.record)
  rewritePath(head, forward, shape.suppressEnvoyHeaders)
  // As Envoy: the part of a split says what the host is, and the route may rewrite that.
  if (picked.rewriteAuthority !== undefined) head.authority = picked.rewriteAuthority
  const authority = forward.rewriteAuthority ?? forward.rewriteAuthorityFrom?.(head)
  if (authority !== undefined) {
    rewriteAuthority(head, authority, { forward, suppressEnvoyHeaders: shape.suppressEnvoyHeaders })
  }
}

function rewritePath(
  head: RequestHead,
  forward: ForwardAction,
  suppressEnvoyHeaders: boolean,
): void {
  const before = head.path
  const path = forward.rewritePath?.(before)
  if (path === undefined) return
  head.path = path
  if (!suppressEnvoyHeaders) head.headers.set('x-envoy-original-path', before)
}

type ShapePlan = Pick<
  ForwardPlan,
  'forward' | 'picked' | 'timeoutMs' | 'tryTimeoutMs' | 'durationMs'
>

/** How long the upstream has: of one attempt, and never more than what is left of the whole. */
function tellTimeout(head: RequestHead, plan: ShapePlan, told: ToldTimeout): void {
  const { forward, timeoutMs, tryTimeoutMs } = plan
  const { elapsedMs = 0 } = told
  let expectedMs = tryTimeoutMs === 0 ? timeoutMs : tryTimeoutMs
  if (expectedMs <= 0) return
  // What is over is 1: 0 would be no limit.
  if (timeoutMs > 0) expectedMs = Math.max(1, Math.min(expectedMs, timeoutMs - elapsedMs))
  if (!told.suppressEnvoyHeaders) {
    head.headers.set('x-envoy-expected-rq-timeout-ms', String(Math.round(expectedMs)))
  }
  if (forward.grpcTimeout?.limits === 'request' && isGrpc(head)) {
    head.headers.set('grpc-timeout', grpcTimeoutText(expectedMs))
  }
}

interface ToldTimeout {
  readonly suppressEnvoyHeaders: boolean
  /** Since the end of the request. */
  readonly elapsedMs?: number
}

export interface UpstreamShape {
  readonly route: Route
  /** Undefined outside an exchange: values that are read from it are `-` then. */
  readonly record: RequestRecord | undefined
  readonly suppressEnvoyHeaders: boolean
}

/** What changes from one attempt to the next. */
export function shapeAttempt(record: RequestRecord, plan: ForwardPlan, scope: ExchangeScope): void {
  const { forward } = plan
  const { request, host, attempts } = record
  if (attempts > 1) {
    const suppressEnvoyHeaders = scope.manager.suppressEnvoyHeaders === true
    tellTimeout(request, plan, { suppressEnvoyHeaders, elapsedMs: elapsedMs(record, scope) })
  }
  if (forward.includeAttemptCount === true) {
    request.headers.set('x-envoy-attempt-count', String(attempts))
  }
  if (forward.autoHostRewrite !== true || host === undefined || host.hostname === '') return
  const suppressEnvoyHeaders = scope.manager.suppressEnvoyHeaders === true
  rewriteAuthority(request, host.hostname, { forward, suppressEnvoyHeaders })
}

function elapsedMs({ requestEndMs }: RequestRecord, scope: ExchangeScope): number {
  return requestEndMs === 0 ? 0 : scope.runtime.clock.monotonicMs() - requestEndMs
}

interface AuthorityRewrite {
  readonly forward: ForwardAction
  readonly suppressEnvoyHeaders: boolean
}

/** Envoy `updateAuthority`. */
function rewriteAuthority(head: RequestHead, authority: string, rewrite: AuthorityRewrite): void {
  const { headers } = head
  if (rewrite.forward.appendForwardedHost === true) {
    const before = headers.getAll('x-forwarded-host')
    if (before === undefined) headers.set('x-forwarded-host', head.authority)
    else if (before.split(',').at(-1) !== head.authority) {
      headers.set('x-forwarded-host', `${before},${head.authority}`)
    }
  }
  if (!rewrite.suppressEnvoyHeaders) headers.set('x-envoy-original-host', head.authority)
  head.authority = authority
}

/** The route's changes to a response, the upstream's or our own; those of a weighted cluster come first. */
export function editResponse(
  head: ResponseHead,
  target: {
    readonly route: MatchedRoute | undefined
    readonly picked: PickedCluster | undefined
  },
  record: RequestRecord,
): void {
  if (target.route === undefined) return
  // Values of the response are read from the record.
  record.response = head
  target.picked?.editResponse?.(head.headers, record.request, record)
  target.route.route.editResponse?.(head.headers, record.request, record)
}

/** A request that a cluster was asked, answered by it or in its place. */
export function countAnswer({ stats }: Cluster, request: RequestHead, status: number): void {
  stats.answers.add(status)
  const isInternal = request.headers.get('x-envoy-internal') === 'true'
  if (isInternal) stats.internalAnswers.add(status)
  else stats.externalAnswers.add(status)
}

/** An interim response of the upstream, whether or not the client gets it. */
export function countInterim(
  status: number,
  { request, routeStats }: RequestRecord,
  plan: ForwardPlan | undefined,
): void {
  if (plan !== undefined) countAnswer(plan.cluster, request, status)
  routeStats?.answers.add(status)
}

interface AnsweredRequest extends Pick<
  RequestRecord,
  'status' | 'attempts' | 'request' | 'routeStats'
> {
  /** The reply counts for no cluster. */
  readonly isUncounted?: boolean
}

/**
 * The router's last word, the upstream's answer or a reply in its place: says how often it tried, and counts for the
 * cluster. Replies of filters and of the connection manager do neither.
 */
export function noteAnswer(
  head: ResponseHead,
  plan: ForwardPlan | undefined,
  answer: AnsweredRequest,
): void {
  if (plan === undefined) return
  const { status, attempts } = answer
  if (answer.isUncounted !== true) {
    countAnswer(plan.cluster, answer.request, status)
    answer.routeStats?.answers.add(status)
  }
  if (plan.forward.includeAttemptCountInResponse !== true || attempts === 0) return
  head.headers.set('x-envoy-attempt-count', String(attempts))
}
