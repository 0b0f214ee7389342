/** The listeners and clusters of the stories about connections: each has one setting of its own. */
import { bootstrapText, cluster, jsonLog, listener, router, typed } from './bootstrap-parts.ts'

export interface ConnectionPorts {
  readonly http1: number
  readonly http2: number
  readonly log: string
}

const logFields = {
  start: '%START_TIME(%s.%3f)%',
  protocol: '%PROTOCOL%',
  method: '%REQ(:METHOD)%',
  path: '%REQ(:PATH)%',
  code: '%RESPONSE_CODE%',
  flags: '%RESPONSE_FLAGS%',
  details: '%RESPONSE_CODE_DETAILS%',
  termination: '%CONNECTION_TERMINATION_DETAILS%',
  received: '%BYTES_RECEIVED%',
  sent: '%BYTES_SENT%',
  grpc: '%GRPC_STATUS%',
  cluster: '%UPSTREAM_CLUSTER%',
  attempts: '%UPSTREAM_REQUEST_ATTEMPT_COUNT%',
}

/** Settings of a connection manager, by the name of its listener. */
const managers: Readonly<Record<string, object>> = {
  main: {},
  idle: { common_http_protocol_options: { idle_timeout: '0.3s' }, drain_timeout: '0.3s' },
  'stream-idle': { stream_idle_timeout: '0.3s' },
  'max-duration': {
    common_http_protocol_options: { max_connection_duration: '0.3s' },
    drain_timeout: '0.2s',
  },
  delayed: { delayed_close_timeout: '0.4s' },
  undelayed: { delayed_close_timeout: '0s' },
  old: { http_protocol_options: { accept_http_10: true, default_host_for_http_10: 'old.test' } },
  passing: { proxy_100_continue: true },
  trailers: { http_protocol_options: { enable_trailers: true } },
  few: { common_http_protocol_options: { max_requests_per_connection: 2 } },
  upgrade: {
    upgrade_configs: [{ upgrade_type: 'websocket' }, { upgrade_type: 'other' }],
    http2_protocol_options: { allow_connect: true },
  },
  timely: { request_timeout: '0.3s', request_headers_timeout: '0.2s' },
  'stream-duration': {
    common_http_protocol_options: { max_stream_duration: '0.3s' },
    upgrade_configs: [{ upgrade_type: 'websocket' }],
  },
  connect: {
    upgrade_configs: [{ upgrade_type: 'CONNECT' }],
    http2_protocol_options: { allow_connect: true },
    strip_any_host_port: true,
  },
}

const routes: readonly object[] = [
  { match: { prefix: '/direct' }, direct_response: { status: 200, body: { inline_string: 'hi' } } },
  { match: { prefix: '/none' }, direct_response: { status: 204 } },
  { match: { prefix: '/two' }, route: { cluster: 'two' } },
  { match: { prefix: '/trailers' }, route: { cluster: 'trailers' } },
  { match: { prefix: '/up-idle' }, route: { cluster: 'up-idle' } },
  { match: { prefix: '/up-few' }, route: { cluster: 'up-few' } },
  { match: { prefix: '/up-aged-two' }, route: { cluster: 'up-aged-two' } },
  { match: { prefix: '/up-aged' }, route: { cluster: 'up-aged' } },
  { match: { prefix: '/up-old' }, route: { cluster: 'up-old' } },
  { match: { prefix: '/stream-idle' }, route: { cluster: 'one', idle_timeout: '0.3s' } },
  {
    match: { connect_matcher: {}, headers: [{ name: 'x-end', present_match: true }] },
    route: {
      cluster: 'one',
      timeout: '0.3s',
      upgrade_configs: [{ upgrade_type: 'CONNECT', connect_config: {} }],
    },
  },
  {
    match: { connect_matcher: {}, headers: [{ name: 'x-two', present_match: true }] },
    route: { cluster: 'two', timeout: '0.3s' },
  },
  { match: { connect_matcher: {} }, route: { cluster: 'one', timeout: '0.3s' } },
  { match: { prefix: '/timeout-two' }, route: { cluster: 'two', timeout: '0.3s' } },
  { match: { prefix: '/timeout' }, route: { cluster: 'one', timeout: '0.3s' } },
  {
    match: { prefix: '/duration' },
    route: { cluster: 'one', max_stream_duration: { max_stream_duration: '0.3s' } },
  },
  {
    match: { prefix: '/try-idle' },
    route: {
      cluster: 'one',
      retry_policy: { retry_on: 'reset,5xx', num_retries: 1, per_try_idle_timeout: '0.25s' },
    },
  },
  {
    match: { prefix: '/try' },
    route: {
      cluster: 'one',
      retry_policy: { retry_on: 'reset,5xx', num_retries: 1, per_try_timeout: '0.25s' },
    },
  },
  {
    match: { prefix: '/later' },
    route: {
      cluster: 'one',
      timeout: '0.3s',
      retry_policy: {
        retry_on: 'reset,5xx',
        num_retries: 1,
        rate_limited_retry_back_off: {
          reset_headers: [{ name: 'retry-after', format: 'SECONDS' }],
          max_interval: '5s',
        },
      },
    },
  },
  {
    match: { prefix: '/retry-two' },
    route: {
      cluster: 'two',
      retry_policy: { retry_on: 'reset,refused-stream,5xx', num_retries: 1 },
    },
  },
  {
    match: { prefix: '/retry' },
    route: {
      cluster: 'one',
      retry_policy: { retry_on: 'reset,5xx', num_retries: 1 },
    },
  },
  { match: { prefix: '/' }, route: { cluster: 'one' } },
]

