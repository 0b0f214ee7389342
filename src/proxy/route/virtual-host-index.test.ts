/** Domains: Envoy's order of search, ports, case and duplicates. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createVirtualHostIndex, findDuplicateDomains, withoutPort } from './virtual-host-index.ts'

function index(
  domains: readonly string[],
  ignorePort = false,
): (authority: string) => string | undefined {
  const entries = domains.map((domain) => ({ domain, virtualHost: domain }))
  return createVirtualHostIndex(entries, { ignorePort })
}

const find = index(['*', 'a.test', '*.test', '*.b.test', 'a.*', 'a.b.*', 'x.test:80', '*:90'])

for (const { authority, expected } of [
  { authority: 'a.test', expected: 'a.test' },
  { authority: 'A.TEST', expected: 'a.test' },
  { authority: 'c.test', expected: '*.test' },
  { authority: 'c.b.test', expected: '*.b.test' },
  { authority: '.test', expected: '*' },
  { authority: 'a.com', expected: 'a.*' },
  { authority: 'a.b.com', expected: 'a.b.*' },
  { authority: 'a.', expected: '*' },
  { authority: 'x.test:80', expected: 'x.test:80' },
  { authority: 'x.test:81', expected: '*' },
  { authority: 'anything:90', expected: '*:90' },
  { authority: 'other', expected: '*' },
  { authority: '', expected: undefined },
]) {
  test(`the authority ${JSON.stringify(authority)} belongs to ${String(expected)}`, () => {
    assert.equal(find(authority), expected)
  })
}

test('a table with nothing but * answers even without an authority', () => {
  assert.equal(index(['*'])(''), '*')
})

test('without * an unknown authority has no virtual host', () => {
  assert.equal(index(['a.test'])('b.test'), undefined)
})

test('a table that ignores ports looks the host up without its port', () => {
  const ignoring = index(['a.test', '[::1]'], true)
  assert.equal(ignoring('a.test:8080'), 'a.test')
  assert.equal(ignoring('[::1]:8080'), '[::1]')
  assert.equal(ignoring('[::1]'), '[::1]')
})

test('colons inside brackets are no port', () => {
  assert.equal(withoutPort('[2001:db8::1]'), '[2001:db8::1]')
  assert.equal(withoutPort('[2001:db8::1]:80'), '[2001:db8::1]')
  assert.equal(withoutPort('a.test'), 'a.test')
})

test('a domain that stands twice is reported, whatever its case', () => {
  const entries = ['a.test', 'A.test', '*', '*'].map((domain) => ({ domain, virtualHost: 0 }))
  assert.deepEqual(findDuplicateDomains(entries), [
    'domains must be unique, "A.test" is there twice',
    'only one virtual host may have the domain *',
  ])
})
