/**
 * One bootstrap file for Envoy and for Tulle: a listener in front of an origin, with as much of what a sidecar carries by
 * default as is asked for, in the words of Istio's control plane.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { jsonFormat } from '../src/translate/access-log.ts'

/** What a sidecar carries by default, one by one, and what each stands for. */
export const featureTable = {
  'access-log': 'access log in JSON, a line a request',
  'istio-stats': "Istio's metrics (ours; Envoy skips the filter)",
  labels: 'labels of both workloads, from the metadata of cluster and endpoints',
  retries: 'retry policy, with hosts tried before left out',
  breakers: 'breakers, with the gauges of what remains',
  outliers: 'outlier detection',
  'request-id': "x-request-id, the tracing header that is Istio's default",
  routes: '100 other virtual hosts, 20 other routes',
  filters: 'filters for faults and CORS, for routes that use them',
  normalization: 'normalized paths',
} as const

export type Feature = keyof typeof featureTable

export const allFeatures = Object.keys(featureTable) as Feature[] // its keys are Features

export interface SubjectOptions {
  readonly folder: string
  readonly originPort: number
  readonly port: number
  /** Transport sockets of the listener and of the cluster; absent: plaintext. */
  readonly tls?: { readonly inbound?: object; readonly outbound?: object }
  /** The cluster speaks HTTP/2. */
  readonly isUpstreamHttp2?: boolean
  /** Bytes in both directions, whatever they say. */
  readonly isTcp?: boolean
  /** How much configuration there is besides what is used. */
  readonly scale?: Scale
}

export interface Scale {
  /** In the one virtual host; the last of them is the one that `lastRoutePath` takes. */
  readonly routes?: number
  readonly kind?: RouteKind
  readonly clusters?: number
}

export type RouteKind = 'prefix' | 'exact' | 'regex'

/** What the last of so many routes matches, and no other. */
export function lastRoutePath(routes: number): string {
  return `/route-${String(routes - 1)}/x`
}

const clusterName = 'outbound|8080||origin.default.svc.cluster.local'
const httpManager =
  'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'

/** Returns the file's path. */
export function writeBootstrap(options: SubjectOptions, features: readonly Feature[]): string {
  const has = (feature: Feature): boolean => features.includes(feature)
  const { originPort, tls, isUpstreamHttp2 = false, isTcp = false, scale = {} } = options
  const file = join(options.folder, `bootstrap-${String(options.port)}.json`)
  const upstream = {
    ...cluster(originPort, has),
    ...(tls?.outbound !== undefined && { transport_socket: tls.outbound }),
    ...(isUpstreamHttp2 && { typed_extension_protocol_options: http2Upstream }),
  }
  const listener = {
    name: 'bench',
    address: { socket_address: { address: '127.0.0.1', port_value: options.port } },
    filter_chains: [
      {
        filters: [
          isTcp
            ? tcpProxy(options, has)
            : {
                name: 'envoy.filters.network.http_connection_manager',
                typed_config: connectionManager(options, has),
              },
        ],
        ...(tls?.inbound !== undefined && { transport_socket: tls.inbound }),
      },
    ],
  }
  writeFileSync(
    file,
    JSON.stringify({
      node: { id: 'sidecar~127.0.0.1~bench.default~default.svc.cluster.local', cluster: 'bench' },
      static_resources: {
        listeners: [listener],
        clusters: [upstream, ...idleClusters(upstream, scale)],
      },
    }),
  )
  return file
}

function connectionManager(
  { folder, port, scale = {} }: SubjectOptions,
  has: (feature: Feature) => boolean,
): object {
  return {
    '@type': httpManager,
    stat_prefix: 'outbound_0.0.0.0_8080',
    generate_request_id: has('request-id'),
    stream_idle_timeout: '0s',
    normalize_path: has('normalization'),
    route_config: routeConfig(has, scale),
    http_filters: [
      ...(has('filters') ? routeFilters : []),
      ...(has('istio-stats') ? [istioStats] : []),
      {
        name: 'envoy.filters.http.router',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router',
        },
      },
    ],
    ...(has('access-log') && {
      access_log: [accessLog(join(folder, `access-${String(port)}.log`))],
    }),
  }
}

function tcpProxy({ folder, port }: SubjectOptions, has: (feature: Feature) => boolean): object {
  return {
    name: 'envoy.filters.network.tcp_proxy',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
      stat_prefix: 'tcp',
      cluster: clusterName,
      ...(has('access-log') && {
        access_log: [accessLog(join(folder, `access-${String(port)}.log`))],
      }),
    },
  }
}

const http2Upstream = {
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
    '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
    explicit_http_config: { http2_protocol_options: {} },
  },
}

