/** docs/reference/issues.md and the catalogue of issue codes say the same, and no code is used outside it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { issueCodes } from '../../src/model/issue-codes.ts'
import { listFiles, readText } from '../support/source-files.ts'

test('docs/reference/issues.md has a row for each issue code, with its title and meaning', () => {
  const rows = readText('docs/reference/issues.md')
    .split('\n')
    .filter((line) => /^\| `[A-Z]{3}\d{4}` \|/.test(line))
  const expected = Object.entries(issueCodes).map(
    ([code, { title, meaning }]) => `| \`${code}\` | ${title} | ${meaning} |`,
  )
  assert.deepEqual(rows, expected)
})

test('every issue code in the sources is in the catalogue', () => {
  const unknown: string[] = []
  for (const file of listFiles('src', '.ts').filter((name) => !name.includes('/generated/'))) {
    for (const [, code = ''] of readText(file).matchAll(/['"]((?:IST|TUL)\d{4})['"]/g)) {
      if (!Object.hasOwn(issueCodes, code)) unknown.push(`${file}: ${code}`)
    }
  }
  assert.deepEqual(unknown, [])
})
