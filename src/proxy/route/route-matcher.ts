/** Envoy's `RouteMatch`, compiled: a test over one request, and what the index may use of its path. */
import { unreachable } from '../../lib/assert.ts'
import { lowerAscii } from '../../lib/lower-ascii.ts'
import type { RouteMatch } from '../../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import {
  FractionalPercent_DenominatorType as Denominator,
  type FractionalPercent,
} from '../../xds/proto/generated/envoy/type/v3/percent.ts'
import { accepted } from '../config/compiled.ts'
import { type FieldReport, at, refuse } from '../config/field-rule.ts'
import { octetsOf } from '../config/header-text.ts'
import { checkEnum } from '../config/message-value.ts'
import type { ConnectionSecurity } from '../connection-security.ts'
import type { RequestHead } from '../http/message.ts'
import { compileRequestMatcher } from './header-matcher.ts'
import { type PathTemplate, compileTemplateMatch } from './path-template.ts'
import { compileQueryMatcher } from './query-matcher.ts'
import { certainStart, compileRegexMatcher } from './regex.ts'
import type { PathKey } from './route-index.ts'

/** What every route of a table is asked about one request. */
export interface MatchInput {
  readonly head: RequestHead
  /** Without query and fragment; '' for a CONNECT without a path. */
  readonly path: string
  /** What TLS has proved of the client; undefined on plaintext. */
  readonly security: ConnectionSecurity | undefined
  /** One draw per request, a whole number of 32 bits: routes with fractions split the same traffic. */
  readonly draw: () => number
}

export type MatchTest = (input: MatchInput) => boolean

/** How the path of a route matched, for rewriting it. */
export type MatchedPart =
  | { readonly kind: 'start'; readonly text: string; readonly ignoresCase: boolean }
  /** The whole path up to its query. */
  | { readonly kind: 'path' }
  | { readonly kind: 'template'; readonly template: PathTemplate }

export interface RouteMatcher {
  readonly key: PathKey
  readonly matches: MatchTest
  readonly matchedPart: MatchedPart
}

/** One thing that a match asks of a request; all must hold. */
export interface MatchCondition {
  readonly field:
    | 'path'
    | 'grpc'
    | 'headers'
    | 'query_parameters'
    | 'runtime_fraction'
    | 'tls_context'
  /** In the message's list of that name; 0 where there is no list. */
  readonly index: number
  readonly test: MatchTest
}

export function compileRouteMatch(match: RouteMatch, report: FieldReport): RouteMatcher {
  const path = compilePath(match, report)
  const conditions = compileConditions(match, report).map(({ test }) => test)
  const [only] = conditions
  if (conditions.length === 0) return path
  const { matches } = path
  if (conditions.length === 1 && only !== undefined) {
    return { ...path, matches: (input) => matches(input) && only(input) }
  }
  return {
    ...path,
    matches: (input) => matches(input) && conditions.every((condition) => condition(input)),
  }
}

/** Each part of a match alone, in the order in which they are asked, for telling which one did not hold. */
export function compileSeparately(
  match: RouteMatch,
  report: FieldReport,
): readonly MatchCondition[] {
  const path = compilePath(match, report)
  return [{ field: 'path', index: 0, test: path.matches }, ...compileConditions(match, report)]
}

function compileConditions(match: RouteMatch, report: FieldReport): readonly MatchCondition[] {
  return [
    ...compileGrpc(match),
    ...compileHeaders(match, report),
    ...compileQuery(match, report),
    ...compileTlsContext(match),
    ...compileFraction(match, at(report, 'runtime_fraction')),
  ]
}

const other: PathKey = { kind: 'other' }
const nothing: RouteMatcher = {
  key: other,
  matches: () => false,
  matchedPart: { kind: 'path' },
}

function compilePath(match: RouteMatch, report: FieldReport): RouteMatcher {
  const specifier = match.pathSpecifier
  const ignoreCase = match.caseSensitive === false
  if (specifier === undefined) {
    refuse(at(report, 'path_specifier'), 'is required')
    return nothing
  }
  switch (specifier.$case) {
    case 'prefix':
      return compilePrefix(octetsOf(specifier.value), ignoreCase)
    case 'path':
      return compileExact(octetsOf(specifier.value), ignoreCase)
    case 'pathSeparatedPrefix':
      return compileSeparatedPrefix(
        octetsOf(specifier.value),
        ignoreCase,
        at(report, 'path_separated_prefix'),
      )
    case 'safeRegex': {
      const regex = octetsOf(specifier.value.regex)
      const test = accepted(compileRegexMatcher({ regex }), at(report, 'safe_regex'))
      if (test === undefined) return nothing
      const start = certainStart(regex)
      return {
        key: start === '' ? other : { kind: 'prefix', prefix: start },
        matches: (input) => hasPath(input) && test(input.path),
        matchedPart: { kind: 'path' },
      }
    }
    case 'connectMatcher':
      return {
        key: other,
        matches: (input) => input.head.method === 'CONNECT',
        matchedPart: { kind: 'path' },
      }
    case 'pathMatchPolicy': {
      const template = compileTemplateMatch(specifier.value, at(report, 'path_match_policy'))
      if (template === undefined) return nothing
      return {
        key: other,
        matches: (input) => hasPath(input) && template.matches(input.path),
        matchedPart: { kind: 'template', template },
      }
    }
    default:
      return unreachable(specifier)
  }
}

