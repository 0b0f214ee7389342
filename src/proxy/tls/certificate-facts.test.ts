/** Names as they stand in a certificate, also those that were made to be misread. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'

import { createTestAuthority } from '../../../test/support/test-certificate.ts'
import { certificateFacts, parseAltNames } from './certificate-facts.ts'
import { dnsMatches } from './san-match.ts'

test('the facts of a certificate are those that were asked for', async () => {
  const authority = await createTestAuthority('o')
  const leaf = await authority.issue({
    uris: ['spiffe://a/ns/b/sa/c'],
    dns: ['x.test', '*.y.test'],
    subject: 'CN=c,O=a\\, b',
  })
  const facts = certificateFacts(new X509Certificate(leaf.certificatePem))
  assert.deepEqual(facts.uris, ['spiffe://a/ns/b/sa/c'])
  assert.deepEqual(facts.dns, ['x.test', '*.y.test'])
  assert.equal(facts.subject, 'O=a\\, b,CN=c')
  assert.equal(facts.issuer, 'CN=intermediate,O=o')
  assert.match(facts.serial, /^[0-9a-f]{30,32}$/)
  assert.match(facts.fingerprint256, /^[0-9a-f]{64}$/)
  assert.ok(facts.notBeforeMs < Date.now() && facts.notAfterMs > Date.now())
})

test('a comma inside a name does not make two of it', () => {
  const names = parseAltNames('URI:"spiffe://a/ns/b, URI:spiffe://evil/ns/x", DNS:a.test')
  assert.deepEqual(names.uris, ['spiffe://a/ns/b, URI:spiffe://evil/ns/x'])
  assert.deepEqual(names.dns, ['a.test'])
})

test('text that cannot be taken apart names nobody', () => {
  assert.deepEqual(parseAltNames('URI:"half').uris, [])
  assert.deepEqual(parseAltNames('URI:"a" b, DNS:c').dns, [])
})

const nameMatches: readonly [pattern: string, host: string][] = [
  ['*.a.test', 'x.a.test'],
  ['A.test', 'a.TEST'],
  ['*.a.TEST', 'x.A.test'],
  ['x*.a.test', 'xy.a.test'],
  ['x*.a.test', 'x.a.test'],
  ['*yz.test', 'xyz.test'],
  ['*xyz.test', 'xyz.test'],
  ['x*z.test', 'x-y-z.test'],
]

const nameMismatches: readonly [pattern: string, host: string][] = [
  ['*.a.test', 'a.test'],
  ['*.a.test', 'xa.test'],
  ['*.a.test', 'x.y.a.test'],
  ['*.a.test', 'x.a.test.b'],
  ['a.test', 'b.a.test'],
  ['x*x.a.test', 'x.a.test'],
  ['x?z.test', 'xyz.test'],
  ['**xyz.test', 'xyz.test'],
  ['x**z.test', 'xyz.test'],
  ['xyz.te*t', 'xyz.test'],
  ['*yz.te*t', 'xyz.test'],
  ['*xyz.test', '.xyz.test'],
  ['*xyz.test', ''],
  ['xn--*.test', 'xn--a.test'],
  ['*', 'test'],
  ['', 'test'],
  ['', ''],
]

test('a wildcard stands for the first label or a part of it, as Envoy’s does', () => {
  for (const [pattern, host] of nameMatches) assert.ok(dnsMatches(pattern, host), pattern)
  for (const [pattern, host] of nameMismatches) {
    assert.equal(dnsMatches(pattern, host), false, `${pattern} ${host}`)
  }
})