/** The same settings under other names; nothing is sent to them. */
function idleClusters(upstream: object, { clusters = 1 }: Scale): readonly object[] {
  return Array.from({ length: clusters - 1 }, (_, index) => {
    const name = `outbound|8080||service-${String(index)}.default.svc.cluster.local`
    return {
      ...upstream,
      name,
      load_assignment: {
        cluster_name: name,
        endpoints: [
          {
            lb_endpoints: [
              {
                endpoint: {
                  address: { socket_address: { address: '127.0.0.1', port_value: 20_000 + index } },
                },
              },
            ],
          },
        ],
      },
    }
  })
}

function matchOf(kind: RouteKind, index: number): object {
  const start = `/route-${String(index)}/`
  if (kind === 'prefix') return { prefix: start }
  return kind === 'exact' ? { path: `${start}x` } : { safe_regex: { regex: `${start}[a-z]+` } }
}

function routeConfig(has: (feature: Feature) => boolean, scale: Scale): object {
  const retry = {
    retry_on: 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes',
    num_retries: 2,
    retry_host_predicate: [
      {
        name: 'envoy.retry_host_predicates.previous_hosts',
        typed_config: {
          '@type':
            'type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate',
        },
      },
    ],
    host_selection_retry_max_attempts: '5',
  }
  const route = {
    cluster: clusterName,
    timeout: '0s',
    ...(has('retries') ? { retry_policy: retry } : {}),
  }
  if (scale.routes !== undefined) {
    const { routes: length, kind = 'prefix' } = scale
    const routes = Array.from({ length }, (_, index) => ({ match: matchOf(kind, index), route }))
    return { name: '8080', virtual_hosts: [{ name: 'origin', domains: ['*'], routes }] }
  }
  const others = has('routes')
    ? Array.from({ length: 20 }, (_, index) => ({
        match: {
          prefix: `/other-${String(index)}/`,
          headers: [{ name: 'x-user', string_match: { exact: 'jason' } }],
        },
        route,
      }))
    : []
  const hosts = has('routes')
    ? Array.from({ length: 100 }, (_, index) => ({
        name: `service-${String(index)}`,
        domains: [`service-${String(index)}.default.svc.cluster.local`, `service-${String(index)}`],
        routes: [{ match: { prefix: '/' }, route }],
      }))
    : []
  return {
    name: '8080',
    virtual_hosts: [
      ...hosts,
      { name: 'origin', domains: ['*'], routes: [...others, { match: { prefix: '/' }, route }] },
    ],
  }
}

function cluster(originPort: number, has: (feature: Feature) => boolean): object {
  const unlimited = 4_294_967_295
  return {
    name: clusterName,
    type: 'STATIC',
    connect_timeout: '10s',
    lb_policy: 'LEAST_REQUEST',
    ...(has('labels') ? { metadata: serviceMetadata } : {}),
    ...(has('breakers') && {
      circuit_breakers: {
        thresholds: [
          {
            max_connections: unlimited,
            max_pending_requests: unlimited,
            max_requests: unlimited,
            max_retries: unlimited,
            track_remaining: true,
          },
        ],
      },
    }),
    ...(has('outliers')
      ? { outlier_detection: { consecutive_5xx: 5, interval: '30s', base_ejection_time: '30s' } }
      : {}),
    load_assignment: {
      cluster_name: clusterName,
      endpoints: [
        {
          lb_endpoints: [
            {
              endpoint: {
                address: { socket_address: { address: '127.0.0.1', port_value: originPort } },
              },
              ...(has('labels') ? { metadata: workloadMetadata } : {}),
            },
          ],
        },
      ],
    },
  }
}

/** What Istio says of a cluster's service and of an endpoint's workload. */
const serviceMetadata = {
  filter_metadata: {
    istio: {
      services: [
        { host: 'origin.default.svc.cluster.local', name: 'origin', namespace: 'default' },
      ],
    },
  },
}
const workloadMetadata = {
  filter_metadata: { istio: { workload: 'origin-v1;default;origin;v1;Kubernetes' } },
}

const istioStats = {
  name: 'istio.stats',
  is_optional: true,
  typed_config: {
    '@type': 'type.googleapis.com/udpa.type.v1.TypedStruct',
    type_url: 'type.googleapis.com/stats.PluginConfig',
    value: {
      reporter: 'source',
      labels: { source_workload: 'bench', source_workload_namespace: 'default' },
    },
  },
}

/** They do nothing where no route has settings of its own for them. */
const routeFilters = [
  {
    name: 'envoy.filters.http.fault',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault',
    },
  },
  {
    name: 'envoy.filters.http.cors',
    typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors' },
  },
]

/** Istio's default JSON access log. */
function accessLog(path: string): object {
  return {
    name: 'envoy.access_loggers.file',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog',
      path,
      log_format: { json_format: jsonFormat },
    },
  }
}
