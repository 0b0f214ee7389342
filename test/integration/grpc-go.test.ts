/**
 * grpc-go beside grpc-js, in both roles, through two sidecars with mutual TLS between them. The Go program is built when Go
 * and its modules can be had.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, test } from 'node:test'
import { promisify } from 'node:util'

import type { ServiceError } from '@grpc/grpc-js'

import { buildGo } from '../support/build-go.ts'
import { eventually } from '../support/eventually.ts'
import { EchoClient, grpcStatus, startGrpcEcho } from '../support/grpc-echo.ts'
import { startSidecarHop } from '../support/sidecar-hop.ts'

const execute = promisify(execFile)
const folder = mkdtempSync(join(tmpdir(), 'tulle-grpc-go-'))
after(() => rmSync(folder, { recursive: true }))
const program = join(folder, 'grpc-go')
const skip = await buildGo(join(import.meta.dirname, '../support/grpc-go'), program)

interface Outcome {
  readonly unary: string
  readonly trailer: readonly string[]
  readonly downloaded: number
  readonly last: string
  readonly uploaded: string
  readonly chat: readonly string[]
  readonly failure: number
  readonly deadline: number
  readonly cancelled: number
}

const expected: Outcome = {
  unary: 'hello you',
  trailer: ['kept'],
  downloaded: 1000,
  last: 'part 999',
  uploaded: '3000000',
  chat: ['you said a', 'you said b'],
  failure: grpcStatus.FAILED_PRECONDITION,
  deadline: grpcStatus.DEADLINE_EXCEEDED,
  cancelled: grpcStatus.CANCELLED,
}

async function runGoClient(port: number): Promise<Outcome> {
  const args = ['client', `127.0.0.1:${port}`]
  const { stdout } = await execute(program, args, { timeout: 30_000 })
  return JSON.parse(stdout) as Outcome
}

interface GoServer extends AsyncDisposable {
  readonly port: number
  /** Lines that it has printed. */
  readonly lines: readonly string[]
}

async function startGoServer(): Promise<GoServer> {
  const child: ChildProcess = spawn(program, ['server'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines: string[] = []
  if (child.stdout !== null) createInterface(child.stdout).on('line', (line) => lines.push(line))
  const port = Number(await eventually(() => lines[0]))
  return {
    port,
    lines,
    async [Symbol.asyncDispose]() {
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
    },
  }
}

test(
  'grpc-go calls grpc-js: every kind of call, a status, a deadline, a cancellation',
  { skip },
  async () => {
    await using echo = await startGrpcEcho()
    await using hop = await startSidecarHop({ appPort: echo.port, application: 'http2' })
    assert.deepEqual(await runGoClient(hop.port), expected)
    await eventually(() => echo.cancelled.includes('chat') && echo.cancelled.includes('unary'))
  },
)

test('grpc-go calls grpc-go', { skip }, async () => {
  await using server = await startGoServer()
  await using hop = await startSidecarHop({ appPort: server.port, application: 'http2' })
  assert.deepEqual(await runGoClient(hop.port), expected)
  const cancelled = ['cancelled chat', 'cancelled unary']
  await eventually(() => assert.deepEqual(server.lines.slice(1).toSorted(), cancelled) ?? true)
})

test(
  'grpc-js calls grpc-go: every kind of call, a status, a deadline, a cancellation',
  { skip },
  async () => {
    await using server = await startGoServer()
    await using hop = await startSidecarHop({ appPort: server.port, application: 'http2' })
    using client = new EchoClient(`127.0.0.1:${hop.port}`)
    assert.equal(await client.unary('you'), 'hello you (kept)')
    assert.equal((await client.download(1000)).at(-1), 'part 999')
    const megabyte = 'x'.repeat(1_000_000)
    assert.equal(await client.upload([megabyte, megabyte]), '2000000')
    assert.deepEqual(await client.chat(['a', 'b']), ['you said a', 'you said b'])
    const codeOf = (call: Promise<unknown>): Promise<number | undefined> =>
      call.then(
        () => grpcStatus.OK,
        (error: unknown) => (error as ServiceError).code,
      )
    assert.equal(await codeOf(client.unary('fail 9')), grpcStatus.FAILED_PRECONDITION)
    const deadline = Date.now() + 200
    const code = await codeOf(client.unary('hang', { deadline }))
    // grpc-go resets the stream at its deadline, and who is late to notice his own may hear of that first.
    assert.ok(code === grpcStatus.DEADLINE_EXCEEDED || code === grpcStatus.UNAVAILABLE)
    assert.ok(Date.now() >= deadline)
    await eventually(() => server.lines.includes('cancelled unary'))
    const chat = client.openChat()
    chat.write('hello')
    await once(chat, 'data')
    // grpc-js ends its direction before it resets the stream, and grpc-go then sees that end first.
    const resets = 'cluster.app.http2.tx_reset'
    const before = await hop.far.stat(resets)
    chat.cancel()
    await eventually(async () => (await hop.far.stat(resets)) === before + 1)
  },
)
