/**
 * Envoy's URI templates: `/media/{id}/{file=**}.ts` matches paths, and `/files/{file}` makes the new path of what it
 * captured. `*` stands for a part of a path, `**` for any number of them, and nothing may follow `**` but text.
 *
 * Patterns become regular expressions of RE2, as in Envoy, so that every path has one reading of its captures.
 */
import type { RE2JS } from 're2js'

import { typeNameOf } from '../../xds/any.ts'
import type { TypedExtensionConfig } from '../../xds/proto/generated/envoy/config/core/v3/extension.ts'
import { UriTemplateMatchConfig } from '../../xds/proto/generated/envoy/extensions/path/match/uri_template/v3/uri_template_match.ts'
import { UriTemplateRewriteConfig } from '../../xds/proto/generated/envoy/extensions/path/rewrite/uri_template/v3/uri_template_rewrite.ts'
import { type Compiled, compiled, refused } from '../config/compiled.ts'
import { type FieldReport, at, refuse } from '../config/field-rule.ts'
import { decodeTyped } from '../config/message-value.ts'
import { pathOnly } from './query-matcher.ts'
import { compileEngine } from './regex.ts'

export interface PathTemplate {
  readonly text: string
  matches(path: string): boolean
  readonly engine: RE2JS
}

const matchType = 'envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig'
const rewriteType = 'envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig'

/** `path_match_policy`. */
export function compileTemplateMatch(
  extension: TypedExtensionConfig,
  report: FieldReport,
): PathTemplate | undefined {
  const any = checkedType(extension, matchType, report)
  const config = any && decodeTyped(any, UriTemplateMatchConfig, at(report, 'typed_config'))
  if (config === undefined) return undefined
  const { pathTemplate: text } = config
  const here = at(report, 'typed_config', 'path_template')
  const regex = patternOf(text)
  const engine = regex.ok ? compileEngine(regex.value) : regex
  if (!engine.ok) {
    for (const reason of engine.reasons)
      refuse(here, `${JSON.stringify(text)} is invalid: ${reason}`)
    return undefined
  }
  return { text, engine: engine.value, matches: (path) => engine.value.testExact(path) }
}

/** `path_rewrite_policy`, of a route whose path `template` matched. */
export function compileTemplateRewrite(
  extension: TypedExtensionConfig,
  template: PathTemplate | undefined,
  report: FieldReport,
): ((path: string) => string | undefined) | undefined {
  const any = checkedType(extension, rewriteType, report)
  const config = any && decodeTyped(any, UriTemplateRewriteConfig, at(report, 'typed_config'))
  if (config === undefined) return undefined
  if (template === undefined) {
    refuse(report, 'needs a path_match_policy with a URI template beside it')
    return undefined
  }
  const here = at(report, 'typed_config', 'path_template_rewrite')
  const { pathTemplateRewrite: text } = config
  const pieces = rewritePieces(text)
  if (!pieces.ok) {
    for (const reason of pieces.reasons)
      refuse(here, `${JSON.stringify(text)} is invalid: ${reason}`)
    return undefined
  }
  const groups = template.engine.namedGroups()
  for (const piece of pieces.value) {
    if ('text' in piece || piece.variable in groups) continue
    refuse(here, `the path_match_policy ${template.text} has no variable ${piece.variable}`)
  }
  return rewriteBy(template.engine, pieces.value)
}

function checkedType(
  { name, typedConfig }: TypedExtensionConfig,
  wanted: string,
  report: FieldReport,
): TypedExtensionConfig['typedConfig'] {
  const type = typeNameOf(typedConfig?.typeUrl ?? '')
  if (type === wanted) return typedConfig
  refuse(
    report,
    `${JSON.stringify(name)} (${type || 'no type'}) is not implemented, only ${wanted}`,
  )
  return undefined
}

function rewriteBy(engine: RE2JS, pieces: readonly Piece[]): (path: string) => string | undefined {
  return (path) => {
    const only = pathOnly(path)
    const matcher = engine.matcher(only)
    // A filter may have changed the path since it was matched.
    if (!matcher.matches()) return undefined
    let result = ''
    for (const piece of pieces) {
      result += 'text' in piece ? piece.text : (matcher.group(piece.variable) ?? '')
    }
    return result + path.slice(only.length)
  }
}

// The template of a match.

/** RFC 3986 pchar without `*`, which is an operator here. */
const pathChars = "a-zA-Z0-9-._~%!$&'()+,;:@="
const literalForm = new RegExp(`^[${pathChars}]+$`)
const pathGlob = `[${pathChars}*]+`
const textGlob = `[${pathChars}*/]*`
const templateLengthMax = 256
const variablesMax = 5
const variableLengthMax = 16

/** A template in lexical parts, and how far it has been read. */
interface Reading {
  readonly text: string
  at: number
  regex: string
  readonly variables: Set<string>
  /** Nothing but text may follow `**`. */
  hasTextGlob: boolean
}

/** What is wrong with a template. */
type Fault = string | undefined

