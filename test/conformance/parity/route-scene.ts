/** The scene of routes: every story's virtual host in one table. */
import {
  bootstrapText,
  cluster,
  commonClusters,
  httpManager,
  jsonLog,
  listener,
} from './bootstrap-parts.ts'
import { routeStories } from './route-stories.ts'
import { storyCases, storyHosts } from './route-story.ts'
import type { Scene } from './scene.ts'

const fields = {
  status: '%RESPONSE_CODE%',
  flags: '%RESPONSE_FLAGS%',
  details: '%RESPONSE_CODE_DETAILS%',
  route: '%ROUTE_NAME%',
  cluster: '%UPSTREAM_CLUSTER%',
  attempts: '%UPSTREAM_REQUEST_ATTEMPT_COUNT%',
  grpc: '%GRPC_STATUS_NUMBER%',
  received: '%BYTES_RECEIVED%',
  sent: '%BYTES_SENT%',
  path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
  authority: '%REQ(:AUTHORITY)%',
}

export const routeScene: Scene = {
  title: 'routes in Envoy and in Tulle',
  listeners: 1,
  cases: storyCases(routeStories),
  bootstrap: (ports) =>
    bootstrapText({
      listeners: [
        listener('main', [
          httpManager({
            stat_prefix: 'main',
            upgrade_configs: [{ upgrade_type: 'websocket' }],
            access_log: [jsonLog(ports.log, fields)],
            route_config: {
              name: 'table',
              validate_clusters: false,
              request_headers_to_add: [{ header: { key: 'x-order', value: 'table' } }],
              response_headers_to_add: [{ header: { key: 'x-order', value: 'table' } }],
              virtual_hosts: storyHosts(routeStories),
            },
          }),
        ]),
      ],
      clusters: [...commonClusters(ports), cluster('split-cluster-by-authority.test', [ports.b])],
    }),
}
