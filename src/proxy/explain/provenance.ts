/** Which resource a message was made from: Istio's path of it in the metadata, and our path of the field. */
import type { Metadata } from '../../xds/proto/generated/envoy/config/core/v3/base.ts'
import type { Provenance } from './explanation.ts'

const kinds: Readonly<Record<string, string>> = {
  'virtual-service': 'VirtualService',
  'destination-rule': 'DestinationRule',
}

/** `/apis/networking.istio.io/v1/namespaces/default/virtual-service/reviews` */
const configPath = /^\/apis\/networking\.istio\.io\/[^/]+\/namespaces\/([^/]+)\/([^/]+)\/([^/]+)$/

export function provenanceOf(metadata: Metadata | undefined): Provenance | undefined {
  const config: unknown = metadata?.filterMetadata['istio']?.['config']
  if (typeof config !== 'string') return undefined
  const [, namespace, kind = '', name] = configPath.exec(config) ?? []
  if (namespace === undefined || name === undefined) return undefined
  const path: unknown = metadata?.filterMetadata['tulle.dev']?.['path']
  return {
    kind: kinds[kind] ?? kind,
    namespace,
    name,
    path: typeof path === 'string' ? path : '',
  }
}
