/** A queue sends what was put into it, in parts of any size, and gives every buffer back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { array, assert as assertAll, integer, nat, property } from 'fast-check'

import { CountedBuffers } from '../../../test/support/counted-buffers.ts'
import { SendQueue } from './send-queue.ts'

test('property: the bytes of its chunks, in order, whatever is asked for at a time', () => {
  const chunks = array(nat(30_000), { maxLength: 12 })
  const asked = array(integer({ min: 1, max: 20_000 }), { minLength: 1, maxLength: 8 })
  assertAll(
    property(chunks, asked, (lengths, sizes) => {
      const copies = new CountedBuffers()
      const queue = new SendQueue()
      const expected = lengths.map((length, index) => Buffer.alloc(length, index))
      for (const chunk of expected) if (chunk.length > 0) queue.push(chunk, copies)
      const got: Buffer[] = []
      for (let turn = 0; queue.bytes > 0; turn += 1) {
        const most = sizes[turn % sizes.length] ?? 1
        queue.send(most, copies, (bytes) => {
          assert.ok(bytes.length <= most)
          got.push(Buffer.from(bytes))
        })
      }
      assert.ok(Buffer.concat(got).equals(Buffer.concat(expected)))
      assert.equal(copies.lent, 0)
    }),
  )
})

test('what is not sent is given back too', () => {
  const copies = new CountedBuffers()
  const queue = new SendQueue()
  queue.push(Buffer.alloc(20_000), copies)
  queue.push(Buffer.alloc(20_000), copies)
  queue.send(1000, copies, () => {})
  assert.equal(queue.bytes, 39_000)
  assert.equal(copies.lent, 2)
  queue.clear(copies)
  assert.equal(queue.bytes, 0)
  assert.equal(copies.lent, 0)
})
