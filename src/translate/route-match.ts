/**
 * One `match` block as an Envoy route match. What does not depend on the request (port, source labels and
 * namespace, gateways) is decided here and now, for the client that the route is for.
 */
import type { HttpMatchRequest, StringMatch } from '../model/istio/virtual-service.ts'
import { compareText } from './input.ts'

export interface MatchScope {
  /** Port of the service, or 80 for a host that no service has. */
  readonly port: number
  readonly clientNamespace: string
  readonly isSelected: (selector: Readonly<Record<string, string>>) => boolean
}

/** Whether a block can match any request of this client on this port. */
export function appliesTo(match: HttpMatchRequest, scope: MatchScope): boolean {
  return exclusionOf(match, scope) === undefined
}

/** The condition by which a block is left out for this client, whatever the request. */
export type Exclusion = 'port' | 'claims' | 'gateways' | 'sourceLabels' | 'sourceNamespace'

export function exclusionOf(match: HttpMatchRequest, scope: MatchScope): Exclusion | undefined {
  if (match.port !== undefined && match.port !== 0 && match.port !== scope.port) return 'port'
  if (hasClaims(match.headers) || hasClaims(match.withoutHeaders)) return 'claims'
  const gateways = match.gateways ?? []
  // As in Istio, a list of gateways takes the place of the conditions on the source.
  if (gateways.length > 0) return gateways.includes('mesh') ? undefined : 'gateways'
  return sourceExclusion(match, scope)
}

function sourceExclusion(match: HttpMatchRequest, scope: MatchScope): Exclusion | undefined {
  const { sourceLabels, sourceNamespace = '' } = match
  if (sourceLabels !== undefined && !scope.isSelected(sourceLabels)) return 'sourceLabels'
  const isHere = sourceNamespace === '' || sourceNamespace === scope.clientNamespace
  return isHere ? undefined : 'sourceNamespace'
}

/** JWT claims are known at gateways only; a sidecar's route that asks for one can never match. */
function hasClaims(headers: Readonly<Record<string, unknown>> | undefined): boolean {
  return Object.keys(headers ?? {}).some((name) => name.startsWith('@request.auth.claims'))
}

export function translateMatch(match: HttpMatchRequest | undefined) {
  if (match === undefined) return { pathSpecifier: { $case: 'prefix' as const, value: '/' } }
  const headers = [
    ...Object.entries(match.headers ?? {}).map(([name, value]) => headerMatch(name, value)),
    ...Object.entries(match.withoutHeaders ?? {}).map(([name, value]) =>
      withoutHeader(name, value),
    ),
  ].sort((left, right) => compareText(left.name, right.name))
  if (match.method !== undefined) headers.push(headerMatch(':method', match.method))
  if (match.authority !== undefined) headers.push(headerMatch(':authority', match.authority))
  if (match.scheme !== undefined) headers.push(headerMatch(':scheme', match.scheme))
  return {
    pathSpecifier: pathMatch(match.uri),
    caseSensitive: match.ignoreUriCase !== true,
    headers,
    queryParameters: Object.entries(match.queryParams ?? {})
      .sort(([left], [right]) => compareText(left, right))
      .map(([name, value]) => queryMatch(name, value)),
  }
}

export type RouteMatchFields = ReturnType<typeof translateMatch>

/** Every request matches: what comes after can never be reached. */
export function isCatchAll(match: RouteMatchFields): boolean {
  const { pathSpecifier } = match
  const anyPath =
    (pathSpecifier.$case === 'prefix' && pathSpecifier.value === '/') ||
    (pathSpecifier.$case === 'safeRegex' && pathSpecifier.value.regex === '.*')
  return anyPath && (match.headers ?? []).length === 0 && (match.queryParameters ?? []).length === 0
}

/** The path as Istio shows it in the name of a span. */
export function describePath({ pathSpecifier }: RouteMatchFields): string {
  if (pathSpecifier.$case === 'prefix') return `${pathSpecifier.value}*`
  return pathSpecifier.$case === 'path' ? pathSpecifier.value : pathSpecifier.value.regex
}

function pathMatch(uri: StringMatch | undefined) {
  if (uri?.exact !== undefined) return { $case: 'path' as const, value: uri.exact }
  if (uri?.prefix !== undefined) return { $case: 'prefix' as const, value: uri.prefix }
  if (uri?.regex !== undefined) {
    return { $case: 'safeRegex' as const, value: { regex: uri.regex } }
  }
  return { $case: 'prefix' as const, value: '/' }
}

function headerMatch(name: string, value: StringMatch) {
  return {
    name,
    headerMatchSpecifier: isPresence(value)
      ? { $case: 'presentMatch' as const, value: true }
      : { $case: 'stringMatch' as const, value: { matchPattern: pattern(value) } },
    invertMatch: false,
    treatMissingHeaderAsEmpty: false,
  }
}

/** A header that is missing counts as empty, except where presence itself is asked for. */
function withoutHeader(name: string, value: StringMatch) {
  return {
    ...headerMatch(name, value),
    invertMatch: true,
    treatMissingHeaderAsEmpty: !isPresence(value),
  }
}

function queryMatch(name: string, value: StringMatch) {
  return {
    name,
    queryParameterMatchSpecifier: isPresence(value)
      ? { $case: 'presentMatch' as const, value: true }
      : { $case: 'stringMatch' as const, value: { matchPattern: pattern(value) } },
  }
}

/** `{}`, or the regex `*`, which is no RE2 and has always meant "present". */
function isPresence({ exact, prefix, regex }: StringMatch): boolean {
  return exact === undefined && prefix === undefined && (regex === undefined || regex === '*')
}

export function pattern({ exact, prefix, regex }: StringMatch) {
  if (exact !== undefined) return { $case: 'exact' as const, value: exact }
  if (prefix !== undefined) return { $case: 'prefix' as const, value: prefix }
  return { $case: 'safeRegex' as const, value: { regex: regex ?? '' } }
}
