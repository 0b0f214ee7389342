/** The docs are in step with the code: sizes, one title a page, links that lead somewhere, and the tables. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

import { meshErrorCodes } from '../../src/lib/mesh-error.ts'
import { failureReplies } from '../../src/proxy/failure.ts'
import { listFiles, readText, root } from '../support/source-files.ts'

const pages = [
  'README.md',
  'ARCHITECTURE.md',
  'CHANGELOG.md',
  ...listFiles('docs', '.md'),
  ...listFiles('bench', '.md'),
  ...listFiles('examples', '.md'),
]

/** The page without its fenced code. */
function prose(page: string): string {
  return readText(page).replaceAll(/^```[\s\S]*?^```/gm, '')
}

test('README has at most 150 lines and ARCHITECTURE at most 400', () => {
  assert.ok(readText('README.md').split('\n').length <= 150)
  assert.ok(readText('ARCHITECTURE.md').split('\n').length <= 400)
})

test('every page has one title', () => {
  const wrong = pages.filter((page) => (prose(page).match(/^# /gm) ?? []).length !== 1)
  assert.deepEqual(wrong, [])
})

test('every relative link leads to a file', () => {
  const broken: string[] = []
  for (const page of pages) {
    for (const [, target = ''] of prose(page).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      if (!existsSync(join(root, dirname(page), target))) broken.push(`${page}: ${target}`)
    }
  }
  assert.deepEqual(broken, [])
})

test('every path that ARCHITECTURE names exists', () => {
  const paths = readText('ARCHITECTURE.md').matchAll(
    /`((?:src|test|bench|docs|examples|scripts|bin)\/[\w./-]+)`/g,
  )
  const missing = [...paths]
    .map((match) => match[1] ?? '')
    .filter((path) => !existsSync(join(root, path)))
  assert.deepEqual(missing, [])
})

test('docs/reference/errors.md has a row for each error code, and no other', () => {
  const rows = [...readText('docs/reference/errors.md').matchAll(/^\| `(MESH_[A-Z_]+)` \|/gm)]
  assert.deepEqual(new Set(rows.map((row) => row[1])), new Set<string | undefined>(meshErrorCodes))
  assert.equal(rows.length, meshErrorCodes.length)
})

test('docs/reference/failures.md has a row for each failure, with its status and flag', () => {
  const page = readText('docs/reference/failures.md')
  for (const [name, reply] of Object.entries(failureReplies)) {
    const row = page.split('\n').find((line) => line.startsWith(`| ${name} |`))
    assert.ok(row, `no row for ${name}`)
    assert.ok(
      row.includes(`| ${String(reply.status)} | ${String(reply.grpcStatus)} | ${reply.flag} |`),
      row,
    )
  }
})

test('decisions are numbered without gaps and have every section', () => {
  const decisions = listFiles('docs/decisions', '.md')
    .filter((page) => /\/\d{4}-/.test(page))
    .sort()
  decisions.forEach((page, index) => {
    assert.match(page, new RegExp(`/${String(index + 1).padStart(4, '0')}-`))
    for (const section of ['Context', 'Options', 'Decision', 'Consequences']) {
      assert.match(readText(page), new RegExp(`^## ${section}`, 'm'), `${page}: ${section}`)
    }
  })
  assert.ok(decisions.length >= 10)
})