function upstreamHttp(fields: object): object {
  return {
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicit_http_config: { http_protocol_options: {} },
        ...fields,
      },
    },
  }
}

function manager(name: string, settings: object, log: string): object {
  return typed('hcm', 'filters.network.http_connection_manager.v3.HttpConnectionManager', {
    stat_prefix: name,
    generate_request_id: false,
    delayed_close_timeout: '0.1s',
    http_filters: [router],
    route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes }] },
    access_log: [jsonLog(log, logFields)],
    ...settings,
  })
}

function tcp(name: string, log: string, settings: object = {}): object {
  const { start, flags, details, termination, received, sent } = logFields
  return listener(
    name,
    [
      typed('tcp', 'filters.network.tcp_proxy.v3.TcpProxy', {
        stat_prefix: name,
        cluster: 'one',
        access_log: [jsonLog(log, { start, flags, details, termination, received, sent })],
        ...settings,
      }),
    ],
    { stat_prefix: name },
  )
}

/** Names of all listeners. */
export const connectionListeners: readonly string[] = [...Object.keys(managers), 'tcp', 'tcp-idle']

export function connectionBootstrap({ http1, http2, log }: ConnectionPorts): string {
  return bootstrapText({
    listeners: [
      ...Object.entries(managers).map(([name, settings]) =>
        listener(name, [manager(name, settings, log)], { stat_prefix: name }),
      ),
      tcp('tcp', log),
      tcp('tcp-idle', log, { idle_timeout: '0.3s' }),
    ],
    clusters: [
      cluster('one', [http1]),
      cluster(
        'two',
        [http2],
        upstreamHttp({ explicit_http_config: { http2_protocol_options: {} } }),
      ),
      cluster(
        'trailers',
        [http1],
        upstreamHttp({
          explicit_http_config: { http_protocol_options: { enable_trailers: true } },
        }),
      ),
      cluster(
        'up-idle',
        [http1],
        upstreamHttp({ common_http_protocol_options: { idle_timeout: '0.3s' } }),
      ),
      cluster(
        'up-few',
        [http1],
        upstreamHttp({ common_http_protocol_options: { max_requests_per_connection: 1 } }),
      ),
      cluster(
        'up-aged',
        [http1],
        upstreamHttp({ common_http_protocol_options: { max_connection_duration: '0.3s' } }),
      ),
      cluster(
        'up-aged-two',
        [http2],
        upstreamHttp({
          common_http_protocol_options: { max_connection_duration: '0.3s' },
          explicit_http_config: { http2_protocol_options: {} },
        }),
      ),
      cluster(
        'up-old',
        [http1],
        upstreamHttp({ explicit_http_config: { http_protocol_options: { accept_http_10: true } } }),
      ),
    ],
  })
}
