/** docs/guides/test-resilience.md: its commands one after the other in one shell, beside a mesh that runs. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { eventually } from '../support/eventually.ts'
import { findProgram } from '../support/programs.ts'
import { RunningMesh } from '../support/running-mesh.ts'
import { ShellTerminal } from '../support/shell-terminal.ts'
import { readText, root } from '../support/source-files.ts'

interface Step {
  /** How the block begins, so that page and test stay in step. */
  readonly block: string
  /** What it prints. A block that only looks is run again until it prints that. */
  readonly prints?: RegExp
  readonly isLook?: true
}

/** Shares of forty: far enough from nothing and from all to hold for chance. */
const half = /^ +(?:1[2-9]|2\d) 200\n +(?:1[2-9]|2\d) 503\n$/

const steps: readonly Step[] = [
  { block: '# switch WORKLOAD' },
  { block: "config v1 'timeout" },
  { block: 'bin/tulle run -- curl', prints: /^504 after 0\.[5-9]\d* s\n$/, isLook: true },
  { block: 'switch my-go-service-v1' },
  { block: "config v2 'retries: { attempts: 0 }'" },
  { block: 'bin/tulle run -- sh', prints: half, isLook: true },
  { block: "config v2 'retries: { attempts: 2" },
  { block: 'bin/tulle run -- sh', prints: /^ +40 200\n$/, isLook: true },
  { block: "config v2 'retries: { attempts: 0 }' 'trafficPolicy: { outlier" },
  { block: 'bin/tulle proxy-config endpoints', prints: /^\S+ +ejected .*\|v2\|/m, isLook: true },
  { block: 'switch my-go-service-v2-1' },
  { block: "config v1 'retries: { attempts: 0 }' 'workloadSelector" },
  { block: 'bin/tulle run --name curl -- sh', prints: /^ +2 200\n +8 503\n$/, isLook: true },
  { block: 'switch my-go-service-v1' },
  { block: 'bin/tulle fault add my-go-service --delay', prints: /^slow: delay 700 ms, 100 % of/ },
  { block: 'bin/tulle run -- curl', prints: /^200 after [01]\.[789]?\d* s\n$/, isLook: true },
  { block: 'bin/tulle run -- sh', prints: /^curl ended with code 28\n$/ },
  { block: 'bin/tulle fault remove slow', prints: /^slow is removed\noutage: abort 503, 100 %/ },
  { block: 'bin/tulle run --name curl', prints: /^jason 503\nmary 200\n$/, isLook: true },
  { block: 'bin/tulle fault add my-go-service --reset', prints: /^cut: reset, 100 % of/ },
  { block: 'bin/tulle run --name curl', prints: /^curl ended with code 52\n$/, isLook: true },
  {
    block: 'bin/tulle fault list',
    prints:
      /^cut +\S+ +reset, 100 % +curl +end-user: mary.*\noutage +\S+ +abort 503, 100 % +curl +end-user: jason/m,
  },
  { block: 'bin/tulle fault remove --all', prints: /^cut is removed\noutage is removed\n$/ },
]

const missing = ['curl', 'sed', 'seq', 'sort', 'uniq'].find(
  (name) => findProgram(name) === undefined,
)
const skip = missing === undefined ? false : `${missing} is not installed`

test('every command of the page on resilience does what the page says', { skip }, async () => {
  const page = readText('docs/guides/test-resilience.md')
  const blocks = [...page.matchAll(/^```sh\n([^]*?)^```/gm)].map(([, text = '']) => text)
  assert.deepEqual(
    blocks.map((block, index) => block.slice(0, steps[index]?.block.length)),
    steps.map(({ block }) => block),
  )
  await using mesh = await RunningMesh.start()
  const folder = mkdtempSync(join(tmpdir(), 'tulle-guide-'))
  try {
    mkdirSync(join(folder, 'examples'))
    symlinkSync(mesh.folder, join(folder, 'examples/my-go-service'))
    mkdirSync(join(folder, 'bin'))
    const program = `#!/bin/sh\nexec "${join(root, 'bin/tulle')}" "$@"\n`
    writeFileSync(join(folder, 'bin/tulle'), program, { mode: 0o755 })
    const env = { ...process.env, TULLE_HOME: mesh.home, NO_COLOR: '1' }
    const shell = new ShellTerminal({ cwd: folder, env })
    for (const [index, block] of blocks.entries()) {
      const { prints = /^$/, isLook } = steps[index] ?? {}
      const look = async () => {
        const { output, code } = await shell.type(block)
        assert.equal(code, 0, `${block}${output}`)
        assert.match(output, prints, block)
        return true
      }
      if (isLook) await eventually(look, { deadlineMs: 30_000, intervalMs: 200 })
      else await look()
    }
    await shell.close()
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
