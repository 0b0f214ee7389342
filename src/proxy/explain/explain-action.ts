/** What the matched route does with a request: the compiled action is run, and its settings are read out. */
import type { Route as RouteMessage } from '../../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import { shapeUpstreamRequest } from '../exchange-plan.ts'
import { HeaderList } from '../http/header-list.ts'
import type { RequestHead } from '../http/message.ts'
import { requestRetryPolicy } from '../resilience/request-retry-policy.ts'
import type { RetryPolicy } from '../resilience/retry-policy.ts'
import { perTryTimeoutMs, requestTimeoutMs, streamDurationMs } from '../route/request-timeout.ts'
import { denominatorOf } from '../route/route-matcher.ts'
import type { ForwardAction, HeaderEdit, PickedCluster, Route } from '../route/route-table.ts'
import type { ConfigMessages } from './config-messages.ts'
import {
  clusterReference,
  clusterSettings,
  explainEndpoints,
  type HealthLookup,
  unresolved,
} from './explain-cluster.ts'
import { explainFilters } from './explain-filters.ts'
import type {
  ByteDestination,
  DestinationFailure,
  ExplainedAction,
  ExplainedDestination,
  ExplainedForward,
  ExplainedInside,
  ExplainedRetries,
  HeaderChanges,
} from './explanation.ts'
import { pickChain, type ShareOfBytes } from './pick-chain.ts'

export interface ActionInput {
  readonly head: RequestHead
  /** Server name of the TLS that the client speaks in its tunnel. */
  readonly tlsName: string | undefined
  readonly route: Route
  /** Undefined where the table made the route itself. */
  readonly message: RouteMessage | undefined
  readonly messages: ConfigMessages
  readonly healthOf: HealthLookup
  /** What the connection manager says where the route is silent. */
  readonly manager: {
    readonly maxStreamDurationMs?: number
    readonly suppressEnvoyHeaders?: boolean
    readonly respectExpectedTimeout?: boolean
  }
}

export function explainAction(input: ActionInput): ExplainedAction {
  const { head, route } = input
  const { action } = route
  switch (action.kind) {
    case 'redirect': {
      const { status, location } = action.redirect(head)
      const responseHeaders = editedResponse(input, [route.editResponse])
      return { kind: 'redirect', status, location, responseHeaders }
    }
    case 'direct': {
      const body = Buffer.from(action.body).toString()
      const responseHeaders = editedResponse(input, [route.editResponse])
      return { kind: 'answer', status: action.status, body, responseHeaders }
    }
    case 'forward':
    case 'connect':
    default:
      return explainForward(action.forward, input)
  }
}

function explainForward(forward: ForwardAction, input: ActionInput): ExplainedForward {
  const { head, manager } = input
  const isTunnel = head.method === 'CONNECT'
  const retryPolicy = requestRetryPolicy(forward.retryPolicy, head)
  const timeoutMs = isTunnel ? 0 : requestTimeoutMs(forward, head, manager.respectExpectedTimeout)
  const tryTimeoutMs = perTryTimeoutMs(retryPolicy?.perTryTimeoutMs ?? 0, timeoutMs)
  const durationMs = streamDurationMs(forward, head, manager.maxStreamDurationMs ?? 0)
  const limits = { timeoutMs, tryTimeoutMs, durationMs }
  const destinations = partsOf(forward, input).map(({ picked, share }) =>
    explainDestination(input, { forward, picked, share, ...limits }),
  )
  return {
    kind: isTunnel ? 'tunnel' : 'forward',
    timeoutMs,
    idleTimeoutMs: forward.idleTimeoutMs,
    maxDurationMs: durationMs,
    retries: retryPolicy && !isTunnel ? retriesOf(retryPolicy, tryTimeoutMs) : undefined,
    ...explainFilters(input.route.filterConfigs, head),
    hashedBy: hashKeysOf(input.message),
    mirrors: mirrorsOf(input.message),
    destinations,
    inside: isTunnel ? insideOf(input, destinations) : undefined,
  }
}

