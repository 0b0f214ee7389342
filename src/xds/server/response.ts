/**
 * Responses as frames: the envelope is written by hand around the bytes of resources that are encoded already,
 * and streams that are owed the same answer share one frame, nonce included.
 *
 * A nonce is the place of its response in one sequence of this server; a stream never gets one twice, because
 * it says the last that it had and gets a fresh frame when the kept one is not newer.
 */
import { BinaryWriter } from '@bufbuild/protobuf/wire'

import { GrpcFrame } from '../grpc/grpc-frame.ts'
import { typeUrls, type EncodedResource } from '../resource-set.ts'
import type { ResourceDiffs } from './resource-diff.ts'

export type AdsVariant = 'sotw' | 'delta'

export interface ResponseContent {
  readonly variant: AdsVariant
  readonly typeUrl: string
  readonly version: string
  readonly resources: readonly EncodedResource[]
  /** Delta only. */
  readonly removed: readonly string[]
  /** Delta only: names that were asked for and mean nothing. Absent: none. */
  readonly unresolved?: readonly string[]
}

export interface AdsResponse {
  readonly message: Uint8Array
  readonly frame: GrpcFrame
  readonly nonce: string
  readonly sequence: number
}

/** Kept frames beyond this are dropped all at once; they are cheap to make again. */
const keptBytesMax = 32 << 20
const keptCountMax = 10_000

export class ResponseFactory {
  readonly #diffs: ResourceDiffs
  readonly #noncePrefix: string
  readonly #kept = new Map<string, AdsResponse>()
  #keptBytes = 0
  #sequence = 0

  constructor(diffs: ResourceDiffs, noncePrefix: string) {
    this.#diffs = diffs
    this.#noncePrefix = noncePrefix
  }

  /** A response newer than `afterSequence`, the last that the stream had of this type. */
  respond(content: ResponseContent, afterSequence: number): AdsResponse {
    const key = this.#keyOf(content)
    const kept = this.#kept.get(key)
    if (kept !== undefined && kept.sequence > afterSequence) return kept
    const sequence = ++this.#sequence
    const nonce = `${this.#noncePrefix}${sequence.toString(36)}`
    const encode = content.variant === 'sotw' ? encodeSotw : encodeDelta
    const message = encode(content, nonce)
    const response = { message, frame: new GrpcFrame(message), nonce, sequence }
    this.#keep(key, response)
    return response
  }

  #keep(key: string, response: AdsResponse): void {
    this.#keptBytes += response.frame.messageBytes
    if (this.#keptBytes > keptBytesMax || this.#kept.size >= keptCountMax) {
      this.#kept.clear()
      this.#keptBytes = response.frame.messageBytes
    }
    this.#kept.set(key, response)
  }

  #keyOf(content: ResponseContent): string {
    const { variant, typeUrl, version, resources, removed, unresolved = [] } = content
    const digest = this.#diffs.digestOf(resources)
    const key = [variant, typeUrl, version, resources.length, digest, ...removed].join('\n')
    if (typeUrl !== typeUrls.virtualHost) return key
    // Under which names a virtual host is sent is the client's own.
    const aliases = resources.map((resource) => resource.aliases ?? [])
    return key + JSON.stringify([aliases, unresolved])
  }
}

// Field numbers of envoy.service.discovery.v3.DiscoveryResponse.
const sotwVersion = tag(1)
const sotwResource = tag(2)
const sotwTypeUrl = tag(4)
const sotwNonce = tag(5)

function encodeSotw(content: ResponseContent, nonce: string): Uint8Array {
  const writer = new BinaryWriter()
  writer.uint32(sotwVersion).string(content.version)
  for (const resource of content.resources) writer.uint32(sotwResource).bytes(resource.any)
  writer.uint32(sotwTypeUrl).string(content.typeUrl)
  return writer.uint32(sotwNonce).string(nonce).finish()
}

// Field numbers of DeltaDiscoveryResponse, and of the Resource in it.
const deltaVersion = tag(1)
const deltaResource = tag(2)
const deltaTypeUrl = tag(4)
const deltaNonce = tag(5)
const deltaRemoved = tag(6)
const resourceVersion = tag(1)
const resourceAny = tag(2)
const resourceName = tag(3)
const resourceAlias = tag(4)

function encodeDelta(content: ResponseContent, nonce: string): Uint8Array {
  const writer = new BinaryWriter()
  writer.uint32(deltaVersion).string(content.version)
  for (const resource of content.resources) {
    writer.uint32(deltaResource).fork()
    writer.uint32(resourceVersion).string(resource.version)
    writer.uint32(resourceAny).bytes(resource.any)
    writer.uint32(resourceName).string(resource.name)
    for (const alias of resource.aliases ?? []) writer.uint32(resourceAlias).string(alias)
    writer.join()
  }
  for (const name of content.unresolved ?? []) {
    writer.uint32(deltaResource).fork()
    writer.uint32(resourceName).string(name)
    writer.uint32(resourceAlias).string(name).join()
  }
  writer.uint32(deltaTypeUrl).string(content.typeUrl)
  writer.uint32(deltaNonce).string(nonce)
  for (const name of content.removed) writer.uint32(deltaRemoved).string(name)
  return writer.finish()
}

/** All fields here are length-delimited. */
function tag(field: number): number {
  return (field << 3) | 2
}
