/** Slots of one thread: ceilings, and reuse only after everybody has let go. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createSlotBuffers, createSlots } from './shared-slots.ts'

const small = { gaugesMax: 4, countersMax: 8 }

test('a freed slot is not handed out before it is reclaimed, and is zero then', () => {
  const slots = createSlots(createSlotBuffers(small))
  const first = slots.counter()
  slots.add(first, 9)
  slots.free(first)
  assert.notEqual(slots.counter(), first)
  assert.equal(slots.usage().retired, 1)
  slots.reclaim()
  const again = slots.counter()
  assert.equal(again, first)
  assert.equal(slots.read(again), 0)
})

test('a block is reused for a block of its length only', () => {
  const slots = createSlots(createSlotBuffers(small))
  const block = slots.counterBlock(3)
  slots.free(block)
  slots.reclaim()
  assert.notEqual(slots.counter(), block)
  assert.equal(slots.counterBlock(3), block)
})

test('a gauge that is freed is zero when it comes again', () => {
  const slots = createSlots(createSlotBuffers(small))
  const slot = slots.gauge()
  slots.addGauge(slot, 5)
  slots.free(slot)
  slots.reclaim()
  assert.equal(slots.readGauge(slots.gauge()), 0)
  assert.equal(slots.readGauge(slot), 0)
})

test('past the ceiling an assertion names the setting', () => {
  const slots = createSlots(createSlotBuffers(small))
  for (let count = 0; count < 3; count += 1) slots.gauge()
  assert.throws(() => slots.gauge(), /at most 3 gauge slots \(gaugesMax\)/)
  slots.counterBlock(8)
  assert.throws(() => slots.counter(), /at most 8 counter slots \(countersMax\)/)
})

test('a slot cannot be freed twice after it was reclaimed', () => {
  const slots = createSlots(createSlotBuffers(small))
  const slot = slots.counter()
  slots.free(slot)
  slots.reclaim()
  assert.throws(() => slots.free(slot), /is in use/)
})

test('usage says how much of the table is taken', () => {
  const slots = createSlots(createSlotBuffers(small))
  slots.gauge()
  slots.counterBlock(3)
  assert.deepEqual(slots.usage(), {
    gauges: 1,
    gaugesMax: 4,
    counters: 3,
    countersMax: 8,
    retired: 0,
  })
})
