/** A name is found where it stands in a head, and only that name. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { HeaderNames } from './header-names.ts'

function find(names: HeaderNames, name: string): string | undefined {
  const text = `x: 1\r\n${name}: 2\r\n`
  return names.findIn(text, 6, 6 + name.length)?.lower
}

test('a name is found in lower case, the first time and after', () => {
  const names = new HeaderNames()
  for (let count = 0; count < 3; count += 1) {
    assert.equal(find(names, 'X-Request-Id'), 'x-request-id')
    assert.equal(find(names, 'x-request-id'), 'x-request-id')
    assert.equal(find(names, '__proto__'), '__proto__')
  }
})

test('names that fall on the same place are told apart', () => {
  const names = new HeaderNames()
  // Same length, same first and last character.
  const alike = ['x-aa-y', 'x-ab-y', 'x-ba-y', 'X-aa-y']
  for (let count = 0; count < 3; count += 1) {
    for (const name of alike) assert.equal(find(names, name), name.toLowerCase())
  }
})

test('what is no token is no name, however often it comes', () => {
  const names = new HeaderNames()
  for (let count = 0; count < 3; count += 1) {
    for (const name of ['', ' ', 'a b', 'na\u00efve']) assert.equal(find(names, name), undefined)
  }
})

test('names past the ceiling are found all the same', () => {
  const names = new HeaderNames()
  for (let index = 0; index < 3_000; index += 1) {
    assert.equal(find(names, `X-${index}`), `x-${index}`)
    assert.equal(find(names, 'Host'), 'host')
  }
})
