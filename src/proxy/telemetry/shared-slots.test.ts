/** Slots: shared gauges, counters by worker, ceilings, and reuse only after everybody has let go. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createSlotBuffers, createSlots } from './shared-slots.ts'

const small = { gaugesMax: 4, countersMax: 8 }

test('counters of two workers are summed when they are read', () => {
  const buffers = createSlotBuffers({ ...small, workers: 2 })
  const main = createSlots(buffers, 0)
  const worker = createSlots(buffers, 1)
  const slot = main.counter()
  main.add(slot, 2)
  worker.add(slot, 3)
  assert.equal(main.read(slot), 5)
  assert.equal(worker.read(slot), 5)
})

test('a gauge is one number for all workers', () => {
  const buffers = createSlotBuffers({ ...small, workers: 2 })
  const main = createSlots(buffers, 0)
  const slot = main.gauge()
  assert.equal(main.addGauge(slot, 2), 2)
  assert.equal(createSlots(buffers, 1).addGauge(slot, -1), 1)
  assert.equal(main.readGauge(slot), 1)
})

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
  assert.equal(slots.gauge(), slot)
  assert.equal(slots.readGauge(slot), 0)
})

test('past the ceiling an assertion names the setting', () => {
  const slots = createSlots(createSlotBuffers(small))
  for (let count = 0; count < 4; count += 1) slots.gauge()
  assert.throws(() => slots.gauge(), /at most 4 gauge slots \(gaugesMax\)/)
  slots.counterBlock(8)
  assert.throws(() => slots.counter(), /at most 8 counter slots \(countersMax\)/)
})

test('only the main thread allocates', () => {
  const worker = createSlots(createSlotBuffers({ ...small, workers: 2 }), 1)
  assert.throws(() => worker.counter(), /only the main thread allocates/)
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
