/** Stories of bad answers: each has a cluster of its own, so that one does not count for another. */

export interface EjectionStory {
  readonly name: string
  readonly cluster: string
  /** Queries of the requests, in order: what the upstream does. */
  readonly requests: readonly string[]
  /** Whether an endpoint is out at any time. */
  readonly ejects: boolean
  /** Header lines of every request. */
  readonly headers?: string
  /** `outlier_detection`, without its interval. */
  readonly outlier: string
  readonly endpoints?: readonly ('answering' | 'refused')[]
  /** More fields of the cluster. */
  readonly settings?: string
  /** More fields of the route. */
  readonly route?: string
  /** Several endpoints: which one is first is chance. */
  readonly isInAnyOrder?: boolean
  /** The sweep is fast, and the endpoint comes back. */
  readonly comesBack?: boolean
}

const ok = 'do=echo'
const status = (...numbers: number[]): readonly string[] =>
  numbers.map((number) => `do=status&n=${number}`)

const noPanic = 'common_lb_config: { healthy_panic_threshold: { value: 0 } }'
const protocolOptions = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'

/** Counts what the predicate says, and nothing else, as an error. */
function errorsAre(predicate: string): string {
  return `${noPanic}
    typed_extension_protocol_options:
      ${protocolOptions}:
        "@type": type.googleapis.com/${protocolOptions}
        explicit_http_config: { http_protocol_options: {} }
        outlier_detection: { error_matcher: ${predicate} }`
}

const statusIs = (match: string): string =>
  `{ http_response_headers_match: { headers: [{ name: ":status", ${match} }] } }`
const serverErrors = statusIs('range_match: { start: 500, end: 600 }')
const tooMany = statusIs('string_match: { exact: "429" }')
const serverErrorsAnd429 = `{ or_match: { rules: [${serverErrors}, ${tooMany}] } }`

