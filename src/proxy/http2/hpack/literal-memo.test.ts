/** What is remembered of literals changes nothing but the work: whatever blocks say, a fresh decoder reads the same. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import * as fc from 'fast-check'

import { HpackDecoder } from './decoder.ts'
import { staticTable } from './static-table.ts'

interface LiteralSpec {
  readonly form: 'plain' | 'never'
  /** A static index, or the name itself. */
  readonly name: number | string
  readonly value: string
}

const short = (text: string): Buffer => Buffer.from([text.length, ...Buffer.from(text, 'latin1')])

/** §6.2.2, §6.2.3; every length is below 127. */
function literal({ form, name, value }: LiteralSpec): Buffer {
  const bits = form === 'plain' ? 0x00 : 0x10
  if (typeof name === 'string')
    return Buffer.concat([Buffer.from([bits]), short(name), short(value)])
  const index = name < 15 ? [bits | name] : [bits | 15, name - 15]
  return Buffer.concat([Buffer.from(index), short(value)])
}

function read(decoder: HpackDecoder, block: Buffer): readonly unknown[] {
  const fields: unknown[] = []
  const error = decoder.decode(block, {
    onField: (name, value, isValueValid) => void fields.push([name.text, value, isValueValid]),
  })
  return [error, ...fields]
}

const spec: fc.Arbitrary<LiteralSpec> = fc.record({
  form: fc.constantFrom('plain', 'never'),
  name: fc.oneof(
    fc.integer({ min: 1, max: staticTable.length }),
    fc.constantFrom('x-a', 'x-b', 'te'),
  ),
  value: fc.constantFrom('', 'a', 'b', ' a', 'a\x01', 'ab', 'a'.repeat(90), 'a'.repeat(100)),
})
const headers = fc.array(spec, { maxLength: 5 })

test('property: repeated, changed and cut blocks read as a fresh decoder reads them', () => {
  // Few different blocks, often repeated, so that places are known, change, and are given up.
  const blocks = fc
    .array(headers, { minLength: 1, maxLength: 3 })
    .chain((some) => fc.array(fc.tuple(fc.constantFrom(...some), fc.nat(200)), { maxLength: 12 }))
  fc.assert(
    fc.property(blocks, (sent) => {
      const decoder = new HpackDecoder()
      for (const [specs, cut] of sent) {
        const whole = Buffer.concat(specs.map(literal))
        const block = cut < 20 ? whole.subarray(0, cut) : whole
        assert.deepEqual(read(decoder, block), read(new HpackDecoder(), block))
      }
    }),
  )
})

test('a name by its place in the table is looked up each time', () => {
  const decoder = new HpackDecoder()
  const kept = (name: string): Buffer =>
    Buffer.concat([Buffer.from([0x40]), short(name), short('v')])
  const newest = Buffer.from([0x0f, staticTable.length + 1 - 15, 1, 0x31])
  for (const name of ['x-one', 'x-two', 'x-two', 'x-three']) {
    assert.deepEqual(read(decoder, Buffer.concat([kept(name), newest])), [
      undefined,
      [name, 'v', true],
      [name, '1', true],
    ])
  }
})

test('more literals than are remembered are read all the same', () => {
  const specs = Array.from({ length: 100 }, (_, index) => ({
    form: 'plain' as const,
    name: `x-${index}`,
    value: `${index}`,
  }))
  const block = Buffer.concat(specs.map(literal))
  const decoder = new HpackDecoder()
  const expected = specs.map(({ name, value }) => [name, value, true])
  for (let turn = 0; turn < 3; turn += 1) {
    assert.deepEqual(read(decoder, block), [undefined, ...expected])
  }
})
