/**
 * What is compared: each proxy with one listener in front of one origin, on one worker, set up for the same work.
 *
 * "plain" is the least that proxies a request. "as Istio" is what a sidecar carries by default: route table,
 * retry policy, breakers, outlier detection, statistics and a JSON access log. Envoy and Tulle run from one and
 * the same bootstrap file.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { jsonFormat } from '../src/translate/access-log.ts'
import { findEnvoy, findProgram } from '../test/support/programs.ts'

export interface Subject {
  readonly name: string
  readonly command: readonly string[]
  readonly port: number
}

/** Features of a sidecar that are measured one by one. */
export type Feature =
  | 'access-log'
  | 'istio-stats'
  | 'retries'
  | 'outliers'
  | 'request-id'
  | 'routes'

export const allFeatures: readonly Feature[] = [
  'access-log',
  'istio-stats',
  'retries',
  'outliers',
  'request-id',
  'routes',
]

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

/** Answers of `bodyBytes`, from a file where they are many; of several sizes: `/size-BYTES`. */
export function nginxOrigin(
  folder: string,
  port: number,
  body: number | readonly number[] = 128,
): Subject | undefined {
  const nginx = findProgram('nginx')
  if (nginx === undefined) return undefined
  const file = join(folder, 'origin.conf')
  const answer = typeof body === 'number' ? answerOf(folder, body) : answersOf(folder, body)
  writeFileSync(
    file,
    `daemon off; master_process off; worker_processes 1; pid ${folder}/origin.pid; error_log /dev/null;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 100000000; keepalive_timeout 3600s;
  server { listen 127.0.0.1:${String(port)} backlog=4096; location / { default_type text/plain; ${answer} } } }
`,
  )
  return { name: 'origin', command: [nginx, '-p', folder, '-c', file], port }
}

function answerOf(folder: string, bytes: number): string {
  if (bytes <= 4096) return `return 200 "${'x'.repeat(bytes)}";`
  writeFileSync(join(folder, 'body'), Buffer.alloc(bytes, 'x'))
  return `root ${folder}; sendfile on; try_files /body =404;`
}

function answersOf(folder: string, sizes: readonly number[]): string {
  for (const bytes of sizes) {
    writeFileSync(join(folder, `size-${String(bytes)}`), Buffer.alloc(bytes, 'x'))
  }
  return `root ${folder}; sendfile on;`
}

/** An origin of gRPC-shaped answers over HTTP/2 with prior knowledge. */
export function haproxyOrigin(folder: string, port: number): Subject | undefined {
  const program = findProgram('haproxy')
  if (program === undefined) return undefined
  const file = join(folder, 'origin.cfg')
  writeFileSync(
    file,
    `global
  nbthread 1
defaults
  mode http
  timeout client 1h
frontend origin
  bind 127.0.0.1:${String(port)} proto h2
  http-request return status 200 content-type application/grpc string "${'x'.repeat(64)}" hdr grpc-status 0
`,
  )
  return { name: 'origin', command: [program, '-db', '-q', '-f', file], port }
}

export function nginx(options: SubjectOptions): Subject | undefined {
  const program = findProgram('nginx')
  if (program === undefined) return undefined
  const file = join(options.folder, 'nginx.conf')
  writeFileSync(
    file,
    `daemon off; master_process off; worker_processes 1; pid ${options.folder}/nginx.pid; error_log /dev/null;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 100000000; keepalive_timeout 3600s;
  upstream origin { server 127.0.0.1:${String(options.originPort)}; keepalive 256; keepalive_requests 100000000; }
  server { listen 127.0.0.1:${String(options.port)} backlog=4096;
    location / { proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; } } }
`,
  )
  return { name: 'nginx', command: [program, '-p', options.folder, '-c', file], port: options.port }
}

export function haproxy(
  options: SubjectOptions,
  words: { readonly bind?: string; readonly server?: string } = {},
): Subject | undefined {
  const { bind = '', server = '' } = words
  const program = findProgram('haproxy')
  if (program === undefined) return undefined
  const file = join(options.folder, `haproxy-${String(options.port)}.cfg`)
  writeFileSync(
    file,
    `global
  nbthread 1
  maxconn 8192
defaults
  mode ${options.isTcp === true ? 'tcp' : 'http'}
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  ${options.isTcp === true ? '' : 'http-reuse always'}
frontend in
  bind 127.0.0.1:${String(options.port)} ${bind}
  default_backend origin
backend origin
  server o 127.0.0.1:${String(options.originPort)} ${server}
`,
  )
  return { name: 'HAProxy', command: [program, '-db', '-q', '-f', file], port: options.port }
}

