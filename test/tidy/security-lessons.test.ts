/** Every lesson has its tests, and docs/reference/security-lessons.md says which. UPDATE_DOCS=1 rewrites it. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { renderLessonPage } from '../lesson/lesson-page.ts'
import { lessons } from '../lesson/lesson-table.ts'
import { readText, root } from '../support/source-files.ts'

const page = 'docs/reference/security-lessons.md'

test('every test that a lesson names exists', () => {
  const missing = lessons.flatMap(({ proofs }) =>
    proofs.filter(([file, title]) => !readText(file).includes(title)).map(String),
  )
  assert.deepEqual(missing, [])
})

test('a lesson has a test, or a reason why it does not apply, and not both', () => {
  const wrong = lessons.filter(
    ({ proofs, notApplicable }) => proofs.length > 0 === (notApplicable !== undefined),
  )
  assert.deepEqual(
    wrong.map(({ ids }) => ids),
    [],
  )
})

test('the tests of lessons are all in the table', () => {
  const titles = [...readText('test/lesson/cve.test.ts').matchAll(/'((?:CVE|GHSA|GO)-[^']+)'/g)]
  const named = lessons.flatMap(({ proofs }) => proofs.map(([, title]) => title))
  const missing = titles
    .map((match) => match[1] ?? '')
    .filter((title) => !named.some((name) => title.startsWith(name)))
  assert.deepEqual(missing, [])
})

test('the page of lessons is in step with the table', () => {
  const expected = renderLessonPage()
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(join(root, page), expected)
  assert.equal(readText(page), expected, 'run this test with UPDATE_DOCS=1')
})
