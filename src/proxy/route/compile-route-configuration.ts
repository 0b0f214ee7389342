/**
 * Envoy's RouteConfiguration → the table that the request path looks up. Every reason against it is collected, with the
 * path of its field; nothing is worked out per request that can be worked out here.
 */
import { readFileSync } from 'node:fs'

import { describeError } from '../../lib/mesh-error.ts'
import { systemRandom } from '../../lib/random.ts'
import type { RouteConfiguration } from '../../xds/proto/generated/envoy/config/route/v3/route.ts'
import {
  type DirectResponseAction,
  type Route as RouteMessage,
  type VirtualHost,
  VirtualHost_TlsRequirementType as TlsRequirement,
} from '../../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import { type Compiled, compiled, refused } from '../config/compiled.ts'
import { type FieldReport, at, checkFields, refuse } from '../config/field-rule.ts'
import { checkHeaderText } from '../config/header-text.ts'
import { checkEnum } from '../config/message-value.ts'
import type { ConnectionSecurity } from '../connection-security.ts'
import type { FilterConfigs } from '../filter/route-config.ts'
import type { RequestHead } from '../http/message.ts'
import { type ForwardContext, compileForward, compileHostDefaults } from './forward-action.ts'
import { joinEdits } from './header-edit.ts'
import { compileMirrors } from './mirror-policy.ts'
import { pathOnly } from './query-matcher.ts'
import { compileRedirect, forwardedScheme, tlsRedirect } from './redirect.ts'
import {
  type LevelEdits,
  type RouteCompiler,
  type RouteOptions,
  createRouteCompiler,
  mergeConfigs,
} from './route-compiler.ts'
import { routeConfigurationRule } from './route-fields.ts'
import { createRouteIndex } from './route-index.ts'
import { type MatchInput, type RouteMatcher, compileRouteMatch } from './route-matcher.ts'
import type { MatchedRoute, MirrorPolicy, Route, RouteAction, RouteTable } from './route-table.ts'
import { type VirtualClusters, compileVirtualClusters, countBy } from './virtual-cluster.ts'
import {
  type DomainEntry,
  createVirtualHostIndex,
  findDuplicateDomains,
} from './virtual-host-index.ts'

export function compileRouteConfiguration(
  message: RouteConfiguration,
  options: RouteOptions = { random: systemRandom },
): Compiled<CompiledTable> {
  const report: FieldReport = { path: '', reasons: [] }
  checkFields(message, routeConfigurationRule, report)
  if (message.vhds !== undefined && message.vhds.configSource === undefined) {
    refuse(at(report, 'vhds', 'config_source'), 'is required')
  }
  const compiler = createRouteCompiler(options)
  const context: TableContext = {
    compiler,
    message,
    edits: compiler.edits(message, report),
    mirrors: compileMirrors(message.requestMirrorPolicies, at(report, 'request_mirror_policies')),
    filterConfigs: compiler.filterConfigs(message.typedPerFilterConfig, report),
  }
  const entries: DomainEntry<HostMatcher>[] = []
  message.virtualHosts.forEach((host, index) => {
    const virtualHost = compileVirtualHost(host, context, at(report, 'virtual_hosts', index))
    for (const domain of host.domains) entries.push({ domain, virtualHost })
  })
  for (const reason of findDuplicateDomains(entries)) refuse(at(report, 'virtual_hosts'), reason)
  if (report.reasons.length > 0) return refused(...report.reasons)
  return compiled(createTable(message, entries, options))
}

/** A table that others can be joined to: virtual hosts on demand come one by one. */
export interface CompiledTable extends RouteTable {
  readonly entries: readonly DomainEntry<HostMatcher>[]
  /** This table's hosts and theirs; the domains of all are different. */
  join(others: readonly CompiledTable[]): RouteTable
}

/** The same table, which tells `mark` that one of its hosts was asked for. */
export function marked(table: CompiledTable, mark: { used: boolean }): CompiledTable {
  const entries = table.entries.map(({ domain, virtualHost }) => ({
    domain,
    virtualHost: (path: string, input: MatchInput) => {
      mark.used = true
      return virtualHost(path, input)
    },
  }))
  return { ...table, entries }
}

interface TableContext {
  readonly compiler: RouteCompiler
  readonly message: RouteConfiguration
  readonly mirrors: readonly MirrorPolicy[] | undefined
  readonly edits: LevelEdits
  readonly filterConfigs: FilterConfigs | undefined
}

type HostMatcher = (path: string, input: MatchInput) => MatchedRoute | undefined

