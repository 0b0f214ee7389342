/**
 * One request through one sidecar's configuration, without sending it: the same shaping, the same compiled routes and
 * the same edits as in the request path, each asked what it decides.
 */
import { MeshError } from '../../lib/mesh-error.ts'
import type { RouteConfiguration } from '../../xds/proto/generated/envoy/config/route/v3/route.ts'
import { withFilters } from '../config/compile-route-table.ts'
import { shapeRequest } from '../exchange-request.ts'
import { type Failure, failureReplies } from '../failure.ts'
import type { RequestHead } from '../http/message.ts'
import {
  type RouteExplanation,
  type TriedRoute,
  compileRouteExplainer,
} from '../route/explain-route.ts'
import type { ConfigMessages } from './config-messages.ts'
import { explainAction, explainTarget } from './explain-action.ts'
import type { HealthLookup } from './explain-cluster.ts'
import type {
  ByteDestination,
  ExplainedAction,
  ExplainedCors,
  ExplainedForward,
  ExplainedRoute,
  ProxyExplanation,
  Verdict,
} from './explanation.ts'
import { pickListener, type ByteListener, type RequestListener } from './pick-listener.ts'
import { provenanceOf } from './provenance.ts'
import { type RequestLine, requestTarget } from './request-target.ts'

export interface ExplainOptions {
  /** Of a running sidecar. */
  readonly healthOf?: HealthLookup
  /** False: nobody knows what runs, so a destination without endpoints is no failure. */
  readonly knowsEndpoints?: boolean
}

/** Rejections: MESH_USAGE for a request that is none, MESH_CONFIG_REJECTED for what the proxy would refuse. */
export function createExplainer(
  messages: ConfigMessages,
  options: ExplainOptions = {},
): (request: RequestLine) => ProxyExplanation {
  const routing = new Map<RouteConfiguration, (head: RequestHead) => RouteExplanation>()
  const routesOf = (message: RouteConfiguration) => {
    const known = routing.get(message)
    if (known !== undefined) return known
    const explainer = compileRouteExplainer(message, withFilters({ random: () => 0 }))
    if (!explainer.ok) throw new MeshError('MESH_CONFIG_REJECTED', explainer.reasons.join('; '))
    routing.set(message, explainer.value)
    return explainer.value
  }
  return (line) => {
    const target = requestTarget(line)
    const picked = pickListener(messages, target)
    if (picked === undefined) return nobodyListens
    if (picked.kind === 'bytes') return explainBytes(picked, messages, options)
    const head = target.head(picked.form)
    const refusal = shape(head, picked)
    if (refusal !== undefined) return { ...nobodyListens, listener: picked.listener, ...refusal }
    if (picked.routes === undefined) return { ...withoutRoute, listener: picked.listener }
    const explained = routesOf(picked.routes)(head)
    const tlsName = target.isTls ? target.host : undefined
    return join(explained, { head, tlsName, picked, messages, options })
  }
}

const unlistened: Verdict = {
  outcome: 'fails',
  status: undefined,
  flag: '',
  message: 'nobody listens: this workload has no HTTP proxy',
}

const nobodyListens: ProxyExplanation = {
  listener: undefined,
  virtualHost: undefined,
  tried: [],
  action: undefined,
  verdict: unlistened,
}

const withoutRoute: ProxyExplanation = {
  ...nobodyListens,
  verdict: failing('no-route', 'the listener has no routes yet'),
}

/** What the connection manager does before any route is asked; undefined: nothing but shape the request. */
function shape(
  head: RequestHead,
  { settings, localPort }: RequestListener,
): Pick<ProxyExplanation, 'verdict' | 'action'> | undefined {
  const shaped = shapeRequest(head, {
    manager: settings,
    localPort,
    remoteAddress: '127.0.0.1',
    remoteAddressText: '127.0.0.1:0',
    security: undefined,
    clientCertElement: { settings: undefined, text: '' },
    requestIds: { next: () => '00000000-0000-4000-8000-000000000000' },
  })
  if (shaped.kind === 'ok') return undefined
  if (shaped.kind !== 'redirect') {
    return { action: undefined, verdict: failing(shaped.kind, 'the path is refused') }
  }
  const { location } = shaped
  const responseHeaders = { set: {}, removed: [] }
  const action = { kind: 'redirect' as const, status: 307, location, responseHeaders }
  return { action, verdict: verdictOf(action, true) }
}

/** A localhost port of a TCP client. */
function explainBytes(
  { listener, chain }: ByteListener,
  messages: ConfigMessages,
  { healthOf = unknownHealth, knowsEndpoints = true }: ExplainOptions,
): ProxyExplanation {
  const destinations = chain.clusters.map((share) => explainTarget({ messages, healthOf }, share))
  const action = { kind: 'bytes' as const, by: chain.by, destinations }
  return { ...nobodyListens, listener, action, verdict: verdictOf(action, knowsEndpoints) }
}

