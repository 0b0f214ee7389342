/** A roster holds what was put in and not taken out, in whatever order that happened. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { array, assert as assertAll, nat, property } from 'fast-check'

import { Roster } from './roster.ts'

test('it holds what a set would hold', () => {
  assertAll(
    property(array(nat(9), { maxLength: 60 }), (steps) => {
      const all = Array.from({ length: 10 }, (_, id) => ({ id, place: -1 }))
      const roster = new Roster<(typeof all)[number]>()
      const set = new Set<(typeof all)[number]>()
      for (const step of steps) {
        const item = all[step]
        if (item === undefined) continue
        if (set.has(item)) {
          set.delete(item)
          assert.equal(roster.delete(item), true)
        } else {
          set.add(item)
          roster.add(item)
        }
        assert.equal(roster.size, set.size)
        assert.deepEqual(new Set(roster.list()), set)
      }
    }),
  )
})

test('taking out what is not in it changes nothing', () => {
  const roster = new Roster()
  const one = { place: -1 }
  assert.equal(roster.delete(one), false)
  roster.add(one)
  assert.equal(roster.delete(one), true)
  assert.equal(roster.delete(one), false)
  assert.equal(roster.size, 0)
})