function retriesOf(policy: RetryPolicy, tryTimeoutMs: number): ExplainedRetries | undefined {
  if (policy.retriesMax === 0 || policy.conditions.size === 0) return undefined
  return {
    attempts: policy.retriesMax,
    on: [...policy.conditions],
    statusCodes: [...policy.retriableStatusCodes],
    perTryTimeoutMs: tryTimeoutMs,
    backoffMs: { base: policy.backoffBaseMs, max: policy.backoffMaxMs },
    avoidsPreviousHosts: policy.avoidPreviousHosts,
  }
}

function mirrorsOf(message: RouteMessage | undefined): ExplainedForward['mirrors'] {
  if (message?.action?.$case !== 'route') return []
  return message.action.value.requestMirrorPolicies.map(({ cluster, runtimeFraction }) => {
    const percent = runtimeFraction?.defaultValue
    const share = percent === undefined ? 100 : (percent.numerator / denominatorOf(percent)) * 100
    return { cluster: clusterReference(cluster), percent: share }
  })
}

function hashKeysOf(message: RouteMessage | undefined): readonly string[] {
  if (message?.action?.$case !== 'route') return []
  return message.action.value.hashPolicy.flatMap(({ policySpecifier: policy }) => {
    switch (policy?.$case) {
      case 'header':
        return `header ${policy.value.headerName}`
      case 'cookie':
        return `cookie ${policy.value.name}`
      case 'queryParameter':
        return `query ${policy.value.name}`
      case 'connectionProperties':
        return 'source address'
      case 'filterState':
        return `state ${policy.value.key}`
      case undefined:
      default:
        return []
    }
  })
}

interface Part {
  readonly picked: PickedCluster
  readonly share: number
}

/** Every cluster that the route may draw: the compiled draw is asked once in the middle of each one's share. */
function partsOf({ pickCluster }: ForwardAction, { head, message }: ActionInput): Part[] {
  const specifier = message?.action?.$case === 'route' && message.action.value.clusterSpecifier
  const weights =
    specifier !== false && specifier?.$case === 'weightedClusters'
      ? specifier.value.clusters.map(({ weight }) => weight ?? 0)
      : [1]
  const sum = weights.reduce((total, weight) => total + weight, 0)
  const parts: Part[] = []
  let start = 0
  for (const weight of weights) {
    const draw = (start + 0.5) / sum
    if (weight > 0)
      parts.push({ picked: pickCluster(() => draw, head), share: (weight / sum) * 100 })
    start += weight
  }
  const [first] = parts
  // A header that holds the draw gives all requests to one.
  const isFixed = parts.length > 1 && parts.every(({ picked }) => picked === first?.picked)
  return isFixed && first !== undefined ? [{ ...first, share: 100 }] : parts
}

interface DestinationInput extends Part {
  readonly forward: ForwardAction
  readonly timeoutMs: number
  readonly tryTimeoutMs: number
  readonly durationMs: number
}

function explainDestination(input: ActionInput, part: DestinationInput): ExplainedDestination {
  const { picked, share } = part
  return {
    ...explainTarget(input, { cluster: picked.cluster, share }),
    request: shapedRequest(input, part),
    responseHeaders: editedResponse(input, [picked.editResponse, input.route.editResponse]),
  }
}

/** Where a share goes, whatever is sent there. */
export function explainTarget(
  { messages, healthOf }: Pick<ActionInput, 'messages' | 'healthOf'>,
  { cluster: name, share }: ShareOfBytes,
): ByteDestination {
  const cluster = messages.cluster(name)
  const endpoints =
    cluster === undefined ? [] : explainEndpoints(cluster, assignmentOf(messages, name), healthOf)
  const settings = cluster && clusterSettings(cluster)
  const isResolved = settings !== undefined && isNameResolved(settings.discovery)
  const isUnknown = endpoints.length > 0 && endpoints.every(({ health }) => health === unresolved)
  const isServed =
    (isResolved && !isUnknown) || endpoints.some(({ health }) => health === 'healthy')
  return {
    ...clusterReference(name),
    share,
    settings,
    endpoints,
    failure: failureOf(settings !== undefined, isServed),
  }
}

