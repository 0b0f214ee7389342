/** Ids are UUIDs of version 4, made of the chance that is given. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { systemRandom } from '../lib/random.ts'
import { RequestIds } from './exchange-request-id.ts'

test('the lowest and the highest chance give the lowest and the highest id', () => {
  assert.equal(new RequestIds(() => 0).next(), '00000000-0000-4000-8000-000000000000')
  assert.equal(new RequestIds(() => 1 - 2 ** -53).next(), 'ffffffff-ffff-4fff-bfff-ffffffffffff')
})

test('ids are UUIDs of version 4, each of its own', () => {
  const ids = new RequestIds(systemRandom)
  const seen = new Set<string>()
  for (let count = 0; count < 10_000; count += 1) {
    const id = ids.next()
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    seen.add(id)
  }
  assert.equal(seen.size, 10_000)
})
