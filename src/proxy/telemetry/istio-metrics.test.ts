/** Istio's standard metrics: exactly its labels, in its order, with a ceiling on how many there are. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { fakeHost, smallSlots } from '../../../test/support/fake-host.ts'
import { namedCluster, requestRecord, tcpRecord } from '../../../test/support/request-record.ts'
import { type IstioMetrics, type IstioMetricsOptions, createIstioMetrics } from './istio-metrics.ts'
import { renderPrometheus } from './render-stats.ts'
import type { RequestRecord } from './request-record.ts'
import { createSlotBuffers, createSlots } from './shared-slots.ts'
import { StatsRegistry } from './stats-registry.ts'

const ours = {
  source_workload: 'load',
  source_canonical_service: 'load',
  source_canonical_revision: 'latest',
  source_workload_namespace: 'default',
  source_principal: 'unknown',
  source_app: 'load',
  source_version: 'v1',
  source_cluster: 'Kubernetes',
}

function scene(options: Partial<IstioMetricsOptions> = {}): {
  readonly metrics: IstioMetrics
  readonly registry: StatsRegistry
  readonly lines: (metric: string) => readonly string[]
} {
  const slots = createSlots(createSlotBuffers({ gaugesMax: 64, countersMax: 400_000 }))
  const registry = new StatsRegistry(slots)
  const metrics = createIstioMetrics({ registry, reporter: 'source', labels: ours, ...options })
  return {
    metrics,
    registry,
    lines: (metric) =>
      renderPrometheus(registry, { usedOnly: true })
        .split('\n')
        .filter((line) => line.startsWith(`${metric}{`)),
  }
}

const cluster = namedCluster('my-go-service.default.svc.cluster.local', 'my-go-service', 'default')
const host = fakeHost(smallSlots(), 8080)

function toService(fields: Partial<RequestRecord> = {}): RequestRecord {
  return requestRecord({ cluster, host, ...fields })
}

test("a request has all of Istio's labels in Istio's order", () => {
  const { metrics, lines } = scene()
  metrics.http.onEnd(toService())
  metrics.http.onEnd(toService())
  assert.deepEqual(lines('istio_requests_total'), [
    'istio_requests_total{reporter="source",source_workload="load",source_canonical_service="load",' +
      'source_canonical_revision="latest",source_workload_namespace="default",' +
      'source_principal="unknown",source_app="load",source_version="v1",' +
      'source_cluster="Kubernetes",destination_workload="w8080",' +
      'destination_workload_namespace="default",destination_principal="unknown",' +
      'destination_app="w",destination_version="v1",' +
      'destination_service="my-go-service.default.svc.cluster.local",' +
      'destination_canonical_service="w",destination_canonical_revision="v1",' +
      'destination_service_name="my-go-service",destination_service_namespace="default",' +
      'destination_cluster="c",request_protocol="http",response_code="200",' +
      'grpc_response_status="",response_flags="-",connection_security_policy="unknown"} 2',
  ])
})

test('durations and sizes are histograms of the same labels', () => {
  const { metrics, lines } = scene()
  metrics.http.onEnd(toService())
  assert.match(lines('istio_request_duration_milliseconds_sum')[0] ?? '', / 12\.7$/)
  assert.match(lines('istio_request_bytes_sum')[0] ?? '', / 103$/)
  assert.match(lines('istio_response_bytes_sum')[0] ?? '', / 202$/)
  assert.match(lines('istio_request_bytes_count')[0] ?? '', / 1$/)
})

test('the destination reports about itself, and knows how the connection is secured', () => {
  const { metrics, lines } = scene({
    reporter: 'destination',
    labels: { destination_workload: 'v1', destination_canonical_service: 'my-go-service' },
  })
  metrics.http.onEnd(toService())
  const [line = ''] = lines('istio_requests_total')
  assert.match(line, /reporter="destination",source_workload="unknown"/)
  assert.match(line, /destination_workload="v1"/)
  assert.match(line, /connection_security_policy="none"/)
})

test('code, flags, protocol and gRPC status each make a series', () => {
  const { metrics, lines } = scene()
  metrics.http.onEnd(toService())
  metrics.http.onEnd(toService({ status: 503, flags: 'UH' }))
  metrics.http.onEnd(toService({ status: 503, flags: 'UF' }))
  metrics.http.onEnd(toService({ isGrpc: true, grpcStatus: 0 }))
  metrics.http.onEnd(toService({ isGrpc: true, grpcStatus: 14 }))
  metrics.http.onEnd(toService({ status: 0, flags: 'DC' }))
  const found = lines('istio_requests_total')
  assert.equal(found.length, 6)
  assert.ok(
    found.some((line) =>
      line.includes('request_protocol="grpc",response_code="200",grpc_response_status="14"'),
    ),
  )
  assert.ok(found.some((line) => line.includes('response_code="0"')))
})

test('two endpoints of one workload count in one series', () => {
  const { metrics, lines } = scene()
  const twin = fakeHost(smallSlots(), 8081, { metadata: host.metadata })
  metrics.http.onEnd(toService())
  metrics.http.onEnd(toService({ host: twin }))
  assert.equal(lines('istio_requests_total').length, 1)
})

test('a host without a label in EDS is unknown', () => {
  const { metrics, lines } = scene()
  const bare = fakeHost(smallSlots(), 1, {
    metadata: {
      workload: '',
      namespace: '',
      canonicalName: '',
      canonicalRevision: '',
      cluster: '',
      tlsMode: undefined,
    },
  })
  metrics.http.onEnd(toService({ host: bare }))
  const [line = ''] = lines('istio_requests_total')
  assert.match(line, /destination_workload="unknown",destination_workload_namespace="unknown"/)
  assert.match(line, /destination_canonical_revision="unknown"/)
})

for (const { name, record, service, serviceName } of [
  {
    name: 'a passthrough',
    record: { clusterName: 'PassthroughCluster', routeName: 'allow_any' },
    service: 'my-go-service:8080',
    serviceName: 'PassthroughCluster',
  },
  {
    name: 'a blocked host',
    record: { clusterName: '', routeName: 'block_all' },
    service: 'my-go-service:8080',
    serviceName: 'BlackHoleCluster',
  },
  {
    name: 'a cluster without a service',
    record: { clusterName: 'mine', routeName: '' },
    service: 'my-go-service:8080',
    serviceName: 'my-go-service',
  },
]) {
  test(`${name} is named ${serviceName}`, () => {
    const { metrics, lines } = scene()
    metrics.http.onEnd(requestRecord(record))
    const [line = ''] = lines('istio_requests_total')
    assert.ok(line.includes(`destination_service="${service}"`), line)
    assert.ok(line.includes(`destination_service_name="${serviceName}"`), line)
  })
}

test("without the fallback the request's host names nothing", () => {
  const { metrics, lines } = scene({ hostHeaderFallback: false })
  metrics.http.onEnd(requestRecord({ clusterName: 'mine' }))
  assert.match(lines('istio_requests_total')[0] ?? '', /destination_service="unknown"/)
})

test('more authorities than are remembered count each for itself', () => {
  const { metrics, lines } = scene()
  const { request } = requestRecord()
  for (let index = 0; index < 300; index += 1) {
    const authority = `host-${index % 100}.test`
    metrics.http.onEnd(requestRecord({ host, request: { ...request, authority } }))
  }
  const found = lines('istio_requests_total')
  assert.equal(found.length, 100)
  assert.deepEqual(
    found.filter((line) => !line.endsWith(' 3')),
    [],
  )
})

test('one authority by two routes and two endpoints is four series', () => {
  const { metrics, lines } = scene()
  for (const routeName of ['allow_any', 'block_all']) {
    for (const one of [host, undefined]) {
      metrics.http.onEnd(requestRecord({ host: one, routeName }))
      metrics.http.onEnd(requestRecord({ host: one, routeName }))
    }
  }
  const found = lines('istio_requests_total')
  assert.deepEqual(
    found.map((line) => [
      /destination_service_name="(\w+)"/.exec(line)?.[1],
      /destination_workload="(\w+)"/.exec(line)?.[1],
      line.slice(-2),
    ]),
    [
      ['BlackHoleCluster', 'unknown', ' 2'],
      ['PassthroughCluster', 'unknown', ' 2'],
      ['BlackHoleCluster', 'w8080', ' 2'],
      ['PassthroughCluster', 'w8080', ' 2'],
    ],
  )
})

test('past the ceiling requests count as overflow, and that is counted', () => {
  const { metrics, lines, registry } = scene({ seriesMax: 2 })
  const request = requestRecord().request
  for (let index = 0; index < 5; index += 1) {
    metrics.http.onEnd(requestRecord({ request: { ...request, authority: `host-${index}.test` } }))
  }
  const found = lines('istio_requests_total')
  assert.equal(found.length, 3)
  const overflow = found.find((line) => line.includes('destination_service="overflow"'))
  assert.match(overflow ?? '', /reporter="source".* 3$/)
  assert.match(renderPrometheus(registry), /^istio_metrics_overflow_total\{\} 3$/m)
})

test('TCP has no codes, and counts openings, closings and bytes', () => {
  const { metrics, lines } = scene()
  const record = tcpRecord({ cluster, host })
  metrics.tcp.onOpen(record)
  metrics.tcp.onEnd(record)
  const [line = ''] = lines('istio_tcp_connections_opened_total')
  assert.match(
    line,
    /request_protocol="tcp",response_flags="-",connection_security_policy="unknown"\} 1$/,
  )
  assert.doesNotMatch(line, /response_code=|grpc_response_status=/)
  assert.match(lines('istio_tcp_connections_closed_total')[0] ?? '', / 1$/)
  assert.match(lines('istio_tcp_sent_bytes_total')[0] ?? '', / 20$/)
  assert.match(lines('istio_tcp_received_bytes_total')[0] ?? '', / 10$/)
})

test('bytes of a TCP connection that goes on are counted once', () => {
  const { metrics, lines } = scene()
  metrics.tcp.onProgress?.(tcpRecord({ cluster, host, newBytesReceived: 4, newBytesSent: 6 }))
  assert.match(lines('istio_tcp_sent_bytes_total')[0] ?? '', / 6$/)
  metrics.tcp.onEnd(tcpRecord({ cluster, host, newBytesReceived: 6, newBytesSent: 14 }))
  assert.match(lines('istio_tcp_sent_bytes_total')[0] ?? '', / 20$/)
  assert.match(lines('istio_tcp_received_bytes_total')[0] ?? '', / 10$/)
})

test('closing forgets every series', () => {
  const { metrics, registry } = scene()
  metrics.http.onEnd(toService())
  metrics.close()
  assert.equal(registry.size, 0)
})

test('messages are counted for gRPC calls, and no series is made of them for others', () => {
  const { metrics, lines } = scene()
  metrics.http.onEnd(toService())
  assert.deepEqual(lines('istio_request_messages_total'), [])
  const messages = { received: 3, sent: 5 }
  metrics.http.onEnd(toService({ isGrpc: true, grpcStatus: 0, messages }))
  metrics.http.onEnd(toService({ isGrpc: true, grpcStatus: 0, messages }))
  const [requests = ''] = lines('istio_request_messages_total')
  assert.match(requests, /request_protocol="grpc",.*grpc_response_status="0",.*\} 6$/)
  assert.match(lines('istio_response_messages_total')[0] ?? '', /\} 10$/)
})
