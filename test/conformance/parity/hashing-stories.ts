/** Clusters and routes that hash, and the requests that show how. */
export interface HashingRequest {
  readonly path: string
  readonly headers?: Readonly<Record<string, string | string[]>>
}

export interface HashingStory {
  readonly name: string
  /** Lines of the cluster; undefined: the plain ring. */
  readonly cluster?: string
  readonly type?: string
  /** Endpoints, as `weight`s by locality; undefined: seven of weight 1. */
  readonly localities?: readonly Locality[]
  /** `hash_policy` as flow YAML; undefined: the header x-key. */
  readonly hashPolicy?: string
  /** More of the route. */
  readonly route?: string
  readonly requests: readonly HashingRequest[]
  /** Requests without a hash go anywhere. */
  readonly isRandom?: boolean
  /** All requests go to one endpoint. */
  readonly isOne?: boolean
  readonly answers?: boolean
}

interface Locality {
  readonly zone: string
  readonly weights: readonly number[]
  readonly weight?: number
  readonly priority?: number
  readonly health?: string
  /** Names of hosts, of a cluster that hashes those. */
  readonly hostnames?: boolean
  readonly hashKeys?: boolean
}

const plainRing = 'lb_policy: RING_HASH'

function keys(name: string, count: number): readonly HashingRequest[] {
  return Array.from({ length: count }, (_, index) => ({
    path: `/${slug(name)}`,
    headers: { 'x-key': `key ${index * 7919}` },
  }))
}

function story(name: string, fields: Omit<HashingStory, 'name' | 'requests'>): HashingStory {
  return { name, ...fields, requests: keys(name, 120) }
}

const typed = (kind: string, type: string, fields: string): string =>
  `load_balancing_policy: {policies: [{typed_extension_config: {name: x, typed_config: {"@type": type.googleapis.com/envoy.extensions.load_balancing_policies.${kind}.v3.${type}, ${fields}}}}]}`

const twoZones: readonly Locality[] = [
  { zone: 'a', weights: [1, 1, 1], weight: 1 },
  { zone: 'b', weights: [2, 1], weight: 3 },
]

const hashByKey = '[{header: {header_name: x-key}}]'

