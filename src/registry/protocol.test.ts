/** The protocol that a port has, by its name, its appProtocol or its number. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseProtocol, selectProtocol } from './protocol.ts'
import type { PortDescription } from './protocol.ts'

const selections: readonly [Partial<PortDescription>, string][] = [
  [{ name: 'http' }, 'http'],
  [{ name: 'http-web' }, 'http'],
  [{ name: 'HTTP2-x' }, 'http2'],
  [{ name: 'grpc' }, 'grpc'],
  [{ name: 'grpc-web' }, 'grpc-web'],
  [{ name: 'grpc-web-x' }, 'grpc-web'],
  [{ name: 'https' }, 'https'],
  [{ name: 'tls-x' }, 'tls'],
  [{ name: 'tcp' }, 'tcp'],
  [{ name: 'mongo' }, 'mongo'],
  [{ name: 'redis' }, 'tcp'],
  [{ name: 'mysql' }, 'tcp'],
  [{ name: 'httpx' }, 'auto'],
  [{ name: 'web-http' }, 'auto'],
  [{ name: '' }, 'auto'],
  [{ name: 'toString' }, 'auto'],
  [{ name: 'db', port: 3306 }, 'tcp'],
  [{ name: '', port: 53 }, 'tcp'],
  [{ name: 'http', port: 25 }, 'http'],
  [{ name: 'http', transport: 'UDP' }, 'udp'],
  [{ name: 'udp-x' }, 'tcp'],
  [{ name: 'tcp', appProtocol: 'http' }, 'http'],
  [{ name: 'http', appProtocol: 'kubernetes.io/h2c' }, 'http2'],
  [{ name: '', appProtocol: 'kubernetes.io/ws' }, 'http'],
  [{ name: '', appProtocol: 'kubernetes.io/wss' }, 'https'],
  [{ name: 'http', appProtocol: 'example.com/own' }, 'auto'],
]
for (const [port, protocol] of selections) {
  test(`a Service's port ${JSON.stringify(port)} is ${protocol}`, () => {
    assert.equal(selectProtocol({ port: 8080, name: '', ...port }), protocol)
  })
}

test('a ServiceEntry’s protocol counts in any case; an unknown word is none', () => {
  assert.equal(parseProtocol('GRPC-Web'), 'grpc-web')
  assert.equal(parseProtocol('HTTPS'), 'https')
  assert.equal(parseProtocol('http-x'), undefined)
})
