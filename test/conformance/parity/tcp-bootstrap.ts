/** The bootstrap of the comparison below HTTP: one listener for each thing that is compared. */
const ext = 'type.googleapis.com/envoy.extensions'

const tlsInspector = listenerFilter('tls_inspector', 'TlsInspector')
const httpInspector = listenerFilter('http_inspector', 'HttpInspector')
const proxyProtocol = (settings: object = {}) =>
  listenerFilter('proxy_protocol', 'ProxyProtocol', settings)

function listenerFilter(name: string, type: string, settings: object = {}) {
  return {
    name: `envoy.filters.listener.${name}`,
    typed_config: { '@type': `${ext}.filters.listener.${name}.v3.${type}`, ...settings },
  }
}

const tunneled = { tunneling_config: { hostname: 'db.internal:5432' } }

const http1 = ['http/1.1', 'http/1.0', 'h2c']
const sniffing = {
  listener_filters: [tlsInspector, httpInspector],
  listener_filters_timeout: '0.3s',
  continue_on_listener_filters_timeout: true,
}

export const tcpListeners = [
  'sni',
  'sniff',
  'sniff-greeter',
  'closes-silent',
  'proxy',
  'proxy-optional',
  'proxy-v2-only',
  'proxy-v2-optional',
  'to-proxy-v1',
  'to-proxy-v2',
  'http-to-proxy',
  'retry',
  'blackhole',
  'tunnel',
  'via-proxy',
  'via-refusal',
  'via-post',
  'via-post-path',
  'via-post-refused',
  'via-post-empty',
  'via-post-created',
  'via-post-2',
  'via-post-2-refused',
  'via-post-2-empty',
  'via-post-2-created',
  'via-connect-2',
] as const

export type TcpListener = (typeof tcpListeners)[number]

export function tcpBootstrap(ports: ReadonlyMap<string, number>, log: string): object {
  const logging = (format: string): object[] => [
    {
      name: 'envoy.access_loggers.file',
      typed_config: {
        '@type': `${ext}.access_loggers.file.v3.FileAccessLog`,
        path: log,
        log_format: { text_format_source: { inline_string: `${format}\n` } },
      },
    },
  ]
  const tcp = (cluster: string, more: object = {}): object[] => [
    {
      name: 'envoy.filters.network.tcp_proxy',
      typed_config: {
        '@type': `${ext}.filters.network.tcp_proxy.v3.TcpProxy`,
        stat_prefix: 'tcp',
        cluster,
        ...more,
      },
    },
  ]
  const whose = logging('%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %UPSTREAM_CLUSTER%')
  const posts = (cluster: string, path?: string) => {
    const tunnel = {
      hostname: 'db.internal:5432',
      use_post: true,
      ...(path && { post_path: path }),
    }
    return { filter_chains: [{ filters: tcp(cluster, { tunneling_config: tunnel }) }] }
  }
  const restored = (cluster: string) => tcp(cluster, { access_log: whose })
  const listeners: Readonly<Record<TcpListener, object>> = {
    sni: {
      listener_filters: [tlsInspector],
      filter_chains: [
        { filter_chain_match: { server_names: ['a.example.com'] }, filters: tcp('a') },
        { filter_chain_match: { server_names: ['*.example.com'] }, filters: tcp('b') },
      ],
      default_filter_chain: { filters: tcp('c') },
    },
    sniff: { ...sniffing, filter_chains: sniffedChains(tcp, 'c') },
    'sniff-greeter': { ...sniffing, filter_chains: sniffedChains(tcp, 'greeter') },
    'closes-silent': {
      ...sniffing,
      continue_on_listener_filters_timeout: false,
      filter_chains: sniffedChains(tcp, 'greeter'),
    },
    proxy: {
      listener_filters: [proxyProtocol(), tlsInspector],
      listener_filters_timeout: '0.3s',
      filter_chains: [
        {
          filter_chain_match: {
            direct_source_prefix_ranges: [range('127.0.0.0', 8)],
            source_prefix_ranges: [range('10.0.0.0', 8)],
          },
          filters: restored('a'),
        },
        {
          filter_chain_match: { destination_port: 9999 },
          filters: restored('b'),
        },
        {
          filter_chain_match: { direct_source_prefix_ranges: [range('127.0.0.0', 8)] },
          filters: tcp('c'),
        },
      ],
    },
    'proxy-optional': {
      listener_filters: [proxyProtocol({ allow_requests_without_proxy_protocol: true })],
      filter_chains: [{ filters: tcp('a') }],
    },
    'proxy-v2-only': {
      listener_filters: [proxyProtocol({ disallowed_versions: ['V1'] })],
      filter_chains: [{ filters: restored('a') }],
    },
    'proxy-v2-optional': {
      listener_filters: [
        proxyProtocol({ disallowed_versions: ['V1'], allow_requests_without_proxy_protocol: true }),
      ],
      filter_chains: [{ filters: tcp('a') }],
    },
    'to-proxy-v1': {
      filter_chains: [{ filters: tcp('told-v1') }],
      listener_filters: [proxyProtocol()],
    },
    'to-proxy-v2': {
      filter_chains: [{ filters: tcp('told-v2') }],
      listener_filters: [proxyProtocol()],
    },
    'http-to-proxy': {
      listener_filters: [proxyProtocol()],
      filter_chains: [{ filters: http({ route: { cluster: 'told-v1' } }) }],
    },
    retry: { filter_chains: [{ filters: tcp('half-dead', { max_connect_attempts: 4 }) }] },
    blackhole: { filter_chains: [{ filters: tcp('nothing') }] },
    'via-proxy': { filter_chains: [{ filters: tcp('proxy', tunneled) }] },
    'via-refusal': { filter_chains: [{ filters: tcp('refusal', tunneled) }] },
    'via-post': posts('poster'),
    'via-post-path': posts('poster', '/tunnel?to=db'),
    'via-post-refused': posts('poster', '/refuse'),
    'via-post-empty': posts('poster', '/empty'),
    'via-post-created': posts('poster', '/created'),
    'via-post-2': posts('poster-2'),
    'via-post-2-refused': posts('poster-2', '/refuse'),
    'via-post-2-empty': posts('poster-2', '/empty'),
    'via-post-2-created': posts('poster-2', '/created'),
    'via-connect-2': { filter_chains: [{ filters: tcp('poster-2', tunneled) }] },
    tunnel: { filter_chains: [{ filters: http({ route: tunnelTo('inside') }, true) }] },
  }
  return {
    admin: { address: socketAddress(0) },
    bootstrap_extensions: [
      {
        name: 'envoy.bootstrap.internal_listener',
        typed_config: {
          '@type': `${ext}.bootstrap.internal_listener.v3.InternalListener`,
        },
      },
    ],
    static_resources: {
      listeners: [
        ...Object.entries(listeners).map(([name, listener]) => ({
          name,
          stat_prefix: name,
          address: socketAddress(0),
          ...listener,
        })),
        {
          name: 'inside',
          internal_listener: {},
          ...sniffing,
          filter_chains: sniffedChains(tcp, 'c'),
        },
      ],
      clusters: [
        ...['a', 'b', 'c', 'greeter', 'proxy', 'refusal', 'poster'].map((name) =>
          cluster(name, [ports.get(name) ?? 0]),
        ),
        overHttp2(cluster('poster-2', [ports.get('poster-2') ?? 0])),
        told('told-v1', 'V1', ports.get('a') ?? 0),
        told('told-v2', 'V2', ports.get('a') ?? 0),
        // The first is refused: nobody listens on port 1.
        { ...cluster('half-dead', [1, ports.get('a') ?? 0]), lb_policy: 'ROUND_ROBIN' },
        cluster('nothing', []),
        {
          ...cluster('inside', []),
          load_assignment: {
            cluster_name: 'inside',
            endpoints: [
              {
                lb_endpoints: [
                  {
                    endpoint: {
                      address: { envoy_internal_address: { server_listener_name: 'inside' } },
                    },
                  },
                ],
              },
            ],
          },
        },
      ],
    },
  }
}

