/**
 * Envoy's `route.v3.QueryParameterMatcher`. Names and values are compared as they stand in the path, not decoded;
 * of a repeated parameter the first counts.
 */
import type { QueryParameterMatcher } from '../../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import { type Compiled, compiled, refused } from '../config/compiled.ts'
import { octetsOf } from '../config/header-text.ts'
import { compileOctetMatcher } from './string-matcher.ts'

export type PathMatch = (path: string) => boolean

const nameBytesMax = 1024

export function compileQueryMatcher(matcher: QueryParameterMatcher): Compiled<PathMatch> {
  const { queryParameterMatchSpecifier: specifier } = matcher
  const name = octetsOf(matcher.name)
  if (name === '') return refused('name: is required')
  if (name.length > nameBytesMax) {
    return refused(`name: value length must be at most ${nameBytesMax} bytes`)
  }
  if (specifier?.$case === 'presentMatch') {
    const wanted = specifier.value
    return compiled((path) => (queryParameter(path, name) !== undefined) === wanted)
  }
  if (specifier === undefined) return compiled((path) => queryParameter(path, name) !== undefined)
  const inner = compileOctetMatcher(specifier.value)
  if (!inner.ok) return refused(...inner.reasons.map((reason) => `string_match.${reason}`))
  const matches = inner.value
  return compiled((path) => {
    const value = queryParameter(path, name)
    return value !== undefined && matches(value)
  })
}

/** The first value of a parameter; '' where it has no `=`. The fragment is no part of the query. */
export function queryParameter(path: string, name: string): string | undefined {
  const question = path.indexOf('?')
  if (question < 0) return undefined
  const hash = path.indexOf('#', question)
  const query = hash < 0 ? path.slice(question + 1) : path.slice(question + 1, hash)
  for (const part of query.split('&')) {
    const equals = part.indexOf('=')
    if ((equals < 0 ? part : part.slice(0, equals)) === name) {
      return equals < 0 ? '' : part.slice(equals + 1)
    }
  }
  return undefined
}

/** The part of a path that routes are matched on: without query and fragment. */
export function pathOnly(path: string): string {
  const question = path.indexOf('?')
  const hash = path.indexOf('#')
  if (question < 0 && hash < 0) return path
  if (question < 0) return path.slice(0, hash)
  return path.slice(0, hash < 0 ? question : Math.min(question, hash))
}
