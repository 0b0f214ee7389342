/** When the process is short of something, what is switched off then, and what the statistics say. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { FakeClock } from '../../../test/support/fake-clock.ts'
import type { Clock } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import { Overload } from '../listener/overload.ts'
import { createOverloadGauges } from '../telemetry/create-stats.ts'
import { createSlots } from '../telemetry/shared-slots.ts'
import { StatsRegistry } from '../telemetry/stats-registry.ts'
import { OverloadManager, overloadLimitsDefault } from './overload-manager.ts'
import { type OverloadPlan, noOverloadPlan } from './overload-plan.ts'

function createScene(plan: Partial<OverloadPlan> = {}, clock?: Clock) {
  const fake = new FakeClock()
  const stats = new StatsRegistry(createSlots())
  const draws = { next: 0 }
  const overload = new Overload({
    connectionsMax: 0,
    random: () => draws.next,
    gauges: createOverloadGauges(stats),
  })
  const heap = { usedBytes: 10, limitBytes: 100 }
  const resident = { bytes: 0 }
  const manager = new OverloadManager({
    overload,
    plan: { ...noOverloadPlan, ...plan },
    limits: { ...overloadLimitsDefault, bufferedBytesMax: 1_000 },
    clock: clock ?? fake,
    log: silentLog,
    stats,
    gauges: { heap: () => heap, residentBytes: () => resident.bytes, cgroupMemory: () => 'none' },
  })
  const stat = (name: string): number | undefined =>
    stats
      .list()
      .find((one) => one.name === `overload.${name}`)
      ?.value()
  return { clock: fake, overload, heap, resident, draws, manager, stat }
}

const actions = 'envoy.overload_actions'

test('a heap that fills up stops new connections first, then requests', () => {
  const { clock, overload, heap, stat } = createScene()
  clock.advance(500)
  assert.equal(overload.isActive('stop_accepting_connections'), false)
  heap.usedBytes = 92
  clock.advance(500)
  assert.equal(overload.isActive('stop_accepting_connections'), true)
  assert.equal(overload.isActive('disable_http_keepalive'), true)
  assert.equal(overload.isActive('stop_accepting_requests'), false)
  assert.equal(stat('tulle.resource_monitors.heap.pressure'), 92)
  assert.equal(stat(`${actions}.stop_accepting_connections.active`), 1)
  assert.equal(stat(`${actions}.stop_accepting_requests.active`), 0)
  heap.usedBytes = 98
  clock.advance(500)
  assert.equal(overload.isActive('stop_accepting_requests'), true)
  assert.equal(overload.refusesRequests(), true)
  assert.equal(stat(`${actions}.stop_accepting_requests.scale_percent`), 100)
})

test('what was switched off comes back, in the statistics too', () => {
  const { clock, overload, heap, stat } = createScene()
  heap.usedBytes = 99
  clock.advance(500)
  heap.usedBytes = 10
  clock.advance(500)
  assert.equal(overload.isActive('stop_accepting_connections'), false)
  assert.equal(overload.refusesRequests(), false)
  assert.equal(stat(`${actions}.stop_accepting_connections.active`), 0)
})

test('a late event loop stops new connections only', () => {
  const clock = new FakeClock()
  let lateMs = 0
  const late = {
    nowMs: () => clock.nowMs(),
    monotonicMs: () => clock.monotonicMs() + lateMs,
    setTimer: (delayMs: number, run: () => void) => clock.setTimer(delayMs, run),
  }
  const { overload, manager, stat } = createScene({}, late)
  lateMs = 3_000
  clock.advance(500)
  assert.equal(overload.isActive('stop_accepting_connections'), true)
  assert.equal(overload.isActive('disable_http_keepalive'), false)
  assert.equal(stat('tulle.resource_monitors.event_loop_delay.pressure'), 150)
  clock.advance(500)
  assert.equal(overload.isActive('stop_accepting_connections'), false)
  manager.close()
  assert.equal(clock.pendingTimers, 0)
})

test('requests are refused the moment that the budget of bytes is spent, connections at the next look', () => {
  const { clock, overload, stat } = createScene()
  overload.bufferedBytes += 1_001
  assert.equal(overload.refusesRequests(), true)
  assert.equal(overload.isActive('stop_accepting_connections'), false)
  clock.advance(500)
  assert.equal(overload.isActive('stop_accepting_connections'), true)
  assert.equal(stat('tulle.resource_monitors.buffered_bytes.pressure'), 100)
  overload.bufferedBytes -= 1_001
  assert.equal(overload.isActive('stop_accepting_requests'), true)
  clock.advance(500)
  assert.equal(overload.refusesRequests(), false)
  assert.equal(overload.isActive('stop_accepting_connections'), false)
})

test('an action that is half on strikes half of the draws', () => {
  const scaled = { kind: 'scaled', scalingThreshold: 0.5, saturationThreshold: 0.9 } as const
  const { clock, overload, resident, draws, stat } = createScene({
    refreshIntervalMs: 100,
    monitors: [{ kind: 'fixed-heap', name: 'memory', bytesMax: 1_000 }],
    actions: [
      {
        name: `${actions}.reject_incoming_connections`,
        kind: 'action',
        action: 'reject_incoming_connections',
        triggers: [{ ...scaled, monitor: 'memory' }],
      },
    ],
  })
  const strikesAt = (bytes: number, draw: number): boolean => {
    resident.bytes = bytes
    draws.next = draw
    clock.advance(100)
    return overload.rejectsConnections()
  }
  assert.equal(strikesAt(500, 0), false)
  assert.equal(strikesAt(700, 0.49), true)
  assert.equal(stat(`${actions}.reject_incoming_connections.scale_percent`), 50)
  assert.equal(stat(`${actions}.reject_incoming_connections.active`), 0)
  assert.equal(strikesAt(700, 0.51), false)
  assert.equal(strikesAt(900, 0.999), true)
  assert.equal(stat(`${actions}.reject_incoming_connections.active`), 1)
})

test('a load-shed point counts what it turns away', () => {
  const name = 'envoy.load_shed_points.tcp_listener_accept'
  const { overload, stat } = createScene({
    monitors: [{ kind: 'fixed-heap', name: 'memory', bytesMax: 1 }],
    actions: [
      {
        name,
        kind: 'load-shed-point',
        action: 'tcp_listener_accept',
        triggers: [{ kind: 'threshold', monitor: 'memory', value: 0 }],
      },
    ],
  })
  assert.equal(overload.rejectsConnections(), true)
  assert.equal(stat(`${name}.shed_load_count`), 1)
  assert.equal(stat(`${name}.active`), undefined)
})

test('an injected pressure is read from its file; one that cannot be read keeps the last and is counted', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-overload-'))
  try {
    const file = join(folder, 'pressure')
    writeFileSync(file, '0.95\n')
    const { clock, overload, stat } = createScene({
      monitors: [{ kind: 'injected', name: 'injected', file }],
      actions: [
        {
          name: `${actions}.stop_accepting_requests`,
          kind: 'action',
          action: 'stop_accepting_requests',
          triggers: [{ kind: 'threshold', monitor: 'injected', value: 0.9 }],
        },
      ],
    })
    // Known at the start, before the first interval has passed.
    assert.equal(overload.refusesRequests(), true)
    for (const broken of ['', 'much', '1.5', '-0.1']) {
      writeFileSync(file, broken)
      clock.advance(500)
      assert.equal(overload.refusesRequests(), true, broken)
    }
    rmSync(file)
    clock.advance(500)
    assert.equal(stat('injected.failed_updates'), 5)
    writeFileSync(file, '0.1')
    clock.advance(500)
    assert.equal(overload.refusesRequests(), false)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('the ceiling of connections refuses and is counted', () => {
  const { overload, stat } = createScene({ connectionsMax: 2 })
  overload.connectionsActive = 1
  assert.equal(overload.refusesConnection(), false)
  overload.connectionsActive = 2
  assert.equal(overload.refusesConnection(), true)
  const name = 'envoy.resource_monitors.global_downstream_max_connections'
  assert.equal(stat(`${name}.failed_updates`), 1)
})
