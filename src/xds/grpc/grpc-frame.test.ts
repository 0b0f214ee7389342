/** gRPC framing in literal bytes. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'

import { GrpcFrame, GrpcFrameReader } from './grpc-frame.ts'

const reader = () => new GrpcFrameReader({ messageBytesMax: 100 })

/** Messages that a reader finds in these chunks. */
function readAll(chunks: readonly Buffer[], encoding = 'gzip'): string[] {
  const frames = reader()
  return chunks.flatMap((chunk) => frames.read(chunk, encoding).map(String))
}

describe('gRPC frames', () => {
  test('a frame is a zero, four bytes of length, and the message', () => {
    const frame = new GrpcFrame(Buffer.from('abc'))
    assert.deepEqual([...frame.bytes(false)], [0, 0, 0, 0, 3, 97, 98, 99])
    // Too short to gain anything.
    assert.equal(frame.bytes(true), frame.bytes(false))
  })

  test('a long message is compressed once for those who can read it', () => {
    const frame = new GrpcFrame(Buffer.from('x'.repeat(5_000)))
    const compressed = frame.bytes(true)
    assert.equal(compressed[0], 1)
    assert.ok(compressed.byteLength < 200)
    assert.equal(compressed.readUInt32BE(1), compressed.byteLength - 5)
    assert.equal(frame.bytes(true), compressed)
    assert.equal(frame.bytes(false).byteLength, 5_005)
  })

  test('messages are found however the bytes are cut', () => {
    const bytes = Buffer.from([0, 0, 0, 0, 2, 104, 105, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 33])
    assert.deepEqual(readAll([bytes]), ['hi', '', '!'])
    assert.deepEqual(readAll([...bytes].map((byte) => Buffer.from([byte]))), ['hi', '', '!'])
    for (let cut = 1; cut < bytes.byteLength; cut += 1) {
      assert.deepEqual(readAll([bytes.subarray(0, cut), bytes.subarray(cut)]), ['hi', '', '!'])
    }
  })

  test('a compressed message is read when gzip was announced', () => {
    const body = gzipSync('hello')
    const head = Buffer.from([1, 0, 0, 0, body.byteLength])
    assert.deepEqual(readAll([head, body]), ['hello'])
    for (const encoding of ['identity', 'deflate', '']) {
      assert.throws(() => readAll([head, body], encoding), { code: 'MESH_XDS_PROTOCOL' })
    }
  })

  const refused: readonly { readonly name: string; readonly bytes: Buffer }[] = [
    { name: 'a length beyond the ceiling', bytes: Buffer.from([0, 0, 0, 0, 101]) },
    { name: 'the largest length there is', bytes: Buffer.from([0, 255, 255, 255, 255]) },
    { name: 'a flag that does not exist', bytes: Buffer.from([2, 0, 0, 0, 1, 0]) },
    { name: 'a compressed message that is none', bytes: Buffer.from([1, 0, 0, 0, 2, 1, 2]) },
    { name: 'a small message that would become large', bytes: bomb() },
  ]
  for (const { name, bytes } of refused) {
    test(`${name} is refused`, () => {
      assert.throws(() => readAll([bytes]), { code: 'MESH_XDS_PROTOCOL' })
    })
  }

  test('a stream that stops inside a message says so', () => {
    const frames = reader()
    frames.read(Buffer.from([0, 0, 0, 0, 2, 104]), 'identity')
    assert.equal(frames.isPartial, true)
    frames.read(Buffer.from([105]), 'identity')
    assert.equal(frames.isPartial, false)
  })
})

function bomb(): Buffer {
  const body = gzipSync('x'.repeat(101))
  return Buffer.concat([Buffer.from([1, 0, 0, 0, body.byteLength]), body])
}
