/**
 * Encodes a resource once: the bytes of its Any, and a version that is a hash of the content, so that equal
 * content is recognised as equal whoever made it and whenever, also after a restart of the control plane.
 */
import { hash } from 'node:crypto'

import { BinaryWriter } from '@bufbuild/protobuf/wire'

import type { MessageCodec } from './any.ts'
import type { EncodedResource } from './resource-set.ts'

export interface ResourceToEncode<T> {
  readonly name: string
  readonly typeUrl: string
  readonly codec: MessageCodec<T>
  /** Map fields are encoded in the order of their keys' insertion: keep that order stable. */
  readonly message: T
}

/** 64 bits: two different contents of one name with the same version are out of the question. */
const versionLength = 16

export function encodeResource<T>(resource: ResourceToEncode<T>): EncodedResource {
  const { name, typeUrl, codec, message } = resource
  return encodedResource(name, typeUrl, codec.encode(message).finish())
}

/** For a message that is bytes already. */
export function encodedResource(name: string, typeUrl: string, value: Uint8Array): EncodedResource {
  const version = hash('sha256', value, 'hex').slice(0, versionLength)
  return { name, typeUrl, version, any: anyBytes(typeUrl, value) }
}

/** Serialized google.protobuf.Any. An empty value is left out, as every protobuf encoder does. */
export function anyBytes(typeUrl: string, value: Uint8Array): Uint8Array {
  const writer = new BinaryWriter().uint32(10).string(typeUrl)
  if (value.length > 0) writer.uint32(18).bytes(value)
  return writer.finish()
}
