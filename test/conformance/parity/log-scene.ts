/** The scene of access logs: every operator that both know, in JSON and in text, and every kind of filter. */
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
import type { Scene, ScenePorts } from './scene.ts'

/** Compared as they are. */
const plain = [
  'PROTOCOL',
  'UPSTREAM_PROTOCOL',
  'RESPONSE_CODE',
  'RESPONSE_CODE_DETAILS',
  'RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES)',
  'CONNECTION_TERMINATION_DETAILS',
  'RESPONSE_FLAGS',
  'RESPONSE_FLAGS_LONG',
  'BYTES_RECEIVED',
  'BYTES_SENT',
  'BYTES_RETRANSMITTED',
  'PACKETS_RETRANSMITTED',
  'DOWNSTREAM_WIRE_BYTES_RECEIVED',
  'ROUTE_NAME',
  'VIRTUAL_CLUSTER_NAME',
  'UPSTREAM_CLUSTER',
  'UPSTREAM_CLUSTER_RAW',
  'UPSTREAM_HOST',
  'UPSTREAM_HOST_NAME',
  'UPSTREAM_HOST_NAME_WITHOUT_PORT',
  'UPSTREAM_HOSTS_ATTEMPTED',
  'UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT',
  'UPSTREAM_HOST_NAMES_ATTEMPTED',
  'UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT',
  'UPSTREAM_REMOTE_ADDRESS',
  'UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT',
  'UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(16)',
  'UPSTREAM_REMOTE_PORT',
  'UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT',
  'UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID',
  'UPSTREAM_REQUEST_ATTEMPT_COUNT',
  'UPSTREAM_TRANSPORT_FAILURE_REASON',
  'UPSTREAM_TLS_VERSION',
  'UPSTREAM_PEER_SUBJECT',
  'UPSTREAM_SERVER_NAME',
  'DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT(9)',
  'DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID',
  'DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(8)',
  'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(33)',
  'DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT',
  'REQUESTED_SERVER_NAME',
  'REQUESTED_SERVER_NAME(SNI_ONLY)',
  'REQUESTED_SERVER_NAME(SNI_FIRST)',
  'REQUESTED_SERVER_NAME(HOST_FIRST:ORIG)',
  'REQUESTED_SERVER_NAME(HOST_FIRST:HOST)',
  'REQUESTED_SERVER_NAME(SNI_FIRST:ORIG_OR_HOST)',
  'DOWNSTREAM_TLS_VERSION',
  'DOWNSTREAM_TLS_CIPHER',
  'DOWNSTREAM_PEER_URI_SAN',
  'DOWNSTREAM_LOCAL_SUBJECT',
  'DOWNSTREAM_PEER_CERT_V_START',
  'DOWNSTREAM_TRANSPORT_FAILURE_REASON',
  'DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256',
  'DOWNSTREAM_PEER_CHAIN_SERIALS',
  'GRPC_STATUS',
  'GRPC_STATUS(CAMEL_STRING)',
  'GRPC_STATUS(SNAKE_STRING)',
  'GRPC_STATUS(NUMBER)',
  'GRPC_STATUS_NUMBER',
  'REQ(:METHOD)',
  'REQ(:PATH)',
  'REQ(:AUTHORITY)',
  'REQ(:SCHEME)',
  'REQ(X-NONE)',
  'REQ(X-NONE?X-CASE):7',
  'REQ(X-NONE?:METHOD)',
  'REQ(X-CASE):0',
  'REQ(HOST)',
  'REQUEST_HEADER(X-CASE)',
  'REQ(X-ENVOY-ORIGINAL-PATH?:PATH)',
  'REQ(X-ENVOY-ORIGINAL-HOST)',
  'REQ(X-FORWARDED-PROTO)',
  'REQ(USER-AGENT)',
  'REQ(COOKIE)',
  'RESP(:STATUS)',
  'RESP(CONTENT-TYPE)',
  'RESP(X-UPSTREAM)',
  'RESP(SERVER)',
  'RESPONSE_HEADER(CONTENT-LENGTH)',
  'RESP(X-ADDED)',
  'RESP(GRPC-STATUS)',
  'RESP(GRPC-MESSAGE)',
  'TRAILER(X-T)',
  'TRAILER(X-TRAILER)',
  'RESPONSE_TRAILER(X-TRAILER)',
  'RESP(LOCATION)',
  'PATH',
  'PATH(WQ)',
  'PATH(NQ)',
  'PATH(WQ:ORIG)',
  'PATH(NQ:ORIG)',
  'PATH(NQ:PATH)',
  'PATH(NQ:ORIG_OR_PATH):4',
  'QUERY_PARAM(q)',
  'QUERY_PARAM(q):2',
  'QUERY_PARAM(none)',
  'QUERY_PARAMS',
  'QUERY_PARAMS(ORIG)',
  'QUERY_PARAMS(DECODED)',
  'REQUEST_HEADERS_BYTES',
  'RESPONSE_TRAILERS_BYTES',
  'CUSTOM_FLAGS',
  'TRACE_ID',
  'SPAN_ID',
  'ACCESS_LOG_TYPE',
  'FILTER_CHAIN_NAME',
  'HOSTNAME',
  'DYNAMIC_METADATA(x)',
  'DYNAMIC_METADATA(x:y:z):3',
  'METADATA(DYNAMIC:x:y)',
  'DYNAMIC_METADATA(app:name)',
  'CLUSTER_METADATA(app)',
  'CLUSTER_METADATA(app:name)',
  'CLUSTER_METADATA(app:none)',
  'CLUSTER_METADATA(none)',
  'CLUSTER_METADATA(app:name:deeper)',
  'UPSTREAM_METADATA(app)',
  'UPSTREAM_METADATA(app:)',
  'UPSTREAM_METADATA(app:name)',
  'UPSTREAM_METADATA(app:deep)',
  'UPSTREAM_METADATA(app:deep:z)',
  'UPSTREAM_METADATA(app:list)',
  'UPSTREAM_METADATA(app:number)',
  'UPSTREAM_METADATA(app:yes)',
  'UPSTREAM_METADATA(app:nothing)',
  'UPSTREAM_METADATA(app:empty)',
  'METADATA(CLUSTER:app:name)',
  'METADATA(UPSTREAM_HOST:app:name)',
  'METADATA(UPSTREAM_HOST:app:name):3',
  'METADATA(UPSTREAM_HOST)',
  'FILTER_STATE(who)',
  'FILTER_STATE(who:TYPED)',
  'FILTER_STATE(who:PLAIN)',
  'FILTER_STATE(who:PLAIN):3',
  'FILTER_STATE(who:)',
  'FILTER_STATE(who:FIELD:x)',
  'FILTER_STATE(none)',
  'FILTER_STATE(none:PLAIN)',
  'COALESCE({"operators":["UPSTREAM_TLS_VERSION",{"command":"REQ","param":"x-none"},"PROTOCOL"]})',
  'COALESCE({"operators":[{"command":"REQ","param":"x-case","max_length":3},"PROTOCOL"]})',
  'COALESCE({"operators":[{"command":"REQ","param":"x-case"}]}):2',
  'COALESCE({"operators":["UPSTREAM_TLS_VERSION"]})',
  'COALESCE({"operators":[{"command":"COALESCE","param":"{\\"operators\\":[\\"RESPONSE_CODE\\"]}"}]})',
  'COALESCE({"operators":[{"command":"UPSTREAM_METADATA","param":"app:deep"},"RESPONSE_CODE"]})',
  'START_TIME(%%)',
  'START_TIME(%E4n %Q %q %E4Q %EQ %i %L %N %v %+ %)',
  'START_TIME(%%%%)',
  'LOCAL_REPLY_BODY',
  'START_TIME(x)',
]