const unknownHealth: HealthLookup = () => undefined

interface JoinInput {
  readonly head: RequestHead
  readonly tlsName: string | undefined
  readonly picked: RequestListener
  readonly messages: ConfigMessages
  readonly options: ExplainOptions
}

function join(explained: RouteExplanation, input: JoinInput): ProxyExplanation {
  const { head, tlsName, picked, messages, options } = input
  const { virtualHost, matched } = explained
  const known = {
    listener: picked.listener,
    virtualHost,
    tried: explained.tried.map(explainTried),
  }
  if (matched === undefined) {
    const message =
      virtualHost === undefined
        ? `no virtual host is for ${head.authority || 'a request without a host'}`
        : `no route of ${virtualHost.name} matches`
    return { ...known, action: undefined, verdict: failing('no-route', message) }
  }
  const action = explainAction({
    head,
    tlsName,
    route: matched.route,
    message: explained.route,
    messages,
    healthOf: options.healthOf ?? unknownHealth,
    manager: picked.settings,
  })
  const verdict = verdictOf(action, options.knowsEndpoints ?? true)
  return {
    ...known,
    action,
    verdict: isRefusal(action, explained.route) ? refusing(verdict) : verdict,
  }
}

/** An error that nobody wrote down is the mesh's way to say no. */
function isRefusal(action: ExplainedAction, route: RouteExplanation['route']): boolean {
  return (
    action.kind === 'answer' && action.status >= 400 && provenanceOf(route?.metadata) === undefined
  )
}

function refusing(verdict: Verdict): Verdict {
  return { ...verdict, outcome: 'fails', message: 'the mesh lets no request to this host out' }
}

function explainTried({ message, isMatch, conditions }: TriedRoute): ExplainedRoute {
  return { name: message.name, provenance: provenanceOf(message.metadata), isMatch, conditions }
}

function failing(failure: Failure, message: string): Verdict {
  const { status, flag } = failureReplies[failure]
  return { outcome: 'fails', status, flag: flag === '-' ? '' : flag, message }
}

function verdictOf(action: ExplainedAction, knowsEndpoints: boolean): Verdict {
  switch (action.kind) {
    case 'redirect':
      return {
        outcome: 'redirected',
        status: action.status,
        flag: '',
        message: `the client is sent to ${action.location}`,
      }
    case 'answer':
      return {
        outcome: 'answered',
        status: action.status,
        flag: '',
        message: 'the sidecar answers itself; nothing is called',
      }
    case 'bytes':
      return forwardVerdict(action.destinations, knowsEndpoints)
    case 'forward':
    case 'tunnel':
    default: {
      const inner = action.inside?.kind === 'bytes' ? action.inside.destinations : undefined
      return (
        abortVerdict(action) ??
        preflightVerdict(action) ??
        forwardVerdict(inner ?? action.destinations, knowsEndpoints)
      )
    }
  }
}

/** A fault that all requests get. */
function abortVerdict({ fault }: ExplainedForward): Verdict | undefined {
  const abort = fault?.abort
  if (abort === undefined || abort.percent < 100) return undefined
  const message = 'a fault is injected into every request of the route; nothing is called'
  return { outcome: 'answered', status: abort.status, flag: 'FI', message }
}

/** The filter stands behind that of faults. */
function preflightVerdict({ cors }: ExplainedForward): Verdict | undefined {
  if (cors?.status === undefined) return undefined
  const message = `a preflight, by the CORS policy of the route, which ${allowText(cors)}; nothing is called`
  return { outcome: 'answered', status: cors.status, flag: '', message }
}

function allowText({ origin, isAllowed }: ExplainedCors): string {
  return `${isAllowed ? 'allows' : 'does not allow'} ${origin}`
}

function forwardVerdict(
  destinations: readonly ByteDestination[],
  knowsEndpoints: boolean,
): Verdict {
  const failed = destinations.filter(
    ({ failure }) => failure !== undefined && (knowsEndpoints || failure === 'no-cluster'),
  )
  const [first] = failed
  if (first?.failure === undefined) {
    return {
      outcome: 'forwarded',
      status: undefined,
      flag: '',
      message:
        destinations.length === 1 ? 'to one destination' : `to ${destinations.length} destinations`,
    }
  }
  const share = failed.reduce((sum, destination) => sum + destination.share, 0)
  const who = share === 100 ? 'the request' : `${shareText(share)} of the requests`
  const why =
    first.failure === 'no-cluster'
      ? `the sidecar knows no cluster ${first.cluster}`
      : `${first.cluster} has no healthy endpoint`
  return failing(first.failure, `${who} cannot be served: ${why}`)
}

export function shareText(share: number): string {
  return `${Number(share.toFixed(2))} %`
}
