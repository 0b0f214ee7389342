/**
 * Protobuf's JSON form of xDS messages: bootstraps in, config dumps and golden files out.
 *
 * The generated codecs' `fromJSON`/`toJSON` know nothing of `@type`, drop unknown fields and turn wrong values
 * into strings, so JSON passes through descriptors instead, and messages cross as bytes. Names are read in
 * snake_case or camelCase and written in snake_case, as Envoy's config_dump does. Map keys and the contents of
 * a Struct stay as they are. Loading descriptors takes tens of milliseconds: import this file only where JSON is
 * read or written, and let go of the instance after.
 */
import {
  fromBinary,
  fromJson,
  toBinary,
  toJson,
  type DescField,
  type DescMessage,
  type Registry,
} from '@bufbuild/protobuf'

import { MeshError } from '../lib/mesh-error.ts'
import { typeNameOf, type Any, type MessageCodec } from './any.ts'
import { DescriptorRegistry } from './descriptor-registry.ts'

export type JsonValue =
  | null
  | boolean
  | number
  | string
  | JsonValue[]
  | { [key: string]: JsonValue }

/** Converts between JSON and messages of any type that has a generated codec. */
export class MessageJson {
  readonly #registry = new DescriptorRegistry()
  readonly #lenient = withUnknownTypes(this.#registry)

  /** JSON → message. Rejections: MeshError MESH_CONFIG_REJECTED, whose message starts with the field's path. */
  parse<T>(typeUrl: string, codec: MessageCodec<T>, json: unknown): T {
    return codec.decode(this.parseBytes(typeUrl, json))
  }

