/** One proxy with HTTP/2 listeners before an HTTP/1.1 and an HTTP/2 upstream; Envoy and Tulle run the same text. */
const ext = 'type.googleapis.com/envoy.extensions'

export interface Http2BootstrapOptions {
  readonly http1: number
  readonly http2: number
  readonly accessLog: string
}

const logFormat = {
  case: '%REQ(X-CASE)%',
  protocol: '%PROTOCOL%',
  method: '%REQ(:METHOD)%',
  path: '%REQ(:PATH)%',
  authority: '%REQ(:AUTHORITY)%',
  code: '%RESPONSE_CODE%',
  flags: '%RESPONSE_FLAGS%',
  details: '%RESPONSE_CODE_DETAILS%',
  received: '%BYTES_RECEIVED%',
  sent: '%BYTES_SENT%',
  grpc: '%GRPC_STATUS%',
}

export function http2Bootstrap(options: Http2BootstrapOptions): string {
  const plain = { stat_prefix: 'main' }
  const gentle = {
    stat_prefix: 'gentle',
    http2_protocol_options: {
      override_stream_error_on_invalid_http_message: true,
      allow_connect: true,
    },
    upgrade_configs: [{ upgrade_type: 'websocket' }],
    common_http_protocol_options: { headers_with_underscores_action: 'REJECT_REQUEST' },
  }
  const strict = {
    stat_prefix: 'strict',
    common_http_protocol_options: {
      headers_with_underscores_action: 'DROP_HEADER',
      max_headers_count: 20,
    },
    max_request_headers_kb: 8,
  }
  return JSON.stringify({
    node: { id: 'parity', cluster: 'parity' },
    admin: { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } },
    static_resources: {
      listeners: [
        listener('main', plain, options),
        listener('gentle', gentle, options),
        listener('strict', strict, options),
      ],
      clusters: [
        cluster('one', options.http1, false),
        cluster('two', options.http2, true),
        cluster('nobody', 1, true),
      ],
    },
  })
}

function listener(name: string, more: object, { accessLog }: Http2BootstrapOptions): object {
  const log = {
    name: 'file',
    typed_config: {
      '@type': `${ext}.access_loggers.file.v3.FileAccessLog`,
      path: accessLog,
      log_format: { json_format: logFormat },
    },
  }
  const manager = {
    '@type': `${ext}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes }] },
    generate_request_id: false,
    http_filters: [
      {
        name: 'envoy.filters.http.router',
        typed_config: { '@type': `${ext}.filters.http.router.v3.Router` },
      },
    ],
    access_log: [log],
    ...more,
  }
  return {
    name,
    address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
    filter_chains: [
      {
        filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }],
      },
    ],
  }
}

const retry = { retry_on: 'unavailable,refused-stream', num_retries: 1 }

const routes = [
  { match: { prefix: '/direct' }, direct_response: { status: 200, body: { inline_string: 'hi' } } },
  { match: { prefix: '/redirect' }, redirect: { path_redirect: '/there' } },
  { match: { prefix: '/nobody' }, route: { cluster: 'nobody' } },
  { match: { prefix: '/retry' }, route: { cluster: 'two', retry_policy: retry } },
  {
    match: { prefix: '/deadline' },
    route: { cluster: 'two', max_stream_duration: { grpc_timeout_header_max: '0.2s' } },
  },
  { match: { prefix: '/slow' }, route: { cluster: 'two', timeout: '0.1s' } },
  { match: { prefix: '/one' }, route: { cluster: 'one' } },
  { match: { prefix: '/two' }, route: { cluster: 'two' } },
]

function cluster(name: string, port: number, isHttp2: boolean): object {
  const address = { socket_address: { address: '127.0.0.1', port_value: port } }
  return {
    name,
    type: 'STATIC',
    connect_timeout: '1s',
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }],
    },
    ...(isHttp2 && {
      typed_extension_protocol_options: {
        'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
          '@type': `${ext}.upstreams.http.v3.HttpProtocolOptions`,
          explicit_http_config: { http2_protocol_options: {} },
        },
      },
    }),
  }
}
