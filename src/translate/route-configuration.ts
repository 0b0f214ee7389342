/**
 * Puts a RouteConfiguration together from virtual hosts that are encoded already.
 *
 * The `http_proxy` configuration is one resource that holds every virtual host of the mesh, so one changed
 * VirtualService would cost an encoding of them all. A repeated message field is its tag, its length and its
 * bytes, and protobuf lets fields follow in any order: the rest is encoded as usual and they are appended.
 */
import { hash } from 'node:crypto'

import { RouteConfiguration } from '../xds/proto/generated/envoy/config/route/v3/route.ts'
import { VirtualHost } from '../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import { typeUrls, type EncodedResource } from '../xds/resource-set.ts'

/** One `virtual_hosts` field, tag and length included. */
export interface EncodedVirtualHost {
  readonly name: string
  readonly field: Uint8Array
  readonly hash: string
  readonly domains: readonly string[]
}

/** Tag of field 1, wire type 2: `type_url` of an Any. */
const firstFieldTag = 10

/** Tag of field 2, wire type 2: `virtual_hosts` of a RouteConfiguration, and `value` of an Any. */
const secondFieldTag = 18

/** Istio's own limit of a direct response's body; Envoy's default is 4 KiB. */
const directResponseBytesMax = 1024 * 1024

export function encodeVirtualHost(virtualHost: VirtualHost): EncodedVirtualHost {
  const bytes = VirtualHost.encode(virtualHost).finish()
  const field = Buffer.concat([fieldHead(secondFieldTag, bytes.length), bytes])
  const { name, domains } = virtualHost
  return { name, field, hash: hash('sha256', field, 'hex'), domains }
}

/** The message alone. */
export function virtualHostBytes({ field }: EncodedVirtualHost): Uint8Array {
  let at = 1
  while ((field[at] ?? 0) > 127) at += 1
  return field.subarray(at + 1)
}

/**
 * The virtual hosts must have different names and no domain in common. The version is a hash of their hashes, and
 * the bytes are written once, into the Any that travels: the configuration of a thousand services is near a
 * megabyte, and this runs for each scope class.
 */
export function encodeRouteConfiguration(
  name: string,
  virtualHosts: readonly EncodedVirtualHost[],
): EncodedResource {
  const head = RouteConfiguration.encode(
    RouteConfiguration.fromPartial({
      name,
      validateClusters: false,
      maxDirectResponseBodySizeBytes: directResponseBytesMax,
    }),
  ).finish()
  const parts = [head, ...virtualHosts.map(({ field }) => field)]
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const typeUrl = Buffer.from(typeUrls.route)
  const start = Buffer.concat([
    fieldHead(firstFieldTag, typeUrl.length),
    typeUrl,
    fieldHead(secondFieldTag, length),
  ])
  const content = [name, ...virtualHosts.map((virtualHost) => virtualHost.hash)].join('\n')
  return {
    name,
    typeUrl: typeUrls.route,
    version: hash('sha256', content, 'hex').slice(0, 16),
    any: Buffer.concat([start, ...parts], start.length + length),
  }
}

/** A field's tag and the length of its bytes, as a varint: seven bits a byte, the lowest first. */
function fieldHead(tag: number, length: number): Buffer {
  const bytes = [tag]
  let rest = length
  while (rest > 127) {
    bytes.push((rest & 127) | 128)
    rest >>>= 7
  }
  bytes.push(rest)
  return Buffer.from(bytes)
}
