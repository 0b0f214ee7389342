/** The flags of V8 that our processes run with stand in three places, which no other file can be imported by. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '../..')
const flagsOf = (file: string) =>
  readFileSync(join(root, file), 'utf8').match(/--m(?:in|ax)-semi-space-size=\d+/g)

test('bin/tulle, npm start and the bench give Node the same young generation', () => {
  const flags = flagsOf('bin/tulle')
  assert.equal(flags?.length, 2)
  assert.deepEqual(flagsOf('scripts/run.mjs'), flags)
  assert.deepEqual(flagsOf('bench/process.ts'), flags)
})
