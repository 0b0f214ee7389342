/** The command line as a whole: help, misuse, errors and exit codes. Goldens in testdata/help. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { runCli } from '../../test/support/cli-context.ts'
import { assertGolden } from '../../test/support/golden.ts'
import { loadCommands } from './commands.ts'

const testdata = join(import.meta.dirname, 'testdata')
const commands = await loadCommands([])

test('tulle without a command prints its help and says misuse', async () => {
  const run = await runCli([])
  assert.equal(run.exitCode, 2)
  assertGolden(join(testdata, 'help/tulle.txt'), run.error)
})

for (const { name, examples, isInternal } of commands) {
  test(`tulle ${name} --help is as reviewed`, async () => {
    const run = await runCli([name, '--help'])
    assert.equal(run.exitCode, 0)
    assertGolden(join(testdata, `help/${name}.txt`), run.out)
  })

  test(`tulle ${name} has examples that its own flags allow`, async () => {
    if (isInternal !== true) assert.ok(examples.length > 0)
    for (const { command } of examples) assert.match(command, new RegExp(`^tulle ${name}\\b`))
  })
}

for (const [title, words, message] of [
  ['an unknown command', ['nope'], /unknown command 'nope'/],
  ['a misspelt command', ['analyse'], /Did you mean analyze/],
  ['an unknown flag', ['get', 'vs', '--nope'], /unknown option '--nope'/],
  ['a missing argument', ['describe', 'vs'], /missing required argument 'name'/],
  ['an impossible choice', ['get', 'vs', '-o', 'xml'], /Allowed choices are table, json, yaml/],
  ['an unknown kind', ['get', 'gizmo', '--api', 'http://127.0.0.1:1'], /unknown kind "gizmo"/],
  ['a port without a service', ['run', '--port', '80', '--', 'true'], /--port needs --service/],
  ['an impossible number', ['top', '--interval', 'x', '--api', 'http://127.0.0.1:1'], /--interval/],
] as const) {
  test(`${title} is misuse: exit code 2, and the message says what`, async () => {
    const { exitCode, out, error } = await runCli(words, { env: { TULLE_HOME: '/nowhere' } })
    assert.equal(exitCode, 2)
    assert.equal(out, '')
    assert.match(error, message)
  })
}

test('an error says what, what next and its code: exit code 1', async () => {
  const run = await runCli(['status'], { env: { TULLE_HOME: '/nowhere' } })
  assert.equal(run.exitCode, 1)
  assert.equal(
    run.error,
    [
      'tulle: no mesh runs (looked in /nowhere)',
      '  next: start one with tulle up FILE, or give --api URL',
      '  code: MESH_CONTROL_PLANE_UNREACHABLE',
      '',
    ].join('\n'),
  )
})

test('an API that does not answer is named', async () => {
  const run = await runCli(['status', '--api', 'http://127.0.0.1:1'])
  assert.equal(run.exitCode, 1)
  assert.match(run.error, /the API at http:\/\/127\.0\.0\.1:1 does not answer/)
})

test('--version prints the version', async () => {
  assert.equal((await runCli(['--version'])).out, '0.0.0\n')
})

test('bin/tulle works from any folder and through symbolic links, and passes the exit code on', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-bin-'))
  const program = join(import.meta.dirname, '../../bin/tulle')
  symlinkSync(program, join(folder, 'first'))
  symlinkSync('first', join(folder, 'second'))
  const out = execFileSync('./second', ['version', '-o', 'json'], { cwd: folder, encoding: 'utf8' })
  const { node } = JSON.parse(out) as { node: string }
  assert.equal(node, process.version)
  assert.throws(
    () => execFileSync('./second', ['nope'], { cwd: folder, stdio: 'pipe' }),
    (error: { status: number }) => error.status === 2,
  )
  rmSync(folder, { recursive: true })
})
