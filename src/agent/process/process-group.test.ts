/** Process groups and their reaper, with real processes and real signals. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { eventually } from '../../../test/support/eventually.ts'
import { isRunning } from '../../../test/support/process-table.ts'
import { systemClock } from '../../lib/clock.ts'
import { MeshError } from '../../lib/mesh-error.ts'
import { ProcessGroup } from './process-group.ts'
import { Reaper } from './reaper.ts'

const folder = mkdtempSync(join(tmpdir(), 'tulle-process-'))
after(() => rmSync(folder, { recursive: true, force: true }))

async function startGroup(command: readonly string[], reaper: Reaper, cwd = folder) {
  const env = { PATH: process.env['PATH'] }
  return ProcessGroup.start({ command, cwd, env, stdio: 'ignore', reaper, clock: systemClock })
}

/** Waits until a script has written a process id there. */
function pidIn(file: string): Promise<number> {
  return eventually(() => {
    const pid = Number(readFileSync(join(folder, file), 'utf8'))
    return pid > 0 ? pid : undefined
  })
}

test('stop ends the program and what it started', async () => {
  await using reaper = new Reaper({ graceMs: 1_000 })
  const script = 'sleep 300 & echo $! > child1; wait'
  const group = await startGroup(['sh', '-c', script], reaper)
  const child = await pidIn('child1')
  const exit = await group.stop(2_000)
  assert.deepEqual(exit, { code: 143, signal: 'SIGTERM' })
  await eventually(() => !isRunning(child))
})

test('stop kills a program that ignores SIGTERM, after the grace period', async () => {
  await using reaper = new Reaper({ graceMs: 1_000 })
  const group = await startGroup(
    ['sh', '-c', `trap '' TERM; echo $$ > deaf; while :; do sleep 1; done`],
    reaper,
  )
  await pidIn('deaf')
  const began = performance.now()
  const exit = await group.stop(200)
  assert.deepEqual(exit, { code: 137, signal: 'SIGKILL' })
  assert.ok(performance.now() - began >= 200)
})

test('what a program leaves behind when it exits is ended', async () => {
  await using reaper = new Reaper({ graceMs: 1_000 })
  const group = await startGroup(['sh', '-c', 'sleep 300 & echo $! > left; exit 7'], reaper)
  assert.deepEqual(await group.exited, { code: 7, signal: undefined })
  const left = await pidIn('left')
  await eventually(() => !isRunning(left))
})

const notFound = 'MESH_COMMAND_NOT_FOUND'
const notExecutable = 'MESH_COMMAND_NOT_EXECUTABLE'

for (const [name, command, cwd, code, message] of [
  ['a missing program', ['no-such-program'], folder, notFound, /no such program on PATH/],
  ['a missing file', ['./nothing'], folder, notFound, /no such program in /],
  ['a path through a file', ['./plain/x'], folder, notFound, /no such program in /],
  ['a folder', [folder], folder, notExecutable, /it is a folder/],
  ['a plain file', ['./plain'], folder, notExecutable, /it may not be executed/],
  ['a missing cwd', ['true'], join(folder, 'nowhere'), 'MESH_COMMAND_FAILED', /is not a folder/],
] as const) {
  test(`${name} is named`, async () => {
    await using reaper = new Reaper({ graceMs: 1_000 })
    writeFileSync(join(folder, 'plain'), '', { mode: 0o600 })
    await assert.rejects(startGroup(command, reaper, cwd), (error) => {
      assert.ok(error instanceof MeshError)
      assert.equal(error.code, code)
      assert.match(error.message, message)
      return true
    })
  })
}

test('kill -9 of the owner ends its groups, even those that ignore SIGTERM', async () => {
  const owner = join(folder, 'owner.ts')
  const here = (file: string) => JSON.stringify(join(import.meta.dirname, file))
  writeFileSync(
    owner,
    `import { ProcessGroup } from ${here('process-group.ts')}
     import { Reaper } from ${here('reaper.ts')}
     import { systemClock } from ${here('../../lib/clock.ts')}
     const reaper = new Reaper({ graceMs: 300 })
     const common = { cwd: ${JSON.stringify(folder)}, env: process.env, stdio: 'ignore', reaper, clock: systemClock }
     await ProcessGroup.start({ ...common, command: ['sh', '-c', 'sleep 300 & echo $! > one; wait'] })
     await ProcessGroup.start({ ...common, command: ['sh', '-c', "trap '' TERM; sleep 300 & echo $! > two; wait"] })
     console.log(reaper.pid)
     setInterval(() => {}, 1000)`,
  )
  const child = spawn(process.execPath, [owner], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const reaper = Number(line.toString())
  const pids = [await pidIn('one'), await pidIn('two'), reaper]
  assert.deepEqual(pids.map(isRunning), [true, true, true])
  child.kill('SIGKILL')
  await eventually(() => !pids.some(isRunning))
})

test('a reaper whose owner ends in good order ends with it', async () => {
  const reaper = new Reaper({ graceMs: 1_000 })
  const pid = reaper.pid ?? 0
  assert.ok(isRunning(pid))
  await reaper[Symbol.asyncDispose]()
  assert.equal(isRunning(pid), false)
})
