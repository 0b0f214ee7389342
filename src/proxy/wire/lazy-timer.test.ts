/** A deadline that moves fires once, at its last place. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FakeClock } from '../../../test/support/fake-clock.ts'
import { LazyTimer } from './lazy-timer.ts'

function start() {
  const clock = new FakeClock()
  const run = { fired: 0 }
  const timer = new LazyTimer(clock, () => (run.fired += 1))
  return { clock, timer, run }
}

test('it fires at its deadline', () => {
  const { clock, timer, run } = start()
  timer.set(100, clock.monotonicMs())
  clock.advance(99)
  assert.equal(run.fired, 0)
  clock.advance(1)
  assert.equal(run.fired, 1)
  assert.equal(timer.isSet, false)
})

test('a deadline that moves away takes no new timer, and holds', () => {
  const { clock, timer, run } = start()
  for (let count = 0; count < 50; count += 1) {
    timer.set(100, clock.monotonicMs())
    assert.equal(clock.pendingTimers, 1)
    clock.advance(10)
  }
  assert.equal(run.fired, 0)
  clock.advance(89)
  assert.equal(run.fired, 0)
  clock.advance(1)
  assert.equal(run.fired, 1)
})

test('a deadline that moves nearer fires at the nearer one', () => {
  const { clock, timer, run } = start()
  timer.set(100, clock.monotonicMs())
  timer.set(20, clock.monotonicMs())
  clock.advance(20)
  assert.equal(run.fired, 1)
  clock.advance(200)
  assert.equal(run.fired, 1)
})

test('cleared, it does not fire; set again, it does', () => {
  const { clock, timer, run } = start()
  timer.set(100, clock.monotonicMs())
  timer.clear()
  clock.advance(150)
  assert.equal(run.fired, 0)
  timer.set(100, clock.monotonicMs())
  clock.advance(100)
  assert.equal(run.fired, 1)
})

test('closed, it leaves no timer behind', () => {
  const { clock, timer } = start()
  timer.set(100, clock.monotonicMs())
  timer.close()
  assert.equal(clock.pendingTimers, 0)
})
