/**
 * What `npm start`, `npm test` and `npm run bench` do: set up what is missing, then run the job on our Node.
 * Plain JavaScript for Node 20, because it runs before anything is installed.
 */
import { spawn, spawnSync } from 'node:child_process'
import { readFileSync, readdirSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'

import { root, setUp } from './setup.mjs'

const [job, ...args] = process.argv.slice(2)
const node = setUp()
const bin = (name) => join(root, 'node_modules', '.bin', name)

switch (job) {
  case 'setup':
    break
  case 'start':
    await follow(node, [
      '--min-semi-space-size=4', // this and the next two as bin/tulle
      '--max-semi-space-size=8',
      '--disable-warning=ExperimentalWarning',
      join(root, 'bin', 'tulle.mjs'),
      'up',
      exampleMesh(),
      ...args,
    ])
    break
  case 'test':
    await test(args)
    break
  case 'check':
    check()
    break
  default:
    await follow(node, [join(root, job), ...args])
}

/** The example's services are written in Go; where there is no Go toolchain their twins in Node are run. */
function exampleMesh() {
  const folder = join(root, 'examples', 'my-go-service')
  const hasGo = spawnSync('go', ['version'], { stdio: 'ignore' }).status === 0
  const mesh = hasGo ? 'mesh.yaml' : 'mesh-node.yaml'
  const why = hasGo ? 'services in Go' : 'no Go toolchain found: the same services in Node'
  process.stderr.write(`tulle: starting examples/my-go-service/${mesh} (${why})\n`)
  return join(folder, mesh)
}

/** Format, lint and types; stops at the first that fails. */
function check() {
  const folders = ['src', 'test', 'bench', 'examples', 'scripts']
  tool('format', bin('oxfmt'), ['--check', ...folders])
  tool('lint', bin('oxlint'), folders)
  tool('types', bin('tsc'), ['--noEmit', '-p', join(root, 'tsconfig.json')])
}

function tool(name, command, toolArgs) {
  const startedMs = Date.now()
  const result = spawnSync(command, toolArgs, { cwd: root, encoding: 'utf8' })
  const seconds = ((Date.now() - startedMs) / 1000).toFixed(1)
  if (result.status === 0) {
    process.stdout.write(`ok ${name} (${seconds} s)\n`)
    return
  }
  process.stdout.write(`${result.stdout ?? ''}${result.stderr ?? ''}not ok ${name}\n`)
  process.exit(1)
}

/** Without arguments everything; with arguments only the test files whose path contains one of them. */
async function test(filters) {
  if (filters.length === 0) check()
  const files = ['src', 'test', 'examples']
    .flatMap((folder) => testFiles(join(root, folder)))
    .map((file) => relative(root, file))
    .filter((file) => filters.length === 0 || filters.some((filter) => file.includes(filter)))
    .sort((a, b) => a.localeCompare(b))
  const options = ['--test', '--test-concurrency=2', '--test-timeout=120000']
  if (process.env.CI === 'true') options.push('--test-reporter=spec')
  await follow(node, [...options, ...files])
}

function testFiles(folder) {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    if (name === 'generated' || name === 'testdata' || name === 'node_modules') return []
    if (statSync(path).isDirectory()) return testFiles(path)
    return name.endsWith('.test.ts') ? [path] : []
  })
}

/** Runs a command in the foreground, passes signals on, and ends with its exit code. */
function follow(command, commandArgs) {
  return new Promise((resolve) => {
    const child = spawn(command, commandArgs, {
      cwd: root,
      stdio: 'inherit',
      env: {
        ...process.env,
        NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(root, 'build', 'compile-cache'),
      },
    })
    // The terminal sends Ctrl-C to the whole group: the child decides, we wait for it.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
      process.on(signal, () => {
        if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
      })
    }
    endWithNpm(child)
    child.on('exit', (code, signal) => {
      process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 1)
      resolve()
    })
    child.on('error', (error) => {
      process.stderr.write(`tulle: cannot run ${command}: ${error.message}\n`)
      process.exitCode = 1
      resolve()
    })
  })
}

/**
 * npm runs us in a shell, and ends on a signal without a word to either: without this a mesh would outlive the
 * `npm start` that was ended. Nothing tells us, so we look.
 */
function endWithNpm(child) {
  if (process.env.npm_lifecycle_event === undefined) return
  const npm = parentOf(process.ppid)
  if (npm === undefined || npm <= 1) return
  const timer = setInterval(() => {
    if (isRunning(npm)) return
    // Once: a second signal means that somebody has lost patience.
    clearInterval(timer)
    child.kill('SIGTERM')
  }, 500)
  child.on('exit', () => clearInterval(timer))
}

function parentOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name before may hold anything, also brackets and spaces.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    const { status, stdout } = spawnSync('ps', ['-o', 'ppid=', '-p', String(pid)], {
      encoding: 'utf8',
    })
    return status === 0 ? Number(stdout) : undefined
  }
}

function isRunning(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}
