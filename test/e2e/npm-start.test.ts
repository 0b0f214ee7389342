/** `npm start` ended from outside, as a supervisor of services or a CI job does it. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { eventually } from '../support/eventually.ts'
import { processesOf } from '../support/process-table.ts'
import { findProgram } from '../support/programs.ts'
import { root } from '../support/source-files.ts'

function reasonToSkip(): string | false {
  if (process.platform !== 'linux') return 'finds its processes in /proc of Linux'
  return findProgram('npm') === undefined ? 'npm is not installed' : false
}

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  test(`${signal} to npm ends the mesh that npm start runs`, { skip: reasonToSkip() }, async () => {
    const home = mkdtempSync(join(tmpdir(), 'tulle-npm-'))
    const env = { ...process.env, TULLE_HOME: home, NO_COLOR: '1' }
    const npm = spawn('npm', ['start'], { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [npm.stdout, npm.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString()
      })
    }
    try {
      await eventually(() => output.includes('Ctrl-C ends everything'), { deadlineMs: 60_000 })
      assert.ok(processesOf(home).length > 4)
      assert.doesNotMatch(output, /ExperimentalWarning/)
      npm.kill(signal)
      await eventually(() => processesOf(home).length === 0, { deadlineMs: 20_000 })
      await eventually(() => /everything has ended/.test(output))
    } finally {
      for (const pid of processesOf(home)) process.kill(pid, 'SIGKILL')
      rmSync(home, { recursive: true, force: true })
    }
  })
}
