/** PostgreSQL and Redis, by their own clients, through two sidecars with mutual TLS between them: bytes, below HTTP. */
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { eventually } from '../support/eventually.ts'
import { freePort } from '../support/free-port.ts'
import { findProgram, skipUnless } from '../support/programs.ts'
import { startSidecarHop } from '../support/sidecar-hop.ts'

const execute = promisify(execFile)
const megabytes10 = 10 * 1024 * 1024

interface TcpServer extends AsyncDisposable {
  readonly port: number
}

/** A server that runs, once it answers; ended with its folder in any case. */
async function whenReady(
  child: ChildProcess,
  { port, folder }: { readonly port: number; readonly folder: string },
  answers: () => Promise<boolean>,
): Promise<TcpServer> {
  await using stack = new AsyncDisposableStack()
  const exited = once(child, 'exit')
  stack.defer(async () => {
    child.kill('SIGINT')
    await exited
    rmSync(folder, { recursive: true })
  })
  await eventually(answers, { deadlineMs: 20_000 })
  const owned = stack.move()
  return { port, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

const postgres = findProgram('postgres')
const psql = findProgram('psql')

/** It refuses to run as root: whom it runs as instead. */
function ownerOf(): { readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const line = readFileSync('/etc/passwd', 'utf8').match(/^postgres:[^:]*:(\d+):(\d+):/m)
  return line === null ? undefined : { uid: Number(line[1]), gid: Number(line[2]) }
}

function postgresSkip(): string | false {
  const missing = skipUnless(postgres, 'postgres') || skipUnless(psql, 'psql')
  if (missing !== false) return missing
  const isRoot = process.getuid?.() === 0
  return isRoot && ownerOf() === undefined && 'runs as root, and there is no user postgres'
}

async function startPostgres(): Promise<TcpServer> {
  const program = realpathSync(postgres ?? '')
  const folder = mkdtempSync(join(tmpdir(), 'tulle-postgres-'))
  const owner = ownerOf()
  if (owner !== undefined) chownSync(folder, owner.uid, owner.gid)
  const data = join(folder, 'data')
  const words = ['-D', data, '-U', 'tulle', '--auth=trust', '--no-sync', '--no-instructions']
  execFileSync(join(dirname(program), 'initdb'), words, { ...owner, cwd: folder, stdio: 'pipe' })
  const port = await freePort()
  const settings = ['-c', 'fsync=off', '-c', 'listen_addresses=127.0.0.1', '-k', folder]
  const child = spawn(program, ['-D', data, '-p', String(port), ...settings], {
    ...owner,
    cwd: folder,
    stdio: 'ignore',
  })
  return whenReady(child, { port, folder }, async () => (await query(port, 'select 1')) === '1')
}

async function query(port: number, text: string, sslmode = 'disable'): Promise<string> {
  const target = `host=127.0.0.1 port=${port} user=tulle dbname=postgres sslmode=${sslmode}`
  const flags = ['-X', '-A', '-t', '-v', 'ON_ERROR_STOP=1', target, '-c', text]
  const options = { timeout: 30_000, maxBuffer: 2 * megabytes10 }
  return (await execute(psql ?? '', flags, options)).stdout.trim()
}

test(
  'PostgreSQL: queries, much data both ways, and a connection that is refused',
  { skip: postgresSkip() },
  async () => {
    await using server = await startPostgres()
    await using hop = await startSidecarHop({ appPort: server.port, between: 'tcp' })
    const ask = (text: string): Promise<string> => query(hop.port, text)
    // Its client asks for TLS in a message of its own first, and goes on when that is declined.
    assert.equal(await query(hop.port, 'select 40 + 2', 'prefer'), '42')
    await ask(
      "create table item as select n, repeat('x', 100) as text from generate_series(1, 100000) n",
    )
    assert.equal(await ask('select count(*), sum(length(text)) from item'), '100000|10000000')
    const rows = await ask('copy item to stdout')
    assert.equal(rows.split('\n').length, 100_000)
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => ask(`select n from item where n = ${index + 1}`)),
    )
    assert.deepEqual(
      answers,
      Array.from({ length: 20 }, (_, index) => String(index + 1)),
    )
    await assert.rejects(ask('select * from nothing'), /relation "nothing" does not exist/)
    assert.ok((await hop.near.stat('cluster.out.ssl.handshake')) >= 20)
  },
)

const redis = findProgram('redis-server')
const redisCli = findProgram('redis-cli')

async function startRedis(): Promise<TcpServer> {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-redis-'))
  const port = await freePort()
  const words = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder]
  const child = spawn(redis ?? '', words, { stdio: 'ignore' })
  return whenReady(child, { port, folder }, async () => (await command(port, ['ping'])) === 'PONG')
}

async function command(port: number, words: readonly string[], input?: string): Promise<string> {
  const options = { timeout: 30_000, maxBuffer: 2 * megabytes10 }
  const running = execute(
    redisCli ?? '',
    ['-h', '127.0.0.1', '-p', String(port), ...words],
    options,
  )
  running.child.stdin?.end(input)
  return (await running).stdout.trim()
}

test(
  'Redis: commands, a large value, a pipeline, and messages that come when they like',
  {
    skip: skipUnless(redis, 'redis-server') || skipUnless(redisCli, 'redis-cli'),
  },
  async () => {
    await using server = await startRedis()
    await using hop = await startSidecarHop({ appPort: server.port, between: 'tcp' })
    const ask = (words: readonly string[], input?: string): Promise<string> =>
      command(hop.port, words, input)
    assert.equal(await ask(['set', 'name', 'tulle']), 'OK')
    assert.equal(await ask(['get', 'name']), 'tulle')
    assert.equal(await ask(['-x', 'set', 'large'], 'y'.repeat(megabytes10)), 'OK')
    assert.equal((await ask(['get', 'large'])).length, megabytes10)
    const pipeline = Array.from({ length: 10_000 }, (_, index) => `SET key:${index} ${index}\r\n`)
    assert.match(await ask(['--pipe'], pipeline.join('')), /errors: 0, replies: 10000/)
    assert.equal(await ask(['get', 'key:9999']), '9999')

    const words = ['-h', '127.0.0.1', '-p', String(hop.port), 'subscribe', 'news']
    const subscriber = spawn(redisCli ?? '', words, { stdio: ['ignore', 'pipe', 'ignore'] })
    const exited = once(subscriber, 'exit')
    let heard = ''
    subscriber.stdout.on('data', (chunk: Buffer) => (heard += chunk.toString()))
    try {
      await eventually(() => heard.includes('subscribe'))
      assert.equal(await ask(['publish', 'news', 'hello']), '1')
      await eventually(() => heard.includes('hello'))
    } finally {
      subscriber.kill('SIGKILL')
      await exited
    }
  },
)
