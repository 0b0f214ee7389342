/** Waits between the starts of a program that keeps ending. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { RestartDelay } from './restart-delay.ts'

test('waits grow up to a ceiling and start small again after a long run', () => {
  const delay = new RestartDelay(() => 0.999)
  const waits = Array.from({ length: 7 }, () => Math.round(delay.nextMs(0) / 100) * 100)
  assert.deepEqual(waits, [500, 1500, 3500, 7500, 10_000, 10_000, 10_000])
  assert.equal(Math.round(delay.nextMs(10_000) / 100) * 100, 500)
})

test('no wait is so short that a crash loop takes a core', () => {
  const delay = new RestartDelay(() => 0)
  assert.equal(delay.nextMs(0), 200)
})
