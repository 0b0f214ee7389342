/** The host that a copy of a request is sent with. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { shadowAuthority } from './exchange-mirror.ts'

for (const { authority, shadow } of [
  { authority: 'reviews', shadow: 'reviews-shadow' },
  { authority: 'reviews:9080', shadow: 'reviews-shadow:9080' },
  { authority: '10.0.0.1:80', shadow: '10.0.0.1-shadow:80' },
  { authority: '[::1]', shadow: '[::1]-shadow' },
  { authority: '[::1]:80', shadow: '[::1]-shadow:80' },
]) {
  test(`a copy of a request to ${authority} is for ${shadow}`, () => {
    assert.equal(shadowAuthority(authority), shadow)
  })
}
