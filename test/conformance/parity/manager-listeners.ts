/**
 * One bootstrap with a listener for each setting of the HTTP connection manager, and a cluster for each of its protocol
 * options, before the same upstream; Envoy and Tulle run the same text.
 */
import type { ParityCase } from './case-table.ts'
import type { ScenePorts } from './scene.ts'

const ext = 'type.googleapis.com/envoy.extensions'

const localhost = { address_prefix: '127.0.0.0', prefix_len: 8 }
const privateRanges = [
  { address_prefix: '10.0.0.0', prefix_len: 8 },
  { address_prefix: '192.168.0.0', prefix_len: 16 },
  { address_prefix: 'fd00::', prefix_len: 8 },
]
const http1 = (options: object): object => ({ http_protocol_options: options })
const properCase = { proper_case_words: {} }
const preserveCase = {
  stateful_formatter: {
    name: 'preserve_case',
    typed_config: {
      '@type': `${ext}.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig`,
    },
  },
}

const textOf = (inline: string): object => ({ text_format_source: { inline_string: inline } })
const statusIs = (op: string, value: number): object => ({
  status_code_filter: { comparison: { op, value: { default_value: value, runtime_key: 'none' } } },
})

const routed = (options: object): object => ({
  http_filters: [
    {
      name: 'router',
      typed_config: { '@type': `${ext}.filters.http.router.v3.Router`, ...options },
    },
  ],
})

/** Every client is believed. */
const inside = (options: object): object => ({
  ...routed(options),
  use_remote_address: true,
  internal_address_config: { cidr_ranges: [localhost] },
})

