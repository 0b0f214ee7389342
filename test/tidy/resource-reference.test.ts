/** docs/reference/resources.md says what the tables of kinds, fields and effects say. UPDATE_DOCS=1 rewrites it. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { renderResourceReference } from '../../src/model/resource-reference.ts'
import { readText, root } from '../support/source-files.ts'

const page = 'docs/reference/resources.md'

test(`${page} is what the code says`, () => {
  const expected = renderResourceReference()
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(join(root, page), expected)
  assert.equal(readText(page), expected, 'run this test with UPDATE_DOCS=1')
})
