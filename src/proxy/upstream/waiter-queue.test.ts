/** Whoever waits holds a place of the breaker, and gives it back however the waiting ends. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createSketchedCluster } from '../../../test/support/proxy-scene.ts'
import type { StreamWaiter } from './host-pool.ts'
import { WaiterQueue } from './waiter-queue.ts'

const told: string[] = []

function createWaiter(name: string): StreamWaiter {
  return {
    onStream() {},
    onNoStream: ({ failure }) => void told.push(`${name}: ${failure}`),
    onInformational() {},
    onResponseHead() {},
    onResponseData() {},
    onResponseEnd() {},
    onUpstreamDrain() {},
    onUpstreamReset() {},
  }
}

test('served, given up or told of a failure: each place comes back once, and who finds none is told', () => {
  const cluster = createSketchedCluster({ name: 'c', addresses: [], limits: { pendingMax: 3 } })
  const pending = (): number[] => [
    cluster.breaker.active('pending'),
    cluster.stats.rqPendingActive.value(),
  ]
  const queue = new WaiterQueue()
  const waiters = ['a', 'b', 'c', 'd'].map(createWaiter)
  const joined = waiters.map((waiter) => queue.join(cluster, waiter))
  assert.deepEqual(joined, [true, true, true, false])
  assert.deepEqual(told, ['d: overflow'])
  assert.deepEqual(pending(), [3, 3])
  assert.equal(queue.shift(cluster), waiters[0])
  assert.deepEqual(pending(), [2, 2])
  queue.cancel(cluster, createWaiter('a stranger'))
  assert.deepEqual(pending(), [2, 2])
  assert.deepEqual([...queue.empty(cluster)], waiters.slice(1, 3))
  assert.deepEqual(pending(), [0, 0])
  assert.equal(queue.shift(cluster), undefined)
  assert.equal(queue.length, 0)
  assert.equal(cluster.stats.rqPendingTotal.value(), 3)
})
