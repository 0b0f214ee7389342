/** Which referers go on to the upstream. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { headerList } from '../../../test/support/request-record.ts'
import { HeaderList } from './header-list.ts'
import { isValidReferer, sanitizeReferer } from './referer.ts'

const valid = [
  'http://shop.test',
  'HTTPS://Shop.test:8443/cart?item=1',
  'http://[::1]:80/x',
  'android-app+1.0://shop.test/',
  'http://shop.test?x',
  '/cart/item:1?x=y',
  'cart.html',
  '//shop.test/x',
  '',
]

const invalid = [
  'http://shop.test/#top',
  'http://ann:secret@shop.test/',
  'http://shop.test:70000/',
  'http://shop.test:/',
  'http://my_shop.test/',
  'http:///x',
  'http:x',
  '1http://shop.test/',
  'about:blank',
  'cart#top',
  'my cart',
  'http://shop.test/my cart',
  'cart<1>',
  'caf\u00e9',
]

test('a referer is an absolute URL without user and fragment, or a plain reference', () => {
  assert.deepEqual(
    valid.filter((text) => !isValidReferer(text)),
    [],
  )
  assert.deepEqual(invalid.filter(isValidReferer), [])
})

test('a referer that is not valid is removed, and several are', () => {
  const rest = (...values: readonly string[]) => {
    const headers = new HeaderList()
    for (const value of values) headers.append('referer', value)
    sanitizeReferer(headers)
    return headers.getAll('referer')
  }
  assert.equal(rest('http://shop.test/'), 'http://shop.test/')
  assert.equal(rest('http://shop.test/#a'), undefined)
  assert.equal(rest('http://shop.test/', 'http://shop.test/'), undefined)
  const others = headerList({ 'x-a': '1' })
  sanitizeReferer(others)
  assert.equal(others.get('x-a'), '1')
})
