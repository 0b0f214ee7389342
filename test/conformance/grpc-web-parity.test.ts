/** gRPC-Web: a real Envoy and Tulle make the same gRPC of it, and the same answers of gRPC. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { callStats, grpcWebScene } from './parity/grpc-web-scene.ts'
import { compareScene } from './parity/scene.ts'

compareScene(grpcWebScene, ({ envoy, tulle }) => {
  test('calls are counted the same', () => {
    const expected = callStats(envoy.admin)
    assert.deepEqual(callStats(tulle.admin), expected)
    assert.ok(expected.size > 10)
  })
})
