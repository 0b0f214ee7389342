/** XXH64: published values, and a plain reading of the specification on bigints for everything else. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { assert as assertProperty, bigInt, integer, property, string } from 'fast-check'

import { type Hash64, hexOf, joinHashes, remainder, xxHash64 } from './xx-hash.ts'

for (const { text, hash } of [
  { text: '', hash: 'ef46db3751d8e999' },
  { text: 'a', hash: 'd24ec4f1a98c6e5b' },
  { text: 'abc', hash: '44bc2cf5ad770999' },
  { text: 'foo', hash: '33bf00a859c4ba3f' },
  { text: 'message digest', hash: '066ed728fceeb3be' },
  { text: 'abcdefghijklmnopqrstuvwxyz', hash: 'cfe1f278fa89835c' },
  {
    text: 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789',
    hash: 'aaa46907d3047814',
  },
]) {
  test(`the hash of ${JSON.stringify(text)} is ${hash}`, () => {
    assert.equal(hexOf(xxHash64(text)), hash)
  })
}

const mask = (1n << 64n) - 1n
const primes = [
  0x9e3779b185ebca87n,
  0xc2b2ae3d27d4eb4fn,
  0x165667b19e3779f9n,
  0x85ebca77c2b2ae63n,
  0x27d4eb2f165667c5n,
] as const

function rotate(value: bigint, bits: bigint): bigint {
  return ((value << bits) | (value >> (64n - bits))) & mask
}

function round(lane: bigint, input: bigint): bigint {
  return (rotate((lane + input * primes[1]) & mask, 31n) * primes[0]) & mask
}

function plainHash(bytes: Buffer, seed: bigint): bigint {
  let at = 0
  let hash = (seed + primes[4]) & mask
  if (bytes.length >= 32) {
    const lanes = [seed + primes[0] + primes[1], seed + primes[1], seed, seed - primes[0]].map(
      (lane) => lane & mask,
    )
    for (; at + 32 <= bytes.length; at += 32) {
      for (const index of [0, 1, 2, 3]) {
        lanes[index] = round(lanes[index] ?? 0n, bytes.readBigUInt64LE(at + 8 * index))
      }
    }
    hash = [1n, 7n, 12n, 18n].reduce(
      (sum, bits, index) => sum + rotate(lanes[index] ?? 0n, bits),
      0n,
    )
    for (const lane of lanes) hash = ((hash ^ round(0n, lane)) * primes[0] + primes[3]) & mask
  }
  hash = (hash + BigInt(bytes.length)) & mask
  for (; at + 8 <= bytes.length; at += 8) {
    const input = round(0n, bytes.readBigUInt64LE(at))
    hash = (rotate(hash ^ input, 27n) * primes[0] + primes[3]) & mask
  }
  if (at + 4 <= bytes.length) {
    const input = (BigInt(bytes.readUInt32LE(at)) * primes[0]) & mask
    hash = (rotate(hash ^ input, 23n) * primes[1] + primes[2]) & mask
    at += 4
  }
  for (; at < bytes.length; at += 1) {
    hash = (rotate(hash ^ ((BigInt(bytes[at] ?? 0) * primes[4]) & mask), 11n) * primes[0]) & mask
  }
  hash = ((hash ^ (hash >> 33n)) * primes[1]) & mask
  hash = ((hash ^ (hash >> 29n)) * primes[2]) & mask
  return hash ^ (hash >> 32n)
}

function wide({ hi, lo }: Hash64): bigint {
  return (BigInt(hi) << 32n) | BigInt(lo)
}

function narrow(value: bigint): Hash64 {
  return { hi: Number(value >> 32n), lo: Number(value & 0xffff_ffffn) }
}

test('every text hashes as the specification says, with any seed', () => {
  const latin1 = string({
    unit: integer({ min: 0, max: 255 }).map((c) => String.fromCharCode(c)),
    maxLength: 140,
  })
  assertProperty(
    property(latin1, bigInt({ min: 0n, max: mask }), (text, seed) => {
      assert.equal(wide(xxHash64(text, narrow(seed))), plainHash(Buffer.from(text, 'latin1'), seed))
    }),
    { numRuns: 500 },
  )
})

test('remainders and joined hashes are those of whole numbers', () => {
  const any = bigInt({ min: 0n, max: mask })
  assertProperty(
    property(any, any, integer({ min: 1, max: 5_000_011 }), (left, right, divisor) => {
      assert.equal(remainder(narrow(left), divisor), Number(left % BigInt(divisor)))
      assert.equal(wide(joinHashes(narrow(left), narrow(right))), rotate(left, 1n) ^ right)
    }),
  )
})
