/** gRPC statistics, local rate limits, buffers: a real Envoy and Tulle hold, refuse and count the same. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { guardScene, guardStats } from './parity/guard-scene.ts'
import { compareScene } from './parity/scene.ts'

compareScene(guardScene, ({ envoy, tulle }) => {
  test('the filters count the same', () => {
    const expected = guardStats(envoy.admin)
    assert.deepEqual(guardStats(tulle.admin), expected)
    assert.ok(expected.size > 20)
  })
})
