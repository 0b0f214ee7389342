/** The filters of a listener that forwards bytes to one cluster. */
import type { Filter } from '../xds/proto/generated/envoy/config/listener/v3/listener_components.ts'
import { Filter as FilterCodec } from '../xds/proto/generated/envoy/config/listener/v3/listener_components.ts'
import { TcpProxy } from '../xds/proto/generated/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts'
import { abilitiesOf } from './ability.ts'
import { accessLogs } from './access-log.ts'
import type { Client } from './client.ts'
import type { MeshSettings } from './input.ts'
import { packed } from './message.ts'
import { tcpStatsFilter, type Reporter } from './stats-filter.ts'

export interface TcpInput {
  readonly cluster: string
  readonly reporter: Reporter
  readonly client: Client
  readonly mesh: MeshSettings
}

export function tcpFilters({ cluster, reporter, client, mesh }: TcpInput): Filter[] {
  const proxy = {
    name: 'envoy.filters.network.tcp_proxy',
    configType: {
      $case: 'typedConfig' as const,
      value: packed(TcpProxy, 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', {
        statPrefix: cluster,
        clusterSpecifier: { $case: 'cluster', value: cluster },
        accessLog: accessLogs(mesh),
      }),
    },
  }
  const { tcpStats } = abilitiesOf(client.kind)
  const filters = tcpStats ? [tcpStatsFilter(reporter, client), proxy] : [proxy]
  return filters.map((filter) => FilterCodec.fromPartial(filter))
}
