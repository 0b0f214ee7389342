/** docs/reference/envoy-fields.md says what the tables of Envoy's fields say. UPDATE_DOCS=1 rewrites it. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'

import { renderFieldReference } from '../../src/proxy/config/field-reference.ts'

const page = new URL('../../docs/reference/envoy-fields.md', import.meta.url)

test('the page of Envoy’s fields is in step with the tables', () => {
  const expected = renderFieldReference()
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(page, expected)
  assert.equal(readFileSync(page, 'utf8'), expected, 'run this test with UPDATE_DOCS=1')
})