/** By name: what is set beside the usual. */
export const managers = {
  plain: {},
  'strip-matching': { strip_matching_host_port: true },
  'strip-any': { strip_any_host_port: true },
  'strip-dot': { strip_trailing_host_dot: true },
  normalize: { normalize_path: true },
  merge: { merge_slashes: true },
  'keep-slashes': { path_with_escaped_slashes_action: 'KEEP_UNCHANGED', normalize_path: true },
  'reject-slashes': { path_with_escaped_slashes_action: 'REJECT_REQUEST', normalize_path: true },
  'redirect-slashes': {
    path_with_escaped_slashes_action: 'UNESCAPE_AND_REDIRECT',
    normalize_path: true,
    merge_slashes: true,
  },
  'forward-slashes': {
    path_with_escaped_slashes_action: 'UNESCAPE_AND_FORWARD',
    normalize_path: true,
    merge_slashes: true,
  },
  'only-forward-slashes': { path_with_escaped_slashes_action: 'UNESCAPE_AND_FORWARD' },
  'default-slashes': { path_with_escaped_slashes_action: 'IMPLEMENTATION_SPECIFIC_DEFAULT' },
  'drop-underscores': {
    common_http_protocol_options: { headers_with_underscores_action: 'DROP_HEADER' },
  },
  remote: { use_remote_address: true },
  'remote-hops': { use_remote_address: true, xff_num_trusted_hops: 1 },
  'remote-quiet': { use_remote_address: true, skip_xff_append: true },
  'remote-internal': {
    use_remote_address: true,
    internal_address_config: { cidr_ranges: [localhost] },
  },
  internal: { internal_address_config: { cidr_ranges: [localhost] } },
  hops: { xff_num_trusted_hops: 2 },
  private: { internal_address_config: { cidr_ranges: privateRanges } },
  'private-remote': {
    use_remote_address: true,
    internal_address_config: { cidr_ranges: [localhost, ...privateRanges] },
  },
  'private-hop': {
    use_remote_address: true,
    xff_num_trusted_hops: 1,
    internal_address_config: { cidr_ranges: [localhost, ...privateRanges] },
  },
  'private-hops': {
    xff_num_trusted_hops: 1,
    internal_address_config: { cidr_ranges: privateRanges },
  },
  'port-hop': {
    use_remote_address: true,
    xff_num_trusted_hops: 1,
    append_x_forwarded_port: true,
  },
  'server-append': { server_name: 'own', server_header_transformation: 'APPEND_IF_ABSENT' },
  'server-pass': { server_name: 'own', server_header_transformation: 'PASS_THROUGH' },
  'server-own': { server_name: 'own' },
  via: { via: '1.1 own' },
  'keep-request-id': { use_remote_address: true, preserve_external_request_id: true },
  'tell-request-id': { always_set_request_id_in_response: true },
  'no-request-id': { generate_request_id: false, always_set_request_id_in_response: true },
  'forwarded-port': { use_remote_address: true, append_x_forwarded_port: true },
  'scheme-https': { scheme_header_transformation: { scheme_to_overwrite: 'https' } },
  'proper-case': http1({ header_key_format: properCase }),
  'preserve-case': http1({ header_key_format: preserveCase }),
  'stream-errors': { stream_error_on_invalid_http_message: true },
  'stream-errors-http1': http1({ override_stream_error_on_invalid_http_message: true }),
  http10: http1({ accept_http_10: true }),
  'http10-default': http1({ accept_http_10: true, default_host_for_http_10: 'default.test' }),
  'no-absolute': http1({ allow_absolute_url: false }),
  'custom-methods': http1({ allow_custom_methods: true }),
  trailers: http1({ enable_trailers: true }),
  'chunked-length': http1({ allow_chunked_length: true }),
  'few-headers': { common_http_protocol_options: { max_headers_count: 4 } },
  'small-head': { max_request_headers_kb: 1 },
  'one-request': { common_http_protocol_options: { max_requests_per_connection: 1 } },
  strict: inside({
    strict_check_headers: [
      'x-envoy-upstream-rq-timeout-ms',
      'x-envoy-upstream-rq-per-try-timeout-ms',
      'x-envoy-max-retries',
      'x-envoy-retry-on',
      'x-envoy-retry-grpc-on',
    ],
  }),
  'strict-some': inside({ strict_check_headers: ['x-envoy-max-retries'] }),
  'respect-expected': inside({ respect_expected_rq_timeout: true }),
  'pass-100': { proxy_100_continue: true },
  'no-websocket': { upgrade_configs: [{ upgrade_type: 'websocket', enabled: false }] },
  'local-replies': {
    local_reply_config: {
      mappers: [
        {
          filter: statusIs('EQ', 404),
          status_code: 451,
          body: { inline_string: 'gone away' },
          headers_to_add: [
            { header: { key: 'x-mapped', value: '%RESPONSE_CODE%' } },
            { header: { key: 'x-mapped', value: 'again' } },
            {
              header: { key: 'content-type', value: 'text/odd' },
              append_action: 'OVERWRITE_IF_EXISTS_OR_ADD',
            },
          ],
        },
        {
          filter: { header_filter: { header: { name: 'x-map', string_match: { exact: 'json' } } } },
          body_format_override: {
            json_format: {
              status: '%RESPONSE_CODE%',
              text: '%LOCAL_REPLY_BODY%',
              path: '%REQ(:PATH)%',
              nothing: '%REQ(X-NOTHING)%',
            },
          },
        },
        {
          filter: { response_flag_filter: { flags: ['UF'] } },
          status_code: 502,
          body_format_override: {
            ...textOf('<b>%LOCAL_REPLY_BODY%</b> %RESPONSE_CODE%\n'),
            content_type: 'text/html; charset=UTF-8',
          },
        },
        {
          filter: { and_filter: { filters: [statusIs('GE', 500), statusIs('LE', 503)] } },
          headers_to_add: [{ header: { key: 'x-five', value: '%RESPONSE_FLAGS%' } }],
        },
      ],
      body_format: textOf('%LOCAL_REPLY_BODY%|%RESPONSE_CODE%|%RESPONSE_CODE_DETAILS%'),
    },
  },
  'local-replies-json': {
    local_reply_config: {
      body_format: {
        json_format: {
          code: '%RESPONSE_CODE%',
          body: '%LOCAL_REPLY_BODY%',
          flags: '%RESPONSE_FLAGS%',
        },
      },
    },
  },
} as const satisfies Readonly<Record<string, object>>

export type ManagerName = keyof typeof managers

