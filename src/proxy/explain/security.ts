/** How connections to a cluster and to each of its endpoints are secured, in one word each. */
import { typeNameOf } from '../../xds/any.ts'
import type { Cluster } from '../../xds/proto/generated/envoy/config/cluster/v3/cluster.ts'
import type {
  Metadata,
  TransportSocket,
} from '../../xds/proto/generated/envoy/config/core/v3/base.ts'
import { UpstreamTlsContext } from '../../xds/proto/generated/envoy/extensions/transport_sockets/tls/v3/tls.ts'

export function clusterSecurity(cluster: Cluster): string {
  const all = new Set(
    cluster.transportSocketMatches.map(({ transportSocket }) => socketSecurity(transportSocket)),
  )
  if (all.size === 0) return socketSecurity(cluster.transportSocket)
  const [only] = all
  return all.size === 1 && only !== undefined ? only : 'by endpoint'
}

/** The first match whose fields all have their values in the endpoint's metadata, as the proxy chooses. */
export function endpointSecurity(cluster: Cluster, metadata: Metadata | undefined): string {
  const fields: Readonly<Record<string, unknown>> =
    metadata?.filterMetadata['envoy.transport_socket_match'] ?? {}
  const found = cluster.transportSocketMatches.find(({ match }) =>
    Object.entries(match ?? {}).every(([name, value]) => fields[name] === value),
  )
  return socketSecurity(found === undefined ? cluster.transportSocket : found.transportSocket)
}

function socketSecurity(socket: TransportSocket | undefined): string {
  const any = socket?.configType?.value
  if (any === undefined) return 'plaintext'
  if (!typeNameOf(any.typeUrl).endsWith('UpstreamTlsContext')) return 'plaintext'
  const common = UpstreamTlsContext.decode(any.value).commonTlsContext
  const hasOwn =
    (common?.tlsCertificates.length ?? 0) > 0 ||
    (common?.tlsCertificateSdsSecretConfigs.length ?? 0) > 0
  return hasOwn ? 'mutual TLS' : 'TLS'
}