/** Digits are time or chance, and so only their number's kind is compared. */
const varying = [
  'START_TIME',
  'START_TIME()',
  'START_TIME(%Y/%m/%dT%H:%M:%S%z %s)',
  'START_TIME(%s.%3f)',
  'START_TIME(%f)',
  'START_TIME(%1f %6f)',
  'START_TIME(%E3S|%E0S|%E6S|%Ez)',
  'START_TIME(%y %j %e %I %p %a %b %F %T %Z)',
  'START_TIME(%D %R %B %A %h %C %u %w %k %l)',
  'START_TIME(%c)',
  'START_TIME(%x %X %r)',
  'START_TIME(%G %g %V %U %W)',
  'START_TIME(%E*S %E*f %E4Y)',
  'START_TIME(%E5f %E12S %ET %P %:z)',
  'START_TIME(%-d %_d %0e %-m %_m %-H %-M %-S %-j %_j)',
  'START_TIME(%Ey %EY %EC %Od %OH %Oe %OI %Om %OM %OS %Ou %OV %OW %Ow %Oy %OU)',
  'START_TIME(%Ec %Ex %EX)',
  'START_TIME_LOCAL',
  'START_TIME_LOCAL(%H:%M %z)',
  'EMIT_TIME',
  'EMIT_TIME(%s)',
  'EMIT_TIME_LOCAL',
  'EMIT_TIME_LOCAL(%Y)',
  'DURATION',
  'REQUEST_DURATION',
  'REQUEST_TX_DURATION',
  'RESPONSE_DURATION',
  'RESPONSE_TX_DURATION',
  'ROUNDTRIP_DURATION',
  'DOWNSTREAM_HANDSHAKE_DURATION',
  'UPSTREAM_CONNECTION_POOL_READY_DURATION',
  'COMMON_DURATION(DS_RX_BEG:DS_TX_END:ms)',
  'COMMON_DURATION(DS_RX_BEG:US_TX_BEG:us)',
  'COMMON_DURATION(US_TX_BEG:US_TX_END:ns)',
  'COMMON_DURATION(US_RX_BEG:US_RX_END:us)',
  'COMMON_DURATION(DS_TX_BEG:DS_TX_END:ns)',
  'COMMON_DURATION(DS_RX_END:US_RX_BEG:ms)',
  'COMMON_DURATION(DS_RX_BEG:nothing:ms)',
  'RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)',
  'STREAM_ID',
  'UNIQUE_ID',
  'CONNECTION_ID',
  'UPSTREAM_LOCAL_ADDRESS',
  'UPSTREAM_LOCAL_PORT',
  'DOWNSTREAM_LOCAL_ADDRESS',
  'DOWNSTREAM_LOCAL_PORT',
  'DOWNSTREAM_DIRECT_LOCAL_ADDRESS',
  'DOWNSTREAM_DIRECT_LOCAL_PORT',
  'DOWNSTREAM_REMOTE_ADDRESS',
  'DOWNSTREAM_REMOTE_PORT',
  'DOWNSTREAM_DIRECT_REMOTE_ADDRESS',
  'DOWNSTREAM_DIRECT_REMOTE_PORT',
  'RESPONSE_HEADERS_BYTES',
  'DOWNSTREAM_WIRE_BYTES_SENT',
  'UPSTREAM_WIRE_BYTES_SENT',
  'UPSTREAM_WIRE_BYTES_RECEIVED',
]