export interface ManagerCase extends Omit<ParityCase, 'listener' | 'stricter'> {
  readonly listener: ManagerName
}

/** By name: the protocol options of a cluster. */
const clusters: Readonly<Record<string, object>> = {
  a: {},
  'max-duration': {
    common_http_protocol_options: { max_stream_duration: '0.1s' },
    explicit_http_config: { http_protocol_options: {} },
  },
  'full-url': {
    explicit_http_config: { http_protocol_options: { send_fully_qualified_url: true } },
  },
  'proper-case-up': {
    explicit_http_config: { http_protocol_options: { header_key_format: properCase } },
  },
  'preserve-case-up': {
    explicit_http_config: { http_protocol_options: { header_key_format: preserveCase } },
  },
  'trailers-up': { explicit_http_config: { http_protocol_options: { enable_trailers: true } } },
  'few-headers-up': {
    common_http_protocol_options: { max_headers_count: 3 },
    explicit_http_config: { http_protocol_options: {} },
  },
}

const filters = `${ext}.filters`

export function managerBootstrap(options: ScenePorts): string {
  return JSON.stringify({
    node: { id: 'parity', cluster: 'parity-cluster' },
    admin: { address: address(0) },
    static_resources: {
      listeners: Object.entries(managers).map(([name, manager]) =>
        listener(name, manager, options),
      ),
      clusters: [
        ...Object.entries(clusters).map(([name, protocol]) => cluster(name, options.a, protocol)),
        cluster('refused', options.refused, {}),
      ],
    },
  })
}

function address(port: number): object {
  return { socket_address: { address: '127.0.0.1', port_value: port } }
}

function listener(name: string, manager: object, { log }: ScenePorts): object {
  const whole = {
    '@type': `${filters}.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: name,
    delayed_close_timeout: '0.02s',
    upgrade_configs: [{ upgrade_type: 'websocket' }],
    access_log: [
      {
        name: 'file',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog',
          path: log,
          log_format: { json_format: logFormat },
        },
      },
    ],
    route_config: {
      name: 'table',
      validate_clusters: false,
      virtual_hosts: [{ name: 'all', domains: ['*'], routes }],
    },
    http_filters: [
      { name: 'router', typed_config: { '@type': `${filters}.http.router.v3.Router` } },
    ],
    ...manager,
  }
  return {
    name,
    address: address(0),
    filter_chains: [{ filters: [{ name: 'hcm', typed_config: whole }] }],
  }
}

const logFormat = {
  case: '%REQ(X-CASE)%',
  status: '%RESPONSE_CODE%',
  flags: '%RESPONSE_FLAGS%',
  details: '%RESPONSE_CODE_DETAILS%',
  protocol: '%PROTOCOL%',
  remote: '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%',
  received: '%BYTES_RECEIVED%',
  sent: '%BYTES_SENT%',
  path: '%REQ(:PATH)%',
  authority: '%REQ(:AUTHORITY)%',
}

const routes: readonly object[] = [
  {
    match: { path: '/none' },
    direct_response: { status: 404, body: { inline_string: 'not here' } },
  },
  {
    match: { path: '/quoted' },
    direct_response: { status: 410, body: { inline_string: 'say "no"\n<b>caf\u00e9</b>\n' } },
  },
  { match: { path: '/refused' }, route: { cluster: 'refused' } },
  { match: { path: '/nowhere' }, route: { cluster: 'nowhere' } },
  { match: { path: '/redirect' }, redirect: { path_redirect: '/there' } },
  ...Object.keys(clusters).map((name) => ({
    match: { prefix: `/${name}/` },
    route: { cluster: name, timeout: '2s' },
  })),
  { match: { prefix: '/' }, route: { cluster: 'a' } },
]

function cluster(name: string, port: number, protocol: object): object {
  const type = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'
  const own = Object.keys(protocol).length > 0
  return {
    name,
    connect_timeout: '1s',
    ...(own && {
      typed_extension_protocol_options: {
        [type]: { '@type': `type.googleapis.com/${type}`, ...protocol },
      },
    }),
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }],
    },
  }
}