function createTable(
  message: RouteConfiguration,
  entries: readonly DomainEntry<HostMatcher>[],
  options: RouteOptions,
): CompiledTable {
  const ignorePort = message.ignorePortInHostMatching
  const findHost = createVirtualHostIndex(entries, { ignorePort })
  const inputOf = createMatchInput(message, options)
  return {
    name: message.name,
    match(head, security) {
      const matchHost = findHost(head.authority)
      if (matchHost === undefined) return undefined
      const input = inputOf(head, security)
      return matchHost(input.path, input)
    },
    hasHost: (authority) => findHost(authority) !== undefined,
    entries,
    join(others) {
      const all = others.flatMap((other) => other.entries)
      return createTable(message, [...entries, ...all], options)
    },
  }
}

/**
 * What the routes of a table are asked about a request: one object, which holds until the next request is asked about. Matching
 * ends where it begins, so nobody meets another's.
 */
export function createMatchInput(
  message: RouteConfiguration,
  options: RouteOptions,
): (head: RequestHead, security?: ConnectionSecurity) => MatchInput {
  const keepsParameters = !message.ignorePathParametersInPathMatching
  let input: RequestInput | undefined
  return (head, security) => {
    const whole = pathOnly(head.path)
    const path = keepsParameters ? whole : withoutParameters(whole)
    if (input === undefined) input = new RequestInput(options.random, head, path)
    else input.renew(head, path)
    input.security = security
    return input
  }
}

/** Draws when a route with a fraction is first met, and gives the same to all others. */
class RequestInput implements MatchInput {
  readonly #random: RouteOptions['random']
  head: RequestHead
  path: string
  security: ConnectionSecurity | undefined
  #drawn = -1

  constructor(random: RouteOptions['random'], head: RequestHead, path: string) {
    this.#random = random
    this.head = head
    this.path = path
  }

  renew(head: RequestHead, path: string): void {
    this.head = head
    this.path = path
    this.#drawn = -1
  }

