/**
 * Redirects that a route follows itself (`internal_redirect_policy`): the request is changed into the one that the upstream's
 * Location asks for, and goes through filters and routes again as if the client had sent it. Envoy's
 * `setupRedirect`, with its order of checks and its counters. What cannot be followed goes to the client.
 *
 * Only a request that came whole and is still held can be sent again.
 */
import type { RequestBody } from './exchange-body.ts'
import type { ForwardPlan } from './exchange-plan.ts'
import type { ExchangeScope } from './exchange-scope.ts'
import type { HeaderList } from './http/header-list.ts'
import type { RequestHead, ResponseHead } from './http/message.ts'
import type { InternalRedirectPolicy, RedirectTarget } from './route/internal-redirect.ts'
import type { MatchedRoute } from './route/route-table.ts'
import type { RedirectRefusal } from './telemetry/cluster-stats.ts'
import type { RequestRecord } from './telemetry/request-record.ts'

/** What the redirects of one request share. */
export interface RedirectTrail {
  count: number
  /** Names of routes, from and to in turn; for `previous_routes`. */
  readonly before: string[]
}

/** What an exchange takes over from the one before it. */
export interface RedirectedFrom {
  readonly body: RequestBody
  readonly trail: RedirectTrail
  readonly record: RequestRecord
}

export interface RedirectedCall {
  readonly request: RequestHead
  readonly plan: ForwardPlan
  readonly route: MatchedRoute | undefined
  readonly body: RequestBody
  readonly trail: RedirectTrail | undefined
}

/** Changes the request where the answer is a redirect to follow; undefined: the answer is the client's. */
export function followRedirect(
  scope: ExchangeScope,
  call: RedirectedCall,
  answer: ResponseHead,
): RedirectTrail | undefined {
  const { plan, trail = { count: 0, before: [] } } = call
  const policy = plan.forward.internalRedirect
  if (policy?.statuses.includes(answer.status) !== true) return undefined
  const { stats } = plan.cluster
  const outcome = tryToFollow(scope, { ...call, policy, trail }, answer)
  if (outcome === 'followed') {
    stats.internalRedirectSucceeded.add(1)
    return trail
  }
  stats.internalRedirectFailed.add(1)
  if (outcome !== 'not-held') scope.manager.stats.router.redirectRefused[outcome].add(1)
  return undefined
}

interface Following extends Omit<RedirectedCall, 'trail'> {
  readonly policy: InternalRedirectPolicy
  readonly trail: RedirectTrail
}

type Outcome = 'followed' | 'not-held' | RedirectRefusal

function tryToFollow(scope: ExchangeScope, call: Following, answer: ResponseHead): Outcome {
  const { policy, trail, body, request } = call
  const location = answer.headers.get('location')
  if (!body.isEnded || !body.isReplayable || location === undefined) return 'not-held'
  const url = parseUrl(location)
  if (url === undefined) return 'bad-location'
  const schemes = {
    isHttps: request.scheme !== 'http' && scope.security !== undefined,
    leadsToHttps: url.scheme !== 'http',
  }
  const isOther = schemes.isHttps !== schemes.leadsToHttps
  if (isOther && !policy.allowsOtherScheme) return 'unsafe-scheme'
  if (trail.count >= policy.redirectsMax) return 'too-many-redirects'
  const saved = saveHead(request)
  copyHeaders(answer.headers, request.headers, policy.copiedHeaders)
  aimAt(request, url, schemes.leadsToHttps)
  const refusal = judgeTarget(scope, call, schemes)
  if (refusal !== undefined) {
    restoreHead(request, saved)
    return refusal
  }
  if (answer.status === 303) dropBody(request, body)
  trail.count += 1
  const scheme = schemes.isHttps ? 'https' : 'http'
  request.headers.set('x-envoy-original-url', `${scheme}://${saved.authority}${saved.path}`)
  return 'followed'
}

function aimAt(request: RequestHead, url: TargetUrl, leadsToHttps: boolean): void {
  request.scheme = leadsToHttps ? 'https' : 'http'
  request.authority = url.authority
  request.path = url.path
}

/** What is wrong with the route of the request as it is now. */
function judgeTarget(
  scope: ExchangeScope,
  { request, policy, trail, route }: Following,
  schemes: Pick<RedirectTarget, 'isHttps' | 'leadsToHttps'>,
): 'no-route' | 'predicate' | undefined {
  const target = scope.manager.routes()?.match(request, scope.security)
  if (target === undefined) return 'no-route'
  const from = route?.route.name ?? ''
  const led = { from, to: target.route.name, before: trail.before, ...schemes }
  return policy.predicates.every((takes) => takes(led)) ? undefined : 'predicate'
}

interface TargetUrl {
  readonly scheme: string
  readonly authority: string
  readonly path: string
}

const absolute =
  /^([a-z]+):\/\/(?:[^@/?#\s]*@)?((?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?)((?:[/?#][!-~\u0080-\u00ff]*)?)$/i

/** An absolute URL; a fragment is for the client. */
function parseUrl(text: string): TargetUrl | undefined {
  const [, scheme = '', authority = '', rest = ''] = absolute.exec(text) ?? []
  if (authority === '') return undefined
  const path = rest.split('#', 1)[0] as string // a split has a first part
  return {
    scheme: scheme.toLowerCase(),
    authority: authority.toLowerCase(),
    path: rest === '' ? '/' : path,
  }
}

type SavedHead = Pick<RequestHead, 'scheme' | 'authority' | 'path'> & {
  readonly fields: readonly string[]
}

function saveHead({ scheme, authority, path, headers }: RequestHead): SavedHead {
  return { scheme, authority, path, fields: headers.fields.slice() }
}

function restoreHead(head: RequestHead, saved: SavedHead): void {
  head.scheme = saved.scheme
  head.authority = saved.authority
  head.path = saved.path
  head.headers.clear()
  for (let index = 0; index < saved.fields.length; index += 2) {
    head.headers.append(saved.fields[index] ?? '', saved.fields[index + 1] ?? '')
  }
}

/** What the response does not have, the request does not keep. */
function copyHeaders(from: HeaderList, to: HeaderList, names: readonly string[]): void {
  for (const name of names) {
    to.remove(name)
    const { fields } = from
    for (let index = 0; index < fields.length; index += 2) {
      if (fields[index] === name) to.append(name, fields[index + 1] ?? '')
    }
  }
}

/** RFC 9110 §15.4.4: the target of See Other is looked at, and gets nothing. */
function dropBody(request: RequestHead, body: RequestBody): void {
  if (request.method === 'GET' || request.method === 'HEAD') return
  request.method = 'GET'
  request.bodyLength = 0
  request.headers.remove('content-length')
  body.close()
  body.trailers = undefined
}

/** Of the exchange whose answer was followed. */
export function noteRedirected(record: RequestRecord, answer: ResponseHead): void {
  record.details = 'internal_redirect'
  record.response = answer
  record.status = answer.status
}

/** The exchange that goes on belongs to the same request. */
export function noteTakenOver(record: RequestRecord, before: RequestRecord): void {
  record.startMs = before.startMs
  record.requestEndMs = record.beginMs
  record.beginMs = before.beginMs
  record.bytesReceived = before.bytesReceived
  record.downstreamRemoteAddress = before.downstreamRemoteAddress
}
