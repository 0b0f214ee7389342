/** Gauges of several threads: one number under one key, and a dead thread's part taken back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'

import { seededRandom } from '../../lib/random.ts'
import { GaugeTable, createGaugeBuffers } from './gauge-table.ts'

function tables(threads: number, gaugesMax = 64): readonly [GaugeTable, GaugeTable] {
  const buffers = createGaugeBuffers({ gaugesMax, threads })
  return [new GaugeTable(buffers, 0), new GaugeTable(buffers, 1)]
}

test('one key is one number for all threads, and another key is another', () => {
  const [first, second] = tables(2)
  const place = first.acquire('a')
  assert.equal(second.acquire('a'), place)
  assert.notEqual(second.acquire('b'), place)
  first.add(place, 2)
  assert.equal(second.add(place, 1), 3)
  assert.equal(first.read(place), 3)
})

test('without a key nobody else gets it', () => {
  const [first, second] = tables(2)
  assert.equal(new Set([first.acquire(), first.acquire(), second.acquire()]).size, 3)
})

test('a place is new when its last holder has let go, not before', () => {
  const [first, second] = tables(2)
  const place = first.acquire('a')
  second.acquire('a')
  first.add(place, 5)
  first.release(place)
  assert.equal(second.read(place), 5)
  second.release(place)
  assert.equal(second.read(second.acquire('a')), 0)
})

test('what a thread that died had added is taken back, and what it held is free', () => {
  const [first, second] = tables(2)
  const shared = first.acquire('shared')
  second.acquire('shared')
  first.add(shared, 1)
  second.add(shared, 4)
  const own = second.acquire('own')
  second.add(own, 7)
  first.bury(1)
  assert.equal(first.read(shared), 1)
  assert.equal(first.read(first.acquire('own')), 0)
})

test('after any order of taking and giving back every key has its own place', () => {
  const random = seededRandom(7)
  const [table] = tables(2, 128)
  const held = new Map<string, number>()
  for (let step = 0; step < 20_000; step += 1) {
    const key = `k${Math.floor(random() * 300)}`
    const place = held.get(key)
    if (place !== undefined) {
      assert.equal(table.read(place), key.length)
      table.add(place, -key.length)
      table.release(place)
      held.delete(key)
    } else if (held.size < 90) {
      const taken = table.acquire(key)
      assert.ok(![...held.values()].includes(taken))
      table.add(taken, key.length)
      held.set(key, taken)
    }
  }
})

test('past three quarters an assertion names the setting', () => {
  const [table] = tables(2, 8)
  for (let count = 0; count < 6; count += 1) table.acquire()
  assert.throws(() => table.acquire(), /at most 6 gauge slots \(gaugesMax\)/)
})

test('threads that race for the same keys agree on the places', async () => {
  const threads = 3
  const buffers = createGaugeBuffers({ gaugesMax: 1024, threads: threads + 1 })
  const script = `
    import { workerData, parentPort } from 'node:worker_threads'
    const { GaugeTable } = await import(workerData.module)
    const table = new GaugeTable(workerData.buffers, workerData.thread)
    for (let round = 0; round < 200; round += 1) {
      for (let key = 0; key < 20; key += 1) {
        const place = table.acquire('key ' + key)
        table.add(place, 1)
        if (round < 199) { table.add(place, -1); table.release(place) }
      }
    }
    parentPort.postMessage('done')`
  const url = new URL(`data:text/javascript,${encodeURIComponent(script)}`)
  const module = new URL('./gauge-table.ts', import.meta.url).href
  await Promise.all(
    Array.from({ length: threads }, (_, index) => {
      const worker = new Worker(url, { workerData: { buffers, module, thread: index + 1 } })
      return new Promise((resolve, reject) => {
        worker.once('error', reject)
        worker.once('exit', resolve)
      })
    }),
  )
  const table = new GaugeTable(buffers, 0)
  for (let key = 0; key < 20; key += 1) {
    assert.equal(table.read(table.acquire(`key ${key}`)), threads)
  }
})