export const ejectionStories: readonly EjectionStory[] = [
  {
    name: 'three errors in a row eject, and nobody is left',
    cluster: 'five-xx',
    requests: [...status(500, 501), ok, ...status(500, 503, 599), ok],
    outlier: 'consecutive_5xx: 3, max_ejection_percent: 100',
    ejects: true,
  },
  {
    name: 'a client’s errors count as good answers',
    cluster: 'four-xx',
    requests: status(500, 500, 404, 500, 500, 429, 500),
    outlier: 'consecutive_5xx: 3, max_ejection_percent: 100',
    ejects: false,
  },
  {
    name: 'a client’s error counts as a bad answer where a matcher says so',
    cluster: 'matched',
    requests: [...status(429, 404), ...status(429, 503, 429), ok],
    settings: errorsAre(serverErrorsAnd429),
    outlier: 'consecutive_5xx: 3, max_ejection_percent: 100',
    ejects: true,
  },
  {
    name: 'what a matcher does not name is a good answer, whatever its status',
    cluster: 'unmatched',
    requests: status(500, 503, 500, 503, 429, 500, 429),
    settings: errorsAre(tooMany),
    outlier: 'consecutive_5xx: 2, max_ejection_percent: 100',
    ejects: false,
  },
  {
    name: 'what is matched keeps a status of 5xx, and is no gateway error otherwise',
    cluster: 'matched-gateway',
    requests: status(429, 502, 429, 502, 503, 504),
    settings: errorsAre(serverErrorsAnd429),
    outlier:
      'consecutive_5xx: 99, consecutive_gateway_failure: 3, enforcing_consecutive_gateway_failure: 100, max_ejection_percent: 100',
    ejects: true,
  },
  {
    name: 'a matcher may say no, and, and anything',
    cluster: 'not-matched',
    requests: [...status(204, 418), ok, ...status(418, 418)],
    settings: errorsAre(
      `{ and_match: { rules: [{ not_match: ${statusIs('string_match: { prefix: "2" }')} }, { any_match: true }] } }`,
    ),
    outlier: 'consecutive_5xx: 2, max_ejection_percent: 100',
    ejects: true,
  },
  {
    name: 'a gRPC status counts whatever a matcher says',
    cluster: 'matched-grpc',
    headers: 'content-type: application/grpc\r\n',
    requests: ['do=grpc&n=14', 'do=grpc&n=14', 'do=grpc&n=14'],
    settings: errorsAre(tooMany),
    outlier: 'consecutive_5xx: 2, max_ejection_percent: 100',
    ejects: true,
  },
  {
    name: 'a budget of retries over an interval grows with the requests that have been',
    cluster: 'budget',
    requests: status(500, 500, 500, 500),
    settings: `${noPanic}
    circuit_breakers:
      thresholds:
      - retry_budget: { budget_percent: { value: 50 }, budget_interval: 600s, min_retry_concurrency: 0 }`,
    route:
      'retry_policy: { retry_on: 5xx, num_retries: 1, retry_back_off: { base_interval: 0.001s } }',
    outlier: 'consecutive_5xx: 99, max_ejection_percent: 100',
    ejects: false,
  },
  {
    name: 'a budget of retries without an interval is a share of what is under way',
    cluster: 'budget-now',
    requests: status(500, 500, 500, 500),
    settings: `${noPanic}
    circuit_breakers:
      thresholds:
      - retry_budget: { budget_percent: { value: 50 }, min_retry_concurrency: 0 }`,
    route:
      'retry_policy: { retry_on: 5xx, num_retries: 1, retry_back_off: { base_interval: 0.001s } }',
    outlier: 'consecutive_5xx: 99, max_ejection_percent: 100',
    ejects: false,
  },
  {
    name: 'gateway errors are counted apart, when they are enforced',
    cluster: 'gateway',
    requests: status(502, 500, 502, 503, 504),
    outlier:
      'consecutive_5xx: 99, consecutive_gateway_failure: 3, enforcing_consecutive_gateway_failure: 100, max_ejection_percent: 100',
    ejects: true,
  },
  {
    name: 'gateway errors are seen, and not enforced unless it is said',
    cluster: 'gateway-seen',
    requests: status(502, 502, 502, 502),
    outlier: 'consecutive_5xx: 99, consecutive_gateway_failure: 2, max_ejection_percent: 100',
    ejects: false,
  },
  {
    name: 'an ejection that is not enforced is counted',
    cluster: 'spared',
    requests: status(500, 500, 500, 500),
    outlier: 'consecutive_5xx: 2, enforcing_consecutive_5xx: 0, max_ejection_percent: 100',
    ejects: false,
  },
  {
    name: 'ten percent of one endpoint',
    cluster: 'ten-percent',
    requests: status(500, 500, 500, 500),
    outlier: 'consecutive_5xx: 2',
    ejects: false,
  },
  {
    name: 'ten percent of one endpoint, and always one',
    cluster: 'always-one',
    requests: status(500, 500, 500),
    outlier: 'consecutive_5xx: 2, always_eject_one_host: true',
    ejects: true,
  },
  {
    name: 'refused connections count as errors',
    cluster: 'refused',
    endpoints: ['refused'],
    requests: [ok, ok, ok, ok],
    outlier: 'consecutive_5xx: 3, max_ejection_percent: 100',
    ejects: true,
  },
  {
    name: 'refused connections count as gateway errors',
    cluster: 'refused-gateway',
    endpoints: ['refused'],
    requests: [ok, ok, ok],
    outlier:
      'consecutive_5xx: 99, consecutive_gateway_failure: 2, enforcing_consecutive_gateway_failure: 100, max_ejection_percent: 100',
    ejects: true,
  },
  {
    name: 'failures of the network are counted apart where they are split off',
    cluster: 'split-refused',
    endpoints: ['refused'],
    requests: [ok, ok, ok],
    outlier:
      'split_external_local_origin_errors: true, consecutive_local_origin_failure: 2, consecutive_5xx: 1, max_ejection_percent: 100',
    ejects: true,
  },
  {
    name: 'answers are no failures of the network',
    cluster: 'split-answers',
    requests: status(500, 500, 500),
    outlier:
      'split_external_local_origin_errors: true, consecutive_local_origin_failure: 1, consecutive_5xx: 3, max_ejection_percent: 100',
    ejects: true,
  },
  {
    name: 'connections that break count as errors',
    cluster: 'broken',
    requests: ['do=close', 'do=garbage', 'do=reset', ok],
    outlier: 'consecutive_5xx: 3, max_ejection_percent: 100',
    ejects: true,
  },
  {
    name: 'time-outs count as gateway errors',
    cluster: 'slow',
    requests: ['do=slow&n=400', 'do=slow&n=400', ok],
    route: 'timeout: 0.08s',
    outlier:
      'consecutive_5xx: 99, consecutive_gateway_failure: 2, enforcing_consecutive_gateway_failure: 100, max_ejection_percent: 100',
    ejects: true,
  },
  {
    name: 'gRPC statuses count as the HTTP statuses that they mean',
    cluster: 'grpc',
    headers: 'content-type: application/grpc\r\n',
    requests: ['do=grpc&n=5', 'do=grpc&n=14', 'do=grpc&n=0', 'do=grpc&n=13', 'do=grpc&n=14', ok],
    outlier: 'consecutive_5xx: 2, max_ejection_percent: 100',
    ejects: true,
  },
  {
    name: 'gRPC statuses mean nothing to a request that is not gRPC',
    cluster: 'no-grpc',
    requests: ['do=grpc&n=14', 'do=grpc&n=14', 'do=grpc&n=14'],
    outlier: 'consecutive_5xx: 2, max_ejection_percent: 100',
    ejects: false,
  },
  {
    name: 'every attempt counts, not every request',
    cluster: 'attempts',
    requests: [...status(500, 500), ok],
    route:
      'retry_policy: { retry_on: 5xx, num_retries: 1, retry_back_off: { base_interval: 0.001s } }',
    outlier: 'consecutive_5xx: 4, max_ejection_percent: 100',
    ejects: true,
  },
  {
    name: 'a retry that succeeds',
    cluster: 'flaky',
    requests: ['do=flaky&n=2', ok],
    route:
      'retry_policy: { retry_on: 5xx, num_retries: 2, retry_back_off: { base_interval: 0.001s } }',
    outlier: 'consecutive_5xx: 3, max_ejection_percent: 100',
    ejects: false,
  },
  {
    name: 'attempts that take too long count',
    cluster: 'per-try',
    requests: ['do=slow&n=400', ok],
    route:
      'retry_policy: { retry_on: 5xx, num_retries: 1, per_try_timeout: 0.06s, retry_back_off: { base_interval: 0.001s } }',
    outlier: 'consecutive_5xx: 2, max_ejection_percent: 100',
    ejects: true,
  },
  {
    name: 'of two endpoints the one that refuses goes out, and the other one serves',
    cluster: 'two',
    endpoints: ['answering', 'refused'],
    requests: Array.from({ length: 8 }, () => ok),
    outlier: 'consecutive_5xx: 2, max_ejection_percent: 50',
    ejects: true,
    isInAnyOrder: true,
  },
  {
    name: 'with retries at other hosts no request sees the endpoint that refuses',
    cluster: 'two-retried',
    endpoints: ['answering', 'refused'],
    requests: Array.from({ length: 8 }, () => ok),
    route: `retry_policy: { retry_on: connect-failure, num_retries: 2, host_selection_retry_max_attempts: 5,
          retry_host_predicate: [{ name: envoy.retry_host_predicates.previous_hosts, typed_config: {
            "@type": type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate } }] }`,
    outlier: 'consecutive_5xx: 2, max_ejection_percent: 50',
    ejects: true,
    isInAnyOrder: true,
  },
  {
    name: 'in panic an endpoint that is out serves all the same',
    cluster: 'panic',
    requests: [...status(500, 500), ok, ok],
    settings: 'common_lb_config: { healthy_panic_threshold: { value: 50 } }',
    outlier: 'consecutive_5xx: 2, max_ejection_percent: 100',
    ejects: true,
  },
  {
    name: 'an endpoint comes back after its time',
    cluster: 'comes-back',
    requests: status(500, 500),
    outlier: 'consecutive_5xx: 2, max_ejection_percent: 100, base_ejection_time: 0.3s',
    ejects: true,
    comesBack: true,
  },
]

