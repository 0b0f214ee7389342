/**
 * `proxyProtocol` of a DestinationRule: hosts are told whose connection each is, before whatever else is spoken. As in
 * Istio the header goes around every transport socket that the cluster has, and around plaintext where it has none.
 */
import type { TransportSocket } from '../xds/proto/generated/envoy/config/core/v3/base.ts'
import { TransportSocket as TransportSocketCodec } from '../xds/proto/generated/envoy/config/core/v3/base.ts'
import { ProxyProtocolConfig_Version } from '../xds/proto/generated/envoy/config/core/v3/proxy_protocol.ts'
import { ProxyProtocolUpstreamTransport } from '../xds/proto/generated/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol.ts'
import type { ClusterTls } from './cluster-tls.ts'
import { packed } from './message.ts'
import { plaintextSocket } from './tls-context.ts'
import type { EffectivePolicy } from './traffic-policy.ts'

const typeName =
  'envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport'

export function toldOf(
  { proxyProtocol }: Pick<EffectivePolicy, 'proxyProtocol'>,
  fields: ClusterTls['fields'],
): ClusterTls['fields'] {
  if (proxyProtocol === undefined) return fields
  const version =
    proxyProtocol.version === 'V2' ? ProxyProtocolConfig_Version.V2 : ProxyProtocolConfig_Version.V1
  const around = (transportSocket: TransportSocket): TransportSocket =>
    TransportSocketCodec.fromPartial({
      name: 'envoy.transport_sockets.upstream_proxy_protocol',
      configType: {
        $case: 'typedConfig',
        value: packed(ProxyProtocolUpstreamTransport, typeName, {
          config: { version },
          transportSocket,
        }),
      },
    })
  const { transportSocket, transportSocketMatches } = fields
  if (transportSocketMatches !== undefined) {
    return {
      transportSocketMatches: transportSocketMatches.map((match) => ({
        ...match,
        transportSocket: around(match.transportSocket),
      })),
    }
  }
  return { transportSocket: around(transportSocket ?? plaintextSocket()) }
}