  /** JSON → the message's bytes. */
  parseBytes(typeUrl: string, json: unknown): Uint8Array {
    const type = this.#typeOf(typeUrl)
    try {
      return toBinary(type, fromJson(type, json as never, { registry: this.#registry }))
    } catch (cause) {
      throw new MeshError('MESH_CONFIG_REJECTED', this.#locate({ type, json, path: '', cause }))
    }
  }

  /** JSON with `@type` → Any. */
  parseAny(json: unknown): Any {
    const typeUrl = isObject(json) ? json['@type'] : undefined
    if (!isObject(json) || typeof typeUrl !== 'string') {
      throw new MeshError('MESH_CONFIG_REJECTED', `expected an object with "@type"`)
    }
    const { '@type': _, ...fields } = json
    return { typeUrl, value: this.parseBytes(typeUrl, fields) }
  }

  /** Message → JSON without `@type`. */
  toJson<T>(typeUrl: string, codec: MessageCodec<T>, message: T): JsonValue {
    return this.bytesToJson(typeUrl, codec.encode(message).finish())
  }

  /** A message's bytes → JSON without `@type`. */
  bytesToJson(typeUrl: string, bytes: Uint8Array): JsonValue {
    const type = this.#typeOf(typeUrl)
    const options = { registry: this.#lenient, useProtoFieldName: true }
    return typesFirst(toJson(type, fromBinary(type, bytes), options))
  }

  /** Any → JSON with `@type` first. Of a type that is unknown only the name is shown. */
  anyToJson(any: Any): JsonValue {
    if (this.#registry.getMessage(typeNameOf(any.typeUrl)) === undefined) {
      return { '@type': any.typeUrl }
    }
    const fields = this.bytesToJson(any.typeUrl, any.value)
    if (isObject(fields)) return { '@type': any.typeUrl, ...fields }
    return { '@type': any.typeUrl, value: fields }
  }

  #typeOf(typeUrl: string): DescMessage {
    const type = this.#registry.getMessage(typeNameOf(typeUrl))
    if (type !== undefined) return type
    throw new MeshError('MESH_CONFIG_REJECTED', unknownType(typeUrl))
  }

  /** Finds the innermost field that cannot be read, by trying each alone. Runs only after a failure. */
  #locate(failure: JsonFailure): string {
    const { type, json, path } = failure
    const own = `${path === '' ? '' : `${path}: `}${reasonOf(failure.cause)}`
    if (!isObject(json)) return own
    if (type.typeName === 'google.protobuf.Any') return this.#locateInAny(failure) ?? own
    if (type.typeName.startsWith('google.protobuf.')) return own
    for (const [key, value] of Object.entries(json)) {
      const cause = this.#failureOf(type, { [key]: value })
      if (cause === undefined) continue
      const field = type.fields.find((known) => known.name === key || known.jsonName === key)
      const fieldPath = path === '' ? key : `${path}.${key}`
      if (field === undefined) return `${fieldPath}: unknown field in ${type.typeName}`
      return this.#locateInField(type, field, { json: value, path: fieldPath, cause })
    }
    return own
  }

  #locateInField(parent: DescMessage, field: DescField, found: FieldFailure): string {
    for (const part of partsOf(field, found.json)) {
      const cause = this.#failureOf(parent, { [field.name]: part.alone })
      if (cause === undefined) continue
      const path = found.path + part.suffix
      if (field.message === undefined) return `${path}: ${reasonOf(cause)}`
      return this.#locate({ type: field.message, json: part.json, path, cause })
    }
    return `${found.path}: ${reasonOf(found.cause)}`
  }

  #locateInAny({ json, path }: JsonFailure): string | undefined {
    if (!isObject(json)) return undefined
    const { '@type': typeUrl, ...fields } = json
    if (typeof typeUrl !== 'string') return `${path}: expected "@type" beside the other fields`
    const type = this.#registry.getMessage(typeNameOf(typeUrl))
    if (type === undefined) return `${path}: ${unknownType(typeUrl)}`
    const cause = this.#failureOf(type, fields)
    return cause === undefined ? undefined : this.#locate({ type, json: fields, path, cause })
  }

  #failureOf(type: DescMessage, json: unknown): unknown {
    try {
      fromJson(type, json as never, { registry: this.#registry })
      return undefined
    } catch (cause) {
      return cause
    }
  }
}

interface FieldFailure {
  readonly json: unknown
  readonly path: string
  readonly cause: unknown
}

interface JsonFailure extends FieldFailure {
  readonly type: DescMessage
}

interface FieldPart {
  readonly suffix: string
  readonly json: unknown
  /** The field's JSON with nothing but this part in it. */
  readonly alone: unknown
}

function partsOf(field: DescField, json: unknown): FieldPart[] {
  if (field.fieldKind === 'list' && Array.isArray(json)) {
    return json.map((item: unknown, at) => ({ suffix: `[${at}]`, json: item, alone: [item] }))
  }
  if (field.fieldKind === 'map' && isObject(json)) {
    return Object.entries(json).map(([key, item]) => ({
      suffix: `[${key}]`,
      json: item,
      alone: { [key]: item },
    }))
  }
  if (field.fieldKind === 'list' || field.fieldKind === 'map') return []
  return [{ suffix: '', json, alone: json }]
}

/** Shows an extension of unknown type as its name alone, instead of failing the whole dump. */
function withUnknownTypes(registry: DescriptorRegistry): Registry {
  const empty = registry.getMessage('google.protobuf.Empty')
  const withoutFields = (typeName: string) =>
    empty === undefined ? undefined : { ...empty, typeName }
  return {
    kind: 'registry',
    get: (name) => registry.get(name),
    getMessage: (name) => registry.getMessage(name) ?? withoutFields(name),
    getEnum: () => undefined,
    getService: () => undefined,
    getExtension: () => undefined,
    getExtensionFor: () => undefined,
    [Symbol.iterator]: () => registry[Symbol.iterator](),
  }
}

/** Moves `@type` before the fields that it explains; a reader wants it there. */
function typesFirst(json: JsonValue): JsonValue {
  if (Array.isArray(json)) return json.map(typesFirst)
  if (!isObject(json)) return json
  const entries = Object.entries(json as Record<string, JsonValue>)
  const sorted = entries.map(([key, value]) => [key, typesFirst(value)] as const)
  const at = sorted.findIndex(([key]) => key === '@type')
  if (at > 0) sorted.unshift(...sorted.splice(at, 1))
  return Object.fromEntries(sorted)
}

function unknownType(typeUrl: string): string {
  return `unknown message type ${typeNameOf(typeUrl) || '""'}`
}

/** `cannot decode message a.b.C from JSON: why` → `why, expected a.b.C`. */
function reasonOf(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause)
  const match = /^cannot decode (?:message|enum|field) (\S+) from JSON: (.*)$/s.exec(text)
  return match === null ? text : `${match[2]} is not a valid ${match[1]}`
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
