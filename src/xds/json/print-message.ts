/** Bytes of a message → JSON, with names in snake_case. */
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'

import { typeNameOf } from '../any.ts'
import type { JsonValue } from './json-value.ts'
import {
  type Field,
  type MessageTable,
  type MessageType,
  type Scalar,
  scalarOf,
} from './message-table.ts'
import { isZero, printScalar, readScalar, wireTypeOf, zeroOf, type ScalarValue } from './scalar.ts'
import { camelCasePath, hasOwnJson, printDuration, printTimestamp, wrappers } from './well-known.ts'

/** What stood in a message for one field: scalars, and bytes of messages. */
type Found = ScalarValue[]

/** By the field's number. */
type Fields = ReadonlyMap<number, Found>

/** Throws when the bytes are broken. `type` is known to the table. */
export function printMessage(table: MessageTable, type: MessageType, bytes: Uint8Array): JsonValue {
  return new MessagePrinter(table).message(type, bytes)
}

class MessagePrinter {
  readonly #table: MessageTable
  /** Types whose JSON is not an object of their fields. */
  readonly #wellKnown: ReadonlyMap<string, (found: Fields, type: MessageType) => JsonValue>

  constructor(table: MessageTable) {
    this.#table = table
    this.#wellKnown = new Map<string, (found: Fields, type: MessageType) => JsonValue>([
      ['google.protobuf.Any', (found) => this.#any(found)],
      ['google.protobuf.Struct', (found, type) => this.#firstField(found, type) ?? {}],
      ['google.protobuf.Value', (found, type) => this.#firstField(found, type) ?? null],
      ['google.protobuf.ListValue', (found, type) => this.#firstField(found, type) ?? []],
      ['google.protobuf.Duration', (found) => printDuration(instantOf(found))],
      ['google.protobuf.Timestamp', (found) => printTimestamp(instantOf(found))],
      ['google.protobuf.FieldMask', (found) => fieldMask(found)],
    ])
  }

  message(type: MessageType, bytes: Uint8Array): JsonValue {
    const found = readFields(type, bytes)
    const print = this.#wellKnown.get(type.name)
    if (print !== undefined) return print(found, type)
    if (Object.hasOwn(wrappers, type.name)) {
      return printScalar(last(found, 1, zeroOf(wrappers[type.name] ?? 'string')))
    }
    const entries: [string, JsonValue][] = []
    for (const field of type.fields) {
      const values = found.get(field.number)
      if (values === undefined) continue
      const json = this.#field(field, values)
      if (json !== undefined) entries.push([field.name, json])
    }
    return Object.fromEntries(entries)
  }

  #field(field: Field, values: Found): JsonValue | undefined {
    if (field.key !== undefined) return this.#map(field, field.key, values)
    if (field.isList) return values.map((value) => this.#value(field, value))
    const value = field.type.kind === 'message' ? merged(values) : values.at(-1)
    if (value === undefined || (!field.hasPresence && isZero(value))) return undefined
    return this.#value(field, value)
  }

  #map(field: Field, key: Scalar, entries: Found): JsonValue {
    const { type } = field
    const pair = entryType(key, type)
    const zero = type.kind === 'message' ? new Uint8Array() : zeroOf(scalarOf(type))
    const json = entries.map((entry): [string, JsonValue] => {
      const found = readFields(pair, entry as Uint8Array) // entries are messages
      const name = String(printScalar(last(found, 1, zeroOf(key))))
      return [name, this.#value(field, last(found, 2, zero))]
    })
    return Object.fromEntries(json)
  }

  #value({ type }: Pick<Field, 'type'>, value: ScalarValue): JsonValue {
    if (type.kind === 'scalar') return printScalar(value)
    if (type.kind === 'message') {
      const message = this.#table.message(type.name)
      return message === undefined ? {} : this.message(message, value as Uint8Array)
    }
    if (type.name === 'google.protobuf.NullValue') return null
    const number = Number(value)
    return this.#table.enum(type.name).names.get(number) ?? number
  }

  #firstField(found: Fields, type: MessageType): JsonValue | undefined {
    const field = type.fields.find(({ number }) => found.has(number))
    return field && this.#field({ ...field, hasPresence: true }, found.get(field.number) ?? [])
  }

  /** An extension of unknown type is shown by its name alone, instead of failing the whole dump. */
  #any(found: Fields): JsonValue {
    const typeUrl = String(last(found, 1, ''))
    const value = last(found, 2, new Uint8Array())
    if (typeUrl === '') return {}
    const type = this.#table.message(typeNameOf(typeUrl))
    if (type === undefined) return { '@type': typeUrl }
    const json = this.message(type, value as Uint8Array) // google.protobuf.Any.value
    if (hasOwnJson(type.name)) return { '@type': typeUrl, value: json }
    return { '@type': typeUrl, ...(json as Record<string, JsonValue>) }
  }
}

function readFields(type: MessageType, bytes: Uint8Array): Map<number, Found> {
  const reader = new BinaryReader(bytes)
  const found = new Map<number, Found>()
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag()
    const field = type.byNumber.get(number)
    const values = field === undefined ? undefined : readValues(reader, field, wireType)
    if (field === undefined || values === undefined) {
      reader.skip(wireType, number)
      continue
    }
    if (field.oneof !== undefined) forgetOthers(type, field, found)
    const before = found.get(number)
    if (before === undefined) found.set(number, values)
    else before.push(...values)
  }
  return found
}

/** Undefined when the wire type is not one of the field's: then it is unknown. */
function readValues(reader: BinaryReader, field: Field, wireType: WireType): Found | undefined {
  const { type } = field
  if (type.kind === 'message' || field.key !== undefined) {
    return wireType === WireType.LengthDelimited ? [reader.bytes()] : undefined
  }
  const scalar = scalarOf(type)
  if (wireType === wireTypeOf(scalar)) return [readScalar(reader, scalar)]
  if (!field.isList || wireType !== WireType.LengthDelimited) return undefined
  const end = reader.uint32() + reader.pos
  const values: Found = []
  while (reader.pos < end) values.push(readScalar(reader, scalar))
  return values
}

/** Of a oneof the last that is set counts. */
function forgetOthers(type: MessageType, field: Field, found: Map<number, Found>): void {
  for (const other of type.fields) {
    if (other.oneof === field.oneof && other !== field) found.delete(other.number)
  }
}

/** A message in several pieces is their concatenation. */
function merged(pieces: Found): Uint8Array | undefined {
  const [only] = pieces as Uint8Array[] // the field is a message
  return pieces.length === 1 ? only : Buffer.concat(pieces as Uint8Array[])
}

function entryType(key: Scalar, type: Field['type']): MessageType {
  const part = { isList: false, key: undefined, oneof: undefined, hasPresence: true }
  const fields: readonly Field[] = [
    { ...part, name: 'key', number: 1, type: { kind: 'scalar', scalar: key } },
    { ...part, name: 'value', number: 2, type },
  ]
  const byNumber = new Map(fields.map((field) => [field.number, field]))
  return { name: '', fields, byNumber, byName: new Map() }
}

function last(found: Fields, number: number, absent: ScalarValue): ScalarValue {
  return found.get(number)?.at(-1) ?? absent
}

function instantOf(found: Fields) {
  return { seconds: last(found, 1, 0n) as bigint, nanos: Number(last(found, 2, 0)) } // an int64
}

function fieldMask(found: Fields): string {
  return (found.get(1) ?? []).map((path) => camelCasePath(String(path))).join(',')
}
