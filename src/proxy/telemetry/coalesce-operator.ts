/**
 * `%COALESCE({"operators": […]})%`: the first of several operators that has a value. Each is the name of one, or an object
 * with `command`, `param` and `max_length`.
 */
import { memberOf } from '../../lib/member.ts'
import { type Compiled, compiled, refused } from '../config/compiled.ts'
import type { LogOperator, OperatorCall } from './log-source.ts'

type CompileCall = (call: OperatorCall) => Compiled<LogOperator>

export function coalesceOperator(
  argument: string,
  compileCall: CompileCall,
): Compiled<LogOperator> {
  const entries = entriesOf(argument)
  if (typeof entries === 'string') return refused(`%COALESCE%: ${entries}`)
  const operators: LogOperator[] = []
  const reasons: string[] = []
  for (const [index, entry] of entries.entries()) {
    const call = callOf(entry)
    const made: Compiled<LogOperator> = typeof call === 'string' ? refused(call) : compileCall(call)
    if (made.ok) operators.push(made.value)
    else reasons.push(...made.reasons.map((reason) => `%COALESCE%: operators[${index}]: ${reason}`))
  }
  if (reasons.length > 0) return refused(...reasons)
  return compiled((source) => {
    for (const operator of operators) {
      const value = operator(source)
      if (value !== undefined) return value
    }
    return undefined
  })
}

/** Or what is wrong with them. */
function entriesOf(argument: string): readonly unknown[] | string {
  let parsed: unknown
  try {
    parsed = JSON.parse(argument)
  } catch (error) {
    return `JSON expected: ${error instanceof Error ? error.message : String(error)}`
  }
  const entries = memberOf(parsed, 'operators')
  if (!Array.isArray(entries)) return 'needs a list "operators"'
  return entries.length === 0 ? '"operators" is empty' : entries
}

/** Or what is wrong with it. */
function callOf(entry: unknown): OperatorCall | string {
  if (typeof entry === 'string') return { name: entry, argument: undefined, lengthMax: undefined }
  const command = memberOf(entry, 'command')
  const param = memberOf(entry, 'param')
  const length = memberOf(entry, 'max_length')
  if (typeof command !== 'string')
    return 'the name of an operator, or an object with "command", expected'
  if (param !== undefined && typeof param !== 'string') return '"param" must be a text'
  if (length !== undefined && !(Number.isSafeInteger(length) && Number(length) > 0)) {
    return '"max_length" must be a positive whole number'
  }
  return {
    name: command,
    argument: param === '' ? undefined : param,
    lengthMax: length === undefined ? undefined : Number(length),
  }
}
