/** Each kind of check against a real server, port or command. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import {
  createServer as createHttp2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import { createServer, type AddressInfo } from 'node:net'
import { test } from 'node:test'

import { createCheck } from './check.ts'

const environment = { cwd: '/', env: { PATH: process.env['PATH'], ANSWER: 'yes' } }
const never = new AbortController().signal

test('an HTTP check is ready from 200 to 399 and says the status otherwise', async () => {
  const seen: (string | undefined)[] = []
  const server = createHttpServer((request, response) => {
    seen.push(request.headers['x-probe'] as string | undefined, request.headers.host)
    response.statusCode = Number(request.url?.slice(1))
    response.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const ask = (path: string) => {
    const headers = [['X-Probe', 'me']] as const
    const action = { kind: 'http', scheme: 'http', host: '127.0.0.1', port, path, headers } as const
    return createCheck(action, environment)(never)
  }
  assert.equal(await ask('/200'), undefined)
  assert.equal(await ask('/399'), undefined)
  assert.equal(await ask('/400'), `GET /400 on port ${port}: status 400`)
  assert.equal(await ask('/503'), `GET /503 on port ${port}: status 503`)
  assert.deepEqual(seen.slice(0, 2), ['me', `127.0.0.1:${port}`])
  server.close()
  server.closeAllConnections()
  await once(server, 'close')
  assert.match((await ask('/200')) ?? '', /ECONNREFUSED/)
})

test('a TCP check is ready when the port accepts', async () => {
  const server = createServer((socket) => socket.end())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const check = createCheck({ kind: 'tcp', host: '127.0.0.1', port }, environment)
  assert.equal(await check(never), undefined)
  server.close()
  await once(server, 'close')
  assert.match((await check(never)) ?? '', /ECONNREFUSED/)
})

test('a gRPC check is ready when the service says that it serves', async () => {
  const asked: string[] = []
  const server = createHttp2Server()
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', () => {
      const service = Buffer.concat(chunks).toString('latin1', 7)
      asked.push(`${String(headers[':path'])} ${service}`)
      if (service === 'missing') {
        stream.respond(
          { 'content-type': 'application/grpc', 'grpc-status': '5' },
          { endStream: true },
        )
        return
      }
      const status = service === 'sick' ? 2 : 1
      stream.respond({ 'content-type': 'application/grpc' }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
      stream.end(Buffer.from([0, 0, 0, 0, 2, 8, status]))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const ask = (service: string) =>
    createCheck({ kind: 'grpc', host: '127.0.0.1', port, service }, environment)(never)
  assert.equal(await ask(''), undefined)
  assert.equal(await ask('shop'), undefined)
  assert.equal(await ask('sick'), `gRPC health of sick on port ${port}: NOT_SERVING`)
  assert.equal(await ask('missing'), `gRPC health of missing on port ${port}: gRPC status 5`)
  assert.equal(asked[1], '/grpc.health.v1.Health/Check shop')
  server.close()
  await once(server, 'close')
  assert.match((await ask('')) ?? '', /ECONNREFUSED/)
})

test('a command is ready when it ends with 0, in the environment of the application', async () => {
  const run = (script: string, signal = never) =>
    createCheck({ kind: 'exec', command: ['sh', '-c', script] }, environment)(signal)
  assert.equal(await run('test "$ANSWER" = yes && test "$PWD" = /'), undefined)
  assert.equal(await run('exit 3'), 'sh: ended with code 3')
  assert.match((await run('exec sleep 60', AbortSignal.timeout(50))) ?? '', /abort/i)
  const missing = createCheck({ kind: 'exec', command: ['no-such-program'] }, environment)
  assert.match((await missing(never)) ?? '', /ENOENT/)
})
