/** What a Cluster message becomes, and why one is refused. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { envoyMessage } from '../../../test/support/envoy-message.ts'
import { compileCluster } from './compile-cluster.ts'

const endpoint =
  'endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 80}}}}]}]'

function compiledCluster(text: string) {
  const result = compileCluster(envoyMessage.cluster(text))
  assert.ok(result.ok, result.ok ? '' : result.reasons.join('; '))
  return result.value
}

test('a cluster that says nothing gets Envoy’s defaults', () => {
  const cluster = compiledCluster('name: c')
  assert.equal(cluster.type, 'static')
  assert.equal(cluster.connectTimeoutMs, 5_000)
  assert.equal(cluster.idleTimeoutMs, 3_600_000)
  assert.equal(cluster.bufferLimitBytes, 1_048_576)
  assert.equal(cluster.protocol, 'http1')
  assert.deepEqual(cluster.breakerLimits, {
    connectionsMax: 1024,
    pendingMax: 1024,
    requestsMax: 1024,
    retriesMax: 3,
  })
  assert.equal(cluster.outlier, undefined)
  assert.deepEqual(cluster.balancing, {
    policy: 'round-robin',
    choiceCount: 2,
    activeRequestBias: 1,
    localityWeighted: false,
    panicThresholdPercent: 50,
    zone: { routingEnabledPercent: 100, minClusterSize: 6, failsOnPanic: false },
  })
  assert.deepEqual(cluster.endpoints?.endpoints, [])
})

test('outlier detection that says nothing gets Envoy’s defaults', () => {
  const { outlier } = compiledCluster('{name: c, outlier_detection: {}}')
  assert.equal(outlier?.intervalMs, 10_000)
  assert.equal(outlier.baseEjectionTimeMs, 30_000)
  assert.equal(outlier.maxEjectionTimeMs, 300_000)
  assert.equal(outlier.maxEjectionPercent, 10)
  assert.equal(outlier.alwaysEjectOneHost, false)
  assert.equal(outlier.enforcingConsecutiveGatewayFailure, 0)
  assert.equal(outlier.successRateStdevFactor, 1900)
})

test('the longest ejection is never shorter than the base', () => {
  const { outlier } = compiledCluster('{name: c, outlier_detection: {base_ejection_time: 400s}}')
  assert.equal(outlier?.maxEjectionTimeMs, 400_000)
})

test('the first thresholds of priority DEFAULT count', () => {
  const { breakerLimits } = compiledCluster(`
name: c
circuit_breakers:
  thresholds:
  - {priority: HIGH, max_connections: 1}
  - {max_connections: 2, retry_budget: {budget_percent: {value: 25}}}
  - {max_connections: 3}`)
  assert.equal(breakerLimits.connectionsMax, 2)
  assert.deepEqual(breakerLimits.retryBudget, { budgetPercent: 25, retryConcurrencyMin: 3 })
})

test('a retry budget may have an interval', () => {
  const budgetOf = (interval: string) =>
    compiledCluster(`
name: c
circuit_breakers: {thresholds: [{retry_budget: {budget_interval: ${interval}}}]}`).breakerLimits
      .retryBudget
  assert.deepEqual(budgetOf('1.5s'), {
    budgetPercent: 20,
    retryConcurrencyMin: 3,
    intervalMs: 1500,
  })
  assert.equal(budgetOf('0s')?.intervalMs, undefined)
})

test('the protocol comes from the typed options, with their limits', () => {
  const cluster = compiledCluster(`
name: c
typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    common_http_protocol_options: {idle_timeout: 30s, max_requests_per_connection: 7}
    use_downstream_protocol_config: {}`)
  assert.equal(cluster.protocol, 'use-downstream')
  assert.equal(cluster.idleTimeoutMs, 30_000)
  assert.equal(cluster.requestsPerConnectionMax, 7)
})

test('the first policy of a typed list that is known is taken', () => {
  const { balancing } = compiledCluster(`
name: c
load_balancing_policy:
  policies:
  - typed_extension_config: {name: x, typed_config: {"@type": type.googleapis.com/envoy.extensions.load_balancing_policies.pick_first.v3.PickFirst}}
  - typed_extension_config:
      name: y
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest
        choice_count: 5
        locality_lb_config: {locality_weighted_lb_config: {}}`)
  assert.equal(balancing.policy, 'least-request')
  assert.equal(balancing.choiceCount, 5)
  assert.equal(balancing.localityWeighted, true)
})

test('keep-alive probes are read, within what the kernel takes', () => {
  const { tcpKeepaliveMs, tcpKeepaliveProbing } = compiledCluster(
    '{name: c, upstream_connection_options: {tcp_keepalive: {keepalive_time: 9, keepalive_interval: 3, keepalive_probes: 4}}}',
  )
  assert.deepEqual([tcpKeepaliveMs, tcpKeepaliveProbing], [9_000, { intervalMs: 3_000, probes: 4 }])
  const defaults = compiledCluster('{name: c, upstream_connection_options: {tcp_keepalive: {}}}')
  assert.deepEqual(defaults.tcpKeepaliveProbing, { intervalMs: 75_000, probes: 9 })
})

test('slow start is read from the message of either form', () => {
  const config =
    '{slow_start_window: 60s, aggression: {default_value: 1.5}, min_weight_percent: {value: 20}}'
  const expected = { windowMs: 60_000, aggression: 1.5, leastShare: 0.2 }
  const legacy = compiledCluster(
    `{name: c, lb_policy: LEAST_REQUEST, least_request_lb_config: {slow_start_config: ${config}}}`,
  )
  assert.deepEqual(legacy.balancing.slowStart, expected)
  const typed = compiledCluster(
    `{name: c, load_balancing_policy: {policies: [{typed_extension_config: {name: x, typed_config: {"@type": type.googleapis.com/envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin, slow_start_config: ${config}}}}]}}`,
  )
  assert.deepEqual(typed.balancing.slowStart, expected)
  const defaults = compiledCluster(
    '{name: c, round_robin_lb_config: {slow_start_config: {slow_start_window: 1s}}}',
  )
  assert.deepEqual(defaults.balancing.slowStart, {
    windowMs: 1_000,
    aggression: 1,
    leastShare: 0.1,
  })
})

test('Istio’s services name what the cluster stands for', () => {
  const { service } = compiledCluster(`
name: outbound|80||a.ns.svc
metadata: {filter_metadata: {istio: {services: [{host: a.ns.svc, name: a, namespace: ns}]}}}`)
  assert.deepEqual(service, { host: 'a.ns.svc', name: 'a', namespace: 'ns' })
})

test('an EDS cluster asks for its service name', () => {
  const cluster = compiledCluster(`
name: c
type: EDS
eds_cluster_config: {service_name: s, eds_config: {ads: {}, initial_fetch_timeout: 0s}}`)
  assert.equal(cluster.edsName, 's')
  assert.equal(cluster.edsInitialFetchTimeoutMs, 0)
})

test('a dynamic forward proxy has a DNS cache with ceilings', () => {
  const cluster = compiledCluster(`
name: PassthroughCluster
lb_policy: CLUSTER_PROVIDED
cluster_type:
  name: envoy.clusters.dynamic_forward_proxy
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig
    dns_cache_config: {name: d, max_hosts: 10}`)
  assert.equal(cluster.type, 'dynamic-forward-proxy')
  assert.equal(cluster.dnsCache?.hostsMax, 10)
  assert.equal(cluster.dnsCache.pendingMax, 1024)
  assert.equal(cluster.dnsCache.refreshMs, 60_000)
})

function erring(matcher: string): string {
  return `
name: c
typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    explicit_http_config: {http_protocol_options: {}}
    outlier_detection: {error_matcher: ${matcher}}`
}

const refusals: readonly {
  readonly name: string
  readonly text: string
  readonly reason: string
}[] = [
  { name: 'no name', text: '{}', reason: 'name: value length must be at least 1 characters' },
  {
    name: 'a connect time-out of nothing',
    text: '{name: c, connect_timeout: 0s}',
    reason: 'connect_timeout: value must be greater than 0s, got 0s',
  },
  ...(
    [
      ['nothing', '{}', ': rule is required'],
      [
        'one rule of many',
        '{or_match: {rules: [{any_match: true}]}}',
        '.or_match.rules: value must contain at least 2 item(s)',
      ],
      ['a rule inside that is none', '{not_match: {}}', '.not_match: rule is required'],
    ] as const
  ).map(([name, matcher, reason]) => ({
    name: `a matcher of errors with ${name}`,
    text: erring(matcher),
    reason: `outlier_detection.error_matcher${reason}`,
  })),
  {
    name: 'a matcher of errors over requests',
    text: erring('{http_request_headers_match: {headers: [{name: x, present_match: true}]}}'),
    reason:
      'typed_extension_protocol_options[envoy.extensions.upstreams.http.v3.HttpProtocolOptions].outlier_detection.error_matcher.http_request_headers_match: outlier detection asks about the heads of responses only (value {"headers":[{"name":"x","headerMatchSpecifier":{"$case":"presentMatch","value...)',
  },
  {
    name: 'an interval of retries before now',
    text: '{name: c, circuit_breakers: {thresholds: [{retry_budget: {budget_interval: -1s}}]}}',
    reason:
      'circuit_breakers.thresholds[0].retry_budget.budget_interval: value must be greater than or equal to 0s, got -1s',
  },
  {
    name: 'a TLS context for servers',
    text: '{name: c, transport_socket: {name: tls, typed_config: {"@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext}}}',
    reason:
      'transport_socket: tls (envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext) is not implemented',
  },
  {
    name: 'a limit per host on requests',
    text: '{name: c, circuit_breakers: {per_host_thresholds: [{max_requests: 3}]}}',
    reason:
      'circuit_breakers.per_host_thresholds[0].max_requests: Unsupported field in per_host_thresholds (value 3)',
  },
  {
    name: 'more than every request routed by zones',
    text: '{name: c, common_lb_config: {zone_aware_lb_config: {routing_enabled: {value: 101}}}}',
    reason:
      'common_lb_config.zone_aware_lb_config.routing_enabled: value must be inside range [0, 100], got 101',
  },
  {
    name: 'more keep-alive probes than the kernel sends',
    text: '{name: c, upstream_connection_options: {tcp_keepalive: {keepalive_probes: 128}}}',
    reason: 'upstream_connection_options.tcp_keepalive.keepalive_probes: must be 1 to 127, got 128',
  },
  {
    name: 'a slow start of more than the whole weight',
    text: '{name: c, round_robin_lb_config: {slow_start_config: {slow_start_window: 10s, min_weight_percent: {value: 101}}}}',
    reason:
      'round_robin_lb_config.slow_start_config.min_weight_percent: value must be inside range [0, 100], got 101',
  },
  {
    name: 'a ring smaller than its minimum',
    text: '{name: c, lb_policy: RING_HASH, ring_hash_lb_config: {minimum_ring_size: 9, maximum_ring_size: 8}}',
    reason: 'ring_hash_lb_config: ring hash: minimum_ring_size (9) > maximum_ring_size (8)',
  },
  {
    name: 'a ring that is too large',
    text: '{name: c, lb_policy: RING_HASH, ring_hash_lb_config: {minimum_ring_size: 8388609}}',
    reason:
      'ring_hash_lb_config.minimum_ring_size: value must be less than or equal to 8388608, got 8388609',
  },
  {
    name: 'a table whose size is no prime',
    text: '{name: c, lb_policy: MAGLEV, maglev_lb_config: {table_size: 65536}}',
    reason:
      'maglev_lb_config.table_size: the table size of maglev must be a prime number, got 65536',
  },
  {
    name: 'hashing by names that nobody resolves',
    text: '{name: c, lb_policy: MAGLEV, common_lb_config: {consistent_hashing_lb_config: {use_hostname_for_hashing: true}}}',
    reason:
      'common_lb_config.consistent_hashing_lb_config.use_hostname_for_hashing: needs a cluster of type STRICT_DNS',
  },
  {
    name: 'a bound below the average',
    text: '{name: c, lb_policy: MAGLEV, common_lb_config: {consistent_hashing_lb_config: {hash_balance_factor: 99}}}',
    reason: 'hash_balance_factor: value must be greater than or equal to 100, got 99',
  },
  {
    name: 'original destinations',
    text: '{name: c, type: ORIGINAL_DST, lb_policy: CLUSTER_PROVIDED}',
    reason: 'type: ORIGINAL_DST is not implemented yet',
  },
  {
    name: 'another cluster type',
    text: '{name: c, cluster_type: {name: envoy.clusters.aggregate, typed_config: {"@type": type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig, clusters: [a]}}}',
    reason:
      'cluster_type: "envoy.clusters.aggregate" (envoy.extensions.clusters.aggregate.v3.ClusterConfig) is not implemented',
  },
  {
    name: 'a window below that of the protocol',
    text: '{name: c, http2_protocol_options: {initial_stream_window_size: 1000}}',
    reason:
      'http2_protocol_options.initial_stream_window_size: value must be inside range [65535, 2147483647], got 1000',
  },
  {
    name: 'keep-alive without a time-out',
    text: '{name: c, http2_protocol_options: {connection_keepalive: {interval: 5s}}}',
    reason: 'http2_protocol_options.connection_keepalive.timeout: value is required',
  },
  {
    name: 'an ejection percentage above 100',
    text: '{name: c, outlier_detection: {max_ejection_percent: 101}}',
    reason:
      'outlier_detection.max_ejection_percent: value must be less than or equal to 100, got 101',
  },
  {
    name: 'a longest ejection below the base',
    text: '{name: c, outlier_detection: {base_ejection_time: 10s, max_ejection_time: 3s}}',
    reason: 'outlier_detection.max_ejection_time: cannot be smaller than base_ejection_time',
  },
  {
    name: 'EDS settings on a static cluster',
    text: '{name: c, type: STATIC, eds_cluster_config: {eds_config: {ads: {}}}}',
    reason: 'eds_cluster_config: set in a non-EDS cluster',
  },
  {
    name: 'an EDS cluster without its source',
    text: '{name: c, type: EDS}',
    reason: 'eds_cluster_config.eds_config: is required for a cluster of type EDS',
  },
  {
    name: 'two endpoints of a LOGICAL_DNS cluster',
    text: `{name: c, type: LOGICAL_DNS, load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: a, port_value: 1}}}}, {endpoint: {address: {socket_address: {address: b, port_value: 1}}}}]}]}}`,
    reason:
      'load_assignment: LOGICAL_DNS clusters must have a single locality_lb_endpoint and a single lb_endpoint',
  },
  {
    name: 'two localities of a LOGICAL_DNS cluster',
    text: `{name: c, type: LOGICAL_DNS, load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: a, port_value: 1}}}}]}, {}]}}`,
    reason:
      'load_assignment: LOGICAL_DNS clusters must have a single locality_lb_endpoint and a single lb_endpoint',
  },
  {
    name: 'a resolver of an endpoint’s own',
    text: `{name: c, type: STRICT_DNS, load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: a, port_value: 1, resolver_name: r}}}}]}]}}`,
    reason:
      'load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.resolver_name: custom resolvers are not implemented (value "r")',
  },
  ...[
    ['dns_refresh_rate: 0s', 'dns_refresh_rate: value must be greater than 1ms, got 0ms'],
    ['dns_refresh_rate: 0.001s', 'dns_refresh_rate: value must be greater than 1ms, got 1ms'],
    [
      'dns_failure_refresh_rate: {max_interval: 5s}',
      'dns_failure_refresh_rate.base_interval: value is required',
    ],
    [
      'dns_failure_refresh_rate: {base_interval: 0.001s}',
      'dns_failure_refresh_rate.base_interval: value must be greater than 1ms, got 1ms',
    ],
    [
      'dns_failure_refresh_rate: {base_interval: 5s, max_interval: 1s}',
      'dns_failure_refresh_rate: max_interval must be greater than or equal to base_interval',
    ],
  ].map(([text = '', reason = '']) => ({
    name: text,
    text: `{name: c, type: STRICT_DNS, ${text}}`,
    reason,
  })),
  {
    name: 'a name as address of a static cluster',
    text: '{name: c, load_assignment: {cluster_name: c, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: example.com, port_value: 80}}}}]}]}}',
    reason:
      'load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address: malformed IP address: example.com',
  },
  {
    name: 'a ceiling of no response headers',
    text: '{name: c, common_http_protocol_options: {max_headers_count: 0}}',
    reason:
      'common_http_protocol_options.max_headers_count: value must be greater than or equal to 1, got 0',
  },
  {
    name: 'a header format that says nothing',
    text: '{name: c, http_protocol_options: {header_key_format: {}}}',
    reason: 'http_protocol_options.header_key_format.header_format: is required',
  },
  {
    name: 'a field that nobody has heard of here',
    text: '{name: c, preconnect_policy: {per_upstream_preconnect_ratio: 2}}',
    reason:
      'preconnect_policy: preconnecting is not implemented (value {"perUpstreamPreconnectRatio":2})',
  },
]

for (const { name, text, reason } of refusals) {
  test(`a cluster is refused for ${name}`, () => {
    const result = compileCluster(envoyMessage.cluster(text))
    assert.equal(result.ok, false)
    const reasons = result.ok ? [] : result.reasons
    assert.ok(
      reasons.some((found) => found.startsWith(reason)),
      reasons.join('\n'),
    )
  })
}

test('every reason is given, not only the first', () => {
  const result = compileCluster(
    envoyMessage.cluster(
      '{connect_timeout: -1s, protocol_selection: USE_DOWNSTREAM_PROTOCOL, track_cluster_stats: {}}',
    ),
  )
  assert.equal(result.ok ? 0 : result.reasons.length, 3)
})

test('a cluster speaks HTTP/2 with the options that it names', () => {
  const message = envoyMessage.cluster(
    `{name: c, http2_protocol_options: {max_concurrent_streams: 7}, load_assignment: {cluster_name: c, ${endpoint}}}`,
  )
  const result = compileCluster(message)
  assert.equal(result.ok && result.value.protocol, 'http2')
  assert.equal(result.ok && result.value.http2.concurrentStreamsMax, 7)
})
