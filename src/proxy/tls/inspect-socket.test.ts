/** What the first bytes of a connection say, byte by byte, and that they are still there afterwards. */
import assert from 'node:assert/strict'
import { type AddressInfo, type Socket, connect, createServer } from 'node:net'
import { test } from 'node:test'
import { connect as connectTls } from 'node:tls'

import { FakeClock } from '../../../test/support/fake-clock.ts'
import { systemClock } from '../../lib/clock.ts'
import { parseClientHello } from './client-hello.ts'
import { type Inspection, inspectBytes, inspectSocket } from './inspect-socket.ts'

/** The real thing: what Node's client sends first. */
async function helloOf(options: {
  servername?: string
  ALPNProtocols?: string[]
}): Promise<Buffer> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo // it listens on TCP
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve))
  const client = connectTls({ port, host: '127.0.0.1', ...options })
  client.on('error', () => {})
  const socket = await accepted
  socket.on('error', () => {})
  const hello = await new Promise<Buffer>((resolve) => socket.once('data', resolve))
  client.destroy()
  socket.destroy()
  await new Promise((resolve) => server.close(resolve))
  return hello
}

const hello = await helloOf({
  servername: 'Exact.Test',
  ALPNProtocols: ['istio-http/1.1', 'istio'],
})

test('a hello names its server in lower case, and its protocols in order', () => {
  assert.deepEqual(inspectBytes(hello, true), {
    transportProtocol: 'tls',
    serverName: 'exact.test',
    applicationProtocols: ['istio-http/1.1', 'istio'],
  })
})

test('a hello is waited for at every cut, and is then the same', () => {
  for (let length = 1; length < hello.length; length += 1) {
    assert.equal(parseClientHello(hello.subarray(0, length)), 'more', `cut at ${length}`)
  }
})

test('a hello in many small records is read like a whole one', () => {
  const message = hello.subarray(5)
  const records: Buffer[] = []
  for (let start = 0; start < message.length; start += 50) {
    const part = message.subarray(start, start + 50)
    records.push(Buffer.from([22, 3, 1, 0, part.length]), part)
  }
  assert.deepEqual(parseClientHello(Buffer.concat(records)), {
    serverName: 'exact.test',
    applicationProtocols: ['istio-http/1.1', 'istio'],
  })
})

test('a hello with broken lengths is no TLS, and reads past nothing', () => {
  for (let index = 9; index < hello.length; index += 1) {
    const broken = Buffer.from(hello)
    broken[index] = 0xff
    const parsed = parseClientHello(broken)
    if (parsed === 'more' || parsed === 'none') continue
    assert.ok((parsed.serverName ?? '').length <= hello.length)
  }
})

const plain = { transportProtocol: 'raw_buffer', serverName: undefined, applicationProtocols: [] }

const http10 = { ...plain, applicationProtocols: ['http/1.0'] } as Inspection
const http11 = { ...plain, applicationProtocols: ['http/1.1'] } as Inspection

const firstBytes: readonly [name: string, bytes: string, seen: Inspection | 'more'][] = [
  ['HTTP/1.1', 'GET / HTTP/1.1\r\n', http11],
  ['HTTP/1.0', 'GET / HTTP/1.0\n', http10],
  ['a custom method', 'BREW /pot HTTP/1.1\r\n', http11],
  [
    'the preface of HTTP/2',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    { ...plain, applicationProtocols: ['h2c'] } as Inspection,
  ],
  ['half of the preface', 'PRI * HTT', 'more'],
  ['half of a request line', 'GET /inde', 'more'],
  ['a greeting of another protocol', '220 ready\r\n', plain as unknown as Inspection],
  ['a request line of another version', 'GET / HTTP/3.0\r\n', http10],
  ['a request line of HTTP/0.9', 'GET / HTTP/0.9\r\n', http10],
  ['a request line without a version', 'GET /\r\n', http10],
  ['a request line with spare blanks', 'GET  /  HTTP/1.1 \r\n', http11],
  ['a request line with a whole URI', 'GET http://a/ HTTP/1.1\r\n', http11],
  ['a tunnel', 'CONNECT a:443 HTTP/1.1\r\n', http11],
  ['a target that is none', 'GET a HTTP/1.1\r\n', plain as unknown as Inspection],
  ['a fourth word', 'GET / HTTP/1.1 more\r\n', plain as unknown as Inspection],
  ['an empty first line', '\r\nGET / HTTP/1.1\r\n', plain as unknown as Inspection],
  ['octets of no text', '\u0000\u0001\u0002', plain as unknown as Inspection],
  ['an alert record', '\u0015\u0003\u0001\u0000\u0002', plain as unknown as Inspection],
]

for (const [name, bytes, seen] of firstBytes) {
  test(`the first bytes of ${name} are told for what they are`, () => {
    assert.deepEqual(inspectBytes(Buffer.from(bytes, 'latin1'), true), seen)
  })
}

async function openPair(): Promise<{ near: Socket; far: Socket; close: () => Promise<void> }> {
  const server = createServer({ allowHalfOpen: true })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo // it listens on TCP
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve))
  const near = connect(port, '127.0.0.1')
  near.on('error', () => {})
  const far = await accepted
  far.on('error', () => {})
  const close = async (): Promise<void> => {
    near.destroy()
    far.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
  return { near, far, close }
}

test('what was looked at can still be read', async () => {
  const { near, far, close } = await openPair()
  const seen = new Promise((resolve) => {
    inspectSocket(
      far,
      { clock: systemClock, timeoutMs: 5_000, needsTls: true, needsHttp: true },
      resolve,
    )
  })
  near.write('GET / HT')
  near.write('TP/1.1\r\nHost: a\r\n\r\n')
  assert.deepEqual(await seen, { ...plain, applicationProtocols: ['http/1.1'] })
  let text = ''
  far.on('data', (chunk: Buffer) => (text += chunk.toString()))
  near.end()
  await new Promise((resolve) => far.once('end', resolve))
  assert.equal(text, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await close()
})

test('a silent connection ends the wait with the clock, and a closed one at once', async () => {
  const clock = new FakeClock()
  const silent = await openPair()
  const outcome = new Promise((resolve) => {
    inspectSocket(silent.far, { clock, timeoutMs: 100, needsTls: true, needsHttp: false }, resolve)
  })
  clock.advance(100)
  assert.equal(await outcome, 'timeout')
  await silent.close()
  const gone = await openPair()
  const end = new Promise((resolve) => {
    inspectSocket(gone.far, { clock, timeoutMs: 100, needsTls: true, needsHttp: false }, resolve)
  })
  gone.near.end()
  assert.equal(await end, 'closed')
  assert.equal(clock.pendingTimers, 0)
  await gone.close()
})
