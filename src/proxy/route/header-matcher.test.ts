/** Deprecated header matchers and the reasons to refuse one; the rest is compared with Envoy's answers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { messageOf } from '../../../test/support/envoy-message.ts'
import { headerList, requestRecord } from '../../../test/support/request-record.ts'
import { lowerAscii } from '../../lib/lower-ascii.ts'
import { HeaderMatcher } from '../../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import { StringMatcher } from '../../xds/proto/generated/envoy/type/matcher/v3/string.ts'
import { compileRequestMatcher, compileResponseMatcher, requestReader } from './header-matcher.ts'
import { compileStringMatcher } from './string-matcher.ts'

function headerMatcher(fields: object): HeaderMatcher {
  return messageOf('envoy.config.route.v3.HeaderMatcher', HeaderMatcher, fields)
}

function matches(matcher: object, fields: Readonly<Record<string, string>>): boolean {
  const result = compileRequestMatcher(headerMatcher(matcher))
  assert.ok(result.ok, result.ok ? '' : result.reasons.join())
  return result.value({ ...requestRecord().request, headers: headerList(fields) })
}

for (const { matcher, yes, no } of [
  { matcher: { prefix_match: 'ab' }, yes: 'abc', no: 'cab' },
  { matcher: { suffix_match: 'ab' }, yes: 'cab', no: 'abc' },
  { matcher: { contains_match: 'ab' }, yes: 'cabc', no: 'acb' },
  { matcher: { safe_regex_match: { regex: 'a+b' } }, yes: 'aab', no: 'aabc' },
  { matcher: { exact_match: 'ab' }, yes: 'ab', no: 'AB' },
  { matcher: { range_match: { start: '-1', end: '1' } }, yes: '0', no: '1' },
  {
    matcher: { range_match: { start: '-9223372036854775808', end: '9223372036854775807' } },
    yes: '9223372036854775806',
    no: '9223372036854775807',
  },
  {
    matcher: { range_match: { start: '-9223372036854775808', end: '1' } },
    yes: '-9223372036854775808',
    no: '-9223372036854775809',
  },
  {
    matcher: { range_match: { start: '-9', end: '9' } },
    yes: ' +0000000000000000000008 ',
    no: '8a',
  },
]) {
  test(`${JSON.stringify(matcher)} matches ${yes} and not ${no}`, () => {
    const named = { name: 'X-A', ...matcher }
    assert.equal(matches(named, { 'x-a': yes }), true)
    assert.equal(matches(named, { 'x-a': no }), false)
    assert.equal(matches({ ...named, invert_match: true }, { 'x-a': no }), true)
    assert.equal(matches({ ...named, invert_match: true }, {}), false, 'absent')
  })
}

for (const { matcher, reason } of [
  { matcher: { prefix_match: '' }, reason: 'prefix_match: must not be empty' },
  { matcher: { suffix_match: '' }, reason: 'suffix_match: must not be empty' },
  { matcher: { contains_match: '' }, reason: 'contains_match: must not be empty' },
  { matcher: { string_match: { prefix: '' } }, reason: 'string_match.prefix: must not be empty' },
  {
    matcher: { string_match: { safe_regex: {} } },
    reason: 'string_match.safe_regex.regex: is required',
  },
  {
    matcher: { string_match: { custom: { name: 'mine' } } },
    reason: 'string_match.custom: not implemented',
  },
]) {
  test(`${JSON.stringify(matcher)} is refused`, () => {
    const result = compileRequestMatcher(headerMatcher({ name: 'a', ...matcher }))
    assert.deepEqual(result, { ok: false, reasons: [reason] })
  })
}

test('a response is matched by its fields and its status', () => {
  const compile = (matcher: object) => {
    const result = compileResponseMatcher(headerMatcher(matcher))
    assert.ok(result.ok)
    return result.value
  }
  const status = compile({ name: ':status', range_match: { start: '500', end: '600' } })
  assert.equal(status(headerList(), 503), true)
  assert.equal(status(headerList(), 404), false)
  const field = compile({ name: 'Retry-After' })
  assert.equal(field(headerList({ 'retry-after': '1' }), 200), true)
  assert.equal(field(headerList(), 200), false)
})

test('pseudo headers are read from the head', () => {
  const { request } = requestRecord()
  const read = (name: string): string | undefined => requestReader(name)(request)
  assert.equal(read(':method'), 'GET')
  assert.equal(read(':scheme'), 'http')
  assert.equal(read('Host'), 'my-go-service:8080')
  assert.equal(read(':path'), '/rewritten?q=1')
  assert.equal(requestReader(':path')({ ...request, path: '' }), undefined)
  assert.equal(read('User-Agent'), 'curl/8')
})

test('without case only ASCII letters are equal', () => {
  assert.equal(lowerAscii('ÄBC'), 'Äbc')
  const result = compileStringMatcher(
    messageOf('envoy.type.matcher.v3.StringMatcher', StringMatcher, {
      suffix: 'ÄB',
      ignore_case: true,
    }),
  )
  assert.ok(result.ok)
  assert.equal(result.value('xÄb'), true)
  assert.equal(result.value('xäb'), false)
})
