/** What is gathered comes out as it went in, in one piece, and every block goes back to where it came from. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { array, assert as assertAll, nat, oneof, property } from 'fast-check'

import { CountedBuffers } from '../../../test/support/counted-buffers.ts'
import type { CopyBuffers } from './copy-buffer.ts'
import { Gather } from './gather.ts'

function takeAll(gather: Gather, copies: CopyBuffers): Buffer {
  const { length } = gather
  const block = gather.takeBlock()
  if (block === undefined) return Buffer.from(gather.takeText(), 'latin1')
  const bytes = Buffer.from(block.subarray(0, length))
  copies.give(block)
  return bytes
}

test('property: the bytes of texts and bodies, in order', () => {
  const sizes = oneof(nat(100), nat(20_000), nat(70_000))
  assertAll(
    property(array(sizes, { maxLength: 20 }), (lengths) => {
      const copies = new CountedBuffers()
      const gather = new Gather(copies)
      const expected: Buffer[] = []
      const got: Buffer[] = []
      for (const [index, length] of lengths.entries()) {
        const bytes = Buffer.alloc(length, index % 256)
        expected.push(bytes)
        gather.add(index % 2 === 0 ? bytes : bytes.toString('latin1'))
        if (gather.isFull) got.push(takeAll(gather, copies))
        // What waits is bounded: a block, or text, below its ceiling.
        assert.ok(gather.length < 64 * 1024)
      }
      got.push(takeAll(gather, copies))
      assert.equal(gather.length, 0)
      assert.equal(copies.lent, 0)
      assert.ok(Buffer.concat(got).equals(Buffer.concat(expected)))
    }),
    { numRuns: 60 },
  )
})

test('small messages stay text: no block is taken for them', () => {
  const copies = new CountedBuffers()
  const gather = new Gather(copies)
  gather.add('HTTP/1.1 200 OK\r\n\r\n')
  gather.add(Buffer.from('hello'))
  assert.equal(copies.lent, 0)
  assert.equal(gather.takeBlock(), undefined)
  assert.equal(gather.takeText(), 'HTTP/1.1 200 OK\r\n\r\nhello')
})

test('what is cleared gives its block back', () => {
  const copies = new CountedBuffers()
  const gather = new Gather(copies)
  gather.add(Buffer.alloc(20_000))
  assert.equal(copies.lent, 1)
  gather.clear()
  assert.equal(copies.lent, 0)
  assert.equal(gather.length, 0)
})