export const hashingStories: readonly HashingStory[] = [
  story('a ring of equal hosts', {}),
  story('a ring of unequal hosts', {
    localities: [{ zone: 'a', weights: [1, 3, 10, 2, 7] }],
  }),
  story('a small ring', {
    cluster: `${plainRing}\n    ring_hash_lb_config: {minimum_ring_size: 10}`,
    localities: [{ zone: 'a', weights: [3, 2, 4] }],
  }),
  story('a ring with a ceiling below its hosts', {
    cluster: `${plainRing}\n    ring_hash_lb_config: {minimum_ring_size: 1, maximum_ring_size: 5}`,
  }),
  story('a large ring', {
    cluster: `${plainRing}\n    ring_hash_lb_config: {minimum_ring_size: 100000}`,
    localities: [{ zone: 'a', weights: [1, 2, 1, 1, 5, 1, 1] }],
  }),
  story('a ring of Murmur hashes', {
    cluster: `${plainRing}\n    ring_hash_lb_config: {hash_function: MURMUR_HASH_2}`,
  }),
  story('a ring of hosts by name', {
    cluster: `${plainRing}\n    common_lb_config: {consistent_hashing_lb_config: {use_hostname_for_hashing: true}}`,
    type: 'STRICT_DNS',
    localities: [{ zone: 'a', weights: [1, 1, 2, 1], hostnames: true }],
  }),
  story('a ring of hosts by their own keys', {
    localities: [{ zone: 'a', weights: [1, 1, 2, 1], hashKeys: true }],
  }),
  story('a ring of weighted localities', {
    cluster: `${plainRing}\n    common_lb_config: {locality_weighted_lb_config: {}}`,
    localities: twoZones,
  }),
  story('a ring over priorities', {
    localities: [
      { zone: 'a', weights: [1, 1] },
      { zone: 'a', weights: [1, 1], health: 'UNHEALTHY' },
      { zone: 'b', weights: [1, 1, 1], priority: 1 },
    ],
  }),
  story('a ring in panic', {
    localities: [
      { zone: 'a', weights: [1] },
      { zone: 'a', weights: [1, 2, 1], health: 'UNHEALTHY' },
    ],
  }),
  story('a ring with degraded hosts', {
    localities: [
      { zone: 'a', weights: [1, 1, 1, 1] },
      { zone: 'a', weights: [1, 1], health: 'DEGRADED' },
    ],
  }),
  story('a typed ring', {
    cluster: typed('ring_hash', 'RingHash', 'hash_function: XX_HASH, minimum_ring_size: 50'),
  }),
  story('a typed ring by name', {
    cluster: typed(
      'ring_hash',
      'RingHash',
      'consistent_hashing_lb_config: {use_hostname_for_hashing: true}',
    ),
    localities: [{ zone: 'a', weights: [1, 1, 2, 1], hostnames: true }],
  }),
  story('a Maglev table', { cluster: 'lb_policy: MAGLEV' }),
  story('a Maglev table of unequal hosts', {
    cluster: 'lb_policy: MAGLEV',
    localities: [{ zone: 'a', weights: [1, 3, 10, 2, 7] }],
  }),
  story('a small Maglev table', {
    cluster: 'lb_policy: MAGLEV\n    maglev_lb_config: {table_size: 11}',
    localities: [{ zone: 'a', weights: [1, 3, 2] }],
  }),
  story('a Maglev table of weighted localities', {
    cluster: 'lb_policy: MAGLEV\n    common_lb_config: {locality_weighted_lb_config: {}}',
    localities: twoZones,
  }),
  story('a typed Maglev table', {
    cluster: typed('maglev', 'Maglev', 'table_size: 65537, locality_weighted_lb_config: {}'),
    localities: twoZones,
  }),
  story('loads that are bounded and not reached', {
    cluster: `${plainRing}\n    common_lb_config: {consistent_hashing_lb_config: {hash_balance_factor: 10000}}`,
  }),
  story('hosts tried again after a failure', {
    route:
      'retry_policy: {retry_on: connect-failure, num_retries: 2, host_selection_retry_max_attempts: 5, retry_host_predicate: [{name: envoy.retry_host_predicates.previous_hosts, typed_config: {"@type": type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate}}], retry_back_off: {base_interval: 0.001s}}',
  }),
  story('hosts of a Maglev table tried again after a failure', {
    cluster: 'lb_policy: MAGLEV',
    route:
      'retry_policy: {retry_on: connect-failure, num_retries: 1, host_selection_retry_max_attempts: 5, retry_host_predicate: [{name: envoy.retry_host_predicates.previous_hosts, typed_config: {"@type": type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate}}], retry_back_off: {base_interval: 0.001s}}',
  }),
  {
    name: 'policies of several kinds, joined',
    hashPolicy:
      '[{header: {header_name: x-key}}, {query_parameter: {name: q}}, {header: {header_name: x-key}}, {connection_properties: {source_ip: true}}, {cookie: {name: c}}]',
    requests: Array.from({ length: 60 }, (_, index) => ({
      path: `/${slug('policies of several kinds, joined')}?q=${index % 5}&q=other`,
      headers: { 'x-key': `k${index}`, cookie: `a=b; c=v${index % 7}; c=z` },
    })),
  },
  {
    name: 'a terminal policy',
    hashPolicy:
      '[{header: {header_name: x-first}, terminal: true}, {header: {header_name: x-key}}, {cookie: {name: c}}]',
    requests: Array.from({ length: 60 }, (_, index) => ({
      path: `/${slug('a terminal policy')}`,
      headers: {
        'x-key': `k${index}`,
        cookie: `c="v${index % 7}"`,
        ...(index % 2 === 0 && { 'x-first': `f${index % 6}` }),
      },
    })),
  },
  {
    name: 'headers that occur several times, or are rewritten',
    hashPolicy:
      '[{header: {header_name: X-Key, regex_rewrite: {pattern: {regex: "^/?([a-z]+)/.*$"}, substitution: "\\\\1"}}}]',
    requests: Array.from({ length: 60 }, (_, index) => ({
      path: `/${slug('headers that occur several times, or are rewritten')}`,
      headers: {
        'x-key':
          index % 3 === 0
            ? [`b${index % 4}`, `a${index % 5}`, 'c/x']
            : `/${String.fromCharCode(97 + (index % 20))}/${index}`,
      },
    })),
  },
  {
    name: 'the path, the authority and the query',
    hashPolicy: '[{header: {header_name: ":path"}}, {header: {header_name: ":authority"}}]',
    requests: Array.from({ length: 60 }, (_, index) => ({
      path: `/${slug('the path, the authority and the query')}/${index}?x=${index}`,
      headers: { host: `h${index % 3}.test` },
    })),
  },
  {
    name: 'the address of the client, as a proxy tells it',
    hashPolicy: '[{connection_properties: {source_ip: true}}]',
    requests: Array.from({ length: 60 }, (_, index) => ({
      path: `/${slug('the address of the client, as a proxy tells it')}`,
      headers: { 'x-forwarded-for': index % 4 === 0 ? `2001:db8::${index}` : `10.1.2.${index}` },
    })),
  },
  story('what a filter says of the connection, and a header', {
    hashPolicy: '[{filter_state: {key: who}}, {header: {header_name: x-key}}]',
  }),
  story('what a filter says under the name of its kind, and a header', {
    hashPolicy: '[{filter_state: {key: envoy.hashable_string}}, {header: {header_name: x-key}}]',
  }),
  story('what no filter says, and a header', {
    hashPolicy:
      '[{filter_state: {key: nobody}, terminal: true}, {filter_state: {key: empty}, terminal: true}, {header: {header_name: x-key}}]',
  }),
  {
    ...story('what a filter says, and nothing else', {
      hashPolicy: '[{filter_state: {key: who}, terminal: true}, {header: {header_name: x-key}}]',
    }),
    isOne: true,
  },
  {
    name: 'headers that the route adds',
    hashPolicy: '[{header: {header_name: x-key}}, {header: {header_name: x-other}}]',
    requests: Array.from({ length: 60 }, (_, index) => ({
      path: `/${slug('headers that the route adds')}`,
      headers: { 'x-key': `k${index}`, 'x-other': `${index % 9}` },
    })),
  },
  {
    name: 'a cookie with a life of its own',
    hashPolicy:
      '[{cookie: {name: c, ttl: 90s, path: /p, attributes: [{name: SameSite, value: Strict}, {name: Secure}]}}]',
    answers: true,
    requests: Array.from({ length: 24 }, (_, index) => ({
      path: `/${slug('a cookie with a life of its own')}`,
      headers: index % 2 === 0 ? {} : { cookie: `c=v${index}` },
    })),
  },
  {
    name: 'a cookie for a session',
    hashPolicy: '[{cookie: {name: c, ttl: 0s}}]',
    answers: true,
    requests: Array.from({ length: 24 }, () => ({
      path: `/${slug('a cookie for a session')}`,
      headers: { cookie: 'd=e' },
    })),
  },
  {
    name: 'a query parameter that is not there',
    hashPolicy: '[{query_parameter: {name: q}}]',
    isRandom: true,
    requests: Array.from({ length: 24 }, () => ({
      path: `/${slug('a query parameter that is not there')}`,
    })),
  },
]

