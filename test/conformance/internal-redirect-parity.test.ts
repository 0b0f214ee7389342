/** Redirects that a route follows itself: a real Envoy and Tulle follow the same ones, to the same places. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { internalRedirectScene, logLines, redirectStats } from './parity/internal-redirect-scene.ts'
import { compareScene } from './parity/scene.ts'

compareScene(internalRedirectScene, ({ envoy, tulle }) => {
  test('each way of a request has its entry in the log', () => {
    const entries = (log: string) => logLines(log).map((line) => JSON.parse(line) as object)
    assert.deepEqual(entries(tulle.log), entries(envoy.log))
    assert.ok(logLines(envoy.log).length > 60)
  })

  test('redirects are counted the same', () => {
    const expected = redirectStats(envoy.admin)
    assert.deepEqual(redirectStats(tulle.admin), expected)
    assert.ok(expected.size > 10)
  })
})
