/** The scene of what an internal client may ask of the router by headers. */
import {
  bootstrapText,
  cluster,
  commonClusters,
  httpManager,
  jsonLog,
  listener,
  socketAddress,
} from './bootstrap-parts.ts'
import { limits } from './limit-stories.ts'
import { inGroup, storyCases, storyFields, storyHosts } from './route-story.ts'
import { routerStories } from './router-stories.ts'
import type { Scene } from './scene.ts'

function upstreamHttp(options: object): object {
  const type = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'
  return {
    typed_extension_protocol_options: {
      [type]: {
        '@type': `type.googleapis.com/${type}`,
        common_http_protocol_options: options,
        explicit_http_config: { http_protocol_options: {} },
      },
    },
  }
}

const stories = [...inGroup('limit', limits), ...inGroup('router', routerStories)]

export const routerScene: Scene = {
  title: 'what an internal client asks of the router, in Envoy and in Tulle',
  listeners: 1,
  cases: storyCases(stories),
  bootstrap: (ports) =>
    bootstrapText({
      listeners: [
        listener('main', [
          httpManager({
            stat_prefix: 'main',
            use_remote_address: true,
            internal_address_config: {
              cidr_ranges: [{ address_prefix: '127.0.0.0', prefix_len: 8 }],
            },
            upgrade_configs: [{ upgrade_type: 'websocket' }],
            access_log: [jsonLog(ports.log, storyFields)],
            route_config: {
              name: 'table',
              validate_clusters: false,
              virtual_hosts: storyHosts(stories),
            },
          }),
        ]),
      ],
      clusters: [
        ...commonClusters(ports).slice(1),
        cluster('a', [ports.a], { circuit_breakers: { thresholds: [{ max_retries: 100 }] } }),
        cluster('split-cluster-by-authority.test', [ports.b]),
        cluster('brief', [ports.a], upstreamHttp({ max_stream_duration: '0.1s' })),
        cluster('two-names', [], {
          load_assignment: {
            cluster_name: 'two-names',
            endpoints: [
              {
                lb_endpoints: ['one.test', 'one.test'].map((hostname) => ({
                  endpoint: { hostname, address: socketAddress(ports.a) },
                })),
              },
            ],
          },
        }),
      ],
    }),
}
