/** Standard input as text, and its ceiling. */
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'

import { inputBytesMax, readInput } from './read-input.ts'

test('a character that stands in two pieces is one', async () => {
  const bytes = Buffer.from('kind: ü\n')
  assert.equal(
    await readInput(Readable.from([bytes.subarray(0, 7), bytes.subarray(7)])),
    'kind: ü\n',
  )
})

test('bytes that are no text are misuse', async () => {
  await assert.rejects(readInput(Readable.from([Buffer.from([0x6b, 0xff])])), {
    code: 'MESH_USAGE',
    message: 'standard input is not UTF-8',
  })
})

test('more than a file may have is misuse', async () => {
  const pieces = [Buffer.alloc(inputBytesMax), Buffer.alloc(1)]
  await assert.rejects(readInput(Readable.from(pieces)), { code: 'MESH_USAGE' })
})
