/** Logs of TCP connections: a real Envoy and Tulle write the same of each. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { compareScene } from './parity/scene.ts'
import { tcpLines, tcpLogScene } from './parity/tcp-log-scene.ts'

compareScene(tcpLogScene, ({ envoy, tulle }) => {
  test('a line for each connection', () => {
    const expected = tcpLines(envoy.log)
    assert.deepEqual(tcpLines(tulle.log), expected)
    assert.equal(expected.length, tcpLogScene.cases.length)
  })
})
