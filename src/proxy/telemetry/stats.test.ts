/** Names, labels and formats of statistics, as Envoy shows them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { smallSlots } from '../../../test/support/fake-host.ts'
import {
  createClusterStats,
  createDownstreamStats,
  createHostStats,
  createTcpStats,
} from './create-stats.ts'
import { bucketOf, envoyBounds, fineBounds, quantile } from './histogram-buckets.ts'
import { renderPrometheus, renderStatsJson, renderStatsText } from './render-stats.ts'
import { RouteStatsTable, routeStatsMax } from './route-stats.ts'
import { createSlotBuffers, createSlots } from './shared-slots.ts'
import { StatsRegistry } from './stats-registry.ts'

const clusterName = 'outbound|8080||my-go-service.default.svc.cluster.local'

test("a cluster counts under Envoy's names", () => {
  const registry = new StatsRegistry(smallSlots())
  const stats = createClusterStats(registry, clusterName)
  stats.rqTotal.add(2)
  stats.answers.add(503)
  stats.cxActive.add(1)
  assert.equal(
    renderStatsText(registry, { usedOnly: true }),
    [
      `cluster.${clusterName}.upstream_cx_active: 1`,
      `cluster.${clusterName}.upstream_rq_503: 1`,
      `cluster.${clusterName}.upstream_rq_5xx: 1`,
      `cluster.${clusterName}.upstream_rq_completed: 1`,
      `cluster.${clusterName}.upstream_rq_total: 2`,
      '',
    ].join('\n'),
  )
})

test('Prometheus sees names with labels, the response code before the cluster', () => {
  const registry = new StatsRegistry(smallSlots())
  const stats = createClusterStats(registry, clusterName)
  stats.rqTotal.add(2)
  stats.answers.add(503)
  const cluster = `envoy_cluster_name="${clusterName}"`
  assert.equal(
    renderPrometheus(registry, { usedOnly: true }),
    [
      '# TYPE envoy_cluster_upstream_rq counter',
      `envoy_cluster_upstream_rq{envoy_response_code="503",${cluster}} 1`,
      '# TYPE envoy_cluster_upstream_rq_completed counter',
      `envoy_cluster_upstream_rq_completed{${cluster}} 1`,
      '# TYPE envoy_cluster_upstream_rq_total counter',
      `envoy_cluster_upstream_rq_total{${cluster}} 2`,
      '# TYPE envoy_cluster_upstream_rq_xx counter',
      `envoy_cluster_upstream_rq_xx{envoy_response_code_class="5",${cluster}} 1`,
      '',
    ].join('\n'),
  )
})

test('a connection manager and a TCP proxy have their prefixes as labels', () => {
  const registry = new StatsRegistry(smallSlots())
  const manager = createDownstreamStats(registry, 'http_proxy', '127.0.0.1:80')
  for (let count = 0; count < 3; count += 1) manager.answers.add(204)
  manager.listenerAnswers?.add(204)
  createDownstreamStats(registry, 'http_proxy').rejected('bare-cr').add(1)
  createTcpStats(registry, 'pg').cxTotal.add(1)
  const text = renderPrometheus(registry, { usedOnly: true })
  assert.match(
    text,
    /^envoy_http_downstream_rq_xx\{envoy_response_code_class="2",envoy_http_conn_manager_prefix="http_proxy"\} 3$/m,
  )
  assert.match(
    text,
    /^envoy_listener_http_downstream_rq_xx\{envoy_response_code_class="2",envoy_http_conn_manager_prefix="http_proxy",envoy_listener_address="127.0.0.1:80"\} 1$/m,
  )
  assert.match(text, /^envoy_http_downstream_rq_rejected\{reason="bare-cr",.*\} 1$/m)
  assert.match(text, /^envoy_tcp_downstream_cx_total\{envoy_tcp_prefix="pg"\} 1$/m)
})

test('label values are escaped', () => {
  const registry = new StatsRegistry(smallSlots())
  createTcpStats(registry, 'a"b\\c\nd').cxTotal.add(1)
  assert.match(
    renderPrometheus(registry, { usedOnly: true }),
    /\{envoy_tcp_prefix="a\\"b\\\\c\\nd"\} 1/,
  )
})

test("a histogram has Envoy's buckets, which count what is at or below their bound", () => {
  const registry = new StatsRegistry(smallSlots())
  const scope = registry.scope({ path: 'h', metric: 'h', labels: [['l', 'v']] })
  const histogram = scope.histogram('t')
  for (const value of [0, 0.5, 1, 1.1, 5, 24, 25, 3_600_000, 99_000_000]) histogram.record(value)
  const lines = renderPrometheus(registry).split('\n')
  const counts = lines
    .filter((line) => line.startsWith('h_t_bucket'))
    .map((line) => line.slice(line.indexOf('le="') + 4))
  assert.equal(counts.length, envoyBounds.length + 1)
  assert.deepEqual(counts.slice(0, 5), ['0.5"} 2', '1"} 3', '5"} 5', '10"} 5', '25"} 7'])
  assert.deepEqual(counts.slice(-2), ['3600000"} 8', '+Inf"} 9'])
  assert.ok(lines.includes('h_t_count{l="v"} 9'))
  assert.ok(lines.includes('h_t_sum{l="v"} 102600056.6'))
})

test("every bound of Envoy's is a bound of ours", () => {
  for (const bound of envoyBounds) assert.equal(fineBounds[bucketOf(bound)], bound)
  assert.deepEqual(
    [...fineBounds],
    [...fineBounds].sort((a, b) => a - b),
  )
})

test('quantiles lie within a fifth of the truth', () => {
  const cells = Array.from({ length: fineBounds.length + 2 }, () => 0)
  for (let value = 1; value <= 1000; value += 1) {
    const cell = bucketOf(value)
    cells[cell] = (cells[cell] ?? 0) + 1
  }
  for (const share of [0.25, 0.5, 0.9, 0.99]) {
    const found = quantile(cells, share) ?? 0
    assert.ok(Math.abs(found / (1000 * share) - 1) < 0.2, `${share}: ${found}`)
  }
  assert.equal(quantile([], 0.5), undefined)
})

test('text and JSON show quantiles, or that there is nothing', () => {
  const registry = new StatsRegistry(smallSlots())
  const scope = registry.scope({ path: 'h', metric: 'h', labels: [] })
  scope.histogram('empty')
  scope.histogram('full').record(10)
  const text = renderStatsText(registry)
  assert.match(text, /^h\.empty: No recorded values$/m)
  assert.match(text, /^h\.full: P0\(nan,9\) P25\(nan,9\.25\) .* P100\(nan,10\)$/m)
  const json = JSON.parse(renderStatsJson(registry, { usedOnly: true })) as {
    stats: readonly [{ histograms: { computed_quantiles: readonly { name: string }[] } }]
  }
  assert.deepEqual(
    json.stats[0].histograms.computed_quantiles.map((one) => one.name),
    ['h.full'],
  )
})

test('a filter chooses by the dotted name', () => {
  const registry = new StatsRegistry(smallSlots())
  createTcpStats(registry, 'a').cxTotal.add(1)
  createTcpStats(registry, 'b').cxTotal.add(1)
  const filter = (name: string): boolean => name.startsWith('tcp.b.')
  assert.equal(
    renderStatsText(registry, { usedOnly: true, filter }),
    'tcp.b.downstream_cx_total: 1\n',
  )
  assert.equal(
    renderStatsJson(registry, { usedOnly: true, filter }),
    '{"stats":[{"name":"tcp.b.downstream_cx_total","value":1}]}',
  )
})

test('a cluster that replaces another counts on, and the last one to close forgets', () => {
  const registry = new StatsRegistry(smallSlots())
  const before = createClusterStats(registry, 'c')
  before.rqTotal.add(1)
  const after = createClusterStats(registry, 'c')
  before.close()
  after.rqTotal.add(1)
  assert.equal(after.rqTotal.value(), 2)
  assert.ok(registry.size > 0)
  after.close()
  assert.equal(registry.size, 0)
})

test("a host's counters go with it", () => {
  const slots = smallSlots()
  const stats = createHostStats(slots)
  stats.rqTotal.add(1)
  stats.rqActive.add(2)
  stats.rqActive.set(1)
  assert.equal(stats.rqTotal.value(), 1)
  assert.equal(stats.rqActive.value(), 1)
  stats.close()
  slots.reclaim()
  assert.deepEqual({ ...slots.usage() }, { ...slots.usage(), gauges: 0, counters: 0 })
})

test('resetting leaves gauges alone', () => {
  const registry = new StatsRegistry(smallSlots())
  const stats = createClusterStats(registry, 'c')
  stats.rqTotal.add(1)
  stats.rqTime.record(1)
  stats.cxActive.add(1)
  registry.resetCounters()
  assert.equal(renderStatsText(registry, { usedOnly: true }), 'cluster.c.upstream_cx_active: 1\n')
})

test('a status that is none counts in no class', () => {
  const registry = new StatsRegistry(smallSlots())
  createClusterStats(registry, 'c').answers.add(0)
  assert.equal(
    renderStatsText(registry, { usedOnly: true }),
    'cluster.c.upstream_rq_completed: 1\n',
  )
})

test('answers are counted by where their requests began, and whether they were retried', () => {
  const registry = new StatsRegistry(smallSlots())
  const stats = createClusterStats(registry, 'c')
  stats.externalAnswers.add(200)
  stats.retriedAnswers.add(503)
  assert.equal(stats.externalAnswers.count(200), 1)
  assert.equal(stats.externalAnswers.count(503), 0)
  const text = renderStatsText(registry)
  assert.match(text, /^cluster\.c\.external\.upstream_rq_2xx: 1$/m)
  assert.match(text, /^cluster\.c\.retry\.upstream_rq_503: 1$/m)
  assert.doesNotMatch(text, /\.internal\.|outlier/)
})

test('a route that names itself counts under its virtual host, and goes on where it was', () => {
  const registry = new StatsRegistry(smallSlots())
  const names = { virtualHost: 'a.b.c:80', kind: 'route', name: 'pre.fix' } as const
  new RouteStatsTable(registry).of(names)?.rqTotal.add(2)
  const table = new RouteStatsTable(registry)
  assert.equal(table.of(names), table.of(names))
  table.of(names)?.rqTotal.add(1)
  table.of(names)?.answers.add(404)
  assert.equal(
    renderStatsText(registry, { usedOnly: true }),
    [
      'vhost.a.b.c:80.route.pre.fix.upstream_rq_404: 1',
      'vhost.a.b.c:80.route.pre.fix.upstream_rq_4xx: 1',
      'vhost.a.b.c:80.route.pre.fix.upstream_rq_completed: 1',
      'vhost.a.b.c:80.route.pre.fix.upstream_rq_total: 3',
      '',
    ].join('\n'),
  )
  assert.match(
    renderPrometheus(registry, { usedOnly: true }),
    /^envoy_vhost_route_upstream_rq_total\{envoy_virtual_host="a\.b\.c:80",envoy_route="pre\.fix"\} 3$/m,
  )
})

test('routes beyond the ceiling of names are not counted, and that is', () => {
  const registry = new StatsRegistry(
    createSlots(createSlotBuffers({ gaugesMax: 64, countersMax: 200_000 })),
  )
  const table = new RouteStatsTable(registry)
  for (let index = 0; index < routeStatsMax; index += 1) {
    assert.ok(table.of({ virtualHost: 'v', kind: 'route', name: String(index) }))
  }
  assert.equal(table.of({ virtualHost: 'v', kind: 'route', name: 'more' }), undefined)
  assert.ok(table.of({ virtualHost: 'v', kind: 'route', name: '0' }))
  assert.match(renderStatsText(registry, { usedOnly: true }), /^route_stats\.overflow: 1$/m)
})
