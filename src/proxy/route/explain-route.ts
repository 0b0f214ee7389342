/**
 * How a route configuration decides on one request, step by step: which domain of which virtual host, which routes were
 * tried, and what each of their conditions wanted and got.
 *
 * It reads no rule a second time: hosts are found by the index of the request path, and each condition is the closure
 * that the table runs, compiled alone. The whole table decides too, and a property test holds the two to each other.
 */
import type { RouteConfiguration } from '../../xds/proto/generated/envoy/config/route/v3/route.ts'
import {
  type Route as RouteMessage,
  type VirtualHost,
  VirtualHost_TlsRequirementType as TlsRequirement,
} from '../../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import { type Compiled, compiled } from '../config/compiled.ts'
import type { FieldReport } from '../config/field-rule.ts'
import type { RequestHead } from '../http/message.ts'
import { compileRouteConfiguration, createMatchInput } from './compile-route-configuration.ts'
import { describeCondition } from './describe-condition.ts'
import { forwardedScheme } from './redirect.ts'
import type { RouteOptions } from './route-compiler.ts'
import { type MatchCondition, type MatchInput, compileSeparately } from './route-matcher.ts'
import type { MatchedRoute } from './route-table.ts'
import { type DomainEntry, createVirtualHostIndex } from './virtual-host-index.ts'

export interface RouteExplanation {
  /** Undefined: no virtual host is for this authority. */
  readonly virtualHost: ExplainedHost | undefined
  /** In order, up to the one that matched. */
  readonly tried: readonly TriedRoute[]
  /** What the compiled table decides. */
  readonly matched: MatchedRoute | undefined
  /** The last of those tried, when it matched. */
  readonly route: RouteMessage | undefined
  /** The virtual host wants TLS, and sends the request away before any route is tried. */
  readonly isTlsRequired: boolean
}

export interface ExplainedHost {
  readonly name: string
  /** The one that the authority matched. */
  readonly domain: string
}

export interface TriedRoute {
  readonly message: RouteMessage
  readonly isMatch: boolean
  readonly conditions: readonly ExplainedCondition[]
}

export interface ExplainedCondition {
  /** `path`, `header x-user`, `query page`, … */
  readonly subject: string
  /** `exact "jason"` */
  readonly wanted: string
  /** Undefined: the request has none. */
  readonly got: string | undefined
  readonly isMet: boolean
}

/** What the proxy would refuse is refused here in the same words. */
export function compileRouteExplainer(
  message: RouteConfiguration,
  options: RouteOptions,
): Compiled<(head: RequestHead) => RouteExplanation> {
  // The table and the walk beside it see one draw, so that a route with a fraction is the same to both.
  let draw = 0
  const steady: RouteOptions = { ...options, random: () => draw }
  const table = compileRouteConfiguration(message, steady)
  if (!table.ok) return table
  const findHost = createVirtualHostIndex(domainsOf(message), {
    ignorePort: message.ignorePortInHostMatching,
  })
  const inputOf = createMatchInput(message, steady)
  return compiled((head) => {
    draw = options.random()
    const matched = table.value.match(head)
    const found = findHost(head.authority)
    if (found === undefined) return { ...nothing, matched }
    const { host, domain } = found
    const virtualHost = { name: host.name, domain }
    const isTlsRequired =
      host.requireTls !== TlsRequirement.NONE && forwardedScheme(head) !== 'https'
    if (isTlsRequired) return { ...nothing, virtualHost, matched, isTlsRequired }
    const tried = tryRoutes(host.routes, inputOf(head))
    const last = tried.at(-1)
    const route = last?.isMatch === true ? last.message : undefined
    return { virtualHost, tried, matched, route, isTlsRequired }
  })
}

const nothing = { virtualHost: undefined, tried: [], route: undefined, isTlsRequired: false }

interface HostDomain {
  readonly host: VirtualHost
  readonly domain: string
}

function domainsOf(message: RouteConfiguration): DomainEntry<HostDomain>[] {
  return message.virtualHosts.flatMap((host) =>
    host.domains.map((domain) => ({ domain, virtualHost: { host, domain } })),
  )
}

function tryRoutes(routes: readonly RouteMessage[], input: MatchInput): readonly TriedRoute[] {
  const tried: TriedRoute[] = []
  for (const message of routes) {
    const one = tryRoute(message, input)
    tried.push(one)
    if (one.isMatch) break
  }
  return tried
}

function tryRoute(message: RouteMessage, input: MatchInput): TriedRoute {
  const { match } = message
  // The table refuses a route without a match.
  if (match === undefined) return { message, isMatch: false, conditions: [] }
  const unread: FieldReport = { path: '', reasons: [] }
  const conditions = compileSeparately(match, unread).map((condition: MatchCondition) => ({
    ...describeCondition(match, condition, input),
    isMet: condition.test(input),
  }))
  return { message, isMatch: conditions.every(({ isMet }) => isMet), conditions }
}
