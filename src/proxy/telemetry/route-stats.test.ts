/** What routes are counted by: one name is counted in one place, and names have a ceiling. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { RouteStatsTable } from './route-stats.ts'
import { createSlots } from './shared-slots.ts'
import { StatsRegistry } from './stats-registry.ts'

test('names beyond the ceiling are not counted, and that is', () => {
  const registry = new StatsRegistry(createSlots())
  const table = new RouteStatsTable(registry, 1)
  const first = { virtualHost: 'shop', kind: 'route', name: 'cart' } as const
  const stats = table.of(first)
  assert.ok(stats)
  assert.equal(table.of({ ...first }), stats)
  stats.answers.add(204)
  assert.equal(table.of({ ...first, kind: 'vcluster' }), undefined)
  assert.equal(table.of({ ...first, name: 'orders' }), undefined)
  const values = new Map(registry.list().map((stat) => [stat.name, stat]))
  assert.equal(values.get('vhost.shop.route.cart.upstream_rq_204')?.value(), 1)
  assert.equal(values.get('route_stats.overflow')?.value(), 2)
  const total = values.get('vhost.shop.route.cart.upstream_rq_total')
  assert.equal(total?.metric, 'envoy_vhost_route_upstream_rq_total')
  assert.deepEqual(total?.labels, [
    ['envoy_route', 'cart'],
    ['envoy_virtual_host', 'shop'],
  ])
})
