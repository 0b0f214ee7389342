/** The example service exists in Go and in Node; one table of requests proves that both behave alike. */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'

import { findProgram, skipUnless } from '../support/programs.ts'

const example = join(import.meta.dirname, '../../examples/my-go-service')
const go = findProgram('go')
const folder = mkdtempSync(join(tmpdir(), 'tulle-example-'))
after(() => rmSync(folder, { recursive: true, force: true }))

interface Answer {
  readonly status: number
  readonly headers: Record<string, string | string[] | undefined>
  readonly body: unknown
}

interface Running extends AsyncDisposable {
  readonly port: number
  ask(method: string, path: string, headers?: Record<string, string>): Promise<Answer>
  stop(signal: NodeJS.Signals): Promise<number | null>
}

async function startService(command: readonly string[], env = {}): Promise<Running> {
  const [file = '', ...args] = command
  const child = spawn(file, args, {
    env: { ...process.env, PORT: '0', INSTANCE: 'one', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const [firstLine] = (await once(child.stdout, 'data')) as [Buffer]
  const port = Number(/listens on 127\.0\.0\.1:(\d+)/.exec(firstLine.toString())?.[1])
  const stop = async (signal: NodeJS.Signals) => {
    child.kill(signal)
    const [code] = (await exited) as [number | null]
    return code
  }
  return {
    port,
    ask: (method, path, headers = {}) => ask({ port, method, path, headers }),
    stop,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) await stop('SIGKILL')
    },
  }
}

function ask(options: {
  port: number
  method: string
  path: string
  headers: Record<string, string>
}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', agent: false, ...options }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        const body: unknown = JSON.parse(Buffer.concat(chunks).toString())
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body })
      })
    })
    sent.on('error', reject)
    sent.end()
  })
}

function build(): string {
  const binary = join(folder, 'my-go-service')
  execFileSync('go', ['build', '-buildvcs=false', '-o', binary, '.'], { cwd: join(example, 'go') })
  return binary
}

const twins = [
  {
    name: 'the Go service',
    command: () => [build()],
    skip: skipUnless(go, 'go'),
  },
  {
    name: 'its Node twin',
    command: () => [process.execPath, join(example, 'node/service.ts')],
    skip: false as const,
  },
]

for (const twin of twins) {
  suite(twin.name, { skip: twin.skip }, () => {
    const command = twin.skip === false ? twin.command() : []

    test('tells who answered and what was asked', async () => {
      await using service = await startService(command, { VERSION: 'v7' })
      const answer = await service.ask('PUT', '/a%20b?x=1&y=2', { host: 'h', 'X-One': 'A' })
      assert.equal(answer.status, 200)
      assert.equal(answer.headers['content-type'], 'application/json')
      assert.equal(answer.headers['x-version'], 'v7')
      const { headers, ...rest } = answer.body as { headers: Record<string, string> }
      assert.deepEqual(rest, {
        service: 'my-go-service',
        version: 'v7',
        instance: 'one',
        method: 'PUT',
        path: '/a%20b?x=1&y=2',
      })
      assert.equal(headers['host'], 'h')
      assert.equal(headers['x-one'], 'A')
    })

    test('is healthy while it fails every request', async () => {
      await using service = await startService(command, { FAIL_RATE: '1', FAIL_STATUS: '502' })
      const failed = await service.ask('GET', '/')
      assert.equal(failed.status, 502)
      const { error } = failed.body as { error: string }
      assert.equal(error, 'this request was chosen to fail')
      const health = await service.ask('GET', '/healthz')
      assert.equal(health.status, 200)
      assert.deepEqual(health.body, { status: 'ok' })
    })

    test('changes its behaviour at run time and keeps what was not named', async () => {
      await using service = await startService(command, { DELAY_MS: '1' })
      const changed = await service.ask('POST', '/admin/behaviour?failRate=1&failStatus=500')
      assert.deepEqual(changed.body, { failRate: 1, failStatus: 500, delayMs: 1 })
      assert.equal((await service.ask('GET', '/')).status, 500)
      const back = await service.ask('POST', '/admin/behaviour?failRate=0')
      assert.deepEqual(back.body, { failRate: 0, failStatus: 500, delayMs: 1 })
      assert.equal((await service.ask('GET', '/')).status, 200)
      assert.deepEqual((await service.ask('GET', '/admin/behaviour')).body, back.body)
    })

    test('delays its answers', async () => {
      await using service = await startService(command, { DELAY_MS: '60' })
      const began = performance.now()
      await service.ask('GET', '/')
      assert.ok(performance.now() - began >= 59)
    })

    for (const [query, error] of [
      ['failRate=2', 'failRate: expected a number from 0 to 1, got "2"'],
      ['failRate=x', 'failRate: expected a number from 0 to 1, got "x"'],
      ['failRate=1e-1', 'failRate: expected a number from 0 to 1, got "1e-1"'],
      ['failStatus=200', 'failStatus: expected a number from 400 to 599, got "200"'],
      ['delayMs=1.5', 'delayMs: expected a whole number, got "1.5"'],
      ['rate=1', 'rate: expected failRate, failStatus or delayMs'],
    ]) {
      test(`refuses ${query} and says why`, async () => {
        await using service = await startService(command)
        const answer = await service.ask('POST', `/admin/behaviour?${query}`)
        assert.equal(answer.status, 400)
        assert.deepEqual(answer.body, { error })
      })
    }

    test('knows no other method for its behaviour', async () => {
      await using service = await startService(command)
      const answer = await service.ask('DELETE', '/admin/behaviour')
      assert.equal(answer.status, 405)
      assert.equal(answer.headers['allow'], 'GET, POST')
      assert.deepEqual(answer.body, { error: 'expected GET or POST' })
    })

    test('ends with 0 on SIGTERM', async () => {
      await using service = await startService(command)
      assert.equal(await service.stop('SIGTERM'), 0)
    })

    test('ends with 1 and names a setting that it cannot use', () => {
      const [file = '', ...args] = command
      for (const [env, message] of [
        [{ PORT: 'x' }, 'my-go-service: PORT: expected a port, got "x"'],
        [{ FAIL_RATE: 'x' }, 'FAIL_RATE: expected a number from 0 to 1, got "x"'],
      ] as const) {
        assert.throws(
          () =>
            execFileSync(file, args, { env: { ...process.env, PORT: '0', ...env }, stdio: 'pipe' }),
          (error: { status: number; stderr: Buffer }) =>
            error.status === 1 && error.stderr.toString().includes(message),
        )
      }
    })
  })
}
