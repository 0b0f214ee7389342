/** When a notice is given, and with which count. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FakeClock } from '../../test/support/fake-clock.ts'
import { Notice } from './notice.ts'

test('the first is said at once, those that follow together, and a quiet time starts anew', () => {
  const clock = new FakeClock()
  const said: number[] = []
  const notice = new Notice({ clock, everyMs: 1_000, say: (count) => void said.push(count) })
  notice.note(1)
  notice.note(2)
  notice.note(3)
  assert.deepEqual(said, [1])
  clock.advance(1_000)
  assert.deepEqual(said, [1, 5])
  notice.note(1)
  assert.deepEqual(said, [1, 5])
  clock.advance(1_000)
  assert.deepEqual(said, [1, 5, 1])
  clock.advance(10_000)
  assert.deepEqual(said, [1, 5, 1])
  notice.note(4)
  assert.deepEqual(said, [1, 5, 1, 4])
})
