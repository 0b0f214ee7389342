/**
 * Hears from the control plane which roots the mesh believes, within a second of a change: subscribes to the secret
 * `ROOTCA` as a sidecar does. It is taken as a whole; one that lacks our own trust domain, or a root for any, is
 * refused.
 */
import { readCertificates } from '../../identity/certificate.ts'
import { TrustBundle } from '../../identity/trust-bundle.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { describeError, MeshError } from '../../lib/mesh-error.ts'
import type { Random } from '../../lib/random.ts'
import { AdsClient, type AdsUpdate, type RejectedResource } from '../../xds/ads-client.ts'
import { secretPaths } from '../../xds/ads-server.ts'
import type { GrpcClientTls } from '../../xds/grpc/grpc-client.ts'
import { Node } from '../../xds/proto/generated/envoy/config/core/v3/base.ts'
import { typeUrls } from '../../xds/resource-set.ts'
import { decodeTrustSecret, trustSecretName } from '../../xds/trust-secret.ts'

export interface TrustWatchOptions {
  readonly target: string
  readonly tls: () => GrpcClientTls
  readonly nodeId: string
  readonly trustDomain: string
  readonly onTrust: (bundle: TrustBundle) => void
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

export function watchTrust(options: TrustWatchOptions): Disposable {
  const { target, tls, nodeId, clock, random, log } = options
  const client = new AdsClient({
    target,
    tls,
    paths: secretPaths,
    variant: 'delta',
    node: Node.fromPartial({ id: nodeId }),
    clock,
    random,
    log,
    events: { onUpdate: (update) => take(update, options) },
  })
  client.subscribe(typeUrls.secret, [trustSecretName])
  return client
}

function take({ resources }: AdsUpdate, options: TrustWatchOptions): readonly RejectedResource[] {
  return resources.flatMap((resource) => {
    try {
      options.onTrust(bundleOf(resource.value, options.trustDomain))
      return []
    } catch (error) {
      return [{ name: resource.name, reason: describeError(error) }]
    }
  })
}

/** Throws MESH_IDENTITY_INVALID, MESH_XDS_PROTOCOL. */
function bundleOf(value: Uint8Array, trustDomain: string): TrustBundle {
  const domains = decodeTrustSecret(value).map(
    (domain) => [domain.trustDomain, readCertificates(domain.rootsPem)] as const,
  )
  const empty = domains.find(([, roots]) => roots.length === 0)
  if (empty !== undefined) {
    throw new MeshError('MESH_IDENTITY_INVALID', `trust domain ${empty[0]} has no root`)
  }
  if (!domains.some(([name]) => name === trustDomain)) {
    throw new MeshError('MESH_IDENTITY_INVALID', `there is no root of ${trustDomain}, our own`)
  }
  return new TrustBundle(Object.fromEntries(domains))
}
