/**
 * Whole log lines from Envoy's two kinds of format: a text with operators, or a JSON structure of such texts.
 *
 * Values come from clients, so a line never holds one as it came: JSON strings are escaped, and in a text, control
 * characters and the double quote become `\xNN`. (Envoy writes texts raw, CVE-2024-45808: a client could end a quoted
 * field and forge the ones behind it.) Header values are latin1 strings of what is usually UTF-8, and leave as UTF-8.
 */
import { isUtf8 } from 'node:buffer'

import { type Compiled, compiled, refused } from '../config/compiled.ts'
import { type LogPiece, type LogText, compilePieces } from './log-format.ts'
import type { OperatorContext } from './log-operator.ts'
import { type LogOperator, type LogSource, valueText } from './log-source.ts'

export interface LogTextOptions extends OperatorContext {
  /** Missing values leave a text empty and are left out of JSON, instead of `-` and null. */
  readonly omitEmpty: boolean
  /** The text is the body of a reply: it has no lines that a value could forge. */
  readonly isBody?: boolean
}

/** Envoy's format of a log that names none. */
export const defaultTextFormat =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% ' +
  '%RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% ' +
  '"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" ' +
  '"%UPSTREAM_HOST%"\n'

/** The format brings its own line end, as in Envoy. */
export function compileTextLog(format: string, options: LogTextOptions): Compiled<LogText> {
  const pieces = compilePieces(format, options)
  if (!pieces.ok) return pieces
  const missing = options.omitEmpty ? '' : '-'
  return compiled(
    joinEscaped(pieces.value, missing, options.isBody === true ? decodeBytes : escapeText),
  )
}

/** One JSON object a line; keys in alphabetical order, as Envoy writes them. */
export function compileJsonLog(format: object, options: LogTextOptions): Compiled<LogText> {
  const reasons: string[] = []
  const write = compileValue(format, { options, path: '', reasons })
  if (reasons.length > 0) return refused(...reasons)
  return compiled((source) => `${write(source) ?? '{}'}\n`)
}

/** JSON text of a value; undefined where it is to be left out. */
type JsonWrite = (source: LogSource) => string | undefined

interface JsonContext {
  readonly options: LogTextOptions
  readonly path: string
  readonly reasons: string[]
}

function compileValue(value: unknown, context: JsonContext): JsonWrite {
  if (typeof value === 'string') return compileString(value, context)
  if (Array.isArray(value)) return compileArray(value, context)
  if (typeof value === 'object' && value !== null) return compileObject(value, context)
  if (value === null && context.options.omitEmpty) return () => undefined
  // As Envoy, whose formats are texts but for whole numbers.
  const isText = typeof value === 'number' && !Number.isInteger(value)
  const constant = JSON.stringify(isText ? String(value) : value) ?? 'null'
  return () => constant
}

/** A single operator keeps its type: a number stays a number, a missing value is null. */
function compileString(format: string, context: JsonContext): JsonWrite {
  const pieces = compilePieces(format, context.options)
  if (!pieces.ok) {
    for (const reason of pieces.reasons) context.reasons.push(`${context.path}: ${reason}`)
    return () => undefined
  }
  const { omitEmpty } = context.options
  const [only] = pieces.value
  if (pieces.value.length === 1 && typeof only === 'function') {
    return writeOperator(only, omitEmpty ? undefined : 'null')
  }
  if (pieces.value.every((piece) => typeof piece === 'string')) {
    const constant = JSON.stringify(pieces.value.join(''))
    return () => constant
  }
  const join = joinEscaped(pieces.value, omitEmpty ? '' : '-', decodeBytes)
  return (source) => JSON.stringify(join(source))
}

function compileArray(values: readonly unknown[], context: JsonContext): JsonWrite {
  const writes = values.map((value, index) =>
    compileValue(value, { ...context, path: `${context.path}[${index}]` }),
  )
  return (source) => {
    // What is missing is left out where that was asked for.
    const held = writes.map((write) => write(source)).filter((text) => text !== undefined)
    return `[${held.join(',')}]`
  }
}

function compileObject(value: object, context: JsonContext): JsonWrite {
  const { omitEmpty } = context.options
  const fields = Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, held]) => {
      const path = context.path === '' ? key : `${context.path}.${key}`
      const write = compileValue(held, { ...context, path })
      return { first: `{${JSON.stringify(key)}:`, next: `,${JSON.stringify(key)}:`, write }
    })
  return (source) => {
    let text = ''
    for (const { first, next, write } of fields) {
      const held = write(source)
      if (held === undefined) continue
      text += text === '' ? first : next
      text += held
    }
    if (text !== '') return `${text}}`
    return omitEmpty ? undefined : '{}'
  }
}

/** Remembers the last text: hosts, clusters, methods and agents repeat from request to request. */
function writeOperator(operator: LogOperator, missing: string | undefined): JsonWrite {
  let lastValue = ''
  let lastText = '""'
  return (source) => {
    const value = operator(source)
    if (typeof value === 'number') return String(value)
    if (value === undefined) return missing
    if (typeof value === 'object') return value.json
    if (value !== lastValue) {
      lastText = jsonString(value)
      lastValue = value
    }
    return lastText
  }
}

// oxlint-disable-next-line no-control-regex -- these are the characters that JSON escapes
const jsonSpecial = /["\\\u0000-\u001f\u007f-\uffff]/

function jsonString(text: string): string {
  // oxlint-disable-next-line prefer-template
  return jsonSpecial.test(text) ? JSON.stringify(decodeBytes(text)) : '"' + text + '"'
}

function joinEscaped(
  pieces: readonly LogPiece[],
  missing: string,
  escape: (text: string) => string,
): LogText {
  return (source) => {
    let text = ''
    for (const piece of pieces) {
      if (typeof piece === 'string') {
        text += piece
        continue
      }
      const value = piece(source)
      if (typeof value === 'string') text += escape(value)
      else text += valueText(value ?? missing)
    }
    return text
  }
}

// oxlint-disable-next-line no-control-regex -- these are the characters that could forge a line
const textSpecial = /["\u0000-\u001f\u007f-\uffff]/
// oxlint-disable-next-line no-control-regex -- as above
const textEscaped = /["\u0000-\u001f\u007f]/g

function escapeText(value: string): string {
  if (!textSpecial.test(value)) return value
  return decodeBytes(value).replaceAll(
    textEscaped,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
}

const highByte = /[\u0080-\u00ff]/
const beyondLatin1 = /[\u0100-\uffff]/

/** Bytes that are UTF-8 become the text they are; others stay as latin1. */
function decodeBytes(value: string): string {
  if (!highByte.test(value) || beyondLatin1.test(value)) return value
  const bytes = Buffer.from(value, 'latin1')
  return isUtf8(bytes) ? bytes.toString('utf8') : value
}