const mark = '~ '

function operators(): object {
  return Object.fromEntries([
    ...plain.map((one) => [one, `%${one}%`]),
    ...varying.map((one) => [`${mark}${one}`, `%${one}%`]),
  ])
}

/** Letters and digits of what varies become `x`: shape and kind are left. */
export function maskVarying(entry: unknown): unknown {
  if (typeof entry !== 'object' || entry === null) return entry
  return Object.fromEntries(
    Object.entries(entry).map(([key, value]) => [
      key,
      key.startsWith(mark) ? maskedValue(value) : value,
    ]),
  )
}

function maskedValue(value: unknown): unknown {
  if (typeof value === 'number') return 'a number'
  if (typeof value !== 'string') return value
  return value.replaceAll(/[0-9a-f]+/gi, 'x')
}

const nested = {
  one: '%REQ(X-NONE)%',
  two: {
    three: '%RESPONSE_CODE%',
    four: ['%PROTOCOL%', 'text %REQ(X-NONE)% and %RESPONSE_CODE%', '%REQ(X-NONE)%'],
    empty: '',
  },
  number: 5,
  yes: true,
  nothing: null,
  float: 1.5,
  escaped: '%%"\\',
  both: '%REQ(X-CASE)%%PROTOCOL%',
}

function fileLog(path: string, format: object, more: object = {}): object {
  return {
    ...typed('file', 'access_loggers.file.v3.FileAccessLog', { path, log_format: format }),
    ...more,
  }
}

