/** Resources as a client receives them, read from the raw bytes of a response without decoding their contents. */
import { hash } from 'node:crypto'

import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'

import { typeNameOf } from '../any.ts'
import {
  DeltaDiscoveryResponse,
  DiscoveryResponse,
  Resource,
} from '../proto/generated/envoy/service/discovery/v3/discovery.ts'

export interface ReceivedResource {
  readonly name: string
  /** The server's version of this resource (delta), or a hash of its content (state of the world). */
  readonly version: string
  readonly typeUrl: string
  /** The encoded message, not the Any. */
  readonly value: Uint8Array
  /** Other names that it was asked for by; absent: none. */
  readonly aliases?: readonly string[]
}

export interface ReceivedResponse {
  readonly typeUrl: string
  readonly version: string
  readonly nonce: string
  readonly resources: readonly ReceivedResource[]
  readonly removed: readonly string[]
  /** Names that were asked for and mean nothing to the server: a resource without content, with its aliases. */
  readonly unresolved: readonly string[]
}

const wrapperType = 'envoy.service.discovery.v3.Resource'

export function decodeSotwResponse(bytes: Uint8Array): ReceivedResponse {
  const response = DiscoveryResponse.decode(bytes)
  const resources = response.resources.map((any) => {
    // With `xds.config.resource-in-sotw` a server may wrap resources, to give them a time to live.
    const inner = typeNameOf(any.typeUrl) === wrapperType ? Resource.decode(any.value) : undefined
    const { typeUrl, value } = inner?.resource ?? any
    const version = hash('sha256', value, 'hex').slice(0, 16)
    return { name: inner?.name || nameIn(value), version, typeUrl, value }
  })
  const { typeUrl, versionInfo, nonce } = response
  return { typeUrl, version: versionInfo, nonce, resources, removed: [], unresolved: [] }
}

export function decodeDeltaResponse(bytes: Uint8Array): ReceivedResponse {
  const response = DeltaDiscoveryResponse.decode(bytes)
  const resources = response.resources.flatMap(({ name, version, resource, aliases }) => {
    // A heartbeat has no resource: the client keeps what it has.
    if (resource === undefined) return []
    const { typeUrl, value } = resource
    return [{ name, version, typeUrl, value, ...(aliases.length > 0 && { aliases }) }]
  })
  const unresolved = response.resources.flatMap(({ resource, aliases }) =>
    resource === undefined ? aliases : [],
  )
  const { typeUrl, systemVersionInfo, nonce } = response
  const removedNames = response.removedResourceNames.map((removed) => removed.name)
  const removed = [...response.removedResources, ...removedNames]
  return { typeUrl, version: systemVersionInfo, nonce, resources, removed, unresolved }
}

/** Every xDS resource type has its name in field 1. */
function nameIn(value: Uint8Array): string {
  const reader = new BinaryReader(value)
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag()
    if (field === 1 && wireType === WireType.LengthDelimited) return reader.string()
    reader.skip(wireType, field)
  }
  return ''
}
