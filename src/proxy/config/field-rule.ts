/**
 * Which fields of a protobuf message we act on, which we may ignore, and which we refuse: as data.
 *
 * A message that holds a field that is not in its table is refused by name, so that nothing an operator wrote is
 * silently without effect. The same tables render docs/reference/envoy-fields.md. Paths and names are spelled as in
 * Envoy's documentation (snake_case), because that is what the reader will look for.
 *
 * ts-proto gives an absent field its zero value, so a scalar that was written as zero cannot be told from one that was
 * not written; it means the same in proto3. A oneof is `{ $case, value }` under the oneof's name; its rule is found
 * under the name of the case.
 */

export type FieldRule =
  | { readonly is: 'used'; readonly message?: MessageRule; readonly note?: string }
  | { readonly is: 'ignored'; readonly note: string }
  | {
      readonly is: 'refused'
      readonly note: string
      /** Values that mean the same as absence, and so are accepted. */
      readonly accepts?: readonly (string | number | boolean)[]
      /** The value is not told: it may hold a key. */
      readonly isSecret?: boolean
    }

export interface MessageRule {
  /** Full protobuf name. */
  readonly type: string
  /** By TypeScript field name (camelCase); of a oneof, by the name of its case. */
  readonly fields: Readonly<Record<string, FieldRule>>
}

/** The field has its full effect; `message` is the table for what lies inside it. */
export function used(message?: MessageRule, note?: string): FieldRule {
  return { is: 'used', ...(message && { message }), ...(note !== undefined && { note }) }
}

/** The field is accepted and has no effect; the note says why that is safe. */
export function ignored(note: string): FieldRule {
  return { is: 'ignored', note }
}

/** The field is known and refused, with the reason that the operator reads. */
export function refusedField(
  note: string,
  ...accepts: readonly (string | number | boolean)[]
): FieldRule {
  return { is: 'refused', note, accepts }
}

/** Adds a reason for each field of `message` that has a value and no rule that lets it pass. */
export function checkFields(message: object, rule: MessageRule, report: FieldReport): void {
  for (const [key, value] of Object.entries(message)) {
    if (isUnset(value)) continue
    const [name, held] = unwrapOneof(key, value)
    checkField({ name, value: held, rule: rule.fields[name] }, report)
  }
}

/** Where reasons are collected, and the path of the message that is being read. */
export interface FieldReport {
  readonly path: string
  readonly reasons: string[]
}

/** The report for a field of the message that `report` stands for. */
export function at(report: FieldReport, ...steps: readonly (string | number)[]): FieldReport {
  let { path } = report
  for (const step of steps) {
    if (typeof step === 'number') path = `${path}[${step}]`
    else path = path === '' ? step : `${path}.${step}`
  }
  return { path, reasons: report.reasons }
}

/** Adds one reason about the field or message that `report` stands for. */
export function refuse(report: FieldReport, text: string): void {
  report.reasons.push(report.path === '' ? text : `${report.path}: ${text}`)
}

/** `maxRetries` → `max_retries`, `consecutive5xx` → `consecutive_5xx`, `http10` → `http_10`, but `http2` as it is. */
export function snakeCase(name: string): string {
  return name
    .replace(/(?<=[a-z])(?=\d\d|\dxx)/g, '_')
    .replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

/** A value as a message may print it: JSON, at most 80 characters. */
export function showValue(value: unknown): string {
  const text = JSON.stringify(value, jsonValue) ?? String(value)
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}

interface FieldToCheck {
  readonly name: string
  readonly value: unknown
  readonly rule: FieldRule | undefined
}

function checkField(field: FieldToCheck, report: FieldReport): void {
  const { value, rule } = field
  const here = at(report, snakeCase(field.name))
  if (rule === undefined) {
    refuse(here, `not implemented, and it cannot be ignored (value ${showValue(value)})`)
    return
  }
  if (rule.is === 'ignored') return
  if (rule.is === 'refused') {
    if (rule.accepts?.some((accepted) => accepted === value)) return
    refuse(here, rule.isSecret === true ? rule.note : `${rule.note} (value ${showValue(value)})`)
    return
  }
  if (rule.message !== undefined) checkInside(value, rule.message, here)
}

function checkInside(value: unknown, rule: MessageRule, report: FieldReport): void {
  if (Array.isArray(value)) {
    value.forEach((item, index) => checkInside(item, rule, at(report, index)))
    return
  }
  if (typeof value === 'object' && value !== null) checkFields(value, rule, report)
}

function unwrapOneof(key: string, value: unknown): [name: string, value: unknown] {
  if (typeof value === 'object' && value !== null && '$case' in value && 'value' in value) {
    return [String(value.$case), value.value]
  }
  return [key, value]
}

function isUnset(value: unknown): boolean {
  if (value === undefined || value === '' || value === 0 || value === false) return true
  if (Array.isArray(value) || value instanceof Uint8Array) return value.length === 0
  return isEmptyMap(value)
}

/** An empty map field; an empty message (`{}` with presence) is undefined when absent, and so never gets here empty. */
function isEmptyMap(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0
}

/** A Buffer has turned itself into `{ type, data }` before the replacer sees it. */
function jsonValue(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('data' in value)) return value
  return 'type' in value && value.type === 'Buffer' && Array.isArray(value.data)
    ? `<${value.data.length} bytes>`
    : value
}
