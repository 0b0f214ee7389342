/** DER: what is written is read again, and what is malformed is refused. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import * as fc from 'fast-check'

import { oidText, readDer, readInside, writeDer, writeOid } from './der.ts'

test('what is written is read again, whatever its length', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70_000, size: 'max' }), (content) => {
      const [value, ...others] = readDer(writeDer(4, content))
      assert.deepEqual([value?.tag, others.length], [4, 0])
      assert.deepEqual(value?.content, Buffer.from(content))
    }),
    { numRuns: 50 },
  )
})

test('object identifiers are read as they are written', () => {
  for (const text of [
    '2.5.29.17',
    '1.2.840.113549.1.9.14',
    '0.9.2342',
    '2.999.3',
    '2.25.340282366920938463463374607431768211455',
  ]) {
    assert.equal(oidText(readDer(writeOid(text))[0]?.content ?? Buffer.alloc(0)), text)
  }
})

const malformed: readonly (readonly [name: string, bytes: readonly number[]])[] = [
  ['a length beyond the end', [4, 3, 1]],
  ['no length', [4]],
  ['an indefinite length', [0x30, 0x80, 0, 0]],
  ['a length in five bytes', [4, 0x85, 0, 0, 0, 0, 1, 1]],
  ['a length that ends early', [4, 0x82, 1]],
  ['a short length in the long form', [4, 0x81, 1, 1]],
  ['a length with a zero in front', [4, 0x82, 0, 0x80, ...Array.from({ length: 128 }, () => 0)]],
  ['a tag of many bytes', [0x1f, 1, 0]],
]

for (const [name, bytes] of malformed) {
  test(`${name} is refused`, () => {
    assert.throws(() => readDer(Buffer.from(bytes)), { code: 'MESH_IDENTITY_INVALID' })
  })
}

test('any bytes are read or refused, never anything else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        for (const value of readDer(Buffer.from(bytes))) readInside(value, value.tag)
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'MESH_IDENTITY_INVALID')
      }
    }),
  )
})

test('a value of another tag is refused', () => {
  assert.throws(() => readInside(readDer(Buffer.from([4, 0]))[0], 0x30), /expected tag 48, got 4/)
  assert.throws(() => readInside(undefined, 0x30), /expected tag 48, got nothing/)
})
