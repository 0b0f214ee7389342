/** When changes are pushed, on a clock that stands still. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { FakeClock } from '../../../test/support/fake-clock.ts'
import { PushSchedule } from './push-schedule.ts'

function openScene() {
  const clock = new FakeClock(0)
  const pushes: number[] = []
  let hold: Promise<void> | undefined
  const schedule = new PushSchedule({
    clock,
    leadingMs: 10,
    quietMs: 100,
    waitMsMax: 1_000,
    push: async () => {
      pushes.push(clock.monotonicMs())
      await hold
    },
  })
  return {
    clock,
    pushes,
    schedule,
    holdPushes: () => {
      const { promise, resolve } = Promise.withResolvers<void>()
      hold = promise
      return () => {
        hold = undefined
        resolve()
      }
    },
  }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

describe('push schedule', () => {
  test('a single change after a quiet time goes out at once, nearly', () => {
    const { clock, pushes, schedule } = openScene()
    schedule.changed()
    clock.advance(9)
    assert.deepEqual(pushes, [])
    clock.advance(1)
    assert.deepEqual(pushes, [10])
  })

  test('changes that follow each other are one push, when they have stopped', () => {
    const { clock, pushes, schedule } = openScene()
    for (let count = 0; count < 5; count += 1) {
      schedule.changed()
      clock.advance(5)
    }
    clock.advance(200)
    assert.deepEqual(pushes, [120])
  })

  test('changes that never stop are pushed after the longest wait', async () => {
    const { clock, pushes, schedule } = openScene()
    for (let count = 0; count < 250; count += 1) {
      schedule.changed()
      clock.advance(5)
      await settled()
    }
    assert.deepEqual(pushes, [1_000])
  })

  test('what changes during a push is pushed after it, once', async () => {
    const { clock, pushes, schedule, holdPushes } = openScene()
    const release = holdPushes()
    schedule.changed()
    clock.advance(10)
    schedule.changed()
    clock.advance(150)
    schedule.changed()
    clock.advance(150)
    assert.deepEqual(pushes, [10])
    release()
    await settled()
    assert.deepEqual(pushes, [10, 310])
  })

  test('nothing is pushed after the end', () => {
    const { clock, pushes, schedule } = openScene()
    schedule.changed()
    schedule.stop()
    schedule.changed()
    clock.advance(1_000)
    assert.deepEqual(pushes, [])
  })
})
