/** A view that fails once is told of, and looked at again: who watches it is not left with the past. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FakeClock } from '../../../test/support/fake-clock.ts'
import { apiKinds } from './api-kind.ts'
import { ObjectStore, type ViewReaders } from './object-store.ts'

test('a watched view that cannot be read is told of and read again', async () => {
  const clock = new FakeClock()
  const told: unknown[] = []
  let looks = 0
  const services = async (): Promise<never[]> => {
    looks += 1
    if (looks === 1) throw new Error('a reader of ours broke')
    return []
  }
  const none = (): never[] => []
  const views = { proxies: none, services, workloads: none, issues: none } as ViewReaders
  const source = {
    list: () => ({ resources: new Map(), issues: [], version: '1' }),
    watch: () => ({ [Symbol.dispose]() {} }),
  }
  using store = new ObjectStore({
    source: source as never, // the two members that a store reads
    views,
    clock,
    log: { warn: (fields) => void told.push(fields) },
  })
  const kind = apiKinds.find(({ view }) => view === 'services')
  assert.ok(kind)
  using _watch = store.collection(kind).watch(() => {})
  store.follow()
  for (const expected of [1, 2]) {
    clock.advance(250)
    // The look is a promise: its end is seen in the next turns.
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve()
    assert.equal(looks, expected)
  }
  assert.deepEqual(told, [{ view: 'services', error: 'a reader of ours broke' }])
})
