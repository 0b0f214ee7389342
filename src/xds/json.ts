/**
 * Protobuf's JSON form of xDS messages: bootstraps in, config dumps and golden files out.
 *
 * The generated codecs' own JSON would know nothing of `@type`, drop unknown fields and turn wrong values into strings,
 * and a library's reflection costs 110 ms and 20 MB at each start (docs/decisions/0014-sidecar-footprint.md), so JSON is
 * read and written along a table of field names, and messages cross as bytes. Names are read in snake_case or camelCase
 * and written in snake_case, as Envoy's config_dump does. Map keys and the contents of a Struct stay as they are.
 * An instance holds the table, about 1 MB: let go of it after.
 */
import { MeshError } from '../lib/mesh-error.ts'
import { typeNameOf, type Any, type MessageCodec } from './any.ts'
import { type JsonValue, isObject } from './json/json-value.ts'
import { MessageTable, type MessageType } from './json/message-table.ts'
import { JsonMistake } from './json/mistake.ts'
import { parseMessage, unknownType } from './json/parse-message.ts'
import { printMessage } from './json/print-message.ts'
import { hasOwnJson } from './json/well-known.ts'

export type { JsonValue } from './json/json-value.ts'

/** Converts between JSON and messages of any type that has a generated codec. */
export class MessageJson {
  readonly #table = new MessageTable()

  /** JSON → message. Rejections: MeshError MESH_CONFIG_REJECTED, whose message starts with the field's path. */
  parse<T>(typeUrl: string, codec: MessageCodec<T>, json: unknown): T {
    return codec.decode(this.parseBytes(typeUrl, json))
  }

  /** JSON → the message's bytes. */
  parseBytes(typeUrl: string, json: unknown): Uint8Array {
    const { name } = this.#typeOf(typeUrl)
    try {
      return parseMessage(this.#table, name, json)
    } catch (error) {
      if (!(error instanceof JsonMistake)) throw error
      throw new MeshError('MESH_CONFIG_REJECTED', error.message)
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
    return printMessage(this.#table, this.#typeOf(typeUrl), bytes)
  }

  /** Any → JSON with `@type` first. Of a type that is unknown only the name is shown. */
  anyToJson(any: Any): JsonValue {
    const type = this.#table.message(typeNameOf(any.typeUrl))
    if (type === undefined) return { '@type': any.typeUrl }
    const json = printMessage(this.#table, type, any.value)
    if (hasOwnJson(type.name) || !isObject(json)) return { '@type': any.typeUrl, value: json }
    return { '@type': any.typeUrl, ...json }
  }

  #typeOf(typeUrl: string): MessageType {
    const type = this.#table.message(typeNameOf(typeUrl))
    if (type !== undefined) return type
    throw new MeshError('MESH_CONFIG_REJECTED', unknownType(typeNameOf(typeUrl)))
  }
}
