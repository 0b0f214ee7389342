/** What is held comes out in order, and small chunks take little more room than their octets. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import * as fc from 'fast-check'

import { HeldChunks } from './held-chunks.ts'

function drained(held: HeldChunks): Buffer {
  const parts: Buffer[] = []
  for (let part = held.shift(); part !== undefined; part = held.shift()) parts.push(part)
  return Buffer.concat(parts)
}

test('property: whatever is pushed and taken, the bytes are the same, in order', () => {
  const step = fc.oneof(
    fc.nat({ max: 9_000 }).map((length) => ({ push: length })),
    fc.constant('shift' as const),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const held = new HeldChunks()
      const pushed: Buffer[] = []
      const taken: Buffer[] = []
      let octet = 0
      for (const one of steps) {
        if (one === 'shift') {
          const part = held.shift()
          if (part !== undefined) taken.push(part)
          continue
        }
        const chunk = Buffer.alloc(one.push, (octet += 1) % 251)
        pushed.push(chunk)
        held.push(chunk)
      }
      const seen: Buffer[] = []
      held.forEach((part) => void seen.push(Buffer.from(part)))
      const rest = drained(held)
      assert.deepEqual(Buffer.concat(seen), rest)
      assert.deepEqual(Buffer.concat([...taken, rest]), Buffer.concat(pushed))
      assert.equal(held.isEmpty, true)
    }),
    { seed: 11, numRuns: 300 },
  )
})

test('what is pushed is a copy', () => {
  const held = new HeldChunks()
  const chunk = Buffer.from('abc')
  held.push(chunk)
  held.push(chunk)
  chunk.fill('x')
  assert.equal(drained(held).toString(), 'abcabc')
})

test('CVE-2020-8659: single octets share blocks', () => {
  const held = new HeldChunks()
  for (let count = 0; count < 100_000; count += 1) held.push(Buffer.of(0x61))
  let parts = 0
  held.forEach(() => (parts += 1))
  assert.ok(parts < 30, `${parts} parts`)
})
