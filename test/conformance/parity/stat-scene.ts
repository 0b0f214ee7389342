/** The scene of statistics: one request after the other, so that both proxies count the same. */
import {
  bootstrapText,
  cluster,
  commonClusters,
  httpManager,
  jsonLog,
  listener,
  typed,
} from './bootstrap-parts.ts'
import type { ParityCase } from './case-table.ts'
import type { Scene } from './scene.ts'

const backOff = { retry_back_off: { base_interval: '0.001s', max_interval: '0.002s' } }
const grpc = { 'content-type': 'application/grpc' }

const cases: readonly ParityCase[] = [
  { name: 'a request', path: '/x' },
  { name: 'a request with a body', method: 'POST', body: 'hello', path: '/x' },
  { name: 'a request to the other', path: '/b' },
  { name: 'no route', host: 'unknown.test', path: '/x' },
  { name: 'no cluster', path: '/nowhere' },
  { name: 'no endpoint', path: '/empty' },
  { name: 'a refused connection', path: '/refused' },
  { name: 'an overflow', path: '/overflow' },
  { name: 'a direct response', path: '/direct' },
  { name: 'a redirect', path: '/redirect' },
  { name: 'a status of 404', path: '/x?do=status&n=404' },
  { name: 'a status of 500', path: '/x?do=status&n=500' },
  { name: 'a retry', path: '/retry?do=flaky&n=1' },
  { name: 'retries used up', path: '/retry?do=flaky&n=9' },
  { name: 'a refused connection retried', path: '/retry-refused' },
  { name: 'a time-out', path: '/slow?do=slow&n=400' },
  { name: 'a time-out of each try', path: '/try?do=slow&n=400' },
  { name: 'an idle time-out', path: '/idle?do=slow&n=400' },
  { name: 'the end of its time', path: '/duration?do=slow&n=400' },
  { name: 'a connection that ends', path: '/x?do=close' },
  { name: 'a reset', path: '/x?do=reset' },
  { name: 'garbage', path: '/x?do=garbage' },
  { name: 'an answer broken off', path: '/x?do=half' },
  { name: 'an answer until the end', path: '/x?do=until-close' },
  { name: 'gRPC', method: 'POST', headers: grpc, path: '/x?do=grpc&n=0' },
  { name: 'a bad request', raw: 'GET / HTTP/1.1\r\nhost: a b\r\n\r\n' },
  { name: 'a request that closes', path: '/x', headers: { connection: 'close' } },
  {
    name: 'an upgrade',
    path: '/x?do=switch',
    headers: { connection: 'upgrade', upgrade: 'websocket' },
  },
  { name: 'bytes', listener: 'tcp', raw: 'GET /tcp HTTP/1.1\r\nhost: any\r\n\r\n' },
  {
    name: 'bytes to nowhere',
    listener: 'tcp-refused',
    raw: 'GET /tcp HTTP/1.1\r\nhost: any\r\n\r\n',
  },
  {
    name: 'bytes to no cluster',
    listener: 'tcp-empty',
    raw: 'GET /tcp HTTP/1.1\r\nhost: any\r\n\r\n',
  },
]

function tcp(prefix: string, to: string): object {
  return typed('tcp', 'filters.network.tcp_proxy.v3.TcpProxy', { stat_prefix: prefix, cluster: to })
}

function routes(): readonly object[] {
  const plain = (name: string) => ({ match: { prefix: `/${name}` }, route: { cluster: name } })
  return [
    plain('nowhere'),
    plain('empty'),
    plain('overflow'),
    plain('b'),
    { match: { prefix: '/refused' }, route: { cluster: 'refused' } },
    {
      match: { prefix: '/direct' },
      direct_response: { status: 200, body: { inline_string: 'x' } },
    },
    { match: { prefix: '/redirect' }, redirect: { host_redirect: 'x.test' } },
    {
      match: { prefix: '/retry-refused' },
      route: {
        cluster: 'refused',
        retry_policy: { retry_on: 'connect-failure', num_retries: 2, ...backOff },
      },
    },
    {
      match: { prefix: '/retry' },
      route: { cluster: 'a', retry_policy: { retry_on: '5xx', num_retries: 2, ...backOff } },
    },
    { match: { prefix: '/slow' }, route: { cluster: 'a', timeout: '0.05s' } },
    {
      match: { prefix: '/try' },
      route: {
        cluster: 'a',
        retry_policy: { retry_on: '5xx', num_retries: 1, per_try_timeout: '0.05s', ...backOff },
      },
    },
    { match: { prefix: '/idle' }, route: { cluster: 'a', idle_timeout: '0.05s' } },
    {
      match: { prefix: '/duration' },
      route: { cluster: 'a', max_stream_duration: { max_stream_duration: '0.05s' } },
    },
    { match: { prefix: '/' }, route: { cluster: 'a' } },
  ]
}

const virtualClusters: readonly object[] = [
  {
    name: 'posts',
    headers: [
      { name: ':method', string_match: { exact: 'POST' } },
      { name: ':path', string_match: { prefix: '/x' } },
    ],
  },
  { name: 'slow', headers: [{ name: ':path', string_match: { prefix: '/slow' } }] },
  { name: 'retried', headers: [{ name: ':path', string_match: { prefix: '/retry' } }] },
]

/** Each with counters of its own. */
function namedRoutes(): readonly object[] {
  return routes().map((route, index) => ({ ...route, stat_prefix: `route.${String(index)}` }))
}

export const statScene: Scene = {
  title: 'statistics in Envoy and in Tulle',
  listeners: 4,
  cases,
  isInOrder: true,
  adminPath: '/stats',
  bootstrap: (ports) =>
    bootstrapText({
      listeners: [
        listener(
          'main',
          [
            httpManager({
              stat_prefix: 'main',
              upgrade_configs: [{ upgrade_type: 'websocket' }],
              access_log: [jsonLog(ports.log, {})],
              route_config: {
                name: 'table',
                validate_clusters: false,
                virtual_hosts: [
                  {
                    name: 'app.test:80',
                    domains: ['app.test'],
                    routes: namedRoutes(),
                    virtual_clusters: virtualClusters,
                  },
                ],
              },
            }),
          ],
          { stat_prefix: 'main' },
        ),
        listener('tcp', [tcp('tcp', 'b')], { stat_prefix: 'tcp' }),
        listener('tcp-refused', [tcp('tcp-refused', 'refused')], { stat_prefix: 'tcp-refused' }),
        listener('tcp-empty', [tcp('tcp-empty', 'empty')], { stat_prefix: 'tcp-empty' }),
      ],
      clusters: [...commonClusters(ports), cluster('unused', [ports.a])],
    }),
}

/** Counters and gauges by name. */
export function statsOf(text: string): ReadonlyMap<string, number> {
  const stats = new Map<string, number>()
  for (const line of text.split('\n')) {
    const match = /^((?:cluster|http|listener|tcp|vhost)\.\S+): (\d+)$/.exec(line)
    if (match?.[1] !== undefined) stats.set(match[1], Number(match[2]))
  }
  return stats
}
