/**
 * docs/guides/first-mesh.md, run as a newcomer runs it: the first command block in one terminal, the others one after the
 * other in a second, in a copy of what git knows of the repository. What the page says about an outcome is expected here.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { suite, test } from 'node:test'

import { eventually } from '../support/eventually.ts'
import { processesOf } from '../support/process-table.ts'
import { findProgram } from '../support/programs.ts'
import { ShellTerminal } from '../support/shell-terminal.ts'
import { readText, root } from '../support/source-files.ts'

const page = 'docs/guides/first-mesh.md'

interface Step {
  /** How the block begins, so that page and test stay in step. */
  readonly block: string
  /** What it prints. A block that only looks is run again until it prints that. */
  readonly prints?: RegExp
  readonly isLook?: true
}

const share = (version: string, percent: string) =>
  new RegExp(`^my-go-service +${version} +\\S+ +${percent}\\d?\\.\\d %`, 'm')
const half = /^my-go-service +v2 +\S+ +(?:3[5-9]|4\d|5\d|6[0-5])\.\d %/m

const steps: readonly Step[] = [
  { block: 'npm start' },
  { block: 'bin/tulle run -- curl', prints: /^\{"service":"my-go-service","version":"v[12]"/ },
  { block: 'bin/tulle top --once', prints: share('v1', '[89]'), isLook: true },
  { block: "sed -i 's/weight: 90", prints: /^$/ },
  { block: 'bin/tulle top --once', prints: half, isLook: true },
  { block: "sed -i 's/interval", prints: /^$/ },
  { block: 'port=$(bin/tulle get workload', prints: /"failRate":1/ },
  { block: 'bin/tulle proxy-config endpoints', prints: /^\S+ +ejected .*\|v2\|/m, isLook: true },
  { block: 'bin/tulle top --once', prints: /^my-go-service +v2 .* 1\/2$/m, isLook: true },
  { block: 'curl -s -X POST', prints: /"failRate":0/ },
  {
    block: 'bin/tulle proxy-config endpoints',
    prints: /^ENDPOINT.*\n(?:\S+ +healthy .*\|v2\|.*\n){2}$/,
    isLook: true,
  },
  { block: 'kill -9', prints: /^$/ },
  {
    block: 'bin/tulle status',
    prints:
      /^NAMESPACE.*\n(?:default .* connected +healthy +(?:SYNCED +){4}.*\n){4}[^]*my-go-service-v1 +mutual TLS/,
    isLook: true,
  },
  { block: "sed -i '0,/weight", prints: /^$/ },
  {
    block: 'bin/tulle get issues',
    prints:
      /my-go-service\.yaml:13:7: error IST0106: .*got the string "fifty"; the last good version of this VirtualService stays in force\n +next: /,
    isLook: true,
  },
  { block: 'bin/tulle analyze', prints: /error IST0106.*[^]*exit code 1\n$/ },
  { block: "sed -i 's/weight: fifty", prints: /^$/ },
]

const missing = ['git', 'npm', 'curl', 'pgrep', 'sed', 'script'].find(
  (name) => findProgram(name) === undefined,
)

function reasonToSkip(): string | false {
  if (process.platform !== 'linux') return 'the guide is for Linux'
  return missing === undefined ? false : `${missing} is not installed`
}

suite('the guide', { skip: reasonToSkip() }, () => {
  test('every command of the first mesh does what the page says', async () => {
    const blocks = [...readText(page).matchAll(/^```sh\n([^]*?)^```/gm)].map(
      ([, text = '']) => text,
    )
    assert.deepEqual(
      blocks.map((block, index) => block.slice(0, steps[index]?.block.length)),
      steps.map(({ block }) => block),
    )
    using copy = copyOfRepository()
    const env = { ...process.env, TULLE_HOME: copy.home, NO_COLOR: '1' }
    const [start = '', ...others] = blocks
    using first = new FirstTerminal(start, { cwd: copy.folder, env })
    await eventually(() => first.output.includes('Ctrl-C ends everything'), { deadlineMs: 90_000 })
    const second = new ShellTerminal({ cwd: copy.folder, env })
    for (const [index, block] of others.entries()) {
      const { prints = /^$/, isLook } = steps[index + 1] ?? {}
      const look = async () => {
        const { output, code } = await second.type(block)
        assert.equal(code, 0, `${block}${output}`)
        assert.match(output, prints, block)
        return true
      }
      if (isLook) await eventually(look, { deadlineMs: 20_000, intervalMs: 100 })
      else await look()
    }
    await second.close()
    assertLoadSawNothing(first.output)
    // How long this may take is tested beside, without a terminal and npm in between.
    await first.pressCtrlC()
    assert.match(first.output, /everything has ended\s*$/)
    assert.deepEqual(processesOf(copy.home), [])
  })
})

/** No requests but those to the broken replica have failed, not while the control plane was dead either. */
function assertLoadSawNothing(output: string): void {
  const reports = output.split('\n').filter((line) => / requests to http:/.test(line))
  assert.ok(reports.length > 2, output)
  const wrong = reports.filter((line) => /no answer|time-out|status (?!503)/.test(line))
  assert.deepEqual(wrong, [])
  const killed = output.split('\n').findIndex((line) => /control-plane ended/.test(line))
  assert.ok(killed > 0, 'the first terminal says that the control plane has ended')
  const since = output.split('\n').slice(killed)
  // The first report after it also counts what came before, from the broken replica.
  const later = since.filter((line) => / requests to http:/.test(line)).slice(1)
  assert.deepEqual(
    later.filter((line) => /status/.test(line)),
    [],
  )
}

interface Place {
  readonly cwd: string
  readonly env: NodeJS.ProcessEnv
}

/** Runs one block in a terminal of its own (util-linux's `script` makes it), until Ctrl-C is typed there. */
class FirstTerminal implements Disposable {
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>
  output = ''

  constructor(block: string, place: Place) {
    this.#child = spawn('script', ['-qefc', block.trim(), '/dev/null'], place)
    this.#ended = once(this.#child, 'close')
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text
      })
    }
  }

  /** Resolves when the command has ended. */
  async pressCtrlC(): Promise<void> {
    this.#child.stdin?.write('\x03')
    await this.#ended
  }

  /** Closes the terminal, which ends what still runs in it. */
  [Symbol.dispose](): void {
    this.#child.kill('SIGKILL')
  }
}

/** What git tracks or would track, with the installed packages and the generated code of this checkout. */
function copyOfRepository() {
  execFileSync(process.execPath, ['scripts/run.mjs', 'setup'], { cwd: root, stdio: 'ignore' })
  // Else `npm start` would install, and take away the packages that the copy shares with this checkout.
  const lock = createHash('sha256').update(readText('package-lock.json')).digest('hex')
  assert.equal(readText('build/stamps/packages'), lock)
  const base = mkdtempSync(join(tmpdir(), 'tulle-guide-'))
  const folder = join(base, 'tulle')
  const words = ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--deduplicate']
  const listed = execFileSync('git', words, { cwd: root, encoding: 'utf8' }).split('\0')
  for (const path of listed.filter((name) => name !== '')) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    cpSync(join(root, path), join(folder, path), { force: true })
  }
  for (const path of ['node_modules', 'build', 'src/xds/proto/generated']) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    symlinkSync(join(root, path), join(folder, path))
  }
  return {
    folder,
    home: join(base, 'home'),
    [Symbol.dispose]() {
      for (const pid of processesOf(join(base, 'home'))) process.kill(pid, 'SIGKILL')
      rmSync(base, { recursive: true, force: true })
    },
  }
}
