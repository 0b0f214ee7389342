/** Stories of health checks: each has a cluster and an endpoint of its own, which answers check after check as it is told. */

export interface HealthStory {
  readonly name: string
  readonly cluster: string
  /** What the endpoint speaks; `http1` unless set. */
  readonly speaks?: 'http1' | 'grpc' | 'bytes'
  /** Answers in their order; the last one is given for ever. `close` ends the connection, `silent` says nothing. */
  readonly answers: readonly string[]
  /** The health checker, and more fields of the check. */
  readonly check: string
  /** More fields of the cluster. */
  readonly settings?: string
  /** More fields of the endpoint. */
  readonly endpoint?: string
  /** After so many events one request is sent, whose answer says that the host goes. */
  readonly requestAfter?: number
  /** Events that are compared: all that the answers lead to. */
  readonly events: number
  /** The flags in the end. */
  readonly flags: string
}

const status = (code: number, headers = '', body = ''): string =>
  `HTTP/1.1 ${code} X\r\n${headers}content-length: ${body.length}\r\n\r\n${body}`
const ok = status(200)
const http = 'http_health_check: {path: /healthz}'
const counted = 'unhealthy_threshold: 2, healthy_threshold: 2'

export const healthStories: readonly HealthStory[] = [
  {
    name: 'one pass is enough for the first check',
    cluster: 'first-pass',
    answers: [ok],
    check: `${counted}, ${http}`,
    events: 2,
    flags: 'healthy',
  },
  {
    name: 'after a failed first check the threshold holds',
    cluster: 'first-fail',
    answers: [status(500), ok],
    check: `${counted}, ${http}`,
    events: 4,
    flags: 'healthy',
  },
  {
    name: 'an unexpected answer puts a host out at once',
    cluster: 'answer',
    answers: [ok, status(500)],
    check: `${counted}, ${http}`,
    events: 4,
    flags: '/failed_active_hc',
  },
  {
    name: 'failures of the network are counted',
    cluster: 'network',
    answers: [ok, 'close', ok, 'close', 'close'],
    check: `${counted}, ${http}`,
    events: 7,
    flags: '/failed_active_hc',
  },
  {
    name: 'silence is a failure of the network with a name of its own',
    cluster: 'silence',
    answers: [ok, 'silent'],
    check: `${counted}, ${http}`,
    events: 4,
    flags: '/failed_active_hc/active_hc_timeout',
  },
  {
    name: 'retriable statuses are counted',
    cluster: 'retriable',
    answers: [ok, status(503), status(503)],
    check: `${counted}, http_health_check: {path: /healthz, retriable_statuses: [{start: 500, end: 504}]}`,
    events: 5,
    flags: '/failed_active_hc',
  },
  {
    name: 'expected statuses',
    cluster: 'expected',
    answers: [status(429)],
    check: `${counted}, http_health_check: {path: /healthz, expected_statuses: [{start: 400, end: 430}]}`,
    events: 2,
    flags: 'healthy',
  },
  {
    name: 'a degraded host',
    cluster: 'degraded',
    answers: [ok, status(200, 'x-envoy-degraded: 1\r\n')],
    check: `${counted}, ${http}`,
    events: 4,
    flags: '/degraded_active_hc',
  },
  {
    name: 'a host that is degraded no more',
    cluster: 'no-longer-degraded',
    answers: [status(200, 'x-envoy-degraded: 1\r\n'), ok],
    check: `${counted}, ${http}`,
    events: 4,
    flags: 'healthy',
  },
  {
    name: 'a bad answer that says that the host goes',
    cluster: 'excluded',
    answers: [ok, status(503, 'x-envoy-immediate-health-check-fail: 1\r\n')],
    check: `${counted}, ${http}`,
    events: 4,
    flags: '/failed_active_hc/excluded_via_immediate_hc_fail',
  },
  {
    name: 'the answer to a request that says that the host goes, and its way back',
    cluster: 'goes',
    answers: [ok],
    check: `${counted}, ${http}`,
    requestAfter: 2,
    events: 6,
    flags: 'healthy',
  },
  {
    name: 'a body that is looked into',
    cluster: 'body',
    answers: [status(200, '', 'one two'), status(200, '', 'two one')],
    check: `${counted}, http_health_check: {path: /healthz, receive: [{text: "6f6e65"}, {text: "74776f"}]}`,
    events: 4,
    flags: '/failed_active_hc',
  },
  {
    name: 'a cluster’s name that is asked for',
    cluster: 'named',
    answers: [status(200, 'x-envoy-upstream-healthchecked-cluster: here\r\n'), ok],
    check: `${counted}, http_health_check: {path: /healthz, service_name_matcher: {exact: here}}`,
    events: 4,
    flags: '/failed_active_hc',
  },
  {
    name: 'connections that are not kept',
    cluster: 'not-kept',
    answers: [ok],
    check: `${counted}, reuse_connection: false, ${http}`,
    events: 3,
    flags: 'healthy',
  },
  {
    name: 'TCP: a connection is enough',
    cluster: 'tcp-connect',
    speaks: 'bytes',
    answers: ['silent'],
    check: `${counted}, tcp_health_check: {}`,
    events: 3,
    flags: 'healthy',
  },
  {
    name: 'TCP: an answer is looked into',
    cluster: 'tcp-answer',
    speaks: 'bytes',
    answers: ['+PONG', '-ERR'],
    check: `${counted}, tcp_health_check: {send: {text: "50494e47"}, receive: [{text: "504f4e47"}]}`,
    events: 4,
    flags: '/failed_active_hc/active_hc_timeout',
  },
  {
    name: 'TCP: a connection that ends without an answer',
    cluster: 'tcp-close',
    speaks: 'bytes',
    answers: ['+PONG', 'close'],
    check: `${counted}, reuse_connection: false, tcp_health_check: {send: {text: "50494e47"}, receive: [{text: "504f4e47"}]}`,
    events: 4,
    flags: '/failed_active_hc',
  },
  {
    name: 'gRPC: serving, and then not',
    cluster: 'grpc-serving',
    speaks: 'grpc',
    answers: ['serving', 'serving', 'not-serving'],
    check: `${counted}, grpc_health_check: {service_name: a}`,
    settings: 'http2_protocol_options: {},',
    events: 5,
    flags: '/failed_active_hc',
  },
  {
    name: 'gRPC: an unknown service, trailers alone, and a wrong content type',
    cluster: 'grpc-errors',
    speaks: 'grpc',
    answers: ['unimplemented', 'serving', 'serving', 'not-grpc', 'serving', 'serving', '503'],
    check: `${counted}, grpc_health_check: {}`,
    settings: 'http2_protocol_options: {},',
    events: 10,
    flags: '/failed_active_hc',
  },
  {
    name: 'gRPC: silence',
    cluster: 'grpc-silence',
    speaks: 'grpc',
    answers: ['serving', 'silent'],
    check: `${counted}, grpc_health_check: {authority: some.test}`,
    settings: 'http2_protocol_options: {},',
    events: 4,
    flags: '/failed_active_hc/active_hc_timeout',
  },
  {
    name: 'an endpoint that must not be checked',
    cluster: 'disabled',
    answers: [status(500)],
    check: `${counted}, ${http}`,
    endpoint: 'health_check_config: {disable_active_health_check: true},',
    events: 0,
    flags: 'healthy',
  },
]

