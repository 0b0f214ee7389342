/** RE2 over the whole text, with shortcuts that must not change an answer. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { assert as assertProperty, constantFrom, property, string } from 'fast-check'
import { RE2JS } from 're2js'

import { compileRegexRewrite } from './regex-rewrite.ts'
import { type TextMatch, compileRegex } from './regex.ts'

function compile(pattern: string): TextMatch {
  const result = compileRegex(pattern)
  assert.ok(result.ok, `${pattern} compiles`)
  return result.value
}

const patterns = [
  String.raw``,
  String.raw`a`,
  String.raw`abc`,
  String.raw`a.c`,
  String.raw`a.*`,
  String.raw`a.+`,
  String.raw`.*`,
  String.raw`.+`,
  String.raw`ab*`,
  String.raw`ab?`,
  String.raw`a{2}`,
  String.raw`ab|c`,
  String.raw`(ab|c)d`,
  String.raw`^abc`,
  String.raw`^abc$`,
  String.raw`^a.*$`,
  String.raw`a\.b`,
  String.raw`a\.b.*`,
  String.raw`a\+`,
  String.raw`[ab]c`,
  String.raw`a[bc].*`,
  String.raw`(?i)abc`,
  String.raw`a\d+`,
  String.raw`\Qa.b\E`,
  String.raw`a\/b`,
  String.raw`ab.*c`,
  String.raw`/a/.*`,
  String.raw`/a/[^/]+`,
  String.raw`a||b`,
  String.raw`x*`,
  String.raw`$`,
  String.raw`a$`,
  String.raw`\x61`,
  String.raw`a\nb`,
]

test('shortcuts answer as the engine does', () => {
  const text = string({ unit: constantFrom(...'abcdABC./+1|\n$'.split('')), maxLength: 6 })
  for (const pattern of patterns) {
    const engine = RE2JS.compile(pattern)
    const matches = compile(pattern)
    assertProperty(
      property(text, (value) => {
        assert.equal(matches(value), engine.testExact(value), `${pattern} over ${value}`)
      }),
      { numRuns: 300 },
    )
  }
})

test('a part of the text is not enough', () => {
  assert.equal(compile('b')('abc'), false)
})

test('a pattern that backtracks elsewhere is linear here', () => {
  const started = performance.now()
  assert.equal(compile('(a+)+')(`${'a'.repeat(5000)}!`), false)
  assert.ok(performance.now() - started < 1000)
})

test('a dot takes one octet, as in Envoy', () => {
  const name = Buffer.from('/é').toString('latin1')
  assert.equal(compile('/.')(name), false)
  assert.equal(compile('/..')(name), true)
  assert.equal(compile('/.*')(name), true)
})

test('what is not UTF-8 matches what takes any octet', () => {
  assert.equal(compile('/.*')('/\u00ff'), true)
  assert.equal(compile('/[^a]')('/\u00ff'), true)
})

for (const pattern of ['(a', 'a(?=b)', '(?<!a)b', '\\1', '[z-a]', 'a**']) {
  test(`${pattern} is refused with RE2's reason`, () => {
    const result = compileRegex(pattern)
    assert.equal(result.ok, false)
    assert.match(result.ok ? '' : (result.reasons[0] ?? ''), /is not RE2: /)
  })
}

function rewrite(regex: string, substitution: string, text: string): string {
  const result = compileRegexRewrite({ pattern: { engineType: undefined, regex }, substitution })
  assert.ok(result.ok, result.ok ? '' : result.reasons.join())
  return result.value(text)
}

test('a substitution knows groups, the whole match and a backslash', () => {
  assert.equal(rewrite('/(\\w+)/(\\d+)', '/\\2/\\1?\\0\\\\', '/a/1'), '/1/a?/a/1\\')
})

test('every match is replaced, and an empty one behind a match is not', () => {
  assert.equal(rewrite('a*', 'X', 'baaac'), 'XbXcX')
  assert.equal(rewrite('a', 'X', 'banana'), 'bXnXnX')
  assert.equal(rewrite('z', 'X', 'banana'), 'banana')
})

test('a group that took no part is empty', () => {
  assert.equal(rewrite('(a)|(b)', '[\\1\\2]', 'ab'), '[a][b]')
})

for (const { substitution, reason } of [
  { substitution: '\\2', reason: /uses group 2, the pattern has 1/ },
  { substitution: 'x\\', reason: /a backslash must be followed by/ },
  { substitution: '\\x', reason: /a backslash must be followed by/ },
]) {
  test(`the substitution ${substitution} is refused`, () => {
    const result = compileRegexRewrite({
      pattern: { engineType: undefined, regex: '(a)' },
      substitution,
    })
    assert.ok(!result.ok)
    assert.match(result.reasons[0] ?? '', reason)
  })
}