function sniffedChains(tcp: (cluster: string) => object[], cluster: string): readonly object[] {
  return [
    {
      filter_chain_match: { application_protocols: http1, transport_protocol: 'raw_buffer' },
      filters: http({ direct_response: { status: 200, body: { inline_string: 'it is HTTP' } } }),
    },
    {
      filter_chain_match: { server_names: ['a.example.com'], transport_protocol: 'tls' },
      filters: tcp('a'),
    },
    { filter_chain_match: { transport_protocol: 'tls' }, filters: tcp('b') },
    { filter_chain_match: { transport_protocol: 'raw_buffer' }, filters: tcp(cluster) },
  ]
}

function http(action: object, isTunnel = false): readonly object[] {
  return [
    {
      name: 'envoy.filters.network.http_connection_manager',
      typed_config: {
        '@type': `${ext}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
        stat_prefix: 'http',
        generate_request_id: false,
        http_protocol_options: { accept_http_10: true },
        ...(isTunnel && { upgrade_configs: [{ upgrade_type: 'CONNECT' }] }),
        route_config: {
          virtual_hosts: [
            {
              name: 'all',
              domains: ['*'],
              routes: [{ match: isTunnel ? { connect_matcher: {} } : { prefix: '/' }, ...action }],
            },
          ],
        },
        http_filters: [
          {
            name: 'envoy.filters.http.router',
            typed_config: { '@type': `${ext}.filters.http.router.v3.Router` },
          },
        ],
      },
    },
  ]
}

function tunnelTo(name: string): object {
  return { cluster: name, upgrade_configs: [{ upgrade_type: 'CONNECT', connect_config: {} }] }
}

function cluster(name: string, ports: readonly number[]): object {
  return {
    name,
    type: 'STATIC',
    connect_timeout: '1s',
    load_assignment: {
      cluster_name: name,
      endpoints: [
        {
          lb_endpoints: ports.map((port) => ({ endpoint: { address: socketAddress(port) } })),
        },
      ],
    },
  }
}

function overHttp2(cluster: object): object {
  const type = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'
  return {
    ...cluster,
    typed_extension_protocol_options: {
      [type]: {
        '@type': `type.googleapis.com/${type}`,
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
  }
}

function told(name: string, version: 'V1' | 'V2', port: number): object {
  return {
    ...cluster(name, [port]),
    transport_socket: {
      name: 'envoy.transport_sockets.upstream_proxy_protocol',
      typed_config: {
        '@type': `${ext}.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport`,
        config: { version },
        transport_socket: {
          name: 'envoy.transport_sockets.raw_buffer',
          typed_config: { '@type': `${ext}.transport_sockets.raw_buffer.v3.RawBuffer` },
        },
      },
    },
  }
}

function range(address: string, length: number): object {
  return { address_prefix: address, prefix_len: length }
}

function socketAddress(port: number): object {
  return { socket_address: { address: '127.0.0.1', port_value: port } }
}
