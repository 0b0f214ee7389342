/** Which addresses lead back into a listener. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { reaches } from './reaches.ts'

const ip = (address: string, port = 15_001) => ({ kind: 'ip' as const, address, port })

const cases: readonly [to: string, at: string, expected: boolean][] = [
  ['127.0.0.1', '127.0.0.1', true],
  ['127.0.0.2', '127.0.0.1', false],
  ['0.0.0.0', '127.0.0.1', true],
  ['::ffff:127.0.0.1', '127.0.0.1', true],
  ['::ffff:7f00:1', '127.0.0.1', true],
  ['0:0:0:0:0:0:0:1', '::1', true],
  ['::', '::1', true],
  ['10.0.0.7', '127.0.0.1', false],
  ['0.0.0.0', '10.0.0.7', false],
  ['127.8.8.8', '0.0.0.0', true],
  ['::1', '::', true],
  ['10.0.0.7', '0.0.0.0', true],
  ['10.0.0.8', '0.0.0.0', false],
]

for (const [to, at, expected] of cases) {
  test(`${to} ${expected ? 'reaches' : 'does not reach'} a listener on ${at}`, () => {
    assert.equal(
      reaches(ip(to), ip(at), () => ['10.0.0.7']),
      expected,
    )
  })
}

test('another port, a Unix socket and an internal listener are somebody else', () => {
  assert.equal(reaches(ip('127.0.0.1', 80), ip('127.0.0.1')), false)
  assert.equal(reaches(ip('127.0.0.1'), { kind: 'unix', path: '/a' }), false)
  assert.equal(reaches({ kind: 'internal', listener: 'a' }, ip('127.0.0.1')), false)
})
