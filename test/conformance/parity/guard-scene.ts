/** The scene of filters that count, hold and limit: one request after the other, because tokens are counted. */
import {
  bootstrapText,
  commonClusters,
  httpManager,
  jsonLog,
  listener,
  router,
  typed,
} from './bootstrap-parts.ts'
import type { ParityCase } from './case-table.ts'
import type { Scene } from './scene.ts'

const ext = 'type.googleapis.com/envoy.extensions.filters.http'
const grpc = { 'content-type': 'application/grpc' }
const limited = 'envoy.filters.http.local_ratelimit'
const buffered = 'envoy.filters.http.buffer'

const all = { default_value: { numerator: 100 } }
const none = { default_value: { numerator: 0 } }
const bucket = (tokens: number) => ({
  max_tokens: tokens,
  tokens_per_fill: 1,
  fill_interval: '600s',
})

function limit(prefix: string, fields: object): object {
  return { '@type': `${ext}.local_ratelimit.v3.LocalRateLimit`, stat_prefix: prefix, ...fields }
}

function add(key: string, value: string): object {
  return { header: { key, value } }
}

const limits: Readonly<Record<string, object>> = {
  two: limit('two', {
    token_bucket: bucket(2),
    filter_enabled: all,
    filter_enforced: all,
    response_headers_to_add: [add('x-limited', 'yes'), add('x-path', '%REQ(:PATH)%')],
  }),
  counted: limit('counted', {
    token_bucket: bucket(1),
    filter_enabled: all,
    filter_enforced: none,
    request_headers_to_add_when_not_enforced: [add('x-would-limit', 'yes')],
  }),
  off: limit('off', { token_bucket: bucket(1), filter_enabled: none, filter_enforced: all }),
  unset: limit('unset', { token_bucket: bucket(1) }),
  status: limit('status', {
    token_bucket: bucket(1),
    filter_enabled: all,
    filter_enforced: all,
    status: { code: 'ServiceUnavailable' },
  }),
  low: limit('low', {
    token_bucket: bucket(1),
    filter_enabled: all,
    filter_enforced: all,
    status: { code: 'Created' },
  }),
  exhausted: limit('exhausted', {
    token_bucket: bucket(1),
    filter_enabled: all,
    filter_enforced: all,
    rate_limited_as_resource_exhausted: true,
  }),
}

const times = (name: string, count: number, more: Partial<ParityCase> = {}): ParityCase[] =>
  Array.from({ length: count }, (_, index) => ({
    name: `limit ${name} ${more.headers === undefined ? '' : 'gRPC '}${index}`,
    path: `/${name}`,
    ...more,
  }))

const big = 'x'.repeat(2000)

function chunked(name: string, path: string, parts: readonly string[]): ParityCase {
  const body = parts.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join('')
  return {
    name,
    raw: `POST ${path} HTTP/1.1\r\nhost: app.test\r\nx-case: ${name}\r\ntransfer-encoding: chunked\r\n\r\n${body}0\r\n\r\n`,
  }
}

const cases: readonly ParityCase[] = [
  ...connections('rated', 3),
  ...connections('one-by-one', 2),
  ...times('two', 3),
  ...times('two', 1, { method: 'POST', headers: grpc }),
  ...times('counted', 3),
  ...times('off', 2),
  ...times('unset', 2),
  ...times('status', 2),
  ...times('low', 2),
  ...times('exhausted', 1),
  ...times('exhausted', 1, { method: 'POST', headers: grpc }),
  { name: 'a body that fits', path: '/buffer', method: 'POST', body: 'hello' },
  { name: 'a body that is too large', path: '/buffer', method: 'POST', body: big },
  {
    name: 'a body that is just too large',
    path: '/buffer',
    method: 'POST',
    body: 'x'.repeat(1001),
  },
  {
    name: 'a body that is as large as may be',
    path: '/buffer',
    method: 'POST',
    body: 'x'.repeat(1000),
  },
  { name: 'no body', path: '/buffer' },
  {
    name: 'a gRPC body that is too large',
    path: '/buffer',
    method: 'POST',
    headers: grpc,
    body: big,
  },
  chunked('a body in chunks', '/buffer', ['hello', 'world']),
  chunked('a body in chunks that is too large', '/buffer', [big]),
  { name: 'a larger body by route', path: '/larger', method: 'POST', body: big },
  { name: 'no buffer by route', path: '/unbuffered', method: 'POST', body: big },
  ...[0, 5, 14, 16, 99].map((status): ParityCase => ({
    name: `gRPC ${status}`,
    method: 'POST',
    headers: grpc,
    path: `/pkg.Service/Call?do=grpc&n=${status}`,
  })),
  { name: 'gRPC without a status', method: 'POST', headers: grpc, path: '/pkg.Service/Call' },
  { name: 'gRPC of our own', method: 'POST', headers: grpc, path: '/refused' },
  {
    name: 'gRPC of a listed method',
    method: 'POST',
    headers: grpc,
    path: '/listed.Service/Listed',
    listener: 'listed',
  },
  {
    name: 'gRPC of another method',
    method: 'POST',
    headers: grpc,
    path: '/listed.Service/Other',
    listener: 'listed',
  },
  { name: 'no gRPC', method: 'POST', path: '/listed.Service/Listed', listener: 'listed' },
]