export interface EjectionPorts {
  readonly answering: number
  readonly refused: number
}

/** One listener, a route and a cluster for each story. */
export function ejectionBootstrap(ports: EjectionPorts, eventLog: string): string {
  return `
admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }
cluster_manager: { outlier_detection: { event_log_path: ${JSON.stringify(eventLog)} } }
static_resources:
  listeners:
  - name: all
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: all
          delayed_close_timeout: 0.02s
          route_config:
            name: table
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
${ejectionStories.map(routeOf).join('\n')}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
  clusters:
${ejectionStories.map((story) => clusterOf(story, ports)).join('\n')}
`
}

function routeOf({ cluster, route = '' }: EjectionStory): string {
  // On one line: a flow map must be indented deeper than what it stands in.
  const fields = route.replaceAll(/\s+/g, ' ')
  return `              - { match: { path: /${cluster} }, route: { cluster: ${cluster}, ${fields} } }`
}

function clusterOf(story: EjectionStory, ports: EjectionPorts): string {
  const endpoints = (story.endpoints ?? ['answering']).map(
    (endpoint) =>
      `{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${ports[endpoint]} } } } }`,
  )
  const interval = story.comesBack === true ? '0.1s' : '600s'
  return `  - name: ${story.cluster}
    connect_timeout: 1s
    ${story.settings ?? noPanic}
    outlier_detection: { interval: ${interval}, ${story.outlier} }
    load_assignment: { cluster_name: ${story.cluster}, endpoints: [{ lb_endpoints: [${endpoints.join(', ')}] }] }`
}
