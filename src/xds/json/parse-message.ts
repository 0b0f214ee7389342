/** JSON → bytes of a message. What is wrong is a JsonMistake that starts with the path of the field. */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'

import { typeNameOf } from '../any.ts'
import { isObject, showJson } from './json-value.ts'
import {
  type Field,
  type MessageTable,
  type MessageType,
  type Scalar,
  scalarOf,
} from './message-table.ts'
import { JsonMistake, invalidValue } from './mistake.ts'
import { isZero, parseKey, parseScalar, writeScalar } from './scalar.ts'
import {
  type Instant,
  hasOwnJson,
  parseDuration,
  parseTimestamp,
  snakeCasePath,
  wrappers,
} from './well-known.ts'

/** Where in the JSON we are, and how many messages deep. */
interface Place {
  readonly path: string
  readonly depth: number
}

type Read = (json: unknown, place: Place) => void

/** Messages inside messages; protobuf's own limit. */
const depthMax = 100

export function parseMessage(table: MessageTable, typeName: string, json: unknown): Uint8Array {
  const parser = new MessageParser(table)
  parser.message(typeName, json, { path: '', depth: 0 })
  return parser.writer.finish()
}

class MessageParser {
  readonly writer = new BinaryWriter()
  readonly #table: MessageTable
  /** Types whose JSON is not an object of their fields. */
  readonly #wellKnown: ReadonlyMap<string, Read>

  constructor(table: MessageTable) {
    this.#table = table
    this.#wellKnown = new Map<string, Read>([
      ['google.protobuf.Any', (json, place) => this.#any(json, place)],
      ['google.protobuf.Struct', (json, place) => this.#struct(json, place)],
      ['google.protobuf.Value', (json, place) => this.#structValue(json, place)],
      ['google.protobuf.ListValue', (json, place) => this.#structList(json, place)],
      ['google.protobuf.Duration', (json, place) => this.#instant(parseDuration, json, place)],
      ['google.protobuf.Timestamp', (json, place) => this.#instant(parseTimestamp, json, place)],
      ['google.protobuf.FieldMask', (json, place) => this.#fieldMask(json, place)],
    ])
  }

  message(typeName: string, json: unknown, place: Place): void {
    const { path, depth } = place
    if (depth >= depthMax) {
      throw new JsonMistake(path, `more than ${depthMax} messages inside each other`)
    }
    const inside = { path, depth: depth + 1 }
    const read = this.#wellKnown.get(typeName)
    if (read !== undefined) read(json, inside)
    else if (Object.hasOwn(wrappers, typeName)) this.#wrapper(wrappers[typeName], json, path)
    else this.#object(typeName, json, inside)
  }

  #object(typeName: string, json: unknown, place: Place): void {
    const type = this.#table.message(typeName)
    if (type === undefined) throw new JsonMistake(place.path, unknownType(typeName))
    if (!isObject(json)) throw invalidValue(place.path, json, typeName)
    const seen = new Set<Field>()
    const oneofs = new Map<string, Field>()
    for (const [key, value] of Object.entries(json)) {
      const here = { ...place, path: place.path === '' ? key : `${place.path}.${key}` }
      const field = fieldOf(type, key, here.path)
      if (seen.has(field)) throw new JsonMistake(here.path, `${field.name} is set twice`)
      seen.add(field)
      if (value === null && !acceptsNull(field)) continue
      checkOneof(oneofs, field, here.path)
      this.#field(field, value, here)
    }
  }

  #field(field: Field, json: unknown, place: Place): void {
    if (field.key !== undefined) this.#map(field, field.key, { json, place })
    else if (field.isList) this.#list(field, json, place)
    else this.#value(field, json, place)
  }

  #list(field: Field, json: unknown, place: Place): void {
    if (!Array.isArray(json)) {
      throw new JsonMistake(place.path, `expected a list, got ${showJson(json)}`)
    }
    const { number, type } = field
    for (const [index, item] of json.entries()) {
      const here = { ...place, path: `${place.path}[${index}]` }
      this.#value({ number, type, hasPresence: true }, item, here)
    }
  }

  #map(field: Field, key: Scalar, { json, place }: { json: unknown; place: Place }): void {
    if (!isObject(json)) {
      throw new JsonMistake(place.path, `expected an object, got ${showJson(json)}`)
    }
    for (const [name, item] of Object.entries(json)) {
      const here = { ...place, path: `${place.path}[${name}]` }
      this.writer.tag(field.number, WireType.LengthDelimited).fork()
      writeScalar(this.writer, { number: 1, scalar: key }, parseKey(key, name, here.path))
      this.#value({ number: 2, type: field.type, hasPresence: true }, item, here)
      this.writer.join()
    }
  }

  #value(field: FieldOfOne, json: unknown, place: Place): void {
    const { number, type, hasPresence } = field
    if (type.kind === 'message') {
      this.#nested(number, () => this.message(type.name, json, place))
      return
    }
    const scalar = scalarOf(type)
    const value =
      type.kind === 'enum'
        ? this.#enumNumber(type.name, json, place.path)
        : parseScalar(scalar, json, place.path)
    if (hasPresence || !isZero(value)) writeScalar(this.writer, { number, scalar }, value)
  }