const comparison = (op: string, value: number): object => ({
  comparison: { op, value: { default_value: value, runtime_key: 'k' } },
})

const filters: Readonly<Record<string, object>> = {
  'status ge': { status_code_filter: comparison('GE', 500) },
  'status eq': { status_code_filter: comparison('EQ', 404) },
  'status le': { status_code_filter: comparison('LE', 200) },
  'duration ge': { duration_filter: comparison('GE', 400) },
  'duration le': { duration_filter: comparison('LE', 400) },
  'no health check': { not_health_check_filter: {} },
  'header present': { header_filter: { header: { name: 'x-log', present_match: true } } },
  'header inverted': {
    header_filter: { header: { name: 'x-log', string_match: { exact: 'a' }, invert_match: true } },
  },
  'any flag': { response_flag_filter: {} },
  'some flags': { response_flag_filter: { flags: ['UF', 'NR'] } },
  'gRPC statuses': { grpc_status_filter: { statuses: ['OK', 'UNAVAILABLE'] } },
  'other gRPC statuses': { grpc_status_filter: { statuses: ['OK', 'UNKNOWN'], exclude: true } },
  both: {
    and_filter: {
      filters: [
        { header_filter: { header: { name: 'x-log', present_match: true } } },
        { status_code_filter: comparison('GE', 400) },
      ],
    },
  },
  either: {
    or_filter: {
      filters: [
        { header_filter: { header: { name: 'x-log', present_match: true } } },
        { status_code_filter: comparison('GE', 400) },
      ],
    },
  },
  always: { runtime_filter: { runtime_key: 'k', percent_sampled: { numerator: 100 } } },
  never: { runtime_filter: { runtime_key: 'k', percent_sampled: { numerator: 0 } } },
  'end of the stream': { log_type_filter: { types: ['DownstreamEnd'] } },
  'not the end of the stream': { log_type_filter: { types: ['DownstreamEnd'], exclude: true } },
  'no metadata': {
    metadata_filter: {
      matcher: { filter: 'x', path: [{ key: 'y' }], value: { bool_match: true } },
    },
  },
  'no metadata, which counts': {
    metadata_filter: {
      matcher: { filter: 'x', path: [{ key: 'y' }], value: { bool_match: true } },
      match_if_key_not_found: false,
    },
  },
}

/** Lines that begin with `filter ` tell which filter let which case pass. */
function filterLogs(path: string): readonly object[] {
  return Object.entries(filters).map(([name, filter]) =>
    fileLog(
      path,
      { text_format_source: { inline_string: `filter ${name}: %REQ(X-CASE)%\n` } },
      { filter },
    ),
  )
}

function textLogs(path: string): readonly object[] {
  const inline = (text: string, more: object = {}): object =>
    fileLog(path, { text_format_source: { inline_string: text }, ...more })
  return [
    inline(
      'text %REQ(X-CASE)% [%REQ(X-NONE)%|%RESPONSE_CODE%|%RESPONSE_FLAGS%|%ROUTE_NAME%|%UPSTREAM_HOST%|%GRPC_STATUS%|100%%]\n',
    ),
    inline(
      'omitted %REQ(X-CASE)% [%REQ(X-NONE)%|%RESPONSE_CODE%|%UPSTREAM_TRANSPORT_FAILURE_REASON%]\n',
      { omit_empty_values: true },
    ),
    fileLog(path, { text_format: 'old %REQ(X-CASE)% %PROTOCOL%\n' }),
    inline(
      'metadata %REQ(X-CASE)% [%UPSTREAM_METADATA(app:deep)%|%METADATA(UPSTREAM_HOST:app:deep):5%|%UPSTREAM_METADATA(app:number)%|%UPSTREAM_METADATA(app:yes)%|%UPSTREAM_METADATA(app:nothing)%|%FILTER_STATE(who)%|%FILTER_STATE(who):4%|%CLUSTER_METADATA(app)%]\n',
    ),
  ]
}

