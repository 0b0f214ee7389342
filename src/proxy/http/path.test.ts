/** Paths in, one spelling out; the bypasses of the past among them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { normalizePath, type PathRules } from './path.ts'

const all: PathRules = { normalizePath: true, mergeSlashes: true, escapedSlashes: 'keep' }

const normal: readonly (readonly [sent: string, expected: string])[] = [
  ['/', '/'],
  ['/a/b', '/a/b'],
  ['/a/./b', '/a/b'],
  ['/a/.', '/a/'],
  ['/a/..', '/'],
  ['/a/../b', '/b'],
  ['/a/b/../../c', '/c'],
  ['/public/%2e%2e/admin', '/admin'],
  ['/public/%2E%2E/admin', '/admin'],
  ['/public/..;/admin', '/admin'],
  ['/public/..;x=y/admin', '/admin'],
  ['/a//b', '/a/b'],
  ['//a', '/a'],
  ['/a\\b', '/a/b'],
  ['/a%2fb', '/a%2fb'],
  ['/a%41', '/aA'],
  ['/a%7e', '/a~'],
  ['/.hidden', '/.hidden'],
  ['/...', '/...'],
  ['/a?x=/../y//z', '/a?x=/../y//z'],
  ['/a/../b?q', '/b?q'],
  ['/..', '/'],
  ['/a%', '/a%'],
  ['/a%zz/../b', '/b'],
  ['/../../x', '/x'],
  ['/a/../../b', '/b'],
  ['/%2e%2e/x', '/x'],
  ['/a"<>`{}|^b', '/a%22%3C%3E%60%7B%7D%7C%5Eb'],
]

for (const [sent, expected] of normal) {
  test(`${sent} becomes ${expected}`, () => {
    assert.deepEqual(normalizePath(sent, all), { kind: 'path', path: expected })
  })
}

for (const path of ['/a%00b', '/xyz/.%00../abc', '/xyz/%00.%00./abc', '/xyz/AAAAA%%0000/abc']) {
  test(`${path} is refused: it hides a NUL`, () => {
    assert.equal(normalizePath(path, all).kind, 'reject')
  })
}

test('without rules a path stays as it came', () => {
  const none: PathRules = { normalizePath: false, mergeSlashes: false, escapedSlashes: 'keep' }
  assert.deepEqual(normalizePath('/a/../b//%2f%zz', none), {
    kind: 'path',
    path: '/a/../b//%2f%zz',
  })
})

test('escaped slashes are refused, redirected or forwarded as the listener says', () => {
  const withSlashes = (escapedSlashes: PathRules['escapedSlashes']) =>
    normalizePath('/a%2Fb%5cc?d=%2f', { ...all, escapedSlashes })
  assert.deepEqual(withSlashes('reject'), { kind: 'reject', path: '/a/b\\c?d=%2f' })
  assert.deepEqual(withSlashes('unescape-redirect'), { kind: 'redirect', path: '/a/b/c?d=%2f' })
  assert.deepEqual(withSlashes('unescape-forward'), { kind: 'path', path: '/a/b/c?d=%2f' })
})

test('an escaped slash cannot hide dots from the rules that follow', () => {
  const rules: PathRules = { ...all, escapedSlashes: 'unescape-forward' }
  assert.deepEqual(normalizePath('/public/..%2fadmin', rules), { kind: 'path', path: '/admin' })
})
