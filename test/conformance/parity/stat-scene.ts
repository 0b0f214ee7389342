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

const websocket = { connection: 'upgrade', upgrade: 'websocket' }

/** What the upstream answers, word for word. */
function told(name: string, path: string, answer: string): ParityCase {
  const bytes = Buffer.from(answer, 'latin1').toString('base64')
  return { name, path: `${path}?do=told`, headers: { 'x-answer': bytes } }
}

const silentLog = 'of a head that was refused, the log holds what had been read'

/** What a listener with limits answers itself. */
function refusals(listener: string): readonly ParityCase[] {
  const raw = (name: string, lines: string): ParityCase => ({
    name: `${listener}: ${name}`,
    listener,
    raw: `${lines.replace('$', 'HTTP/1.1\r\nhost: app.test')}\r\n\r\n`,
  })
  const path = (name: string, value: string, more: Partial<ParityCase> = {}): ParityCase => ({
    name: `${listener}: ${name}`,
    listener,
    path: value,
    ...more,
  })
  const many = Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`x-h${n}`, 'v']))
  const differs = { log: silentLog }
  return [
    path('a path above the root', '/../../x'),
    path('an escaped slash', '/a%2Fb'),
    path('a bad escape', '/a%00b'),
    path('a fragment', '/a#b'),
    path('no slash', 'http:x'),
    path('too many headers', '/x', { headers: many, differs }),
    path('a head that is too large', '/x', { headers: { 'x-l': 'l'.repeat(9_000) }, differs }),
    path('an answer that is too late', '/x?do=slow&n=900'),
    path('an answer that stands still', '/x?do=stall'),
    path('a bad header of the router', '/x', { headers: { 'x-envoy-max-retries': 'x' } }),
    path('the last request', '/x', { headers: { connection: 'close' } }),
    raw('a body that is too late', 'POST /x $\r\ncontent-length: 5'),
    raw('no host', 'GET /x HTTP/1.1'),
    raw('HTTP/1.0', 'GET /x HTTP/1.0\r\nhost: app.test'),
    raw('https', 'GET https://app.test/x $'),
    raw('two lengths', 'POST /x $\r\ncontent-length: 1\r\ncontent-length: 2'),
  ]
}

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
  ...[
    'x-envoy-overloaded: true',
    'x-envoy-immediate-health-check-fail: 1',
    'x-envoy-degraded: 1',
  ].map((field) =>
    told(
      `a response with ${field}`,
      '/x',
      `HTTP/1.1 200 OK\r\n${field}\r\ncontent-length: 0\r\n\r\n`,
    ),
  ),
  told(
    'an interim response',
    '/x',
    'HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n',
  ),
  told(
    'a retry that is asked for',
    '/asked',
    'HTTP/1.1 503 Busy\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n',
  ),
  told(
    'a retry that is asked for too late',
    '/asked',
    'HTTP/1.1 503 Busy\r\nretry-after: 100\r\ncontent-length: 0\r\n\r\n',
  ),
  { name: 'a retried status of 404', path: '/missing?do=status&n=404' },
  { name: 'a retry without room', path: '/crowded?do=status&n=503' },
  {
    name: 'a body that is too large to be sent again',
    method: 'POST',
    body: 'b'.repeat(50),
    path: '/small?do=status&n=503',
  },
  { name: 'a retried reset', path: '/retry?do=reset' },
  { name: 'retried garbage', path: '/retry?do=garbage' },
  { name: 'a tried status of 404', path: '/retry?do=status&n=404' },
  { name: 'a time-out in the middle of an answer', path: '/slow?do=stall' },
  { name: 'a try that stands still', path: '/try-idle?do=slow&n=300' },
  { name: 'a try that stands still in its answer', path: '/try-idle?do=stall' },
  { name: 'an idle time-out in the middle of an answer', path: '/idle?do=stall' },
  { name: 'the end of its time in the middle of an answer', path: '/duration?do=stall' },
  { name: 'HEAD', path: '/x', method: 'HEAD' },
  { name: 'gRPC fails', method: 'POST', headers: grpc, path: '/x?do=grpc&n=14' },
  { name: 'gRPC fails in trailers', method: 'POST', headers: grpc, path: '/x?do=grpc-trailers' },
  { name: 'gRPC to nowhere', method: 'POST', headers: grpc, path: '/refused' },
  { name: 'gRPC without a cluster', method: 'POST', headers: grpc, path: '/nowhere' },
  { name: 'a websocket that is refused', path: '/x?do=status&n=403', headers: websocket },
  {
    name: 'a websocket that is answered otherwise',
    path: '/x?do=status&n=200',
    headers: websocket,
  },
  {
    name: 'an upgrade that is not allowed',
    path: '/x',
    headers: { connection: 'upgrade', upgrade: 'other' },
  },
  { name: 'CONNECT', raw: 'CONNECT app.test:80 HTTP/1.1\r\nhost: app.test:80\r\n\r\n' },
  ...refusals('edge'),
  ...refusals('strict'),
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
    {
      match: { prefix: '/asked' },
      route: {
        cluster: 'a',
        retry_policy: {
          retry_on: '5xx',
          num_retries: 1,
          rate_limited_retry_back_off: {
            reset_headers: [{ name: 'retry-after', format: 'SECONDS' }],
            max_interval: '5s',
          },
          ...backOff,
        },
      },
    },
    {
      match: { prefix: '/missing' },
      route: {
        cluster: 'a',
        retry_policy: {
          retry_on: 'retriable-status-codes',
          retriable_status_codes: [404],
          num_retries: 1,
          ...backOff,
        },
      },
    },
    {
      match: { prefix: '/crowded' },
      route: {
        cluster: 'crowded',
        retry_policy: { retry_on: '5xx', num_retries: 2, ...backOff },
      },
    },
    {
      match: { prefix: '/small' },
      per_request_buffer_limit_bytes: 10,
      route: { cluster: 'a', retry_policy: { retry_on: '5xx', num_retries: 1, ...backOff } },
    },
    {
      match: { prefix: '/try-idle' },
      route: {
        cluster: 'a',
        retry_policy: {
          retry_on: '5xx',
          num_retries: 1,
          per_try_idle_timeout: '0.05s',
          ...backOff,
        },
      },
    },
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

