/** docs/reference/http-corpus.md says what the corpus says. UPDATE_DOCS=1 rewrites it. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { renderCorpusPage } from '../differential/corpus-page.ts'
import { readText, root } from '../support/source-files.ts'

const page = 'docs/reference/http-corpus.md'

test('the page of the corpus is in step with it', () => {
  const expected = renderCorpusPage()
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(join(root, page), expected)
  assert.equal(readText(page), expected, 'run this test with UPDATE_DOCS=1')
})
