/**
 * Regex substitution as RE2::GlobalReplace does it: `\0` is the whole match, `\1` … `\9` its groups, `\\` a
 * backslash. An empty match right behind another match is not replaced.
 */
import type { RegexMatchAndSubstitute } from '../../xds/proto/generated/envoy/type/matcher/v3/regex.ts'
import { type Compiled, compiled, refused } from '../config/compiled.ts'
import { endsLine, octetsOf } from '../config/header-text.ts'
import { compileEngine } from './regex.ts'

export type TextRewrite = (text: string) => string

type Piece = { readonly text: string } | { readonly group: number }

export function compileRegexRewrite(rewrite: RegexMatchAndSubstitute): Compiled<TextRewrite> {
  const pattern = rewrite.pattern?.regex ?? ''
  if (pattern === '') return refused('pattern.regex is required')
  const engine = compileEngine(octetsOf(pattern))
  if (!engine.ok) return engine
  const re2 = engine.value
  if (endsLine(rewrite.substitution)) {
    return refused('substitution may hold no NUL, line feed or carriage return')
  }
  const pieces = parseSubstitution(octetsOf(rewrite.substitution))
  if (!pieces.ok) return pieces
  const groupMax = Math.max(0, ...pieces.value.map((piece) => ('group' in piece ? piece.group : 0)))
  if (groupMax > re2.groupCount()) {
    return refused(
      `substitution ${JSON.stringify(rewrite.substitution)} uses group ${groupMax}, the pattern has ${re2.groupCount()}`,
    )
  }
  return compiled((text) => {
    const matcher = re2.matcher(text)
    let result = ''
    let end = 0
    let lastEnd = -1
    while (matcher.find()) {
      const start = matcher.start()
      const isEmptyBehindMatch = matcher.end() === start && start === lastEnd
      if (isEmptyBehindMatch) continue
      result += text.slice(end, start)
      for (const piece of pieces.value) {
        result += 'text' in piece ? piece.text : (matcher.group(piece.group) ?? '')
      }
      end = matcher.end()
      lastEnd = end
    }
    return result + text.slice(end)
  })
}

function parseSubstitution(substitution: string): Compiled<readonly Piece[]> {
  const pieces: Piece[] = []
  let text = ''
  for (let index = 0; index < substitution.length; index += 1) {
    const character = substitution[index] ?? ''
    if (character !== '\\') {
      text += character
      continue
    }
    index += 1
    const escaped = substitution[index]
    if (escaped === '\\') text += '\\'
    else if (escaped !== undefined && escaped >= '0' && escaped <= '9') {
      if (text !== '') pieces.push({ text })
      text = ''
      pieces.push({ group: Number(escaped) })
    } else {
      return refused(
        `substitution ${JSON.stringify(substitution)}: a backslash must be followed by a digit or a backslash`,
      )
    }
  }
  if (text !== '') pieces.push({ text })
  return compiled(pieces)
}
