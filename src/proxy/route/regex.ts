/**
 * RE2 regular expressions, matched over the whole text as Envoy does, in linear time (JavaScript's own engine
 * backtracks, and a pattern such as `(a+)+$` then takes seconds).
 *
 * Two shortcuts keep the common patterns off the engine: the literal text that a pattern begins with is compared
 * first, and a pattern that is nothing but such a text with `.*` or `.+` behind it never reaches the engine.
 */
import { RE2JS } from 're2js'

import { type Compiled, compiled, refused } from '../config/compiled.ts'

export type TextMatch = (text: string) => boolean

export function compileRegex(pattern: string): Compiled<TextMatch> {
  const engine = compileEngine(pattern)
  if (!engine.ok) return engine
  const re2 = engine.value
  const literal = literalStart(pattern)
  const rest = pattern.slice(literal.sourceLength)
  const { text } = literal
  if (rest === '') return compiled((value) => value === text)
  if (rest === '.*') return compiled((value) => value.startsWith(text) && isLine(value))
  if (rest === '.+') {
    return compiled(
      (value) => value.length > text.length && value.startsWith(text) && isLine(value),
    )
  }
  return compiled((value) => value.startsWith(text) && re2.testExact(value))
}

/** Of a `RegexMatcher`, which needs a pattern: an empty one would match what is empty, and nobody means that. */
export function compileRegexMatcher({ regex }: { readonly regex: string }): Compiled<TextMatch> {
  return regex === '' ? refused('regex: is required') : compileRegex(regex)
}

/** `re2.testExact`, `re2.matcher`; the reason names the pattern and what RE2 says about it. */
export function compileEngine(pattern: string): Compiled<RE2JS> {
  try {
    return compiled(RE2JS.compile(pattern))
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    return refused(`regular expression ${JSON.stringify(pattern)} is not RE2: ${text}`)
  }
}

/** What `.*` matches: text without a newline. */
function isLine(value: string): boolean {
  return !value.includes('\n')
}

interface Literal {
  readonly text: string
  /** Characters of the pattern that the text stands for. */
  readonly sourceLength: number
}

const metaCharacters = new Set('\\^$.|?*+()[]{}')
const quantifiers = new Set('?*+{')

/** The text that everything that matches must begin with, for an index; empty where none is certain. */
export function certainStart(pattern: string): string {
  return literalStart(pattern).text
}

/** The text that everything that matches must begin with; empty where alternatives at the top make it unsure. */
function literalStart(pattern: string): Literal {
  // Groups are not parsed: an alternative anywhere counts, to be safe.
  if (pattern.includes('|')) return { text: '', sourceLength: 0 }
  let text = ''
  // The whole text is matched anyway, so the anchor says nothing.
  let index = pattern.startsWith('^') ? 1 : 0
  while (index < pattern.length) {
    const unit = literalUnit(pattern, index)
    if (unit === undefined) break
    const next = pattern[index + unit.sourceLength]
    // A quantifier belongs to the character before it, which may then be absent.
    if (next !== undefined && quantifiers.has(next)) break
    text += unit.text
    index += unit.sourceLength
  }
  return { text, sourceLength: index }
}

/** One character that stands for itself: plain, or escaped punctuation. */
function literalUnit(pattern: string, index: number): Literal | undefined {
  const character = pattern[index] ?? ''
  // Beyond ASCII the text and the pattern may be encoded differently: leave it to the engine.
  if (character.charCodeAt(0) > 0x7e) return undefined
  if (!metaCharacters.has(character)) return { text: character, sourceLength: 1 }
  const escaped = pattern[index + 1] ?? ''
  if (character === '\\' && /^[^\w\s]$/.test(escaped) && escaped.charCodeAt(0) < 0x7f) {
    return { text: escaped, sourceLength: 2 }
  }
  return undefined
}
