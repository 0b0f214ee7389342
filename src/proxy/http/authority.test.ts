/** Hosts of requests: which are hosts at all, and what is left of them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { hostOf, isUrlAuthority, parseAuthority, portOf, stripAuthority } from './authority.ts'

test('a host is read in lower case, with its port', () => {
  assert.equal(parseAuthority('Shop.Example:8080'), 'shop.example:8080')
  assert.equal(parseAuthority('[2001:DB8::1]:80'), '[2001:db8::1]:80')
  assert.equal(parseAuthority('10.0.0.1'), '10.0.0.1')
  assert.equal(parseAuthority('a_b.c'), 'a_b.c')
  assert.equal(parseAuthority('a%41%&b:80'), 'a%41%&b:80')
  assert.equal(parseAuthority("strangebutlegal$-%&'"), "strangebutlegal$-%&'")
})

for (const value of [
  '',
  'a b',
  'a/b',
  'u@a',
  'a?b',
  'a#b',
  'a:b',
  'a:123456',
  '[::1',
  '::1',
  'a,b',
  'a\\b',
  'caf\xe9',
]) {
  test(`${JSON.stringify(value)} is no host`, () => {
    assert.equal(parseAuthority(value), undefined)
  })
}

test('the port is the one after the address', () => {
  assert.equal(portOf('a:80'), 80)
  assert.equal(portOf('a'), undefined)
  assert.equal(portOf('[::1]'), undefined)
  assert.equal(portOf('[::1]:81'), 81)
  assert.equal(hostOf('[::1]:81'), '[::1]')
})

test('ports and dots are stripped as the listener says', () => {
  const strip = (port: 'none' | 'matching' | 'any', authority: string): string =>
    stripAuthority(authority, { port, listenerPort: 80, trailingDot: true })
  assert.equal(strip('none', 'a.:81'), 'a:81')
  assert.equal(strip('matching', 'a:80'), 'a')
  assert.equal(strip('matching', 'a:81'), 'a:81')
  assert.equal(strip('any', 'a.:81'), 'a')
})

const urlAuthorities: readonly (readonly [authority: string, isUrl: boolean])[] = [
  ['a', true],
  ['a:0', true],
  ['a:65535', true],
  ['a:65536', false],
  ['a:', false],
  ['[::1]', true],
  ['[::1]:80', true],
  ['[::1]:', false],
  ['[bad]', false],
  ['[1.2.3.4]', false],
  ['[fe80::1%25eth0]:80', true],
]

for (const [authority, isUrl] of urlAuthorities) {
  test(`${authority} ${isUrl ? 'may' : 'may not'} stand in a URL`, () => {
    assert.equal(isUrlAuthority(authority), isUrl)
  })
}
