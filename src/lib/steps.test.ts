/** Work in steps: at once, and in slices with pauses. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { flatMapInSteps, runInSlices, runToEnd } from './steps.ts'

const twice = (items: readonly number[]) => flatMapInSteps(items, (item) => [item, item])

test('all at once it is a flatMap', () => {
  assert.deepEqual(runToEnd(twice([1, 2])), [1, 1, 2, 2])
  assert.deepEqual(runToEnd(twice([])), [])
})

test('in slices it pauses as often as its time asks, and gives the same', async () => {
  let nowMs = 0
  let pauses = 0
  const run = flatMapInSteps([1, 2, 3, 4, 5, 6], (item) => {
    nowMs += 4
    return [item]
  })
  const result = await runInSlices(run, {
    pause: () => {
      pauses += 1
      return Promise.resolve()
    },
    sliceMsMax: 10,
    monotonicMs: () => nowMs,
  })
  assert.deepEqual(result, [1, 2, 3, 4, 5, 6])
  // Three steps of 4 ms are the first that last longer than 10 ms.
  assert.equal(pauses, 2)
})
