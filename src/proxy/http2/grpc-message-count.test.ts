/** Messages are counted whatever chunks they come in. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { GrpcMessageCount } from './grpc-message-count.ts'

function message(length: number): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(length, 1)
  return Buffer.concat([head, Buffer.alloc(length, 1)])
}

test('messages are counted at every split', () => {
  const bytes = Buffer.concat([message(3), message(0), message(300), message(1)])
  for (let split = 0; split <= bytes.length; split += 1) {
    const count = new GrpcMessageCount()
    count.add(bytes.subarray(0, split))
    count.add(bytes.subarray(split))
    assert.equal(count.messages, 4, `split at ${split}`)
  }
})

test('a message counts when it begins', () => {
  const count = new GrpcMessageCount()
  count.add(Buffer.of(0))
  assert.equal(count.messages, 1)
})
