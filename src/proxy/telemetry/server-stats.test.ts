/** What is said of the process itself. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { smallSlots } from '../../../test/support/fake-host.ts'
import { renderStatsText } from './render-stats.ts'
import { createServerStats, type ServerFacts } from './server-stats.ts'
import { StatsRegistry } from './stats-registry.ts'

for (const [state, number, live] of [
  ['LIVE', 0, 1],
  ['DRAINING', 1, 0],
  ['PRE_INITIALIZING', 2, 0],
  ['INITIALIZING', 3, 0],
] as const) {
  test(`a process that is ${state} says so in numbers of Envoy's`, () => {
    const registry = new StatsRegistry(smallSlots())
    const facts: ServerFacts = {
      concurrency: 2,
      epoch: 1,
      state: () => state,
      hasStarted: () => live === 1,
      parentStatsDropped: () => 4,
      uptimeMs: () => 61_999,
      memory: () => ({ heapUsed: 1, heapTotal: 2, rss: 3 }),
    }
    createServerStats(registry, facts)
    assert.deepEqual(renderStatsText(registry).trimEnd().split('\n'), [
      `listener_manager.workers_started: ${live}`,
      'server.concurrency: 2',
      'server.hot_restart_epoch: 1',
      `server.live: ${live}`,
      'server.memory_allocated: 1',
      'server.memory_heap_size: 2',
      'server.memory_physical_size: 3',
      'server.parent_stats_dropped: 4',
      `server.state: ${number}`,
      'server.uptime: 61',
    ])
  })
}