function jsonLogs(path: string): readonly object[] {
  return [
    fileLog(path, { json_format: { nested: '%REQ(X-CASE)%', ...nested } }),
    fileLog(path, {
      json_format: { omitted: '%REQ(X-CASE)%', ...nested },
      omit_empty_values: true,
    }),
    typed('file', 'access_loggers.file.v3.FileAccessLog', {
      path,
      typed_json_format: { typed: '%REQ(X-CASE)%', ...nested },
    }),
    fileLog(path, {
      json_format: { sorted: '%REQ(X-CASE)%', b: '1', a: '2' },
      json_format_options: { sort_properties: true },
    }),
  ]
}

const grpc = { 'content-type': 'application/grpc' }

const cases: readonly ParityCase[] = [
  { name: 'a request', path: '/x?q=value%20x&r=%41%2fb+c&q=2' },
  { name: 'a request with a body', method: 'POST', body: 'hello', path: '/x' },
  {
    name: 'a rewritten path',
    path: '/rewrite/me?q=1',
    headers: { cookie: 'a=b', 'user-agent': 'test' },
  },
  { name: 'no route', path: '/nothing', headers: { 'x-log': 'a' } },
  { name: 'no cluster', path: '/nowhere' },
  { name: 'a refused connection', path: '/refused', headers: { 'x-log': 'b' } },
  { name: 'no endpoint', path: '/empty' },
  { name: 'an overflow', path: '/overflow' },
  { name: 'a direct response', path: '/direct', headers: { 'x-log': 'a' } },
  { name: 'a redirect', path: '/redirect' },
  { name: 'a retry', path: '/retry?do=flaky&n=1' },
  { name: 'retries used up', path: '/retry?do=flaky&n=5' },
  { name: 'a refused connection retried', path: '/retry-refused' },
  { name: 'a time-out', path: '/slow?do=slow&n=400' },
  { name: 'a slow answer', path: '/x?do=slow&n=600' },
  { name: 'a reset', path: '/x?do=reset' },
  { name: 'an answer broken off', path: '/x?do=half' },
  { name: 'gRPC', method: 'POST', headers: grpc, path: '/x?do=grpc&n=0' },
  { name: 'gRPC unavailable', method: 'POST', headers: grpc, path: '/x?do=grpc&n=14' },
  { name: 'gRPC to a refused connection', method: 'POST', headers: grpc, path: '/refused' },
  { name: 'gRPC without a status', method: 'POST', headers: grpc, path: '/x' },
  {
    name: 'gRPC with a status that is none',
    method: 'POST',
    headers: grpc,
    path: '/x?do=grpc&n=99',
  },
  { name: 'HEAD', method: 'HEAD', path: '/x' },
  { name: 'chunks', path: '/x?do=chunked' },
  { name: 'trailers that are dropped', path: '/x?do=trailers' },
  { name: 'trailers that are kept', path: '/trailers?do=trailers' },
  { name: 'trailers of gRPC', method: 'POST', headers: grpc, path: '/trailers?do=grpc-trailers' },
  { name: 'trailers of gRPC, dropped', method: 'POST', headers: grpc, path: '/x?do=grpc-trailers' },
]

