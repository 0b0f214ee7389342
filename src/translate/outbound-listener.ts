/**
 * Listeners for what the application sends: the HTTP proxy that its environment names, the internal one that
 * takes what comes out of CONNECT tunnels, and a localhost port for each upstream of a TCP client.
 */
import type { Upstream } from '../registry/node-metadata.ts'
import { encodeResource } from '../xds/encode.ts'
import { TrafficDirection } from '../xds/proto/generated/envoy/config/core/v3/base.ts'
import { Listener } from '../xds/proto/generated/envoy/config/listener/v3/listener.ts'
import type { Filter } from '../xds/proto/generated/envoy/config/listener/v3/listener_components.ts'
import { typeUrls, type EncodedResource } from '../xds/resource-set.ts'
import type { Client } from './client.ts'
import { connectionManager } from './connection-manager.ts'
import type { MeshSettings } from './input.ts'
import { socketAddress } from './message.ts'
import { systemClusters } from './system-cluster.ts'
import { tcpFilters } from './tcp-proxy.ts'

/** Name of the listener and of its route configuration, as in Istio. */
export const httpProxyName = 'http_proxy'

const loopback = '127.0.0.1'

export interface ListenerInput {
  readonly client: Client
  readonly mesh: MeshSettings
}

export function translateHttpProxy({ client, mesh }: ListenerInput): EncodedResource[] {
  const { httpProxyPort } = client
  if (httpProxyPort === undefined) return []
  const filterFor = (statPrefix: string) =>
    connectionManager({
      direction: 'outbound',
      statPrefix,
      routes: httpProxyName,
      acceptsConnect: true,
      client,
      mesh,
    })
  return [
    encodeListener({
      name: httpProxyName,
      address: socketAddress(loopback, httpProxyPort),
      filters: [filterFor(`outbound_${loopback}_${httpProxyPort}`)],
    }),
    encodeListener({
      name: systemClusters.tunnel,
      filters: [filterFor(systemClusters.tunnel)],
    }),
  ]
}

export interface UpstreamInput extends ListenerInput {
  readonly upstream: Upstream
  readonly cluster: string
  /** Route configuration for a port that speaks HTTP; undefined: bytes. */
  readonly routes: string | undefined
}

export function translateUpstream(input: UpstreamInput): EncodedResource {
  const { client, mesh, upstream, cluster, routes } = input
  const name = `${loopback}_${upstream.localPort}`
  return encodeListener({
    name,
    address: socketAddress(loopback, upstream.localPort),
    filters:
      routes === undefined
        ? tcpFilters({ cluster, reporter: 'source', client, mesh })
        : [
            connectionManager({
              direction: 'outbound',
              statPrefix: `outbound_${name}`,
              routes,
              acceptsConnect: false,
              client,
              mesh,
            }),
          ],
  })
}

interface ListenerParts {
  readonly name: string
  /** Absent: an internal listener. */
  readonly address?: ReturnType<typeof socketAddress>
  readonly filters: readonly Filter[]
}

function encodeListener({ name, address, filters }: ListenerParts): EncodedResource {
  const message = Listener.fromPartial({
    name,
    ...(address === undefined
      ? { listenerSpecifier: { $case: 'internalListener', value: {} } }
      : { address }),
    trafficDirection: TrafficDirection.OUTBOUND,
    filterChains: [{ filters: [...filters] }],
  })
  return encodeResource({ name, typeUrl: typeUrls.listener, codec: Listener, message })
}
