/** Types of google.protobuf whose JSON is not an object of their fields. */
import type { Scalar } from './message-table.ts'

/** Wrappers: JSON is the bare value, or null. */
export const wrappers: Readonly<Record<string, Scalar>> = {
  'google.protobuf.DoubleValue': 'double',
  'google.protobuf.FloatValue': 'float',
  'google.protobuf.Int64Value': 'int64',
  'google.protobuf.UInt64Value': 'uint64',
  'google.protobuf.Int32Value': 'int32',
  'google.protobuf.UInt32Value': 'uint32',
  'google.protobuf.BoolValue': 'bool',
  'google.protobuf.StringValue': 'string',
  'google.protobuf.BytesValue': 'bytes',
}

const texts = new Set([
  'google.protobuf.Duration',
  'google.protobuf.Timestamp',
  'google.protobuf.FieldMask',
])
const structs = new Set([
  'google.protobuf.Struct',
  'google.protobuf.Value',
  'google.protobuf.ListValue',
])

/** Inside an Any their JSON stands under `value`. */
export function hasOwnJson(typeName: string): boolean {
  return (
    Object.hasOwn(wrappers, typeName) ||
    texts.has(typeName) ||
    structs.has(typeName) ||
    typeName === 'google.protobuf.Any'
  )
}

/** Of Duration and of Timestamp. */
export interface Instant {
  readonly seconds: bigint
  readonly nanos: number
}

const durationSecondsMax = 315_576_000_000

/** `1.5s`; undefined when it is not a duration. */
export function parseDuration(text: string): Instant | undefined {
  const match = /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/.exec(text)
  if (match === null || Number(match[2]) > durationSecondsMax) return undefined
  const sign = match[1] === '-' ? -1 : 1
  const nanos = sign * Number((match[3] ?? '').padEnd(9, '0'))
  return { seconds: BigInt(sign) * BigInt(match[2] ?? 0), nanos: nanos || 0 }
}

export function printDuration({ seconds, nanos }: Instant): string {
  const sign = seconds < 0n || nanos < 0 ? '-' : ''
  const whole = seconds < 0n ? -seconds : seconds
  return `${sign}${whole}${fraction(Math.abs(nanos))}s`
}

/** RFC 3339; undefined when it is not a time of the years 1 to 9999. */
export function parseTimestamp(text: string): Instant | undefined {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(text)
  if (match === null) return undefined
  const ms = Date.parse(`${match[1]}${match[3]}`)
  const year = new Date(ms).getUTCFullYear()
  if (Number.isNaN(ms) || year < 1 || year > 9999) return undefined
  return { seconds: BigInt(ms / 1_000), nanos: Number((match[2] ?? '').padEnd(9, '0')) }
}

export function printTimestamp({ seconds, nanos }: Instant): string {
  const time = new Date(Number(seconds) * 1_000).toISOString()
  return time.replace('.000Z', `${fraction(nanos)}Z`)
}

/** With 0, 3, 6 or 9 digits, as protobuf writes it. */
function fraction(nanos: number): string {
  if (nanos === 0) return ''
  return `.${String(nanos)
    .padStart(9, '0')
    .replace(/(?:000){1,2}$/, '')}`
}

/** `a.b_c` ↔ `a.bC`. */
export function camelCasePath(path: string): string {
  return path.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}

export function snakeCasePath(path: string): string {
  return path.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
