/** Scalars of protobuf: from JSON, to JSON, and on the wire. */
import { type BinaryReader, type BinaryWriter, WireType } from '@bufbuild/protobuf/wire'

import { showJson } from './json-value.ts'
import type { Scalar } from './message-table.ts'
import { JsonMistake, invalidValue } from './mistake.ts'

export type ScalarValue = number | bigint | string | boolean | Uint8Array

/** Lowest and highest value of the whole numbers. */
const ranges: Readonly<Partial<Record<Scalar, readonly [low: bigint, high: bigint]>>> = {
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  sint32: [-(2n ** 31n), 2n ** 31n - 1n],
  sfixed32: [-(2n ** 31n), 2n ** 31n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
  fixed32: [0n, 2n ** 32n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  sint64: [-(2n ** 63n), 2n ** 63n - 1n],
  sfixed64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
  fixed64: [0n, 2n ** 64n - 1n],
}

const floatMax = 3.4028234663852886e38

export function parseScalar(scalar: Scalar, json: unknown, path: string): ScalarValue {
  if (scalar === 'bytes') return parseBytes(json, path)
  if (scalar === 'double' || scalar === 'float') return parseFloating(scalar, json, path)
  if (scalar === 'string') {
    if (typeof json === 'string' && json.isWellFormed()) return json
    throw new JsonMistake(path, `expected text, got ${showJson(json)}`)
  }
  if (scalar === 'bool') {
    if (typeof json === 'boolean') return json
    throw new JsonMistake(path, `expected true or false, got ${showJson(json)}`)
  }
  return parseWhole(scalar, json, path)
}

/** Keys of a map are text in JSON. */
export function parseKey(scalar: Scalar, key: string, path: string): ScalarValue {
  if (scalar !== 'bool') return parseScalar(scalar, key, path)
  if (key === 'true' || key === 'false') return key === 'true'
  throw invalidValue(path, key, 'bool')
}

function parseBytes(json: unknown, path: string): Uint8Array {
  if (typeof json === 'string' && /^(?:[\w+/-]{4})*(?:[\w+/-]{2,3}={0,2})?$/.test(json)) {
    return Buffer.from(json, 'base64')
  }
  throw new JsonMistake(path, `expected base64, got ${showJson(json)}`)
}

function parseFloating(scalar: 'double' | 'float', json: unknown, path: string): number {
  if (json === 'NaN') return Number.NaN
  if (json === 'Infinity' || json === '-Infinity') return Number(json)
  const value = numberOf(json)
  const isInRange = Number.isFinite(value) && (scalar === 'double' || Math.abs(value) <= floatMax)
  if (!isInRange) throw new JsonMistake(path, `expected a number, got ${showJson(json)}`)
  return value
}

function parseWhole(scalar: Scalar, json: unknown, path: string): number | bigint {
  const [low, high] = ranges[scalar] ?? [0n, 0n]
  const value = wholeOf(json)
  if (value !== undefined && value >= low && value <= high) {
    return scalar.endsWith('64') ? value : Number(value)
  }
  const range = `from ${low} to ${high}`
  throw new JsonMistake(path, `expected a whole number ${range}, got ${showJson(json)}`)
}

/** Long numbers are written as text; `1e3` is a whole number too. */
function wholeOf(json: unknown): bigint | undefined {
  if (typeof json === 'string' && /^-?\d{1,20}$/.test(json)) return BigInt(json)
  const value = numberOf(json)
  return Number.isInteger(value) ? BigInt(value) : undefined
}

/** NaN when it is no number. */
function numberOf(json: unknown): number {
  if (typeof json === 'number') return json
  const isNumber = typeof json === 'string' && /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(json)
  return isNumber ? Number(json) : Number.NaN
}

export function isZero(value: ScalarValue): boolean {
  if (value instanceof Uint8Array) return value.length === 0
  // -0 is written, as protobuf does.
  return value === '' || value === false || value === 0n || Object.is(value, 0)
}

/** What an absent field means. */
export function zeroOf(scalar: Scalar): ScalarValue {
  if (scalar === 'string') return ''
  if (scalar === 'bool') return false
  if (scalar === 'bytes') return new Uint8Array()
  return scalar.endsWith('64') ? 0n : 0
}

export function printScalar(value: ScalarValue): string | number | boolean {
  if (typeof value === 'bigint') return String(value)
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value
}

export function wireTypeOf(scalar: Scalar): WireType {
  if (scalar === 'string' || scalar === 'bytes') return WireType.LengthDelimited
  if (scalar === 'double' || scalar.endsWith('fixed64')) return WireType.Bit64
  if (scalar === 'float' || scalar.endsWith('fixed32')) return WireType.Bit32
  return WireType.Varint
}

/** `value` comes from parseScalar of the same scalar. */
export function writeScalar(
  writer: BinaryWriter,
  field: { readonly number: number; readonly scalar: Scalar },
  value: ScalarValue,
): void {
  const { number, scalar } = field
  const write = writer.tag(number, wireTypeOf(scalar))[scalar] as (value: ScalarValue) => void
  write.call(writer, value)
}

/** The reader stands at a value of this scalar. */
export function readScalar(reader: BinaryReader, scalar: Scalar): ScalarValue {
  const value = reader[scalar]()
  return scalar.endsWith('64') ? BigInt(value as number | string | bigint) : value
}
