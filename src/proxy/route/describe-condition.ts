/** A condition of a route's match in words: what it is about, what it wants, and what a request has there. */
import { unreachable } from '../../lib/assert.ts'
import type { TypedExtensionConfig } from '../../xds/proto/generated/envoy/config/core/v3/extension.ts'
import type {
  HeaderMatcher,
  QueryParameterMatcher,
  RouteMatch,
} from '../../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import type { StringMatcher } from '../../xds/proto/generated/envoy/type/matcher/v3/string.ts'
import type { RequestHead } from '../http/message.ts'
import { requestReader } from './header-matcher.ts'
import { compileTemplateMatch } from './path-template.ts'
import { queryParameter } from './query-matcher.ts'
import { type MatchCondition, type MatchInput, denominatorOf } from './route-matcher.ts'

export interface ConditionText {
  readonly subject: string
  readonly wanted: string
  readonly got: string | undefined
}

export function describeCondition(
  match: RouteMatch,
  { field, index }: MatchCondition,
  input: MatchInput,
): ConditionText {
  switch (field) {
    case 'path':
      return pathText(match, input)
    case 'headers': {
      const matcher = match.headers[index]
      return matcher === undefined ? unknown : headerText(matcher, input.head)
    }
    case 'query_parameters': {
      const matcher = match.queryParameters[index]
      return matcher === undefined ? unknown : queryText(matcher, input.head)
    }
    case 'grpc': {
      const got = input.head.headers.get('content-type')
      return { subject: 'content-type', wanted: 'application/grpc', got }
    }
    case 'runtime_fraction': {
      return fractionText(match)
    }
    case 'tls_context':
      return tlsText(match, input)
    default:
      return unreachable(field)
  }
}

function fractionText({ runtimeFraction }: RouteMatch): ConditionText {
  const percent = runtimeFraction?.defaultValue
  const denominator = percent === undefined ? 100 : denominatorOf(percent)
  const share = ((percent?.numerator ?? 0) / denominator) * 100
  return { subject: 'chance', wanted: `${share} % of the requests`, got: 'a draw' }
}

function tlsText({ tlsContext }: RouteMatch, { security }: MatchInput): ConditionText {
  const wanted = [
    tlsContext?.presented === undefined ? [] : [tlsContext.presented ? 'shown' : 'not shown'],
    tlsContext?.validated === undefined ? [] : [tlsContext.validated ? 'verified' : 'not verified'],
  ].flat()
  const got = security?.peer === undefined ? undefined : 'verified'
  return { subject: 'client certificate', wanted: wanted.join(' and ') || 'anything', got }
}

const unknown: ConditionText = { subject: 'unknown', wanted: '', got: undefined }

function pathText(match: RouteMatch, { head, path }: MatchInput): ConditionText {
  const { pathSpecifier: specifier } = match
  if (specifier?.$case === 'connectMatcher') {
    return { subject: 'method', wanted: 'CONNECT', got: head.method }
  }
  const anyCase = match.caseSensitive === false ? ', in any case' : ''
  const got = path === '' ? undefined : path
  switch (specifier?.$case) {
    case 'prefix':
      return { subject: 'path', wanted: `prefix ${quoted(specifier.value)}${anyCase}`, got }
    case 'path':
      return { subject: 'path', wanted: `exact ${quoted(specifier.value)}${anyCase}`, got }
    case 'pathSeparatedPrefix':
      return {
        subject: 'path',
        wanted: `${quoted(specifier.value)} or below it${anyCase}`,
        got,
      }
    case 'safeRegex':
      return { subject: 'path', wanted: `regex ${quoted(specifier.value.regex)}`, got }
    case 'pathMatchPolicy':
      return { subject: 'path', wanted: templateText(specifier.value), got }
    case undefined:
    default:
      return { subject: 'path', wanted: 'something that is not implemented', got }
  }
}

function templateText(policy: TypedExtensionConfig): string {
  const template = compileTemplateMatch(policy, { path: '', reasons: [] })
  return `URI template ${quoted(template?.text ?? '')}`
}

function headerText(matcher: HeaderMatcher, head: RequestHead): ConditionText {
  const name = matcher.name.toLowerCase()
  const isPseudo = name.startsWith(':')
  return {
    subject: isPseudo ? name.slice(1) : `header ${name}`,
    wanted: headerWanted(matcher),
    got: isPseudo || name === 'host' ? requestReader(name)(head) : head.headers.getAll(name),
  }
}

function headerWanted(matcher: HeaderMatcher): string {
  const { headerMatchSpecifier: specifier, invertMatch } = matcher
  if (specifier === undefined || specifier.$case === 'presentMatch') {
    return (specifier?.value ?? true) === invertMatch ? 'to be absent' : 'to be present'
  }
  return `${invertMatch ? 'not ' : ''}${valueWanted(specifier)}`
}

type ValueSpecifier = Exclude<
  NonNullable<HeaderMatcher['headerMatchSpecifier']>,
  { $case: 'presentMatch' }
>

function valueWanted(specifier: ValueSpecifier): string {
  switch (specifier.$case) {
    case 'stringMatch':
      return stringWanted(specifier.value)
    case 'rangeMatch':
      return `a number from ${specifier.value.start} to ${specifier.value.end - 1}`
    case 'safeRegexMatch':
      return `regex ${quoted(specifier.value.regex)}`
    case 'exactMatch':
    case 'prefixMatch':
    case 'suffixMatch':
    case 'containsMatch':
      return `${specifier.$case.replace('Match', '')} ${quoted(specifier.value)}`
    default:
      return unreachable(specifier)
  }
}

function queryText(matcher: QueryParameterMatcher, head: RequestHead): ConditionText {
  const { name, queryParameterMatchSpecifier: specifier } = matcher
  const got = queryParameter(head.path, name)
  const subject = `query ${name}`
  if (specifier?.$case === 'stringMatch') {
    return { subject, wanted: stringWanted(specifier.value), got }
  }
  return { subject, wanted: specifier?.value === false ? 'to be absent' : 'to be present', got }
}

function stringWanted({ matchPattern, ignoreCase }: StringMatcher): string {
  const anyCase = ignoreCase ? ', in any case' : ''
  switch (matchPattern?.$case) {
    case 'safeRegex':
      return `regex ${quoted(matchPattern.value.regex)}`
    case 'exact':
    case 'prefix':
    case 'suffix':
    case 'contains':
      return `${matchPattern.$case} ${quoted(matchPattern.value)}${anyCase}`
    case 'custom':
    case undefined:
    default:
      return 'something that is not implemented'
  }
}

function quoted(text: string): string {
  return JSON.stringify(text)
}
