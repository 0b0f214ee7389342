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
import { storyCases, storyFields, storyHosts } from './route-story.ts'
import type { Scene } from './scene.ts'

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
            access_log: [jsonLog(ports.log, storyFields)],
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