/** Bytes to a listener of this name: so many connections, one after the other. */
function connections(name: string, count: number): ParityCase[] {
  return Array.from({ length: count }, (_, index) => ({
    name: `connection ${index} to ${name}`,
    listener: name,
    raw: 'GET /tcp HTTP/1.1\r\nhost: any\r\n\r\n',
  }))
}

function gated(name: string, gate: object): object {
  const proxy = typed('tcp', 'filters.network.tcp_proxy.v3.TcpProxy', {
    stat_prefix: name,
    cluster: 'b',
  })
  return listener(name, [gate, proxy])
}

function route(name: string, perFilter: object): object {
  return {
    match: { prefix: `/${name}` },
    route: { cluster: 'a' },
    typed_per_filter_config: perFilter,
  }
}

export const guardScene: Scene = {
  title: 'filters that count, hold and limit, in Envoy and in Tulle',
  listeners: 4,
  cases,
  isInOrder: true,
  adminPath: '/stats',
  bootstrap: (ports) =>
    bootstrapText({
      listeners: [
        listener('main', [
          httpManager({
            stat_prefix: 'main',
            access_log: [
              jsonLog(ports.log, {
                status: '%RESPONSE_CODE%',
                flags: '%RESPONSE_FLAGS%',
                details: '%RESPONSE_CODE_DETAILS%',
                received: '%BYTES_RECEIVED%',
                grpc: '%GRPC_STATUS_NUMBER%',
              }),
            ],
            http_filters: [
              typed('envoy.filters.http.grpc_stats', 'filters.http.grpc_stats.v3.FilterConfig', {
                emit_filter_state: true,
                stats_for_all_methods: false,
              }),
              { name: limited, typed_config: limit('none', {}) },
              typed(buffered, 'filters.http.buffer.v3.Buffer', { max_request_bytes: 1000 }),
              router,
            ],
            route_config: {
              name: 'table',
              virtual_hosts: [
                {
                  name: 'app',
                  domains: ['*'],
                  routes: [
                    ...Object.entries(limits).map(([name, config]) =>
                      route(name, { [limited]: config }),
                    ),
                    route('larger', {
                      [buffered]: {
                        '@type': `${ext}.buffer.v3.BufferPerRoute`,
                        buffer: { max_request_bytes: 3000 },
                      },
                    }),
                    route('unbuffered', {
                      [buffered]: { '@type': `${ext}.buffer.v3.BufferPerRoute`, disabled: true },
                    }),
                    { match: { prefix: '/refused' }, route: { cluster: 'refused' } },
                    { match: { prefix: '/' }, route: { cluster: 'a' } },
                  ],
                },
              ],
            },
          }),
        ]),
        gated(
          'rated',
          typed('rate', 'filters.network.local_ratelimit.v3.LocalRateLimit', {
            stat_prefix: 'rated',
            token_bucket: bucket(2),
          }),
        ),
        gated(
          'one-by-one',
          typed('limit', 'filters.network.connection_limit.v3.ConnectionLimit', {
            stat_prefix: 'one-by-one',
            max_connections: 1,
          }),
        ),
        listener('listed', [
          httpManager({
            stat_prefix: 'listed',
            access_log: [jsonLog(ports.log, {})],
            http_filters: [
              typed('envoy.filters.http.grpc_stats', 'filters.http.grpc_stats.v3.FilterConfig', {
                replace_dots_in_grpc_service_name: true,
                individual_method_stats_allowlist: {
                  services: [{ name: 'listed.Service', method_names: ['Listed'] }],
                },
              }),
              router,
            ],
            route_config: {
              name: 'listed',
              virtual_hosts: [
                {
                  name: 'app',
                  domains: ['*'],
                  routes: [{ match: { prefix: '/' }, route: { cluster: 'b' } }],
                },
              ],
            },
          }),
        ]),
      ],
      clusters: commonClusters(ports),
    }),
}

/** What these filters have counted. */
export function guardStats(text: string): ReadonlyMap<string, number> {
  const stats = new Map<string, number>()
  for (const line of text.split('\n')) {
    const match =
      /^((?:\S+\.http_local_rate_limit|local_rate_limit|connection_limit)\.\S+|cluster\.\S+\.grpc\.\S+): (\d+)$/.exec(
        line,
      )
    const value = Number(match?.[2] ?? 0)
    if (match?.[1] !== undefined && value !== 0) stats.set(match[1], value)
  }
  return new Map([...stats].sort(([left], [right]) => (left < right ? -1 : 1)))
}