/** Only a connect_matcher sees a request without a path. */
function hasPath(input: MatchInput): boolean {
  return input.head.path !== ''
}

function compilePrefix(prefix: string, ignoreCase: boolean): RouteMatcher {
  const matchedPart = { kind: 'start', text: prefix, ignoresCase: ignoreCase } as const
  if (ignoreCase) {
    const lower = lowerAscii(prefix)
    const matches: MatchTest = (input) => hasPath(input) && lowerAscii(input.path).startsWith(lower)
    return { key: other, matches, matchedPart }
  }
  if (prefix === '/') {
    // Every path that a codec lets through begins so; this is most routes of a mesh.
    return {
      key: { kind: 'prefix', prefix },
      matches: (input) => input.path.charCodeAt(0) === 0x2f,
      matchedPart,
    }
  }
  return {
    key: { kind: 'prefix', prefix },
    matches: (input) => hasPath(input) && input.path.startsWith(prefix),
    matchedPart,
  }
}

function compileExact(path: string, ignoreCase: boolean): RouteMatcher {
  const matchedPart = { kind: 'start', text: path, ignoresCase: ignoreCase } as const
  if (ignoreCase) {
    const lower = lowerAscii(path)
    return {
      key: other,
      matches: (input) => hasPath(input) && lowerAscii(input.path) === lower,
      matchedPart,
    }
  }
  return {
    key: { kind: 'exact', path },
    matches: (input) => hasPath(input) && input.path === path,
    matchedPart,
  }
}

function compileSeparatedPrefix(
  prefix: string,
  ignoreCase: boolean,
  report: FieldReport,
): RouteMatcher {
  if (!/^[^?#]+[^?#/]$/.test(prefix)) {
    refuse(report, `must not end in / or hold ? or # (value ${JSON.stringify(prefix)})`)
  }
  const whole = compilePrefix(prefix, ignoreCase)
  const { length } = prefix
  return {
    ...whole,
    matches: (input) =>
      whole.matches(input) && (input.path.length === length || input.path[length] === '/'),
  }
}

function compileGrpc(match: RouteMatch): readonly MatchCondition[] {
  if (match.grpc === undefined) return []
  return [{ field: 'grpc', index: 0, test: (input) => isGrpcRequest(input.head) }]
}

/** `application/grpc`, alone or with `+proto` and the like behind it. */
export function isGrpcRequest(head: RequestHead): boolean {
  const type = head.headers.get('content-type')
  if (type === undefined || !type.startsWith('application/grpc')) return false
  return type.length === 16 || type[16] === '+'
}

function compileHeaders(match: RouteMatch, report: FieldReport): readonly MatchCondition[] {
  return match.headers.flatMap((matcher, index) => {
    const matches = accepted(compileRequestMatcher(matcher), at(report, 'headers', index))
    if (matches === undefined) return []
    return [{ field: 'headers', index, test: (input: MatchInput) => matches(input.head) }]
  })
}

function compileQuery(match: RouteMatch, report: FieldReport): readonly MatchCondition[] {
  return match.queryParameters.flatMap((matcher, index) => {
    const matches = accepted(compileQueryMatcher(matcher), at(report, 'query_parameters', index))
    if (matches === undefined) return []
    return [
      { field: 'query_parameters', index, test: (input: MatchInput) => matches(input.head.path) },
    ]
  })
}

/** A client without TLS has shown no certificate, and none was verified. */
function compileTlsContext({ tlsContext }: RouteMatch): readonly MatchCondition[] {
  if (tlsContext === undefined) return []
  const { presented, validated } = tlsContext
  const test: MatchTest = ({ security }) => {
    const isPresented = security !== undefined && security.peerChain.length > 0
    const isValidated = security?.peer !== undefined
    return (
      (presented === undefined || presented === isPresented) &&
      (validated === undefined || validated === isValidated)
    )
  }
  return [{ field: 'tls_context', index: 0, test }]
}

function compileFraction(match: RouteMatch, report: FieldReport): readonly MatchCondition[] {
  if (match.runtimeFraction === undefined) return []
  const percent = match.runtimeFraction.defaultValue
  if (percent === undefined) {
    refuse(at(report, 'default_value'), 'is required')
    return []
  }
  checkEnum(percent.denominator, Denominator, at(report, 'default_value', 'denominator'))
  const { numerator } = percent
  const denominator = denominatorOf(percent)
  const test: MatchTest = (input) => input.draw() % denominator < numerator
  return [{ field: 'runtime_fraction', index: 0, test }]
}

export function denominatorOf(percent: FractionalPercent): number {
  switch (percent.denominator) {
    case Denominator.TEN_THOUSAND:
      return 10_000
    case Denominator.MILLION:
      return 1_000_000
    case Denominator.HUNDRED:
    default:
      return 100
  }
}
