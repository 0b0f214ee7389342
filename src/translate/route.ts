/**
 * The routes of one VirtualService for one port and one class of clients, in order, up to the first that
 * matches everything.
 */
import { invariant } from '../lib/assert.ts'
import type {
  Destination,
  HttpDirectResponse,
  HttpMatchRequest,
  HttpRedirect,
  HttpRoute,
  HttpRouteDestination,
} from '../model/istio/virtual-service.ts'
import type { Service } from '../registry/service.ts'
import { provenanceKey } from '../xds/own-metadata.ts'
import {
  RedirectAction_RedirectResponseCode as RedirectCode,
  Route,
} from '../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import type { Abilities } from './ability.ts'
import { clusterOfDestination } from './called-host.ts'
import type { PlacedRoute } from './delegate.ts'
import { hashPoliciesOf, type HashOf } from './hash-policy.ts'
import {
  headerFields,
  joinChanges,
  translateHeaders,
  type HeaderChanges,
} from './header-operation.ts'
import { resolveHost } from './host-name.ts'
import type { MeshSettings } from './input.ts'
import { durationOfText, noTimeout } from './message.ts'
import { configPath } from './provenance.ts'
import { translateRetries } from './retry.ts'
import { filterConfigs, fractionOfPercent, fractionOfWhole, sendable } from './route-filter.ts'
import {
  appliesTo,
  describePath,
  isCatchAll,
  translateMatch,
  type MatchScope,
  type RouteMatchFields,
} from './route-match.ts'
import type { VirtualService } from './virtual-service-index.ts'

export interface RouteInput {
  readonly virtualService: VirtualService
  readonly scope: MatchScope
  /** Services that the client sees, by whichever of their names. */
  readonly serviceOf: (host: string) => Service | undefined
  readonly hashOf: HashOf
  readonly mesh: MeshSettings
  readonly abilities: Abilities
}

/** Empty when none applies to this client on this port. */
export function translateRoutes(input: RouteInput): Route[] {
  const routes: Route[] = []
  for (const route of input.virtualService.routes) {
    const blocks = route.http.match ?? []
    for (const [index, block] of (blocks.length === 0 ? [undefined] : blocks).entries()) {
      if (block !== undefined && !appliesTo(block, input.scope)) continue
      const match = translateMatch(block)
      const path = route.matchPaths[index] ?? route.path
      routes.push(translateRoute(input, { route, block, match, path }))
      if (isCatchAll(match)) return routes
    }
  }
  return routes
}

interface RoutePart {
  readonly route: PlacedRoute
  readonly block: HttpMatchRequest | undefined
  readonly match: RouteMatchFields
  /** Of the rule, or of one of its matches, in the resource where it was written. */
  readonly path: string
}

function translateRoute(input: RouteInput, part: RoutePart): Route {
  const { route, block, match, path } = part
  const { http, resource } = route
  const { virtualService, scope } = input
  const { action, changes } = actionOf(input, route)
  const isDelegated = resource !== virtualService.resource
  const { namespace: from, name: fromName } = resource.metadata
  const name = (http.name ?? '') + (block?.name === undefined ? '' : `.${block.name}`)
  return Route.fromPartial({
    name,
    match,
    action,
    metadata: {
      filterMetadata: {
        istio: { config: configPath('virtual-service', virtualService.resource.metadata) },
        [provenanceKey]: { path, ...(isDelegated && { delegate: `${from}/${fromName}` }) },
      },
    },
    decorator: { operation: operationOf({ action, match, virtualService, port: scope.port }) },
    ...headerFields(changes),
    typedPerFilterConfig: filterConfigs(http),
    ...(block?.statPrefix !== undefined && { statPrefix: block.statPrefix }),
  })
}

function actionOf(input: RouteInput, route: PlacedRoute) {
  const { http } = route
  const changes = translateHeaders(http.headers)
  if (http.redirect !== undefined) {
    return { action: redirectAction(http.redirect, input.scope.port), changes }
  }
  if (http.directResponse !== undefined) {
    return { action: directResponseAction(http.directResponse), changes }
  }
  if ((http.route ?? []).length === 0) {
    return { action: directResponseAction({ status: 503 }), changes }
  }
  return forwardAction(
    { ...input, namespace: route.resource.metadata.namespace },
    { http, changes },
  )
}

/** With the namespace in which short hosts are meant. */
interface DestinationInput extends RouteInput {
  readonly namespace: string
}

function forwardAction(
  input: DestinationInput,
  { http, changes }: { readonly http: HttpRoute; readonly changes: HeaderChanges },
) {
  const destinations = http.route ?? []
  const { namespace } = input
  const [single] = destinations
  const isSingle = destinations.length === 1 && single !== undefined
  const all = isSingle ? joinChanges(changes, translateHeaders(single.headers)) : changes
  const authority = http.rewrite?.authority || all.authority
  const hashes = destinations.map(({ destination }) =>
    input.hashOf({ ...destination, host: resolveHost(destination.host, namespace) }),
  )
  const hashPolicy = hashes.flatMap(hashPoliciesOf)
  const timeout = durationOfText(http.timeout) ?? noTimeout
  const retryPolicy = translateRetries(http.retries ?? input.mesh.retryPolicy, {
    isHashed: isSingle && hashes[0] !== undefined,
  })
  const value = {
    clusterSpecifier: isSingle
      ? { $case: 'cluster' as const, value: clusterOf(input, single.destination) }
      : { $case: 'weightedClusters' as const, value: { clusters: weights(input, destinations) } },
    timeout,
    // Istio caps what a client asks for with `grpc-timeout` at the route's time-out.
    maxGrpcTimeout: timeout,
    ...(retryPolicy !== undefined && { retryPolicy }),
    ...rewriteFields(http),
    ...(authority !== '' && {
      hostRewriteSpecifier: { $case: 'hostRewriteLiteral' as const, value: authority },
    }),
    hashPolicy,
    requestMirrorPolicies: mirrors(input, http),
  }
  return { action: { $case: 'route' as const, value }, changes: all }
}

