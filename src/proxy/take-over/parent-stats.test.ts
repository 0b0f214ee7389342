/** Statistics of two processes as one: what is added, what goes when the old one ends, and what stays where it is. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createSlots } from '../telemetry/shared-slots.ts'
import { StatsRegistry } from '../telemetry/stats-registry.ts'
import { ParentStats, StatsTeller, type PassedStat, parentStatsMax } from './parent-stats.ts'

const scopeOf = (registry: StatsRegistry, path = 'http.a') =>
  registry.scope({ path, metric: 'envoy_http', labels: [['name', 'a']] })

const shown = (parent: ParentStats, own: StatsRegistry) =>
  Object.fromEntries(
    parent
      .joinedTo(own)
      .list()
      .map((stat) => [stat.name, stat.value()]),
  )

test('only what has changed since is told: counters by how much, gauges of what is open as they are', () => {
  const registry = new StatsRegistry(createSlots())
  const scope = scopeOf(registry)
  const total = scope.counter('rq_total')
  const active = scope.gauge('cx_active')
  scope.gauge('version').add(7)
  scope.histogram('rq_time').record(3)
  total.add(4)
  const teller = new StatsTeller(registry)
  const named = { metric: 'envoy_http_rq_total', labels: [['name', 'a']] }
  assert.deepEqual(teller.next(), [])
  total.add(2)
  active.add(1)
  assert.deepEqual(
    teller.next().map(({ name, value }) => [name, value]),
    [
      ['http.a.cx_active', 1],
      ['http.a.rq_total', 2],
    ],
  )
  registry.resetCounters()
  total.add(1)
  active.add(-1)
  const [gauge, counter] = teller.next()
  assert.deepEqual(gauge?.value, 0)
  assert.deepEqual(counter, { kind: 'counter', name: 'http.a.rq_total', ...named, value: 1 })
})

test('what the old one tells is added, stays when it ends, and is set back with the rest', () => {
  const own = new StatsRegistry(createSlots())
  const scope = scopeOf(own)
  scope.counter('rq_total').add(10)
  scope.gauge('cx_active').add(2)
  const parent = new ParentStats()
  assert.deepEqual(shown(parent, own), { 'http.a.cx_active': 2, 'http.a.rq_total': 10 })
  const from = new StatsRegistry(createSlots())
  const theirs = scopeOf(from)
  const other = scopeOf(from, 'http.b')
  const teller = new StatsTeller(from)
  theirs.counter('rq_total').add(3)
  theirs.gauge('cx_active').add(1)
  other.counter('rq_total').add(1)
  parent.read(JSON.stringify(teller.next()))
  theirs.counter('rq_total').add(1)
  parent.read(JSON.stringify(teller.next()))
  const during = { 'http.a.cx_active': 3, 'http.a.rq_total': 14, 'http.b.rq_total': 1 }
  assert.deepEqual(shown(parent, own), during)
  parent.end()
  assert.deepEqual(shown(parent, own), { ...during, 'http.a.cx_active': 2 })
  parent.joinedTo(own).resetCounters()
  assert.deepEqual(shown(parent, own), { 'http.a.cx_active': 2, 'http.a.rq_total': 0 })
})

test('a line that cannot be read says nothing, and names beyond the ceiling are dropped', () => {
  const parent = new ParentStats()
  for (const line of ['{', '7', 'null']) parent.read(line)
  assert.equal(parent.dropped, 3)
  const stat = (index: number): PassedStat => ({
    kind: 'counter',
    name: `c.${index}`,
    metric: 'c',
    labels: [],
    value: 1,
  })
  parent.take(Array.from({ length: parentStatsMax + 2 }, (_, index) => stat(index)))
  assert.equal(parent.dropped, 5)
  parent.take([stat(0), stat(parentStatsMax)])
  assert.equal(parent.dropped, 6)
  assert.equal(shown(parent, new StatsRegistry(createSlots()))['c.0'], 2)
})
