/** What is shown of the statistics, and with which labels: `stats_config` as it is written. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { MessageJson } from '../../xds/json.ts'
import { StatsConfig } from '../../xds/proto/generated/envoy/config/metrics/v3/stats.ts'
import { compileStats } from '../config/compile-stats.ts'
import { renderPrometheus } from './render-stats.ts'
import { createSlots } from './shared-slots.ts'
import { ShownStats } from './shown-stats.ts'
import { StatsRegistry } from './stats-registry.ts'

function compile(json: object) {
  const reasons: string[] = []
  const message = new MessageJson().parse('envoy.config.metrics.v3.StatsConfig', StatsConfig, json)
  return { policy: compileStats(message, { path: 'stats_config', reasons }), reasons }
}

function shown(json: object) {
  const registry = new StatsRegistry(createSlots())
  const scope = registry.scope({
    path: 'cluster.a',
    metric: 'envoy_cluster',
    labels: [['envoy_cluster_name', 'a']],
  })
  scope.counter('upstream_rq_total').add(3)
  scope.gauge('membership_total')
  registry.scope({ path: 'server', metric: 'envoy_server', labels: [] }).gauge('live')
  const { policy, reasons } = compile(json)
  assert.deepEqual(reasons, [])
  const stats = policy === undefined ? registry : new ShownStats(registry, policy)
  return { registry, stats, names: stats.list().map(({ name }) => name) }
}

const all = ['cluster.a.membership_total', 'cluster.a.upstream_rq_total', 'server.live']

for (const [what, stats_matcher, expected] of [
  ['nothing', undefined, all],
  ['reject_all', { reject_all: true }, []],
  ['reject_all that is false', { reject_all: false }, all],
  ['a prefix', { inclusion_list: { patterns: [{ prefix: 'server' }] } }, ['server.live']],
  [
    'a suffix and an expression',
    { inclusion_list: { patterns: [{ suffix: 'rq_total' }, { safe_regex: { regex: '.*live' } }] } },
    ['cluster.a.upstream_rq_total', 'server.live'],
  ],
  [
    'an expression matches all of a name',
    { inclusion_list: { patterns: [{ safe_regex: { regex: 'live' } }] } },
    [],
  ],
  ['an exclusion', { exclusion_list: { patterns: [{ prefix: 'cluster.' }] } }, ['server.live']],
] as const) {
  test(`with ${what} ${expected.length} of ${all.length} are shown`, () => {
    const { names } = shown(stats_matcher === undefined ? {} : { stats_matcher })
    assert.deepEqual(names, expected)
  })
}

test('what is not shown is counted all the same, and what comes later is decided too', () => {
  const { registry, stats } = shown({
    stats_matcher: { inclusion_list: { patterns: [{ prefix: 'server' }] } },
  })
  const scope = registry.scope({ path: 'server', metric: 'envoy_server', labels: [] })
  scope.counter('late').add(1)
  assert.deepEqual(
    stats.list().map((stat) => `${stat.name} ${stat.value()}`),
    ['server.late 1', 'server.live 0'],
  )
  scope.close()
  assert.deepEqual(stats.list().length, 1)
  assert.equal(
    registry
      .list()
      .find(({ name }) => name.endsWith('rq_total'))
      ?.value(),
    3,
  )
  stats.resetCounters()
  assert.equal(
    registry
      .list()
      .find(({ name }) => name.endsWith('rq_total'))
      ?.value(),
    0,
  )
})

test('a tag of a fixed value is a label of every metric, one that is taken from a name of those that have it', () => {
  const { stats } = shown({
    stats_tags: [
      { tag_name: 'mesh', fixed_value: 'one' },
      { tag_name: 'kind.of', regex: '(upstream_(rq)_)' },
      { tag_name: 'whole', regex: '^server\\.(live)$' },
      { tag_name: 'envoy_cluster_name', fixed_value: 'never' },
      { tag_name: 'envoy.response_code' },
    ],
  })
  const lines = renderPrometheus(stats)
    .split('\n')
    .filter((line) => !line.startsWith('#') && line !== '')
  assert.deepEqual(lines.sort(), [
    'envoy_cluster_membership_total{envoy_cluster_name="a",mesh="one"} 0',
    'envoy_cluster_total{envoy_cluster_name="a",mesh="one",kind_of="rq"} 3',
    'envoy_server_{mesh="one",whole="live",envoy_cluster_name="never"} 0',
  ])
})

for (const [what, json, expected] of [
  [
    'an empty list',
    { stats_matcher: { inclusion_list: {} } },
    'stats_config.stats_matcher.inclusion_list.patterns: must not be empty',
  ],
  [
    'an expression that is none',
    { stats_matcher: { exclusion_list: { patterns: [{ safe_regex: { regex: '(' } }] } } },
    /^stats_config\.stats_matcher\.exclusion_list\.patterns\[0\]: /,
  ],
  [
    'an empty pattern',
    { stats_matcher: { inclusion_list: { patterns: [{ prefix: '' }] } } },
    /patterns\[0\]: prefix: must not be empty/,
  ],
  ['a matcher of nothing', { stats_matcher: {} }, /stats_matcher: stats_matcher is required/],
  ['a tag without a name', { stats_tags: [{ regex: '(a)' }] }, /stats_tags\[0\]\.tag_name: /],
  ['a tag without a group', { stats_tags: [{ tag_name: 'a', regex: 'a' }] }, /one or two groups/],
  ['a tag that is no expression', { stats_tags: [{ tag_name: 'a', regex: '(' }] }, /got "\("/],
] as const) {
  test(`${what} is refused by name`, () => {
    const { reasons } = compile(json)
    assert.equal(reasons.length, 1)
    if (typeof expected === 'string') assert.equal(reasons[0], expected)
    else assert.match(reasons[0] ?? '', expected)
  })
}
