/**
 * Requests of both variants, read into one shape: what is asked for, what is given up, what is acknowledged.
 * Names, nonces and versions mean what Envoy's xDS protocol page says; the rules are in subscribe.ts.
 */
import { MeshError } from '../../lib/mesh-error.ts'
import type { Node } from '../proto/generated/envoy/config/core/v3/base.ts'
import {
  DeltaDiscoveryRequest,
  DiscoveryRequest,
} from '../proto/generated/envoy/service/discovery/v3/discovery.ts'
import type { StreamNode } from '../resource-set.ts'
import type { AdsVariant } from './response.ts'

export interface AdsRequest {
  readonly node: StreamNode | undefined
  readonly typeUrl: string
  readonly nonce: string
  /** Reason of a NACK. */
  readonly error: string | undefined
  /** SotW: the complete list, and the last version that was accepted. */
  readonly names: readonly string[]
  readonly version: string
  /** Delta. */
  readonly subscribe: readonly string[]
  readonly unsubscribe: readonly string[]
  readonly initialVersions: Readonly<Record<string, string>>
}

/** Rejections: MeshError MESH_XDS_PROTOCOL. */
export function decodeRequest(variant: AdsVariant, bytes: Uint8Array): AdsRequest {
  try {
    return variant === 'sotw' ? decodeSotw(bytes) : decodeDelta(bytes)
  } catch (cause) {
    throw new MeshError('MESH_XDS_PROTOCOL', 'decode a discovery request', { cause })
  }
}

function decodeSotw(bytes: Uint8Array): AdsRequest {
  const request = DiscoveryRequest.decode(bytes)
  const located = request.resourceLocators.map((locator) => locator.name)
  return {
    node: nodeOf(request.node),
    typeUrl: request.typeUrl,
    nonce: request.responseNonce,
    error: request.errorDetail?.message,
    names: [...request.resourceNames, ...located],
    version: request.versionInfo,
    subscribe: [],
    unsubscribe: [],
    initialVersions: {},
  }
}

function decodeDelta(bytes: Uint8Array): AdsRequest {
  const request = DeltaDiscoveryRequest.decode(bytes)
  return {
    node: nodeOf(request.node),
    typeUrl: request.typeUrl,
    nonce: request.responseNonce,
    error: request.errorDetail?.message,
    names: [],
    version: '',
    subscribe: [
      ...request.resourceNamesSubscribe,
      ...request.resourceLocatorsSubscribe.map((locator) => locator.name),
    ],
    unsubscribe: [
      ...request.resourceNamesUnsubscribe,
      ...request.resourceLocatorsUnsubscribe.map((locator) => locator.name),
    ],
    initialVersions: request.initialResourceVersions,
  }
}

function nodeOf(node: Node | undefined): StreamNode | undefined {
  if (node === undefined) return undefined
  return {
    id: node.id,
    cluster: node.cluster,
    metadata: node.metadata ?? {},
    userAgentName: node.userAgentName,
    userAgentVersion: userAgentVersion(node),
    clientFeatures: node.clientFeatures,
    locality: {
      region: node.locality?.region ?? '',
      zone: node.locality?.zone ?? '',
      subZone: node.locality?.subZone ?? '',
    },
  }
}

function userAgentVersion(node: Node): string {
  const version = node.userAgentVersionType
  if (version?.$case === 'userAgentVersion') return version.value
  const build = version?.value?.version
  return build === undefined ? '' : `${build.majorNumber}.${build.minorNumber}.${build.patch}`
}
