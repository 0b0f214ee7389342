/** Requests on their way through the relay: who asks is said by the agent, what is asked stays as it is. */
import type { Node } from '../proto/generated/envoy/config/core/v3/base.ts'
import {
  DeltaDiscoveryRequest,
  DiscoveryRequest,
} from '../proto/generated/envoy/service/discovery/v3/discovery.ts'
import { typeUrls, type StreamNode } from '../resource-set.ts'
import type { HealthReport } from '../server/ads-stream.ts'
import type { AdsVariant } from '../server/response.ts'

/** What the agent knows better than the proxy beside it. Metadata is merged key by key. */
export interface RelayNode {
  readonly id?: string
  readonly cluster?: string
  readonly metadata?: Readonly<Record<string, unknown>>
  readonly locality?: { readonly region: string; readonly zone: string; readonly subZone: string }
}

/** Requests without a node come back as they are, byte for byte. */
export function withNode(variant: AdsVariant, bytes: Uint8Array, own: RelayNode): Uint8Array {
  if (variant === 'sotw') {
    const request = DiscoveryRequest.decode(bytes)
    if (request.node === undefined) return bytes
    request.node = mergeNode(request.node, own)
    return DiscoveryRequest.encode(request).finish()
  }
  const request = DeltaDiscoveryRequest.decode(bytes)
  if (request.node === undefined) return bytes
  request.node = mergeNode(request.node, own)
  return DeltaDiscoveryRequest.encode(request).finish()
}

export function healthRequest(variant: AdsVariant, report: HealthReport): Uint8Array {
  const message = {
    typeUrl: typeUrls.healthInformation,
    errorDetail: report.isHealthy ? undefined : { code: 500, message: report.message, details: [] },
  }
  return variant === 'sotw'
    ? DiscoveryRequest.encode(DiscoveryRequest.fromPartial(message)).finish()
    : DeltaDiscoveryRequest.encode(DeltaDiscoveryRequest.fromPartial(message)).finish()
}

function mergeNode(node: Node, own: RelayNode): Node {
  return {
    ...node,
    id: own.id ?? node.id,
    cluster: own.cluster ?? node.cluster,
    metadata: { ...node.metadata, ...own.metadata },
    locality: own.locality ?? node.locality,
  }
}

/**
 * Asks for one cluster that the sidecar has: whoever takes the stream answers that, and nothing large is sent to
 * be thrown away. The control plane takes whoever asks for the sidecar itself: without its metadata it would have
 * no ports, and leave its service.
 */
export function probeRequest(variant: AdsVariant, node: StreamNode, cluster: string): Uint8Array {
  const { id, metadata, locality, userAgentName, clientFeatures } = node
  const message = {
    node: {
      id,
      cluster: node.cluster,
      metadata,
      locality,
      userAgentName,
      clientFeatures: [...clientFeatures],
    },
    typeUrl: typeUrls.cluster,
  }
  return variant === 'sotw'
    ? DiscoveryRequest.encode(
        DiscoveryRequest.fromPartial({ ...message, resourceNames: [cluster] }),
      ).finish()
    : DeltaDiscoveryRequest.encode(
        DeltaDiscoveryRequest.fromPartial({ ...message, resourceNamesSubscribe: [cluster] }),
      ).finish()
}
