/** Which resource a message was made from: Istio's path of it in the metadata, and our path of the field. */
import { provenanceKey } from '../../xds/own-metadata.ts'
import type { Metadata } from '../../xds/proto/generated/envoy/config/core/v3/base.ts'
import type { Provenance } from './explanation.ts'

const kinds: Readonly<Record<string, string>> = {
  'virtual-service': 'VirtualService',
  'destination-rule': 'DestinationRule',
}

/** `/apis/networking.istio.io/v1/namespaces/default/virtual-service/reviews` */
const configPath = /^\/apis\/networking\.istio\.io\/[^/]+\/namespaces\/([^/]+)\/([^/]+)\/([^/]+)$/

export function provenanceOf(metadata: Metadata | undefined): Provenance | undefined {
  const { istio = {}, [provenanceKey]: own = {} } = metadata?.filterMetadata ?? {}
  const [, namespace, kind = '', name] = configPath.exec(textOf(istio['config'])) ?? []
  if (namespace === undefined || name === undefined) return undefined
  const named = { kind: kinds[kind] ?? kind, namespace, name, path: textOf(own['path']) }
  const delegate = placeOf(own['delegate'])
  return delegate === undefined
    ? named
    : { ...named, ...delegate, delegatedBy: { namespace, name } }
}

/** Of a route that comes from a delegate: the path is one of the delegate's. */
function placeOf(delegate: unknown): Pick<Provenance, 'namespace' | 'name'> | undefined {
  const [namespace = '', name = ''] = textOf(delegate).split('/')
  return name === '' ? undefined : { namespace, name }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
