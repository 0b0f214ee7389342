/** What a table of fields lets pass, and what it says of the rest. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  type FieldReport,
  type MessageRule,
  checkFields,
  ignored,
  refusedField,
  snakeCase,
  used,
} from './field-rule.ts'

const inner: MessageRule = { type: 't.Inner', fields: { depth: used() } }
const rule: MessageRule = {
  type: 't.Outer',
  fields: {
    name: used(),
    nothing: ignored('it is nothing'),
    notYet: refusedField('not implemented yet', false),
    inside: used(inner),
    chosen: used(inner),
  },
}

function reasonsOf(message: object): readonly string[] {
  const report: FieldReport = { path: 'at', reasons: [] }
  checkFields(message, rule, report)
  return report.reasons
}

test('what is used, ignored, or has no value passes', () => {
  assert.deepEqual(
    reasonsOf({ name: 'x', nothing: 5, other: '', more: [], map: {}, no: undefined }),
    [],
  )
})

test('a field without a rule is refused with its path and value', () => {
  assert.deepEqual(reasonsOf({ other: 7 }), [
    'at.other: not implemented, and it cannot be ignored (value 7)',
  ])
})

test('a refused field gives its reason, and a value that means nothing passes', () => {
  assert.deepEqual(reasonsOf({ notYet: true }), ['at.not_yet: not implemented yet (value true)'])
  assert.deepEqual(reasonsOf({ notYet: false }), [])
})

test('messages inside are checked, in lists and maps and behind a oneof', () => {
  assert.deepEqual(reasonsOf({ inside: [{ depth: 1 }, { width: 2 }] }), [
    'at.inside[1].width: not implemented, and it cannot be ignored (value 2)',
  ])
  assert.deepEqual(reasonsOf({ anyName: { $case: 'chosen', value: { width: 2 } } }), [
    'at.chosen.width: not implemented, and it cannot be ignored (value 2)',
  ])
})

test('a long value is cut, and bytes are counted', () => {
  const [long] = reasonsOf({ other: 'x'.repeat(200) })
  assert.ok(long !== undefined && long.length < 160)
  assert.match(reasonsOf({ other: Buffer.from('abc') })[0] ?? '', /value "<3 bytes>"/)
})

test('names are spelled as in Envoy’s documentation', () => {
  const names = [
    'maxRetries',
    'consecutive5xx',
    'acceptHttp10',
    'proxy100Continue',
    'http2ProtocolOptions',
  ]
  assert.deepEqual(names.map(snakeCase), [
    'max_retries',
    'consecutive_5xx',
    'accept_http_10',
    'proxy_100_continue',
    'http2_protocol_options',
  ])
})
