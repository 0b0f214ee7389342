/** When the process is short of something, and what is switched off then. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FakeClock } from '../../test/support/fake-clock.ts'
import { silentLog } from '../lib/log.ts'
import { Overload } from './listener/overload.ts'
import { OverloadWatch, overloadLimitsDefault } from './overload-watch.ts'

function createScene() {
  const clock = new FakeClock()
  const overload = new Overload({ connectionsMax: 0 })
  const heap = { usedBytes: 10, limitBytes: 100 }
  const watch = new OverloadWatch({
    overload,
    limits: overloadLimitsDefault,
    clock,
    log: silentLog,
    readHeap: () => heap,
  })
  return { clock, overload, heap, watch }
}

test('a heap that fills up stops new connections first, then requests', () => {
  const { clock, overload, heap } = createScene()
  clock.advance(500)
  assert.equal(overload.isActive('stop-accepting-connections'), false)
  heap.usedBytes = 92
  clock.advance(500)
  assert.equal(overload.isActive('stop-accepting-connections'), true)
  assert.equal(overload.isActive('disable-http-keepalive'), true)
  assert.equal(overload.isActive('stop-accepting-requests'), false)
  heap.usedBytes = 98
  clock.advance(500)
  assert.equal(overload.isActive('stop-accepting-requests'), true)
})

test('what was switched off comes back', () => {
  const { clock, overload, heap } = createScene()
  heap.usedBytes = 99
  clock.advance(500)
  heap.usedBytes = 10
  clock.advance(500)
  assert.equal(overload.isActive('stop-accepting-connections'), false)
  assert.equal(overload.isActive('stop-accepting-requests'), false)
})

test('a late event loop stops new connections only', () => {
  const clock = new FakeClock()
  const overload = new Overload({ connectionsMax: 0 })
  let lateMs = 0
  const late = {
    nowMs: () => clock.nowMs(),
    monotonicMs: () => clock.monotonicMs() + lateMs,
    setTimer: (delayMs: number, run: () => void) => clock.setTimer(delayMs, run),
  }
  const watch = new OverloadWatch({
    overload,
    limits: overloadLimitsDefault,
    clock: late,
    log: silentLog,
    readHeap: () => ({ usedBytes: 1, limitBytes: 100 }),
  })
  lateMs = 3_000
  clock.advance(500)
  assert.equal(overload.isActive('stop-accepting-connections'), true)
  assert.equal(overload.isActive('disable-http-keepalive'), false)
  clock.advance(500)
  assert.equal(overload.isActive('stop-accepting-connections'), false)
  watch.close()
  assert.equal(clock.pendingTimers, 0)
})