  draw(): number {
    if (this.#drawn < 0) this.#drawn = Math.floor(this.#random() * 4_294_967_296)
    return this.#drawn
  }
}

/** Parameters of each segment (RFC 3986 §3.3): all from its first semicolon. */
function withoutParameters(path: string): string {
  return path.includes(';') ? path.replaceAll(parameters, '') : path
}

const parameters = /;[^/]*/g

function compileVirtualHost(
  host: VirtualHost,
  table: TableContext,
  report: FieldReport,
): HostMatcher {
  if (host.name === '') refuse(at(report, 'name'), 'is required')
  if (host.domains.length === 0)
    refuse(at(report, 'domains'), 'value must contain at least 1 item(s)')
  host.domains.forEach((domain, index) => checkHeaderText(domain, at(report, 'domains', index)))
  checkEnum(host.requireTls, TlsRequirement, at(report, 'require_tls'))
  const { compiler } = table
  const context: HostContext = {
    table,
    host: compileHostDefaults(host, table.mirrors, report),
    virtualClusters: compileVirtualClusters(host, compiler.options.routeStats, report),
    edits: compiler.edits(host, report),
    filterConfigs: mergeConfigs(
      table.filterConfigs,
      compiler.filterConfigs(host.typedPerFilterConfig, report),
    ),
  }
  const routes = host.routes.map((route, index) => {
    const here = at(report, 'routes', index)
    return compileEntry(route, { ...context, virtualHost: host.name }, here)
  })
  const find = createRouteIndex<MatchInput, RouteEntry>(routes)
  const findRoute: HostMatcher = (path, input) => find(path, input)?.matched
  if (host.requireTls === TlsRequirement.NONE) return findRoute
  return requireTls(host, findRoute)
}

/** Whether a request is internal is what the connection manager says of its addresses, in a header of its own. */
function requireTls(
  { name, requireTls: wanted }: VirtualHost,
  findRoute: HostMatcher,
): HostMatcher {
  const route: Route = {
    name: '',
    action: { kind: 'redirect', redirect: tlsRedirect },
    editRequest: undefined,
    editResponse: undefined,
  }
  const redirected = { virtualHost: name, route }
  const sparesInternal = wanted === TlsRequirement.EXTERNAL_ONLY
  return (path, input) => {
    const { head } = input
    if (forwardedScheme(head) === 'https') return findRoute(path, input)
    const isSpared = sparesInternal && head.headers.get('x-envoy-internal') === 'true'
    return isSpared ? findRoute(path, input) : redirected
  }
}

interface HostContext {
  readonly table: TableContext
  readonly host: ForwardContext['host']
  readonly virtualClusters: VirtualClusters | undefined
  readonly edits: LevelEdits
  readonly filterConfigs: FilterConfigs | undefined
}

interface RouteContext extends HostContext {
  readonly virtualHost: string
}

interface RouteEntry extends RouteMatcher {
  readonly matched: MatchedRoute
}

function compileEntry(
  message: RouteMessage,
  context: RouteContext,
  report: FieldReport,
): RouteEntry {
  const matcher = compileMatcher(message, report)
  const own = context.table.compiler.edits(message, report)
  const filterConfigs = mergeConfigs(
    context.filterConfigs,
    context.table.compiler.filterConfigs(message.typedPerFilterConfig, report),
  )
  const levels = [own, context.edits, context.table.edits]
  if (context.table.message.mostSpecificHeaderMutationsWins) levels.reverse()
  const { statPrefix } = message
  const stats =
    statPrefix === ''
      ? undefined
      : context.table.compiler.options.routeStats?.({
          virtualHost: context.virtualHost,
          kind: 'route',
          name: statPrefix,
        })
  const route: Route = {
    name: message.name,
    action: compileAction(message, { ...context, filterConfigs, matcher }, report),
    editRequest: joinEdits(levels.map((level) => level.editRequest)),
    editResponse: joinEdits(levels.map((level) => level.editResponse)),
    ...(stats && { stats }),
    ...(context.virtualClusters && { count: countBy(context.virtualClusters, stats) }),
    ...(filterConfigs && { filterConfigs }),
  }
  return { ...matcher, matched: { virtualHost: context.virtualHost, route } }
}

function compileMatcher(message: RouteMessage, report: FieldReport): RouteMatcher {
  const here = at(report, 'match')
  if (message.match !== undefined) return compileRouteMatch(message.match, here)
  refuse(here, 'is required')
  return { key: { kind: 'other' }, matches: () => false, matchedPart: { kind: 'path' } }
}

function compileAction(
  message: RouteMessage,
  context: RouteContext & { readonly matcher: RouteMatcher },
  report: FieldReport,
): RouteAction {
  const { action } = message
  const matched = context.matcher.matchedPart
  switch (action?.$case) {
    case 'route': {
      const forwardContext: ForwardContext = {
        compiler: context.table.compiler,
        host: context.host,
        matched,
        filterConfigs: context.filterConfigs,
        requestBufferLimitBytes: message.perRequestBufferLimitBytes,
      }
      return compileForward(action.value, forwardContext, at(report, 'route'))
    }
    case 'redirect': {
      const redirect = compileRedirect(action.value, matched, at(report, 'redirect'))
      return { kind: 'redirect', redirect }
    }
    case 'directResponse':
      return compileDirect(action.value, context.table.message, at(report, 'direct_response'))
    case 'filterAction':
    case 'nonForwardingAction':
    case undefined:
    default:
      // The table of fields has refused the first two.
      if (action === undefined) refuse(at(report, 'action'), 'is required')
      return emptyDirect
  }
}

const emptyDirect: RouteAction = { kind: 'direct', status: 404, body: new Uint8Array() }
const directBodyMaxBytes = 4096

function compileDirect(
  action: DirectResponseAction,
  table: RouteConfiguration,
  report: FieldReport,
): RouteAction {
  const { status } = action
  if (status < 200 || status > 599) {
    refuse(at(report, 'status'), `value must be inside range [200, 600), got ${status}`)
  }
  const body = compileBody(action, at(report, 'body'))
  const bytesMax = table.maxDirectResponseBodySizeBytes ?? directBodyMaxBytes
  // As Envoy: 0 is no ceiling.
  if (bytesMax > 0 && body.length > bytesMax) {
    refuse(at(report, 'body'), `has ${body.length} bytes, at most ${bytesMax} are allowed`)
  }
  return { kind: 'direct', status, body }
}

function compileBody(action: DirectResponseAction, report: FieldReport): Uint8Array {
  const specifier = action.body?.specifier
  switch (specifier?.$case) {
    case undefined:
      if (action.body !== undefined) refuse(at(report, 'specifier'), 'is required')
      return new Uint8Array()
    case 'inlineString':
      return Buffer.from(specifier.value, 'utf8')
    case 'inlineBytes':
      return specifier.value
    case 'filename':
      return readBody(specifier.value, at(report, 'filename'))
    case 'environmentVariable':
    default:
      refuse(report, 'environment variables are not implemented')
      return new Uint8Array()
  }
}

/** Read when the table comes; not watched. */
function readBody(file: string, report: FieldReport): Uint8Array {
  try {
    return readFileSync(file)
  } catch (error) {
    refuse(report, describeError(error))
    return new Uint8Array()
  }
}
