/**
 * Bootstraps of the two ends of a hop, as Istio lays them out: an inbound listener whose chains ask for TLS, and an outbound
 * one whose cluster speaks TLS to endpoints that can. A real Envoy runs the same text.
 */
const ext = 'type.googleapis.com/envoy.extensions'
const router = {
  name: 'envoy.filters.http.router',
  typed_config: { '@type': `${ext}.filters.http.router.v3.Router` },
}

export interface InboundOptions {
  /** A DownstreamTlsContext as a transport socket. */
  readonly tls: object
  readonly mode?: 'strict' | 'permissive'
  readonly accessLog?: string
  /** More fields of the HTTP connection manager; Istio's for client certificates unless given. */
  readonly manager?: object
  /** More fields of its one route. */
  readonly route?: object
  readonly tcp?: boolean
}

export function inboundBootstrap(
  options: InboundOptions & {
    readonly appPort: number
    readonly clusters?: readonly object[]
    readonly secrets?: readonly object[]
  },
): string {
  const { appPort, clusters = [], secrets = [] } = options
  return bootstrapOf({
    listeners: [inboundListener('inbound|80||', options)],
    clusters: [staticCluster('app', appPort), ...clusters],
    secrets,
  })
}

/** To the cluster `app`. */
export function inboundListener(name: string, options: InboundOptions): object {
  const { tls, mode = 'strict' } = options
  const filters = options.tcp === true ? [tcpProxy('app')] : [inboundManager(options)]
  const secure = {
    filter_chain_match: { transport_protocol: 'tls' },
    filters,
    transport_socket: tls,
  }
  const plain = { filter_chain_match: { transport_protocol: 'raw_buffer' }, filters }
  return {
    name,
    traffic_direction: 'INBOUND',
    address: anyPort,
    listener_filters: [inspector('tls')],
    filter_chains: mode === 'strict' ? [secure] : [secure, plain],
  }
}

export interface OutboundOptions {
  /** An UpstreamTlsContext as a transport socket. */
  readonly tls: object
  readonly port: number
  readonly accessLog?: string
  /** More fields of the HTTP connection manager. */
  readonly manager?: object
  /** More fields of its one route. */
  readonly route?: object
  readonly tcp?: boolean
  /** Plaintext to endpoints without `tlsMode`; the one endpoint has it unless this says no. */
  readonly hasSidecar?: boolean
}

export function outboundBootstrap(
  options: OutboundOptions & { readonly clusters?: readonly object[] },
): string {
  const { clusters = [] } = options
  return bootstrapOf({
    listeners: [outboundListener('outbound', 'out', options)],
    clusters: [outboundCluster('out', options), ...clusters],
  })
}

export function outboundListener(name: string, cluster: string, options: OutboundOptions): object {
  const { accessLog } = options
  const http = manager(cluster, {
    cluster,
    accessLog,
    route: options.route,
    more: options.manager ?? {},
  })
  return {
    name,
    traffic_direction: 'OUTBOUND',
    address: anyPort,
    filter_chains: [{ filters: [options.tcp === true ? tcpProxy(cluster) : http] }],
  }
}

export function outboundCluster(name: string, options: OutboundOptions): object {
  const { port, tls, hasSidecar = true } = options
  return {
    ...staticCluster(name, port, hasSidecar ? { tlsMode: 'istio' } : undefined),
    transport_socket_matches: [
      { name: 'tlsMode-istio', match: { tlsMode: 'istio' }, transport_socket: tls },
      {
        name: 'tlsMode-disabled',
        match: {},
        transport_socket: {
          name: 'envoy.transport_sockets.raw_buffer',
          typed_config: { '@type': `${ext}.transport_sockets.raw_buffer.v3.RawBuffer` },
        },
      },
    ],
  }
}

export const loggedFields = {
  peer: '%DOWNSTREAM_PEER_URI_SAN%',
  local: '%DOWNSTREAM_LOCAL_URI_SAN%',
  version: '%DOWNSTREAM_TLS_VERSION%',
  server_name: '%REQUESTED_SERVER_NAME%',
  subject: '%DOWNSTREAM_PEER_SUBJECT%',
  issuer: '%DOWNSTREAM_PEER_ISSUER%',
  serial: '%DOWNSTREAM_PEER_SERIAL%',
  fingerprint: '%DOWNSTREAM_PEER_FINGERPRINT_256%',
  starts: '%DOWNSTREAM_PEER_CERT_V_START%',
  ends: '%DOWNSTREAM_PEER_CERT_V_END%',
  upstream_peer: '%UPSTREAM_PEER_URI_SAN%',
  upstream_version: '%UPSTREAM_TLS_VERSION%',
  path: '%REQ(:PATH)%',
  code: '%RESPONSE_CODE%',
}

function inboundManager(options: InboundOptions): object {
  return manager('in', {
    cluster: 'app',
    accessLog: options.accessLog,
    route: options.route,
    more: options.manager ?? {
      forward_client_cert_details: 'APPEND_FORWARD',
      set_current_client_cert_details: { subject: true, dns: true, uri: true },
    },
  })
}

function manager(
  prefix: string,
  options: {
    readonly cluster: string
    readonly accessLog: string | undefined
    /** More fields of the one route. */
    readonly route?: object | undefined
    readonly more: object
  },
): object {
  const { cluster, accessLog, more } = options
  const log = {
    name: 'file',
    typed_config: {
      '@type': `${ext}.access_loggers.file.v3.FileAccessLog`,
      path: accessLog,
      log_format: { json_format: loggedFields },
    },
  }
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type': `${ext}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: prefix,
      route_config: {
        virtual_hosts: [
          {
            name: 'all',
            domains: ['*'],
            routes: [{ match: { prefix: '/' }, route: { cluster, ...options.route } }],
          },
        ],
      },
      http_filters: [router],
      ...(accessLog !== undefined && { access_log: [log] }),
      ...more,
    },
  }
}

function tcpProxy(cluster: string): object {
  return {
    name: 'envoy.filters.network.tcp_proxy',
    typed_config: {
      '@type': `${ext}.filters.network.tcp_proxy.v3.TcpProxy`,
      stat_prefix: cluster,
      cluster,
    },
  }
}

export function inspector(what: 'tls' | 'http'): object {
  const type = what === 'tls' ? 'tls_inspector.v3.TlsInspector' : 'http_inspector.v3.HttpInspector'
  return {
    name: `envoy.filters.listener.${what}_inspector`,
    typed_config: { '@type': `${ext}.filters.listener.${type}` },
  }
}

export const anyPort = { socket_address: { address: '127.0.0.1', port_value: 0 } }

export function staticCluster(name: string, port: number, socketMatch?: object): object {
  const address = { socket_address: { address: '127.0.0.1', port_value: port } }
  const metadata = socketMatch && {
    filter_metadata: { 'envoy.transport_socket_match': socketMatch },
  }
  return {
    name,
    type: 'STATIC',
    connect_timeout: '2s',
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address }, ...(metadata && { metadata }) }] }],
    },
  }
}

/** Where an agent serves secrets. */
export function secretServerCluster(path: string): object {
  const name = 'sds-grpc'
  return {
    name,
    type: 'STATIC',
    connect_timeout: '2s',
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': `${ext}.upstreams.http.v3.HttpProtocolOptions`,
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { pipe: { path } } } }] }],
    },
  }
}

export function bootstrapOf(resources: object): string {
  return JSON.stringify({
    node: { id: 'sidecar~127.0.0.1~a.default~default.svc.cluster.local', cluster: 'a' },
    admin: { address: anyPort },
    static_resources: resources,
  })
}
