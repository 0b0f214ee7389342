/** docs/guides/route-tests.md: each command prints what the page says, in a copy of the example. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { parseText } from '../../src/model/parse.ts'
import { findProgram } from '../support/programs.ts'
import { readText, root } from '../support/source-files.ts'

const page = readText('docs/guides/route-tests.md')
const missing = ['sh', 'sed', 'grep', 'head'].find((name) => findProgram(name) === undefined)
const skip = missing === undefined ? false : `${missing} is not installed`

test('every command of the page on route tests prints what the page says', { skip }, async () => {
  const steps = [...page.matchAll(/^```sh\n([^]*?)^```\n\n```text\n([^]*?)^```/gm)]
  assert.equal(steps.length, page.match(/^```sh$/gm)?.length)
  assert.ok(steps.length >= 4)
  const folder = mkdtempSync(join(tmpdir(), 'tulle-guide-'))
  try {
    cpSync(join(root, 'examples/my-go-service'), join(folder, 'examples/my-go-service'), {
      recursive: true,
    })
    mkdirSync(join(folder, 'bin'))
    const program = `#!/bin/sh\nexec "${join(root, 'bin/tulle')}" "$@"\n`
    writeFileSync(join(folder, 'bin/tulle'), program, { mode: 0o755 })
    for (const [, command = '', expected] of steps) {
      const options = { cwd: folder, timeout: 30_000 }
      const { stdout } = await promisify(execFile)('sh', ['-ec', command], options)
      assert.equal(stdout, expected, command)
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('the YAML of the page is valid', () => {
  const texts = [...page.matchAll(/^```yaml\n([^]*?)^```/gm)].map(([, text = '']) => text)
  assert.ok(texts.length > 0)
  for (const text of texts) {
    for (const { resource, issues } of parseText(text, 'page.yaml')) {
      assert.deepEqual(issues, [])
      assert.ok(resource)
    }
  }
})