/** Of several destinations, those of weight 0 get nothing; the rest share in proportion. */
function weights(input: DestinationInput, destinations: readonly HttpRouteDestination[]) {
  return destinations
    .filter(({ weight }) => (weight ?? 0) > 0)
    .map(({ destination, weight, headers }) => {
      const changes = translateHeaders(headers)
      return {
        name: clusterOf(input, destination),
        weight: weight ?? 0,
        ...headerFields(changes),
        ...(changes.authority !== '' && {
          hostRewriteSpecifier: {
            $case: 'hostRewriteLiteral' as const,
            value: changes.authority,
          },
        }),
      }
    })
}

/** Copies, with the host as it is: Istio appends nothing to it any more. A share of none is no copy. */
function mirrors(input: DestinationInput, http: HttpRoute) {
  const whole = http.mirrorPercent ?? http.mirror_percent
  const own = { destination: http.mirror, percentage: http.mirrorPercentage, whole }
  return [own, ...(http.mirrors ?? [])].flatMap((policy) => {
    const { destination, percentage } = policy
    const share = 'whole' in policy ? policy.whole : undefined
    const isNone = percentage === undefined ? share === 0 : (percentage.value ?? 0) <= 0
    if (destination === undefined || isNone) return []
    const defaultValue =
      percentage === undefined ? fractionOfWhole(share ?? 100) : fractionOfPercent(percentage)
    return {
      cluster: clusterOf(input, destination),
      runtimeFraction: { defaultValue },
      traceSampled: false,
      disableShadowHostSuffixAppend: true,
    }
  })
}

function clusterOf(input: DestinationInput, destination: Destination): string {
  const host = resolveHost(destination.host, input.namespace)
  return clusterOfDestination({
    destination: { ...destination, host },
    service: input.serviceOf(host),
    called: input.scope.port,
  })
}

function rewriteFields({ rewrite }: HttpRoute) {
  const regex = rewrite?.uriRegexRewrite
  if (regex !== undefined) {
    return {
      regexRewrite: {
        pattern: { regex: regex.match ?? '' },
        substitution: regex.rewrite ?? '',
      },
    }
  }
  return (rewrite?.uri ?? '') === '' ? {} : { prefixRewrite: rewrite?.uri ?? '' }
}

const redirectCodes: Readonly<Record<number, RedirectCode>> = {
  301: RedirectCode.MOVED_PERMANENTLY,
  302: RedirectCode.FOUND,
  303: RedirectCode.SEE_OTHER,
  307: RedirectCode.TEMPORARY_REDIRECT,
  308: RedirectCode.PERMANENT_REDIRECT,
}

function redirectAction(redirect: HttpRedirect, listenerPort: number) {
  const responseCode = redirectCodes[redirect.redirectCode ?? 301]
  // Validation lets only these five through; another code must not turn into a 301.
  if (responseCode === undefined) return directResponseAction({ status: 503 })
  return {
    $case: 'redirect' as const,
    value: {
      responseCode,
      hostRedirect: redirect.authority ?? '',
      portRedirect: redirectPort(redirect, listenerPort),
      ...(redirect.scheme !== undefined &&
        redirect.scheme !== '' && {
          schemeRewriteSpecifier: { $case: 'schemeRedirect' as const, value: redirect.scheme },
        }),
      pathRewriteSpecifier:
        redirect.prefixRewrite === undefined
          ? { $case: 'pathRedirect' as const, value: redirect.uri ?? '' }
          : { $case: 'prefixRewrite' as const, value: redirect.prefixRewrite },
    },
  }
}

/** A scheme's own port is left out of the location. */
function redirectPort(redirect: HttpRedirect, listenerPort: number): number {
  const port = redirect.port ?? (redirect.derivePort === 'FROM_REQUEST_PORT' ? listenerPort : 0)
  const scheme = redirect.scheme || 'http'
  const own = scheme === 'https' ? 443 : 80
  return port === own ? 0 : port
}

function directResponseAction({ status, body }: HttpDirectResponse) {
  const text = body?.string
  const bytes = body?.bytes
  return {
    $case: 'directResponse' as const,
    value: {
      status: sendable(status),
      ...(text !== undefined && {
        body: { specifier: { $case: 'inlineString' as const, value: text } },
      }),
      ...(bytes !== undefined && {
        body: { specifier: { $case: 'inlineBytes' as const, value: Buffer.from(bytes, 'base64') } },
      }),
    },
  }
}

interface OperationInput {
  readonly action: ReturnType<typeof actionOf>['action']
  readonly match: RouteMatchFields
  readonly virtualService: VirtualService
  readonly port: number
}

/** Name of a span: the destination when there is one, else the VirtualService. */
function operationOf({ action, match, virtualService, port }: OperationInput): string {
  const path = describePath(match)
  const target = action.$case === 'route' ? action.value.clusterSpecifier : undefined
  if (target?.$case === 'cluster') {
    const [, clusterPort, , host] = target.value.split('|')
    invariant(host !== undefined, 'a route goes to a cluster named by clusterName')
    return `${host}:${clusterPort}${path}`
  }
  return `${virtualService.resource.metadata.name}:${port}${path}`
}
