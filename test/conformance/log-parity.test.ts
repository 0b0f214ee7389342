/** Access logs: a real Envoy and Tulle write the same lines of the same requests. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { logScene, otherLines } from './parity/log-scene.ts'
import { compareScene } from './parity/scene.ts'

compareScene(logScene, ({ envoy, tulle }) => {
  test('texts, structures and filters', () => {
    const expected = otherLines(envoy.log)
    assert.deepEqual(otherLines(tulle.log), expected)
    assert.ok(expected.length > 200)
  })
})
