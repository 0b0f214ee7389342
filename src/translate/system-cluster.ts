/** Clusters that every sidecar has, whatever the mesh holds. */
import { encodeResource } from '../xds/encode.ts'
import {
  Cluster,
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
} from '../xds/proto/generated/envoy/config/cluster/v3/cluster.ts'
import { typeUrls, type EncodedResource } from '../xds/resource-set.ts'
import { translateConnectionPool } from './connection-pool.ts'
import { dynamicForwardProxy } from './dynamic-forward-proxy.ts'
import type { MeshSettings } from './input.ts'
import { durationOf } from './message.ts'
import type { SharedHeaders } from './proxy-header.ts'

export const systemClusters = {
  /** Unknown hosts, by name. */
  passthrough: 'PassthroughCluster',
  /** Nothing: what must not go anywhere. */
  blackHole: 'BlackHoleCluster',
  /** The internal listener that takes what comes out of a CONNECT tunnel. */
  tunnel: 'http_proxy_tunnel',
} as const

/** Istio's idle time-out for connections to hosts outside. */
const passthroughIdleMs = 300_000

export function translateSystemClusters(
  mesh: MeshSettings,
  headers: SharedHeaders,
): EncodedResource[] {
  return [
    ...[passthroughCluster(mesh, headers), blackHoleCluster(mesh)].map(encodeCluster),
    translateTunnelCluster(systemClusters.tunnel, mesh),
  ]
}

/** Leads to the internal listener of the same name. */
export function translateTunnelCluster(name: string, mesh: MeshSettings): EncodedResource {
  return encodeCluster(tunnelCluster(name, mesh))
}

function encodeCluster(message: Cluster): EncodedResource {
  return encodeResource({
    name: message.name,
    typeUrl: typeUrls.cluster,
    codec: Cluster,
    message,
  })
}

function passthroughCluster(mesh: MeshSettings, { preservesCase }: SharedHeaders): Cluster {
  return Cluster.fromPartial({
    name: systemClusters.passthrough,
    clusterDiscoveryType: dynamicForwardProxy(),
    lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED,
    ...translateConnectionPool({
      settings: { http: { idleTimeout: `${passthroughIdleMs / 1000}s`, useClientProtocol: true } },
      port: { protocol: 'auto' },
      mesh,
      direction: 'outbound',
      preservesCase,
      autoSni: true,
      autoSanValidation: true,
    }),
  })
}

function blackHoleCluster(mesh: MeshSettings): Cluster {
  return Cluster.fromPartial({
    name: systemClusters.blackHole,
    clusterDiscoveryType: { $case: 'type', value: Cluster_DiscoveryType.STATIC },
    connectTimeout: durationOf(mesh.connectTimeoutMs),
  })
}

function tunnelCluster(name: string, mesh: MeshSettings): Cluster {
  return Cluster.fromPartial({
    name,
    clusterDiscoveryType: { $case: 'type', value: Cluster_DiscoveryType.STATIC },
    connectTimeout: durationOf(mesh.connectTimeoutMs),
    loadAssignment: {
      clusterName: name,
      endpoints: [
        {
          lbEndpoints: [
            {
              hostIdentifier: {
                $case: 'endpoint',
                value: {
                  address: {
                    address: {
                      $case: 'envoyInternalAddress',
                      value: {
                        addressNameSpecifier: {
                          $case: 'serverListenerName',
                          value: name,
                        },
                      },
                    },
                  },
                },
              },
            },
          ],
        },
      ],
    },
  })
}
