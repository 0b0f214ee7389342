/**
 * `google.protobuf.Any`: a message with the name of its type, which is how xDS carries every extension's
 * configuration. Who wants a type imports its generated codec; nothing here loads codecs that nobody asked for.
 * JSON with `@type` is in json.ts.
 */
import { bufferOf } from '../lib/bytes.ts'
import { MeshError } from '../lib/mesh-error.ts'

export interface Any {
  readonly typeUrl: string
  readonly value: Uint8Array
}

/** What each generated codec can do, as far as packing needs it. */
export interface MessageCodec<T> {
  encode(message: T): { finish(): Uint8Array }
  decode(bytes: Uint8Array): T
}

const prefix = 'type.googleapis.com/'

/** `envoy.config.cluster.v3.Cluster` → `type.googleapis.com/envoy.config.cluster.v3.Cluster`. */
export function typeUrlOf(typeName: string): string {
  return typeName.includes('/') ? typeName : prefix + typeName
}

/** The other way; any authority before the last slash is accepted, as protobuf says. */
export function typeNameOf(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf('/') + 1)
}

/** The result has a `Buffer` because the generated types ask for one. */
export function pack<T>(typeUrl: string, codec: MessageCodec<T>, message: T) {
  const bytes = codec.encode(message).finish()
  return {
    typeUrl: typeUrlOf(typeUrl),
    value: bufferOf(bytes),
  }
}

/** Decodes an Any that must be of this type; MeshError MESH_XDS_PROTOCOL when it is another, or broken. */
export function unpack<T>(typeUrl: string, codec: MessageCodec<T>, any: Any): T {
  if (typeNameOf(any.typeUrl) !== typeNameOf(typeUrl)) {
    throw new MeshError(
      'MESH_XDS_PROTOCOL',
      `expected a message of type ${typeNameOf(typeUrl)}, got ${typeNameOf(any.typeUrl) || 'none'}`,
    )
  }
  try {
    return codec.decode(any.value)
  } catch (cause) {
    throw new MeshError('MESH_XDS_PROTOCOL', `decode ${typeNameOf(typeUrl)}`, { cause })
  }
}
