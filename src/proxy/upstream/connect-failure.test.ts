/** Node's words for a failed connection, and Envoy's. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { connectFailureText } from './connect-failure.ts'

const texts: Readonly<Record<string, string>> = {
  'connect ECONNREFUSED 127.0.0.1:80': 'delayed connect error: Connection refused',
  'connect ENOENT /run/app.sock': 'delayed connect error: No such file or directory',
  'connect EHOSTUNREACH 10.0.0.1:80 - Local (0.0.0.0:0)': 'delayed connect error: No route to host',
}

for (const [message, expected] of Object.entries(texts)) {
  test(`${message} is ${expected}`, () => assert.equal(connectFailureText(message), expected))
}

test('what the system does not name stays as it is', () => {
  const message = 'no internal listener named EAST'
  assert.equal(connectFailureText(message), message)
})
