/** When a process settles: after its start, and not while it is under load. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FakeClock } from '../../test/support/fake-clock.ts'
import { settleWhenIdle } from './settle.ts'

test('a process settles three seconds after its start, once', () => {
  const clock = new FakeClock()
  let settled = 0
  // What the start itself took does not count.
  settleWhenIdle(
    clock,
    () => 900,
    () => (settled += 1),
  )
  clock.advance(2_999)
  assert.equal(settled, 0)
  clock.advance(1)
  assert.equal(settled, 1)
  clock.advance(60_000)
  assert.equal(settled, 1)
  assert.equal(clock.pendingTimers, 0)
})

test('a process under load settles after the first second in which it did little', () => {
  const clock = new FakeClock()
  const startMs = clock.nowMs()
  let settledMs = 0
  // A fifth of a core until ten seconds have gone by.
  const cpuMs = (): number => Math.min(clock.nowMs() - startMs, 10_000) / 5
  settleWhenIdle(clock, cpuMs, () => (settledMs = clock.nowMs() - startMs))
  clock.advance(10_500)
  assert.equal(settledMs, 0)
  clock.advance(1_000)
  assert.equal(settledMs, 11_000)
})
