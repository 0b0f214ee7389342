/** The table of streams behaves as a map does, whatever streams outlive which others. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { array, assert as assertAll, nat, property, record } from 'fast-check'

import { StreamTable } from './stream-table.ts'

test('it says of every id what a map says', () => {
  // How many streams open one after another, and which of the live ones then end.
  const step = record({ opened: nat(40), ended: array(nat(1000), { maxLength: 60 }) })
  assertAll(
    property(array(step, { maxLength: 30 }), (steps) => {
      const table = new StreamTable<string>()
      const map = new Map<number, string>()
      let next = 1
      for (const { opened, ended } of steps) {
        for (let count = 0; count < opened; count += 1) {
          table.add(next, `stream ${next}`)
          map.set(next, `stream ${next}`)
          next += 2
        }
        for (const choice of ended) {
          const id = [...map.keys()][choice % (map.size || 1)]
          if (id === undefined) continue
          table.delete(id)
          map.delete(id)
        }
        assert.equal(table.size, map.size)
        for (let id = 1; id < next + 4; id += 2) assert.equal(table.get(id), map.get(id))
        assert.deepEqual(
          table.list(),
          Array.from(map, ([id, stream]) => ({ id, stream })),
        )
      }
    }),
    { numRuns: 60 },
  )
})

test('a stream that outlives thousands of others keeps its place, and so does who meets it there', () => {
  const table = new StreamTable<number>()
  table.add(1, 1)
  for (let id = 3; id < 40_000; id += 2) {
    table.add(id, id)
    assert.equal(table.get(id), id)
    assert.equal(table.get(1), 1)
    assert.equal(table.size, 2)
    table.delete(id)
    assert.equal(table.has(id), false)
  }
  table.delete(1)
  table.delete(1)
  assert.equal(table.size, 0)
  assert.deepEqual(table.list(), [])
})