function patternOf(text: string): Compiled<string> {
  if (text.length > templateLengthMax) {
    return refused(`at most ${templateLengthMax} characters are possible`)
  }
  if (!/^\/[\u0021-\u007e]*$/.test(text)) return refused('it must begin with / and be printable')
  const reading: Reading = { text, at: 1, regex: '/', variables: new Set(), hasTextGlob: false }
  while (reading.at < text.length) {
    const fault = readSegment(reading) ?? readSeparator(reading)
    if (fault !== undefined) return refused(fault)
  }
  return compiled(reading.regex)
}

function readSegment(reading: Reading): Fault {
  const next = reading.text[reading.at]
  if (next === '*') return readGlob(reading)
  if (next === '{') return readVariable(reading)
  return readLiteral(reading, reading.text.length)
}

/** A slash and the next segment, or a suffix that ends the template. */
function readSeparator(reading: Reading): Fault {
  const { text } = reading
  if (reading.at === text.length) return undefined
  if (text[reading.at] === '/') {
    reading.at += 1
    reading.regex += '/'
    return undefined
  }
  const fault = readLiteral(reading, text.length)
  if (fault !== undefined) return fault
  return reading.at < text.length ? 'nothing may follow a suffix' : undefined
}

function readGlob(reading: Reading): Fault {
  const isText = reading.text.startsWith('**', reading.at)
  if (reading.hasTextGlob) return 'no * may follow a **'
  reading.hasTextGlob = isText
  reading.at += isText ? 2 : 1
  reading.regex += isText ? textGlob : pathGlob
  return undefined
}

/** Up to the next slash, or `end`. */
function readLiteral(reading: Reading, end: number): Fault {
  const slash = reading.text.indexOf('/', reading.at)
  const stop = slash < 0 || slash > end ? end : slash
  const literal = reading.text.slice(reading.at, stop)
  if (!literalForm.test(literal)) return `${JSON.stringify(literal)} is no part of a path`
  reading.at = stop
  reading.regex += literal.replaceAll(/[$()+.]/g, String.raw`\$&`)
  return undefined
}

function readVariable(reading: Reading): Fault {
  const { text } = reading
  const close = text.indexOf('}', reading.at)
  if (close < 0) return 'a { has no }'
  const equals = text.indexOf('=', reading.at)
  const hasPattern = equals >= 0 && equals < close
  const name = text.slice(reading.at + 1, hasPattern ? equals : close)
  const fault = checkVariable(name, reading.variables)
  if (fault !== undefined) return fault
  reading.regex += `(?P<${name}>`
  if (hasPattern) {
    reading.at = equals + 1
    const wrong = readVariablePattern(reading, close)
    if (wrong !== undefined) return wrong
  } else {
    if (reading.hasTextGlob) return 'no variable may follow a **'
    reading.regex += pathGlob
  }
  reading.regex += ')'
  reading.at = close + 1
  return undefined
}

function readVariablePattern(reading: Reading, close: number): Fault {
  if (reading.at === close) return 'a variable matches nothing'
  for (;;) {
    const isGlob = reading.text[reading.at] === '*'
    const fault = isGlob ? readGlob(reading) : readLiteral(reading, close)
    if (fault !== undefined) return fault
    if (reading.at === close) return undefined
    if (reading.text[reading.at] !== '/' || reading.at + 1 === close) {
      return 'in a variable, * and ** stand between slashes'
    }
    reading.at += 1
    reading.regex += '/'
  }
}

function checkVariable(name: string, known: Set<string>): Fault {
  if (!variableName.test(name)) return `${JSON.stringify(name)} is no name of a variable`
  if (name.length > variableLengthMax) {
    return `the name ${name} is longer than ${variableLengthMax} characters`
  }
  if (known.has(name)) return `the variable ${name} is there twice`
  if (known.size === variablesMax) return `there are more than ${variablesMax} variables`
  known.add(name)
  return undefined
}

const variableName = /^[a-zA-Z][a-zA-Z0-9_]*$/

// The template of a new path.

type Piece = { readonly text: string } | { readonly variable: string }

const rewriteLiteral = new RegExp(`^[${pathChars}/]+$`)

function rewritePieces(text: string): Compiled<readonly Piece[]> {
  if (!text.startsWith('/')) return refused('it must begin with /')
  if (text.includes('//')) return refused('it may hold no //')
  const pieces: Piece[] = []
  let rest = text
  while (rest !== '') {
    const open = rest.indexOf('{')
    const literal = open < 0 ? rest : rest.slice(0, open)
    if (literal !== '') {
      if (!rewriteLiteral.test(literal)) {
        return refused(`${JSON.stringify(literal)} is no part of a path`)
      }
      pieces.push({ text: literal })
    }
    if (open < 0) break
    const close = rest.indexOf('}', open)
    if (close < 0) return refused('a { has no }')
    const variable = rest.slice(open + 1, close)
    if (!variableName.test(variable)) {
      return refused(`${JSON.stringify(variable)} is no name of a variable`)
    }
    pieces.push({ variable })
    rest = rest.slice(close + 1)
  }
  return compiled(pieces)
}
