/**
 * `…_headers_to_add` and `…_headers_to_remove` of one level (cluster weight, route, virtual host, table), compiled to
 * one function. Removal comes first; all values are formatted before any is written, so that one addition does not see
 * another; overwriting comes before appending. Envoy's header_parser.cc.
 */
import { lowerAscii } from '../../lib/lower-ascii.ts'
import {
  type HeaderValueOption,
  HeaderValueOption_HeaderAppendAction as AppendAction,
} from '../../xds/proto/generated/envoy/config/core/v3/base.ts'
import { accepted } from '../config/compiled.ts'
import { type FieldReport, at, refuse } from '../config/field-rule.ts'
import { checkHeaderLength, checkHeaderName, octetsOf } from '../config/header-text.ts'
import type { HeaderList } from '../http/header-list.ts'
import { type LogText, compilePieces, joinPieces } from '../telemetry/log-format.ts'
import type { LogSource } from '../telemetry/log-source.ts'
import type { HeaderEdit } from './route-table.ts'

export interface HeaderChanges {
  readonly add: readonly HeaderValueOption[]
  readonly remove: readonly string[]
  /** Names of the two fields, for reasons. */
  readonly fields: readonly [add: string, remove: string]
}

type Action = 'append' | 'add-if-absent' | 'overwrite' | 'overwrite-if-exists'

interface Addition {
  readonly name: string
  readonly value: LogText
  readonly action: Action
  readonly keepEmpty: boolean
}

export interface HeaderEditOptions {
  readonly hostname: string
}

/** Undefined when there is nothing to change. */
export function compileHeaderEdit(
  changes: HeaderChanges,
  options: HeaderEditOptions,
  report: FieldReport,
): HeaderEdit | undefined {
  const [addField, removeField] = changes.fields
  const removals = changes.remove.map((name, index) =>
    checkHeaderName(lowerAscii(name), 'removed', at(report, removeField, index)),
  )
  if (changes.add.length > additionsMax) {
    refuse(at(report, addField), `value must contain no more than ${additionsMax} item(s)`)
  }
  const additions: Addition[] = []
  changes.add.forEach((option, index) => {
    const addition = compileAddition(option, options, at(report, addField, index))
    if (addition !== undefined) additions.push(addition)
  })
  if (removals.length === 0 && additions.length === 0) return undefined
  return (headers, head, record) => {
    for (const name of removals) headers.remove(name)
    if (additions.length > 0) applyAdditions(headers, additions, record ?? { request: head })
  }
}

/** One edit that does several in order; undefined when there are none. */
export function joinEdits(edits: readonly (HeaderEdit | undefined)[]): HeaderEdit | undefined {
  const present = edits.filter((edit) => edit !== undefined)
  const [only] = present
  if (present.length < 2) return only
  return (headers, head, record) => {
    for (const edit of present) edit(headers, head, record)
  }
}

function applyAdditions(
  headers: HeaderList,
  additions: readonly Addition[],
  source: LogSource,
): void {
  // A single addition, nearly always, needs no list of values.
  const [only] = additions
  if (additions.length === 1 && only !== undefined) {
    const value = valueOf(headers, only, source)
    if (value === undefined) return
    if (isOverwrite(only.action)) headers.set(only.name, value)
    else headers.append(only.name, value)
    return
  }
  const values = additions.map((addition) => valueOf(headers, addition, source))
  for (const [index, { name, action }] of additions.entries()) {
    const value = values[index]
    if (value !== undefined && isOverwrite(action)) headers.set(name, value)
  }
  for (const [index, { name, action }] of additions.entries()) {
    const value = values[index]
    if (value !== undefined && !isOverwrite(action)) headers.append(name, value)
  }
}

function isOverwrite(action: Action): boolean {
  return action === 'overwrite' || action === 'overwrite-if-exists'
}

/** Undefined when the addition does not apply to these headers. */
function valueOf(headers: HeaderList, addition: Addition, source: LogSource): string | undefined {
  const { name, action } = addition
  if (action === 'add-if-absent' && headers.has(name)) return undefined
  if (action === 'overwrite-if-exists' && !headers.has(name)) return undefined
  const value = addition.value(source)
  return value === '' && !addition.keepEmpty ? undefined : value
}

function compileAddition(
  option: HeaderValueOption,
  options: HeaderEditOptions,
  report: FieldReport,
): Addition | undefined {
  const key = option.header?.key ?? ''
  const name = checkHeaderName(lowerAscii(key), 'changed', at(report, 'header', 'key'))
  const action = actionOf(option, report)
  const given = option.header?.value ?? ''
  const raw = option.header?.rawValue
  const text =
    given === '' && raw !== undefined ? Buffer.from(raw).toString('latin1') : octetsOf(given)
  if (hasControls(text)) {
    refuse(at(report, 'header', 'value'), 'control characters are not allowed in a header value')
  }
  checkHeaderLength(key, at(report, 'header', 'key'))
  checkHeaderLength(given, at(report, 'header', 'value'))
  const result = compilePieces(withoutOldForms(text), options)
  const pieces = accepted(result, at(report, 'header', 'value'))
  if (pieces === undefined) return undefined
  return { name, value: joinPieces(pieces, ''), action, keepEmpty: option.keepEmptyValue }
}

const additionsMax = 1000

/** Envoy's older spellings in headers: `%UPSTREAM_METADATA(["a", "b"])%` and `%PER_REQUEST_STATE(x)%`. */
function withoutOldForms(text: string): string {
  return text
    .replaceAll(
      /%(UPSTREAM|DYNAMIC)_METADATA\((\[.*?\])\)%/g,
      (same, kind: string, list: string) => {
        const path = textsOf(list)
        return path === undefined ? same : `%${kind}_METADATA(${path.join(':')})%`
      },
    )
    .replaceAll(/%PER_REQUEST_STATE\((.*?)\)%/g, '%FILTER_STATE($1:PLAIN)%')
}

function textsOf(json: string): readonly string[] | undefined {
  try {
    const read: unknown = JSON.parse(json)
    if (!Array.isArray(read)) return undefined
    return read.every((one) => typeof one === 'string') ? read : undefined
  } catch {
    return undefined // as it stands: no list
  }
}

const actions: Readonly<Record<number, Action>> = {
  [AppendAction.APPEND_IF_EXISTS_OR_ADD]: 'append',
  [AppendAction.ADD_IF_ABSENT]: 'add-if-absent',
  [AppendAction.OVERWRITE_IF_EXISTS_OR_ADD]: 'overwrite',
  [AppendAction.OVERWRITE_IF_EXISTS]: 'overwrite-if-exists',
}

/** `append` is the older spelling of two of the four actions. */
function actionOf(option: HeaderValueOption, report: FieldReport): Action {
  if (option.append !== undefined) {
    if (option.appendAction !== AppendAction.APPEND_IF_EXISTS_OR_ADD) {
      refuse(report, 'append and append_action are both set, only one may be')
    }
    return option.append ? 'append' : 'overwrite'
  }
  const action = actions[option.appendAction]
  if (action === undefined)
    refuse(at(report, 'append_action'), `unknown value ${option.appendAction}`)
  return action ?? 'append'
}

function hasControls(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    if ((code < 0x20 && code !== 0x09) || code === 0x7f) return true
  }
  return false
}