function routes(): object {
  const backOff = { retry_back_off: { base_interval: '0.001s', max_interval: '0.002s' } }
  return {
    name: 'table',
    validate_clusters: false,
    virtual_hosts: [
      {
        name: 'app',
        domains: ['app.test'],
        virtual_clusters: [
          { name: 'writes', headers: [{ name: ':method', string_match: { exact: 'POST' } }] },
        ],
        routes: [
          {
            name: 'rewrite',
            match: { prefix: '/rewrite' },
            route: { cluster: 'named', prefix_rewrite: '/new', host_rewrite_literal: 'new.test' },
            response_headers_to_add: [
              {
                header: {
                  key: 'x-added',
                  value:
                    '%UPSTREAM_METADATA(["app", "name"])% %UPSTREAM_METADATA(app:deep)% %PER_REQUEST_STATE(who)% %FILTER_STATE(who)%',
                },
              },
            ],
          },
          { name: 'nowhere', match: { prefix: '/nowhere' }, route: { cluster: 'nowhere' } },
          ...['refused', 'empty', 'overflow'].map((name) => ({
            name,
            match: { prefix: `/${name}` },
            route: { cluster: name },
          })),
          {
            name: 'direct',
            match: { prefix: '/direct' },
            direct_response: { status: 418, body: { inline_string: 'tea' } },
            response_headers_to_add: [{ header: { key: 'x-added', value: 'yes' } }],
          },
          {
            name: 'redirect',
            match: { prefix: '/redirect' },
            redirect: { host_redirect: 'x.test' },
          },
          {
            name: 'retry',
            match: { prefix: '/retry-refused' },
            route: {
              cluster: 'refused',
              retry_policy: { retry_on: 'connect-failure', num_retries: 2, ...backOff },
            },
          },
          {
            name: 'retry',
            match: { prefix: '/retry' },
            route: { cluster: 'a', retry_policy: { retry_on: '5xx', num_retries: 2, ...backOff } },
          },
          { name: 'slow', match: { prefix: '/slow' }, route: { cluster: 'a', timeout: '0.05s' } },
          { name: 'trailers', match: { prefix: '/trailers' }, route: { cluster: 'trailers' } },
          { name: 'x', match: { prefix: '/x' }, route: { cluster: 'a' } },
        ],
      },
    ],
  }
}

const metadata = {
  filter_metadata: {
    app: {
      name: 'endpoint "1"',
      deep: { z: 1, a: { c: true, b: [] } },
      list: ['x', 2, null],
      number: 12,
      yes: true,
      nothing: null,
      empty: '',
    },
  },
}

const state = typed('state', 'filters.network.set_filter_state.v3.Config', {
  on_new_connection: [
    {
      object_key: 'who',
      factory_key: 'envoy.hashable_string',
      format_string: { text_format_source: { inline_string: 'a "caller"' } },
    },
  ],
})

function named({ a }: ScenePorts): object {
  const address = { socket_address: { address: '127.0.0.1', port_value: a } }
  return cluster('named', [], {
    metadata: { filter_metadata: { app: { name: 'cluster' } } },
    load_assignment: {
      cluster_name: 'named',
      endpoints: [
        { lb_endpoints: [{ endpoint: { hostname: 'endpoint.test', address }, metadata }] },
      ],
    },
  })
}

/** Envoy drops the trailers of every other one. */
function trailers({ a }: ScenePorts): object {
  const type = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'
  const options = { http_protocol_options: { enable_trailers: true } }
  return cluster('trailers', [a], {
    typed_extension_protocol_options: {
      [type]: { '@type': `type.googleapis.com/${type}`, explicit_http_config: options },
    },
  })
}

export const logScene: Scene = {
  title: 'access logs in Envoy and in Tulle',
  listeners: 1,
  cases,
  maskLog: maskVarying,
  bootstrap: (ports) =>
    bootstrapText({
      listeners: [
        listener('main', [], {
          filter_chains: [
            {
              name: 'the chain',
              filters: [
                state,
                httpManager({
                  stat_prefix: 'main',
                  http_protocol_options: { enable_trailers: true },
                  route_config: routes(),
                  access_log: [
                    jsonLog(ports.log, operators()),
                    ...textLogs(ports.log),
                    ...jsonLogs(ports.log),
                    ...filterLogs(ports.log),
                  ],
                }),
              ],
            },
          ],
        }),
      ],
      clusters: [...commonClusters(ports), named(ports), trailers(ports)],
    }),
}

/** Lines of the other logs, sorted. */
export function otherLines(log: string): readonly string[] {
  return log
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('{"case"') && !line.includes('"case":'))
    .sort()
}