/** CONNECT to a listener inside the sidecar: what that one makes of the bytes. */
function insideOf(
  input: ActionInput,
  destinations: readonly ExplainedDestination[],
): ExplainedInside | undefined {
  const [only] = destinations
  const address = only?.endpoints[0]?.address ?? ''
  const name = address.startsWith('internal ') ? address.slice('internal '.length) : ''
  const listener = input.messages.listeners.find((one) => one.name === name)
  if (listener === undefined) return undefined
  const chain = pickChain(
    listener,
    input.tlsName === undefined ? { kind: 'http' } : { kind: 'tls', serverName: input.tlsName },
  )
  if (chain?.kind !== 'bytes') {
    return { listener: name, kind: 'requests', by: '', destinations: [] }
  }
  const inner = chain.clusters.map((share) => explainTarget(input, share))
  return { listener: name, kind: 'bytes', by: chain.by, destinations: inner }
}

function failureOf(isKnown: boolean, isServed: boolean): DestinationFailure | undefined {
  if (!isKnown) return 'no-cluster'
  return isServed ? undefined : 'no-healthy-upstream'
}

/** The hosts of such a cluster are found when a request asks for them. */
function isNameResolved(discovery: string): boolean {
  return discovery === 'dynamic_forward_proxy' || discovery === 'ORIGINAL_DST'
}

/** The assignment has the name that the cluster gives it. */
function assignmentOf(messages: ConfigMessages, name: string) {
  const service = messages.cluster(name)?.edsClusterConfig?.serviceName ?? ''
  return messages.assignment(service === '' ? name : service)
}

function shapedRequest(
  input: ActionInput,
  part: DestinationInput,
): ExplainedDestination['request'] {
  const { head, route, manager } = input
  const changed: RequestHead = { ...head, headers: copyOf(head.headers) }
  shapeUpstreamRequest(changed, part, {
    route,
    record: undefined,
    suppressEnvoyHeaders: manager.suppressEnvoyHeaders === true,
  })
  const { method, authority, path } = changed
  return { method, authority, path, headers: changesBetween(head.headers, changed.headers) }
}

/** The edits are run on a response that has just what they may remove. */
function editedResponse(
  { head, message }: ActionInput,
  edits: readonly (HeaderEdit | undefined)[],
): HeaderChanges {
  const before = new HeaderList()
  for (const name of removableNames(message)) before.append(name.toLowerCase(), '')
  const headers = copyOf(before)
  for (const edit of edits) edit?.(headers, head)
  return changesBetween(before, headers)
}

function removableNames(message: RouteMessage | undefined): readonly string[] {
  const specifier = message?.action?.$case === 'route' && message.action.value.clusterSpecifier
  const parts =
    specifier !== false && specifier?.$case === 'weightedClusters' ? specifier.value.clusters : []
  const levels = [...(message === undefined ? [] : [message]), ...parts]
  return levels.flatMap(({ responseHeadersToRemove }) => responseHeadersToRemove)
}

function copyOf(headers: HeaderList): HeaderList {
  const copy = new HeaderList()
  copy.fields.push(...headers.fields)
  return copy
}

function changesBetween(before: HeaderList, after: HeaderList): HeaderChanges {
  const set: Record<string, string> = {}
  const removed: string[] = []
  for (const name of fieldNames(before, after)) {
    const value = after.getAll(name)
    if (value === undefined) removed.push(name)
    else if (value !== before.getAll(name)) set[name] = value
  }
  return { set, removed }
}

function fieldNames(...lists: readonly HeaderList[]): ReadonlySet<string> {
  return new Set(lists.flatMap(({ fields }) => fields.filter((_, index) => index % 2 === 0)))
}