const managers: Readonly<Record<string, object>> = {
  edge: {
    use_remote_address: true,
    normalize_path: true,
    path_with_escaped_slashes_action: 'UNESCAPE_AND_REDIRECT',
    max_request_headers_kb: 8,
    request_headers_timeout: '0.1s',
    request_timeout: '0.2s',
    stream_idle_timeout: '0.4s',
    common_http_protocol_options: {
      max_headers_count: 20,
      headers_with_underscores_action: 'DROP_HEADER',
    },
  },
  strict: {
    normalize_path: true,
    path_with_escaped_slashes_action: 'REJECT_REQUEST',
    max_request_headers_kb: 8,
    common_http_protocol_options: {
      max_headers_count: 20,
      max_stream_duration: '0.3s',
      headers_with_underscores_action: 'REJECT_REQUEST',
    },
    http_filters: [
      typed('envoy.filters.http.router', 'filters.http.router.v3.Router', {
        strict_check_headers: ['x-envoy-max-retries'],
      }),
    ],
  },
}

export const statScene: Scene = {
  title: 'statistics in Envoy and in Tulle',
  listeners: 6,
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
        ...Object.entries(managers).map(([name, settings]) =>
          listener(
            name,
            [
              httpManager({
                stat_prefix: name,
                access_log: [jsonLog(ports.log, {})],
                route_config: {
                  name,
                  virtual_hosts: [
                    {
                      name: 'all',
                      domains: ['*'],
                      routes: [{ match: { prefix: '/' }, route: { cluster: 'b' } }],
                    },
                  ],
                },
                ...settings,
              }),
            ],
            { stat_prefix: name },
          ),
        ),
        listener('tcp', [tcp('tcp', 'b')], { stat_prefix: 'tcp' }),
        listener('tcp-refused', [tcp('tcp-refused', 'refused')], { stat_prefix: 'tcp-refused' }),
        listener('tcp-empty', [tcp('tcp-empty', 'empty')], { stat_prefix: 'tcp-empty' }),
      ],
      clusters: [
        ...commonClusters(ports),
        cluster('unused', [ports.a]),
        cluster('crowded', [ports.a], {
          circuit_breakers: { thresholds: [{ max_retries: 0 }] },
        }),
      ],
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
