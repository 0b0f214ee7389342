/**
 * Puts a RouteConfiguration together from virtual hosts that are encoded already.
 *
 * The `http_proxy` configuration is one resource that holds every virtual host of the mesh, so one changed
 * VirtualService would cost an encoding of them all. A repeated message field is its tag, its length and its
 * bytes, and protobuf lets fields follow in any order: the rest is encoded as usual and they are appended.
 */
import { BinaryWriter } from '@bufbuild/protobuf/wire'

import { encodedResource } from '../xds/encode.ts'
import { RouteConfiguration } from '../xds/proto/generated/envoy/config/route/v3/route.ts'
import { VirtualHost } from '../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import { typeUrls, type EncodedResource } from '../xds/resource-set.ts'

/** One `virtual_hosts` field, tag and length included. */
export interface EncodedVirtualHost {
  readonly name: string
  readonly field: Uint8Array
}

/** Tag of field 2 (`virtual_hosts`), wire type 2. */
const virtualHostsTag = 18

/** Istio's own limit of a direct response's body; Envoy's default is 4 KiB. */
const directResponseBytesMax = 1024 * 1024

export function encodeVirtualHost(virtualHost: VirtualHost): EncodedVirtualHost {
  const writer = new BinaryWriter().uint32(virtualHostsTag)
  writer.bytes(VirtualHost.encode(virtualHost).finish())
  return { name: virtualHost.name, field: writer.finish() }
}

/** The virtual hosts must have different names and no domain in common. */
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
  const bytes = Buffer.concat([head, ...virtualHosts.map((virtualHost) => virtualHost.field)])
  return encodedResource(name, typeUrls.route, bytes)
}