/** `ports`: of the endpoint of each cluster. */
export function healthBootstrap(ports: ReadonlyMap<string, number>, eventLog: string): string {
  return `
admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }
static_resources:
  listeners:
  - name: all
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: all
          http_filters:
          - name: router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
${healthStories.map(({ cluster }) => `              - { match: { path: /${cluster} }, route: { cluster: ${cluster} } }`).join('\n')}
  clusters:
${healthStories.map((story) => clusterText(story, ports.get(story.cluster) ?? 0, eventLog)).join('\n')}
`
}

function clusterText(story: HealthStory, port: number, eventLog: string): string {
  const { cluster, check, settings = '', endpoint = '' } = story
  const times = 'timeout: 0.15s, interval: 0.1s, no_traffic_interval: 0.1s'
  const logs = `event_log_path: ${JSON.stringify(eventLog)}, always_log_health_check_failures: true, always_log_health_check_success: true`
  return `  - { name: ${cluster}, type: STATIC, connect_timeout: 1s, ${settings} health_checks: [ { ${times}, ${logs}, ${check} } ], load_assignment: { cluster_name: ${cluster}, endpoints: [ { lb_endpoints: [ { endpoint: { ${endpoint} address: { socket_address: { address: 127.0.0.1, port_value: ${port} } } } } ] } ] } }`
}
