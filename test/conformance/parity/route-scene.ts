/** The scene of routes: every story's virtual host in one table. */
import {
  bootstrapText,
  cluster,
  commonClusters,
  httpManager,
  jsonLog,
  listener,
} from './bootstrap-parts.ts'
import { otherStories, routeStories } from './route-stories.ts'
import { storyCases, storyFields, storyHosts } from './route-story.ts'
import type { Scene, ScenePorts } from './scene.ts'

export const routeScene: Scene = {
  title: 'routes in Envoy and in Tulle',
  listeners: 2,
  cases: [
    ...storyCases(routeStories),
    ...storyCases(otherStories).map((one) => ({ ...one, listener: 'other' })),
  ],
  bootstrap: (ports) =>
    bootstrapText({
      listeners: [
        tableListener('main', ports, { virtual_hosts: storyHosts(routeStories) }),
        tableListener('other', ports, {
          most_specific_header_mutations_wins: true,
          ignore_port_in_host_matching: true,
          ignore_path_parameters_in_path_matching: true,
          virtual_hosts: storyHosts(otherStories),
        }),
      ],
      clusters: [...commonClusters(ports), cluster('split-cluster-by-authority.test', [ports.b])],
    }),
}

function tableListener(name: string, ports: ScenePorts, table: object): object {
  return listener(name, [
    httpManager({
      stat_prefix: name,
      upgrade_configs: [{ upgrade_type: 'websocket' }],
      access_log: [jsonLog(ports.log, storyFields)],
      route_config: {
        name: 'table',
        validate_clusters: false,
        request_headers_to_add: [{ header: { key: 'x-order', value: 'table' } }],
        response_headers_to_add: [{ header: { key: 'x-order', value: 'table' } }],
        ...table,
      },
    }),
  ])
}
