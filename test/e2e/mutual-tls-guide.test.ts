/** docs/guides/mutual-tls.md: its commands one after the other, beside a mesh that runs. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { eventually } from '../support/eventually.ts'
import { findProgram } from '../support/programs.ts'
import { RunningMesh, sendRequests } from '../support/running-mesh.ts'
import { readText, root } from '../support/source-files.ts'

interface Step {
  /** How the block begins, so that page and test stay in step. */
  readonly block: string
  /** What it prints. A block that only looks is run again until it prints that. */
  readonly prints: RegExp
  readonly isLook?: true
}

const steps: readonly Step[] = [
  {
    block: 'bin/tulle status',
    prints: /load +my-go-service-v1 +mutual TLS[^]*not enforced/,
    isLook: true,
  },
  {
    block: 'bin/tulle proxy-config secret',
    prints: /ROOTCA +root[^]*default +certificate +ACTIVE +yes/,
  },
  { block: 'port=$(bin/tulle get workload', prints: /^curl ended with code (52|56)\n$/ },
  { block: 'cat > examples', prints: /^$/ },
  { block: 'port=$(bin/tulle get workload', prints: /"version":"v1"/, isLook: true },
  { block: 'rm examples', prints: /^$/ },
  // PERMISSIVE takes the TLS of sidecars; the door has to be closed again first.
  { block: 'home=', prints: /"version":"v1"/, isLook: true },
  { block: '(umask 077; bin/tulle token create', prints: /^$/ },
  { block: 'home=', prints: /"version":"v[12]"/ },
  { block: 'bin/tulle token list --all', prints: /used-up +default +shop +- +0\/1/ },
  { block: 'bin/tulle ca root add', prints: /is believed/ },
  { block: 'new=', prints: /signs/ },
  { block: 'old=', prints: /no longer believed/ },
  { block: 'bin/tulle check', prints: /nothing is wrong/, isLook: true },
]

const missing = ['curl', 'sed', 'awk'].find((name) => findProgram(name) === undefined)
const skip = missing === undefined ? false : `${missing} is not installed`

test('every command of the page on mutual TLS does what the page says', { skip }, async () => {
  const blocks = [...readText('docs/guides/mutual-tls.md').matchAll(/^```sh\n([^]*?)^```/gm)].map(
    ([, text = '']) => text,
  )
  assert.deepEqual(
    blocks.map((block, index) => block.slice(0, steps[index]?.block.length)),
    steps.map(({ block }) => block),
  )
  await using mesh = await RunningMesh.start()
  await sendRequests(mesh.workload('load').proxy ?? '', 'http://my-go-service:8080/', 50)
  const folder = mkdtempSync(join(tmpdir(), 'tulle-guide-'))
  try {
    mkdirSync(join(folder, 'examples'))
    symlinkSync(mesh.folder, join(folder, 'examples/my-go-service'))
    mkdirSync(join(folder, 'bin'))
    const program = `#!/bin/sh\nexec "${join(root, 'bin/tulle')}" "$@"\n`
    writeFileSync(join(folder, 'bin/tulle'), program, { mode: 0o755 })
    const env = { ...process.env, TULLE_HOME: mesh.home, NO_COLOR: '1' }
    for (const [index, block] of blocks.entries()) {
      const { prints = /^$/, isLook } = steps[index] ?? {}
      const look = async () => {
        const words = ['-ec', block]
        const { stdout } = await promisify(execFile)('sh', words, {
          cwd: folder,
          env,
          timeout: 30_000,
        })
        assert.match(stdout, prints, block)
        return true
      }
      if (isLook) await eventually(look, { deadlineMs: 20_000, intervalMs: 200 })
      else await look()
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