function slug(name: string): string {
  return name.toLowerCase().replace(/[^a-z]+/g, '-')
}

export function hashingBootstrap(log: string, answering: number): string {
  const routes = hashingStories.map((one) => {
    const edits = one.name.startsWith('headers that the route')
      ? '\n                request_headers_to_add: [{header: {key: x-key, value: same}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}]'
      : ''
    return `              - match: {prefix: /${slug(one.name)}}${edits}
                route: {cluster: ${slug(one.name)}, hash_policy: ${one.hashPolicy ?? hashByKey}${one.route ? `, ${one.route}` : ''}}`
  })
  return `admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
static_resources:
  listeners:
  - name: main
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.set_filter_state
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.set_filter_state.v3.Config
          on_new_connection:
          - {object_key: who, factory_key: envoy.hashable_string, format_string: {text_format_source: {inline_string: 10.9.8.7}}}
          - {object_key: envoy.hashable_string, format_string: {text_format: the first}}
          - {object_key: empty, factory_key: envoy.hashable_string, skip_if_empty: true, format_string: {text_format_source: {inline_string: ""}}}
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: main
          use_remote_address: false
          access_log:
          - name: envoy.access_loggers.file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: ${log}
              log_format: {text_format_source: {inline_string: "%REQ(X-NAME)% %UPSTREAM_HOST%\\n"}}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
${routes.join('\n')}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
${hashingStories.map((one) => clusterText(one, answering)).join('\n')}
`
}

function clusterText(one: HashingStory, answering: number): string {
  const seven = [1, 1, 1, 1, 1, 1, 1]
  const localities = one.localities ?? [{ zone: 'a', weights: one.answers === true ? [1] : seven }]
  // Stories about answers have one endpoint that gives some.
  let port = one.answers === true ? answering : 1
  const groups = localities.map(({ zone, weights, weight, priority = 0, ...rest }) => {
    const hosts = weights.map((own) => {
      const number = port++
      const hostname = rest.hostnames === true ? `, hostname: host-${number}.test` : ''
      const health = rest.health === undefined ? '' : `, health_status: ${rest.health}`
      const metadata =
        rest.hashKeys === true
          ? `, metadata: {filter_metadata: {envoy.lb: {hash_key: own-${number}}}}`
          : ''
      return `{load_balancing_weight: ${own}${health}${metadata}, endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: ${number}}}${hostname}}}`
    })
    const own = weight === undefined ? '' : `, load_balancing_weight: ${weight}`
    return `{priority: ${priority}${own}, locality: {zone: ${zone}}, lb_endpoints: [${hosts.join(', ')}]}`
  })
  return `  - name: ${slug(one.name)}
    connect_timeout: 1s
    circuit_breakers: {thresholds: [{max_retries: 1000}]}
    type: ${one.type ?? 'STATIC'}
    ${one.cluster ?? plainRing}
    load_assignment: {cluster_name: ${slug(one.name)}, endpoints: [${groups.join(', ')}]}`
}
