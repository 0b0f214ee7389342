/**
 * What compiling a resource gives: the form that the request path uses, or every reason why the resource is
 * refused. Reasons become the NACK's message, so each names the field and its value.
 */
import { type FieldReport, at, refuse } from './field-rule.ts'

export type Compiled<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reasons: readonly string[] }

export function refused<T>(...reasons: readonly string[]): Compiled<T> {
  return { ok: false, reasons }
}

export function compiled<T>(value: T): Compiled<T> {
  return { ok: true, value }
}

/** The value; undefined where there is none, and then the report has the reasons. */
export function accepted<T>(result: Compiled<T>, report: FieldReport): T | undefined {
  if (result.ok) return result.value
  for (const reason of result.reasons) refuse(report, reason)
  return undefined
}

/** The same for each message of a list, whose place `report` stands for. */
export function acceptedEach<M, T>(
  messages: readonly M[],
  compile: (message: M) => Compiled<T>,
  report: FieldReport,
): T[] {
  return messages.flatMap((message, index) => {
    const result = compile(message)
    if (result.ok) return [result.value]
    accepted(result, at(report, index))
    return []
  })
}