  #nested(number: number, write: () => void): void {
    this.writer.tag(number, WireType.LengthDelimited).fork()
    write()
    this.writer.join()
  }

  /** Numbers without a name are accepted, as enums of proto3 are open. */
  #enumNumber(typeName: string, json: unknown, path: string): number {
    if (json === null && typeName === nullValue) return 0
    const number = typeof json === 'string' ? this.#table.enum(typeName).numbers.get(json) : json
    if (typeof number === 'number' && (number | 0) === number) return number
    throw invalidValue(path, json, typeName)
  }

  #wrapper(scalar: Scalar | undefined, json: unknown, path: string): void {
    if (scalar === undefined || json === null) return
    const value = parseScalar(scalar, json, path)
    if (!isZero(value)) writeScalar(this.writer, { number: 1, scalar }, value)
  }

  #any(json: unknown, place: Place): void {
    if (!isObject(json)) throw invalidValue(place.path, json, 'google.protobuf.Any')
    const { '@type': typeUrl, ...fields } = json
    if (typeUrl === undefined && Object.keys(fields).length === 0) return
    if (typeof typeUrl !== 'string' || typeUrl === '') {
      throw new JsonMistake(place.path, 'expected "@type" beside the other fields')
    }
    const name = typeNameOf(typeUrl)
    writeScalar(this.writer, { number: 1, scalar: 'string' }, typeUrl)
    const isBare = hasOwnJson(name) && Object.hasOwn(fields, 'value')
    const inner = isBare ? fields['value'] : fields
    const path = isBare ? `${place.path}.value` : place.path
    this.#nested(2, () => this.message(name, inner, { ...place, path }))
  }

  #struct(json: unknown, place: Place): void {
    if (!isObject(json)) throw invalidValue(place.path, json, 'google.protobuf.Struct')
    for (const [key, item] of Object.entries(json)) {
      this.#nested(1, () => {
        writeScalar(this.writer, { number: 1, scalar: 'string' }, key)
        const here = { ...place, path: `${place.path}.${key}` }
        this.#nested(2, () => this.message('google.protobuf.Value', item, here))
      })
    }
  }

  #structValue(json: unknown, place: Place): void {
    if (json === null) writeScalar(this.writer, { number: 1, scalar: 'int32' }, 0)
    else if (Array.isArray(json)) {
      this.#nested(6, () => this.message('google.protobuf.ListValue', json, place))
    } else if (typeof json === 'object') {
      this.#nested(5, () => this.message('google.protobuf.Struct', json, place))
    } else {
      const field = structScalars[typeof json]
      if (field === undefined) throw invalidValue(place.path, json, 'google.protobuf.Value')
      writeScalar(this.writer, field, parseScalar(field.scalar, json, place.path))
    }
  }

  #structList(json: unknown, place: Place): void {
    if (!Array.isArray(json)) throw invalidValue(place.path, json, 'google.protobuf.ListValue')
    for (const [index, item] of json.entries()) {
      const here = { ...place, path: `${place.path}[${index}]` }
      this.#nested(1, () => this.message('google.protobuf.Value', item, here))
    }
  }

  #instant(parse: (text: string) => Instant | undefined, json: unknown, { path }: Place): void {
    const instant = typeof json === 'string' ? parse(json) : undefined
    if (instant === undefined) {
      const name = parse === parseDuration ? 'Duration' : 'Timestamp'
      throw invalidValue(path, json, `google.protobuf.${name}`)
    }
    const { seconds, nanos } = instant
    if (seconds !== 0n) writeScalar(this.writer, { number: 1, scalar: 'int64' }, seconds)
    if (nanos !== 0) writeScalar(this.writer, { number: 2, scalar: 'int32' }, nanos)
  }

  #fieldMask(json: unknown, { path }: Place): void {
    if (typeof json !== 'string' || json.includes('_')) {
      throw invalidValue(path, json, 'google.protobuf.FieldMask')
    }
    for (const part of json === '' ? [] : json.split(',')) {
      writeScalar(this.writer, { number: 1, scalar: 'string' }, snakeCasePath(part))
    }
  }
}

/** A field of which this is the only value, or one of several. */
type FieldOfOne = Pick<Field, 'number' | 'type' | 'hasPresence'>

const nullValue = 'google.protobuf.NullValue'

/** Fields of google.protobuf.Value, by JavaScript's type. */
const structScalars: Readonly<Record<string, { number: number; scalar: Scalar }>> = {
  number: { number: 2, scalar: 'double' },
  string: { number: 3, scalar: 'string' },
  boolean: { number: 4, scalar: 'bool' },
}

export function unknownType(typeName: string): string {
  return `unknown message type ${typeName || '""'}`
}

function fieldOf(type: MessageType, key: string, path: string): Field {
  const field = type.byName.get(key)
  if (field === undefined) throw new JsonMistake(path, `unknown field in ${type.name}`)
  return field
}

function checkOneof(oneofs: Map<string, Field>, field: Field, path: string): void {
  if (field.oneof === undefined) return
  const other = oneofs.get(field.oneof)
  if (other !== undefined) {
    throw new JsonMistake(path, `excludes ${other.name}, and both are set`)
  }
  oneofs.set(field.oneof, field)
}

/** Elsewhere null means absent. */
function acceptsNull({ type, isList, key }: Field): boolean {
  if (isList || key !== undefined) return false
  if (type.kind === 'message') return type.name === 'google.protobuf.Value'
  return type.kind === 'enum' && type.name === nullValue
}
