/** Health checks of a cluster: defaults, and every value that is refused, in Envoy's words. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { envoyMessage } from '../../../test/support/envoy-message.ts'
import type { HealthCheckSettings } from '../health/health-settings.ts'
import { compileCluster } from './compile-cluster.ts'

const required = 'timeout: 1s, interval: 2s, unhealthy_threshold: 3, healthy_threshold: 4'
const path = 'http_health_check: {path: /}'

function compiledCheck(check: string, cluster = ''): HealthCheckSettings {
  const result = compileCluster(
    envoyMessage.cluster(`{name: c, ${cluster} health_checks: [{${check}}]}`),
  )
  assert.ok(result.ok, result.ok ? '' : result.reasons.join('; '))
  assert.ok(result.value.healthCheck)
  return result.value.healthCheck
}

test('what is not written has Envoy’s default', () => {
  const check = compiledCheck(`${required}, ${path}`)
  assert.equal(check.timeoutMs, 1_000)
  assert.deepEqual(check.intervals, {
    intervalMs: 2_000,
    initialJitterMs: 0,
    jitterMs: 0,
    jitterPercent: 0,
    noTrafficMs: 60_000,
    noTrafficHealthyMs: 60_000,
    unhealthyMs: 2_000,
    unhealthyEdgeMs: 2_000,
    healthyEdgeMs: 2_000,
  })
  assert.deepEqual([check.unhealthyThreshold, check.healthyThreshold], [3, 4])
  assert.equal(check.reusesConnection, true)
  assert.deepEqual(check.eventLogPaths, [])
  const { probe } = check
  assert.ok(probe.kind === 'http')
  assert.deepEqual(probe.expected, [{ start: 200, end: 201 }])
  assert.deepEqual([probe.method, probe.version, probe.host], ['GET', 'http1', ''])
  assert.equal(probe.responseBytesMax, 1_024)
})

test('intervals follow each other where they are not written', () => {
  const { intervals } = compiledCheck(
    `${required}, ${path}, unhealthy_interval: 7s, no_traffic_interval: 9s`,
  )
  assert.equal(intervals.unhealthyEdgeMs, 7_000)
  assert.equal(intervals.healthyEdgeMs, 2_000)
  assert.equal(intervals.noTrafficHealthyMs, 9_000)
})

test('what is written holds', () => {
  const check = compiledCheck(
    `${required}, initial_jitter: 0.5s, interval_jitter: 0.25s, interval_jitter_percent: 20, no_traffic_interval: 11s,
     no_traffic_healthy_interval: 12s, unhealthy_interval: 13s, unhealthy_edge_interval: 14s, healthy_edge_interval: 15s,
     reuse_connection: false, always_log_health_check_failures: true, always_log_health_check_success: true,
     event_log_path: /tmp/a, event_logger: [{name: file, typed_config: {"@type": type.googleapis.com/envoy.extensions.health_check.event_sinks.file.v3.HealthCheckEventFileSink, event_log_path: /tmp/b}}],
     tls_options: {alpn_protocols: [one, two]}, transport_socket_match_criteria: {useIt: true},
     tcp_health_check: {send: {text: "00fF"}, receive: [{binary: "AQI="}]}`,
  )
  assert.deepEqual(check.intervals, {
    intervalMs: 2_000,
    initialJitterMs: 500,
    jitterMs: 250,
    jitterPercent: 20,
    noTrafficMs: 11_000,
    noTrafficHealthyMs: 12_000,
    unhealthyMs: 13_000,
    unhealthyEdgeMs: 14_000,
    healthyEdgeMs: 15_000,
  })
  assert.equal(check.reusesConnection, false)
  assert.deepEqual(check.eventLogPaths, ['/tmp/a', '/tmp/b'])
  assert.deepEqual([check.logsEveryFailure, check.logsEverySuccess], [true, true])
  assert.deepEqual(check.security, { alpn: ['one', 'two'], socketMatch: { useIt: true } })
  assert.deepEqual(check.probe, {
    kind: 'tcp',
    send: Buffer.from([0x00, 0xff]),
    receive: [Buffer.from([1, 2])],
    proxyHeader: undefined,
  })
})

test('a gRPC check of a cluster that speaks HTTP/2', () => {
  const { probe } = compiledCheck(
    `${required}, grpc_health_check: {service_name: a, authority: b}`,
    'http2_protocol_options: {},',
  )
  assert.ok(probe.kind === 'grpc')
  assert.deepEqual([probe.service, probe.host], ['a', 'b'])
})

const times = 'unhealthy_threshold: 1, healthy_threshold: 1'

const refusals: readonly (readonly [claim: string, check: string, reason: string])[] = [
  ['no time-out', `interval: 1s, ${times}, ${path}`, 'timeout: value is required'],
  ['no interval', `timeout: 1s, ${times}, ${path}`, 'interval: value is required'],
  [
    'a time-out of nothing',
    `timeout: 0s, interval: 1s, ${times}, ${path}`,
    'timeout: value must be greater than 0s, got 0s',
  ],
  [
    'an interval of nothing',
    `timeout: 1s, interval: 0s, ${times}, ${path}`,
    'interval: value must be greater than 0s, got 0s',
  ],
  [
    'no unhealthy threshold',
    `timeout: 1s, interval: 1s, healthy_threshold: 1, ${path}`,
    'unhealthy_threshold: value is required',
  ],
  [
    'no healthy threshold',
    `timeout: 1s, interval: 1s, unhealthy_threshold: 1, ${path}`,
    'healthy_threshold: value is required',
  ],
  ...[
    'no_traffic_interval',
    'no_traffic_healthy_interval',
    'unhealthy_interval',
    'unhealthy_edge_interval',
    'healthy_edge_interval',
  ].map(
    (field) =>
      [
        `a ${field} of nothing`,
        `${required}, ${field}: 0s, ${path}`,
        `${field}: value must be greater than 0s, got 0s`,
      ] as const,
  ),
  [
    'a negative jitter',
    `${required}, interval_jitter: -1s, ${path}`,
    'interval_jitter: value must be greater than or equal to 0s, got -1s',
  ],
  ['nothing to ask', required, 'health_checker: is required'],
  [
    'another port for all',
    `${required}, alt_port: 81, ${path}`,
    'alt_port: Envoy does not implement it either: health_check_config.port_value of each endpoint says it (value 81)',
  ],
  [
    'a checker of its own',
    `${required}, custom_health_check: {name: redis}`,
    'custom_health_check: custom health checks are not implemented',
  ],
  [
    'an event service',
    `${required}, event_service: {}, ${path}`,
    'event_service: an event service is not implemented',
  ],
  [
    'an unknown sink of events',
    `${required}, ${path}, event_logger: [{name: mine, typed_config: {"@type": type.googleapis.com/google.protobuf.Struct}}]`,
    'event_logger[0]: event sink mine (google.protobuf.Struct) is not implemented',
  ],
  [
    'a sink of events without a file',
    `${required}, ${path}, event_logger: [{name: f, typed_config: {"@type": type.googleapis.com/envoy.extensions.health_check.event_sinks.file.v3.HealthCheckEventFileSink}}]`,
    'event_logger[0].typed_config.event_log_path: value length must be at least 1 characters',
  ],
  [
    'no path',
    `${required}, http_health_check: {}`,
    'http_health_check.path: value length must be at least 1 characters',
  ],
  [
    'a path with a line’s end',
    `${required}, http_health_check: {path: "/\\r\\nx: y"}`,
    'http_health_check.path: must be the value of a header',
  ],
  [
    'a host with a line’s end',
    `${required}, http_health_check: {path: /, host: "a\\n"}`,
    'http_health_check.host: must be the value of a header',
  ],
  [
    'CONNECT',
    `${required}, http_health_check: {path: /, method: CONNECT}`,
    'http_health_check.method: value must not be in list [CONNECT]',
  ],
  [
    'HTTP/3',
    `${required}, http_health_check: {path: /, codec_client_type: HTTP3}`,
    'http_health_check.codec_client_type: HTTP/3 is not implemented',
  ],
  [
    'a body of a GET',
    `${required}, http_health_check: {path: /, send: {text: "00"}}`,
    "http_health_check.send: HTTP health check cannot specify a request payload with method 'GET'",
  ],
  [
    'an empty range of statuses',
    `${required}, http_health_check: {path: /, expected_statuses: [{start: 200, end: 200}]}`,
    'http_health_check.expected_statuses[0]: Invalid http expected status range: expecting start < end, but found start=200 and end=200',
  ],
  [
    'statuses below 100',
    `${required}, http_health_check: {path: /, retriable_statuses: [{start: 99, end: 200}]}`,
    'http_health_check.retriable_statuses[0]: Invalid http retriable status range: expecting start >= 100, but found start=99',
  ],
  [
    'statuses beyond 600',
    `${required}, http_health_check: {path: /, expected_statuses: [{start: 200, end: 601}]}`,
    'http_health_check.expected_statuses[0]: Invalid http expected status range: expecting end <= 600, but found end=601',
  ],
  [
    'bytes that are not hexadecimal',
    `${required}, tcp_health_check: {receive: [{text: "xyz"}]}`,
    "tcp_health_check.receive[0].text: invalid hex string 'xyz'",
  ],
  [
    'half a byte',
    `${required}, tcp_health_check: {send: {text: "abc"}}`,
    "tcp_health_check.send.text: invalid hex string 'abc'",
  ],
  [
    'a block of nothing',
    `${required}, tcp_health_check: {receive: [{}]}`,
    'tcp_health_check.receive[0].payload: is required',
  ],
  [
    'a longer answer than is looked at',
    `${required}, http_health_check: {path: /, response_buffer_size: 2, receive: [{text: "000000"}]}`,
    "http_health_check.response_buffer_size: The expected response length '3' is over than http health response buffer size '2'",
  ],
  [
    'a matcher of nothing',
    `${required}, http_health_check: {path: /, service_name_matcher: {}}`,
    'http_health_check.service_name_matcher: match_pattern: is required',
  ],
  [
    'a changed host',
    `${required}, http_health_check: {path: /, request_headers_to_add: [{header: {key: host, value: x}}]}`,
    'http_health_check.request_headers_to_add[0].header.key: :-prefixed or host headers may not be changed',
  ],
  [
    'gRPC over HTTP/1',
    `${required}, grpc_health_check: {}`,
    'c cluster must support HTTP/2 for gRPC healthchecking',
  ],
]

for (const [claim, check, reason] of refusals) {
  test(`a health check is refused for ${claim}`, () => {
    const text = `{name: c, health_checks: [{${check}}]}`
    const result = compileCluster(envoyMessage.cluster(text))
    const reasons = result.ok ? [] : result.reasons
    const wanted = [`health_checks[0].${reason}`, `health_checks[0]: ${reason}`]
    assert.ok(
      reasons.some((found) => wanted.some((start) => found.startsWith(start))),
      reasons.join('\n') || 'it was accepted',
    )
  })
}

test('two health checks of one cluster are refused', () => {
  const one = `{${required}, ${path}}`
  const result = compileCluster(envoyMessage.cluster(`{name: c, health_checks: [${one}, ${one}]}`))
  assert.deepEqual(result.ok ? [] : result.reasons, [
    'health_checks: Multiple health checks not supported',
  ])
})