/** A chain with its key, and the root that the other side is believed by. */
export interface HopFiles {
  readonly leafFile: string
  readonly rootFile: string
}

/** One end of a hop over mutual TLS: it speaks TLS to the server's end, or takes it there. */
export function haproxyHop(
  options: SubjectOptions,
  hop: { readonly side: 'client' | 'server'; readonly files: HopFiles; readonly alpn: string },
): Subject | undefined {
  const { side, files, alpn } = hop
  const tls = `ssl crt ${files.leafFile} ca-file ${files.rootFile} verify required alpn ${alpn}`
  return haproxy(options, side === 'server' ? { bind: tls } : { server: tls })
}

export function envoy(
  options: SubjectOptions,
  features: readonly Feature[],
  name = features.length === 0 ? 'Envoy, plain' : 'Envoy, as Istio sets it up',
): Subject | undefined {
  const program = findEnvoy()
  if (program === undefined) return undefined
  const file = writeBootstrap(options, features)
  return {
    name,
    command: [program, '-c', file, '--concurrency', '1', '-l', 'off', '--disable-hot-restart'],
    port: options.port,
  }
}

export interface TulleOptions {
  readonly name: string
  readonly features: readonly Feature[]
  /** Where its sources are; this checkout unless given. */
  readonly checkout?: string
  readonly flags?: readonly string[]
}

export function tulle(
  options: SubjectOptions,
  { name, features, checkout = join(import.meta.dirname, '..'), flags = [] }: TulleOptions,
): Subject {
  const entry = join(checkout, 'bin', 'tulle.mjs')
  return {
    name,
    command: [
      process.execPath,
      '--max-semi-space-size=8', // as bin/tulle
      entry,
      'sidecar',
      '-c',
      writeBootstrap(options, features),
      ...flags,
    ],
    port: options.port,
  }
}

const clusterName = 'outbound|8080||origin.default.svc.cluster.local'
const httpManager =
  'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'

/** One bootstrap file for Envoy and for Tulle. */
function writeBootstrap(options: SubjectOptions, features: readonly Feature[]): string {
  const has = (feature: Feature): boolean => features.includes(feature)
  const { originPort, tls, isUpstreamHttp2 = false, isTcp = false, scale = {} } = options
  const file = join(options.folder, `bootstrap-${String(options.port)}.json`)
  const upstream = {
    ...cluster(originPort, has),
    ...(tls?.outbound !== undefined && { transport_socket: tls.outbound }),
    ...(isUpstreamHttp2 && { typed_extension_protocol_options: http2Upstream }),
  }
  const manager = {
    '@type': httpManager,
    stat_prefix: 'outbound_0.0.0.0_8080',
    generate_request_id: has('request-id'),
    stream_idle_timeout: '0s',
    normalize_path: true,
    route_config: routeConfig(has, scale),
    http_filters: [
      ...(has('istio-stats') ? [istioStats] : []),
      {
        name: 'envoy.filters.http.router',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router',
        },
      },
    ],
    ...(has('access-log')
      ? { access_log: [accessLog(join(options.folder, `access-${String(options.port)}.log`))] }
      : {}),
  }
  const listener = {
    name: 'bench',
    address: { socket_address: { address: '127.0.0.1', port_value: options.port } },
    filter_chains: [
      {
        filters: [
          isTcp
            ? tcpProxy(options, has)
            : { name: 'envoy.filters.network.http_connection_manager', typed_config: manager },
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
    ...(has('istio-stats') ? { metadata: serviceMetadata } : {}),
    circuit_breakers: {
      thresholds: [
        {
          max_connections: unlimited,
          max_pending_requests: unlimited,
          max_requests: unlimited,
          max_retries: unlimited,
        },
      ],
    },
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
              ...(has('istio-stats') ? { metadata: workloadMetadata } : {}),
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
