/** Envoy's `type.matcher.v3.StringMatcher`: exact, prefix, suffix, contains or RE2, with or without case. */
import { unreachable } from '../../lib/assert.ts'
import { lowerAscii } from '../../lib/lower-ascii.ts'
import type { StringMatcher } from '../../xds/proto/generated/envoy/type/matcher/v3/string.ts'
import { type Compiled, compiled, refused } from '../config/compiled.ts'
import { octetsOf } from '../config/header-text.ts'
import { type TextMatch, compileRegexMatcher } from './regex.ts'

export function compileStringMatcher(matcher: StringMatcher): Compiled<TextMatch> {
  return compileSpelled(matcher, (text) => text)
}

/** Over the octets of a head, where a configuration is UTF-8. */
export function compileOctetMatcher(matcher: StringMatcher): Compiled<TextMatch> {
  return compileSpelled(matcher, octetsOf)
}

/** `spelled`: the text of a configuration as what is matched spells it. */
function compileSpelled(
  { matchPattern, ignoreCase }: StringMatcher,
  spelled: (text: string) => string,
): Compiled<TextMatch> {
  if (matchPattern === undefined) return refused('match_pattern: is required')
  if (matchPattern.$case === 'custom') return refused('custom: not implemented')
  if (matchPattern.$case === 'safeRegex') {
    return compileSafeRegex({ regex: spelled(matchPattern.value.regex) }, ignoreCase)
  }
  const { $case: kind } = matchPattern
  const value = spelled(matchPattern.value)
  if (value === '' && kind !== 'exact') return refused(`${kind}: must not be empty`)
  const wanted = ignoreCase ? lowerAscii(value) : value
  const matches = plainMatch(kind, wanted)
  return compiled(ignoreCase ? (text) => matches(lowerAscii(text)) : matches)
}

/** Case is part of a regular expression. */
function compileSafeRegex(
  matcher: { readonly regex: string },
  ignoreCase: boolean,
): Compiled<TextMatch> {
  // Envoy's own words.
  if (ignoreCase) return refused('ignore_case has no effect for safe_regex')
  const inner = compileRegexMatcher(matcher)
  return inner.ok ? inner : refused(...inner.reasons.map((reason) => `safe_regex.${reason}`))
}

function plainMatch(kind: 'exact' | 'prefix' | 'suffix' | 'contains', wanted: string): TextMatch {
  switch (kind) {
    case 'exact':
      return (text) => text === wanted
    case 'prefix':
      return (text) => text.startsWith(wanted)
    case 'suffix':
      return (text) => text.endsWith(wanted)
    case 'contains':
      return (text) => text.includes(wanted)
    default:
      return unreachable(kind)
  }
}
