/** The filters of a listener that forwards bytes. */
import type { Filter } from '../xds/proto/generated/envoy/config/listener/v3/listener_components.ts'
import { Filter as FilterCodec } from '../xds/proto/generated/envoy/config/listener/v3/listener_components.ts'
import { TcpProxy } from '../xds/proto/generated/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts'
import { abilitiesOf } from './ability.ts'
import { accessLogs } from './access-log.ts'
import type { Client } from './client.ts'
import type { MeshSettings } from './input.ts'
import type { L4Target } from './l4-route.ts'
import { durationOfText, packed } from './message.ts'
import { sourceFilters, sourceHashOfBytes } from './source-hash.ts'
import { tcpStatsFilter, type Reporter } from './stats-filter.ts'

export interface TcpInput {
  /** A cluster, or what routes say. */
  readonly target: string | L4Target
  /** Undefined: the cluster's, or what routes say. */
  readonly statPrefix?: string | undefined
  readonly reporter: Reporter
  readonly client: Client
  readonly mesh: MeshSettings
}

export function tcpFilters({ target, statPrefix, reporter, client, mesh }: TcpInput): Filter[] {
  const abilities = abilitiesOf(client.kind)
  const proxy = {
    name: 'envoy.filters.network.tcp_proxy',
    configType: {
      $case: 'typedConfig' as const,
      value: packed(TcpProxy, 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', {
        ...(typeof target === 'string' ? clusterFields(target) : targetFields(target, client)),
        ...(statPrefix !== undefined && { statPrefix }),
        ...idleTimeoutOf(target, client),
        accessLog: accessLogs(mesh, client),
      }),
    },
  }
  const hashes = typeof target !== 'string' && target.hashesSourceIp
  const filters = [
    ...(hashes ? sourceFilters(client) : []),
    ...(abilities.tcpStats ? [tcpStatsFilter(reporter, client)] : []),
    proxy,
  ]
  return filters.map((filter) => FilterCodec.fromPartial(filter))
}

function clusterFields(cluster: string) {
  return { statPrefix: cluster, clusterSpecifier: { $case: 'cluster' as const, value: cluster } }
}

function targetFields(target: L4Target, client: Client) {
  const { statPrefix, clusters, idleTimeout, maxConnectionDuration } = target
  const [only] = clusters
  const isSingle = clusters.length === 1 && only !== undefined
  return {
    statPrefix,
    clusterSpecifier: isSingle
      ? { $case: 'cluster' as const, value: only.name }
      : { $case: 'weightedClusters' as const, value: { clusters: [...clusters] } },
    ...(idleTimeout !== undefined && { idleTimeout: durationOfText(idleTimeout) }),
    ...(maxConnectionDuration !== undefined && {
      maxDownstreamConnectionDuration: durationOfText(maxConnectionDuration),
    }),
    ...(target.tunnel !== undefined && {
      tunnelingConfig: { hostname: target.tunnel.target, usePost: target.tunnel.usesPost },
    }),
    ...(target.hashesSourceIp && { hashPolicy: [sourceHashOfBytes(client)] }),
  }
}

/** A rule's word goes before the proxy's own. */
function idleTimeoutOf(target: TcpInput['target'], client: Client) {
  const isSaid = typeof target !== 'string' && target.idleTimeout !== undefined
  return isSaid || client.idleTimeout === undefined
    ? {}
    : { idleTimeout: durationOfText(client.idleTimeout) }
}
