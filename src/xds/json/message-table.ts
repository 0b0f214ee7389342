/**
 * What JSON needs to know of each message type: names, numbers and types of fields.
 *
 * The table (written by scripts/message-table.mjs) has a line for each of some 1 300 types. A line is decoded when
 * its type is asked for: a bootstrap meets about thirty. Whole descriptors, as protobuf-es has them, cost 70 ms and
 * 20 MB for the same bootstrap.
 */
import { gunzipSync } from 'node:zlib'

import { table } from '../proto/generated/message-table.ts'

export type Scalar =
  | 'double'
  | 'float'
  | 'int32'
  | 'sint32'
  | 'sfixed32'
  | 'uint32'
  | 'fixed32'
  | 'int64'
  | 'sint64'
  | 'sfixed64'
  | 'uint64'
  | 'fixed64'
  | 'bool'
  | 'string'
  | 'bytes'

export type ValueType =
  | { readonly kind: 'scalar'; readonly scalar: Scalar }
  | { readonly kind: 'message'; readonly name: string }
  | { readonly kind: 'enum'; readonly name: string }

/** How a value that is no message stands on the wire. */
export function scalarOf(type: Exclude<ValueType, { kind: 'message' }>): Scalar {
  return type.kind === 'enum' ? 'int32' : type.scalar
}

export interface Field {
  readonly name: string
  readonly number: number
  readonly type: ValueType
  readonly isList: boolean
  /** Of a map; undefined otherwise. */
  readonly key: Scalar | undefined
  /** Fields of one message that share it exclude each other. */
  readonly oneof: string | undefined
  /** Zero is written, because it differs from absent. */
  readonly hasPresence: boolean
}

export interface MessageType {
  readonly name: string
  /** By number, ascending. */
  readonly fields: readonly Field[]
  readonly byNumber: ReadonlyMap<number, Field>
  /** By snake_case and by camelCase. */
  readonly byName: ReadonlyMap<string, Field>
}

export interface EnumType {
  readonly numbers: ReadonlyMap<string, number>
  /** Of several names for a number the first. */
  readonly names: ReadonlyMap<number, string>
}

export class MessageTable {
  readonly #lines = new Map<string, string>()
  readonly #messages = new Map<string, MessageType>()
  readonly #enums = new Map<string, EnumType>()

  constructor() {
    const text = gunzipSync(Buffer.from(table, 'base64')).toString('latin1')
    for (const line of text.split('\n')) {
      const end = line.indexOf('\t')
      this.#lines.set(end === -1 ? line : line.slice(0, end), line)
    }
  }

  message(name: string): MessageType | undefined {
    const known = this.#messages.get(name)
    if (known !== undefined) return known
    const line = this.#lines.get(name)
    if (line === undefined || name === '' || name.startsWith('=')) return undefined
    const type = decodeMessage(name, line)
    this.#messages.set(name, type)
    return type
  }

  enum(name: string): EnumType {
    const known = this.#enums.get(name)
    if (known !== undefined) return known
    const type = decodeEnum(this.#lines.get(`=${name}`) ?? '')
    this.#enums.set(name, type)
    return type
  }
}

function decodeMessage(name: string, line: string): MessageType {
  const fields = line.split('\t').slice(1).map(decodeField)
  return {
    name,
    fields,
    byNumber: new Map(fields.map((field) => [field.number, field])),
    byName: new Map(
      fields.flatMap((field) => [
        [field.name, field],
        [camelCase(field.name), field],
      ]),
    ),
  }
}

function decodeField(text: string): Field {
  const [name = '', number = '', type = '', flags = ''] = text.split(':')
  const isList = type.startsWith('*')
  const map = /^\{(\w+)\}/.exec(type)
  const value = valueType(type.slice(isList ? 1 : (map?.[0].length ?? 0)))
  const oneof = /^\d+$/.test(flags) ? flags : undefined
  return {
    name,
    number: Number(number),
    type: value,
    isList,
    key: map?.[1] as Scalar | undefined, // written by our generator
    oneof,
    hasPresence: value.kind === 'message' || oneof !== undefined || flags === '?',
  }
}

function valueType(text: string): ValueType {
  if (text.startsWith('.')) return { kind: 'message', name: text.slice(1) }
  if (text.startsWith('=')) return { kind: 'enum', name: text.slice(1) }
  return { kind: 'scalar', scalar: text as Scalar } // written by our generator
}

function decodeEnum(line: string): EnumType {
  const numbers = new Map<string, number>()
  const names = new Map<number, string>()
  for (const value of line.split('\t').slice(1)) {
    const [name = '', number = ''] = value.split(':')
    numbers.set(name, Number(number))
    if (!names.has(Number(number))) names.set(Number(number), name)
  }
  return { numbers, names }
}

function camelCase(name: string): string {
  return name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}
