/** Frames that leave are counted as long as they wait. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { http2StatsIn } from '../telemetry/http2-stats.ts'
import { createSlots } from '../telemetry/shared-slots.ts'
import { StatsRegistry } from '../telemetry/stats-registry.ts'
import { FloodGuard } from './flood-guard.ts'
import { defaultHttp2Options } from './settings.ts'

function createGuard(): FloodGuard {
  const scope = new StatsRegistry(createSlots()).scope({ path: '', metric: 'envoy', labels: [] })
  return new FloodGuard({ ...defaultHttp2Options, outboundFramesMax: 10 }, http2StatsIn(scope))
}

test('a connection on which something always waits, but little, is no flood', () => {
  const guard = createGuard()
  for (let frame = 0; frame < 1_000; frame += 1) {
    guard.onWaiting(50)
    assert.equal(guard.checkOutbound(false), undefined)
  }
})

test('frames that all wait are a flood, the smallest too', () => {
  const guard = createGuard()
  for (let frame = 0; frame < 10; frame += 1) {
    guard.onWaiting(9 * frame)
    assert.equal(guard.checkOutbound(false), undefined)
  }
  guard.onWaiting(9 * 10)
  assert.equal(guard.checkOutbound(false), 'outbound_flood')
})

test('what one read makes us say counts together', () => {
  const guard = createGuard()
  guard.isReading = true
  for (let frame = 0; frame < 10; frame += 1) {
    guard.onWaiting(0)
    assert.equal(guard.checkOutbound(true), undefined)
  }
  assert.equal(guard.checkOutbound(true), 'outbound_flood')
})
