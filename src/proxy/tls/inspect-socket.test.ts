/** What the first bytes of a connection say, byte by byte, and that they are still there afterwards. */
import assert from 'node:assert/strict'
import { type AddressInfo, type Socket, connect, createServer } from 'node:net'
import { test } from 'node:test'
import { connect as connectTls } from 'node:tls'

import {
  clientHelloBytes,
  type HelloSketch,
  padding,
  protocols,
  serverNames,
} from '../../../test/support/client-hello.ts'
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
    if (typeof parsed === 'string') continue
    assert.ok((parsed.serverName ?? '').length <= hello.length)
  }
})

const shop = serverNames([0, 'shop.test'])
const unnamed = { serverName: undefined, applicationProtocols: [] }
const named = { serverName: 'shop.test', applicationProtocols: [] }

const sketches: readonly [
  name: string,
  sketch: HelloSketch,
  read: ReturnType<typeof parseClientHello>,
][] = [
  ['without extensions', { extensions: [] }, unnamed],
  ['with a name', { extensions: [shop] }, named],
  ['with a name in upper case', { extensions: [serverNames([0, 'SHOP.Test'])] }, named],
  [
    'with octets beyond ASCII in its name',
    { extensions: [serverNames([0, '\u00c3\u0089.test'])] },
    { serverName: '\u00c3\u0089.test', applicationProtocols: [] },
  ],
  ['with an empty name', { extensions: [serverNames([0, ''])] }, 'none'],
  ['with a name of another type', { extensions: [serverNames([1, 'shop.test'])] }, 'none'],
  ['with a NUL in its name', { extensions: [serverNames([0, 'shop.test\0.evil'])] }, 'none'],
  [
    'with the longest name',
    { extensions: [serverNames([0, 'a'.repeat(255)])] },
    { serverName: 'a'.repeat(255), applicationProtocols: [] },
  ],
  ['with a longer name', { extensions: [serverNames([0, 'a'.repeat(256)])] }, 'none'],
  ['with two names', { extensions: [serverNames([0, 'shop.test'], [0, 'b.test'])] }, 'none'],
  ['with no name in its list', { extensions: [serverNames()] }, 'none'],
  ['with octets behind its name', { extensions: [`0000000f${shop.slice(8)}00`] }, 'none'],
  ['with an extension that comes twice', { extensions: [shop, shop] }, 'none'],
  [
    'with protocols',
    { extensions: [protocols('x', 'h2'), shop] },
    { serverName: 'shop.test', applicationProtocols: ['x', 'h2'] },
  ],
  ['with a broken list of protocols', { extensions: ['0010000500ff026832', shop] }, named],
  ['with a broken protocol in its list', { extensions: ['00100005000303ff32', shop] }, named],
  ['of the largest size', { extensions: [shop, padding(16_000)] }, named],
  ['that is too large', { extensions: [shop, padding(16_384)] }, 'too-large'],
  ['of SSL 2', { extensions: [shop], version: 0x0200 }, 'bad-version'],
  ['of SSL 3', { extensions: [shop], version: 0x0300 }, 'bad-version'],
  ['of TLS 1.0', { extensions: [shop], version: 0x0301 }, named],
  ['of TLS 1.3', { extensions: [shop], version: 0x0304 }, named],
  ['of a TLS to come', { extensions: [shop], version: 0x0305 }, 'bad-version'],
  ['of DTLS', { extensions: [shop], version: 0xfefd }, 'bad-version'],
]

for (const [name, sketch, read] of sketches) {
  test(`a hello ${name} is read as it must be`, () => {
    assert.deepEqual(parseClientHello(clientHelloBytes(sketch)), read)
  })
}

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
  ['a request line with a control octet', 'GET /\u0001 HTTP/1.1\r\n', http11],
  ['a request line with a long method', `${'A'.repeat(100)} / HTTP/1.1\r\n`, http11],
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
  assert.deepEqual(await outcome, { kind: 'timeout', proxied: undefined })
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

const v1 = 'PROXY TCP4 10.1.2.3 10.0.0.1 1000 443\r\n'
const signatureV2 = '\r\n\r\n\0\r\nQUIT\n'
const proxied = {
  remoteAddress: '10.1.2.3',
  remotePort: 1000,
  localAddress: '10.0.0.1',
  localPort: 443,
}

interface HeaderCase {
  readonly name: string
  readonly sent: string
  readonly isOptional: boolean
  readonly versions: readonly (1 | 2)[]
  readonly expected: unknown
}

const headerCases: readonly HeaderCase[] = [
  {
    name: 'a header of a version that is not allowed is passed on where none is needed',
    sent: v1,
    isOptional: true,
    versions: [2],
    expected: plain,
  },
  {
    name: 'it need not be whole for that',
    sent: 'PROXY ',
    isOptional: true,
    versions: [2],
    expected: plain,
  },
  {
    name: 'nor well-formed',
    sent: `${signatureV2}\x11`,
    isOptional: true,
    versions: [1],
    expected: plain,
  },
  {
    name: 'where one is needed, its signature is enough to refuse it',
    sent: signatureV2,
    isOptional: false,
    versions: [1],
    expected: { kind: 'bad-proxy-header', version: 2, message: 'version 2 is not allowed' },
  },
  {
    name: 'silence behind a header is still silence, of whom the header names',
    sent: `${v1}\x16`,
    isOptional: false,
    versions: [1, 2],
    expected: { kind: 'timeout', proxied },
  },
  {
    name: 'silence where a header is needed is told apart',
    sent: 'PROXY T',
    isOptional: false,
    versions: [1, 2],
    expected: 'header-timeout',
  },
]

for (const { name, sent, isOptional, versions, expected } of headerCases) {
  test(`of PROXY headers: ${name}`, async () => {
    const clock = new FakeClock()
    const { near, far, close } = await openPair()
    const proxyProtocol = { isOptional, versions: new Set(versions) }
    const isRead = new Promise((resolve) => far.on('readable', () => setImmediate(resolve)))
    const outcome = new Promise((resolve) => {
      const options = { clock, timeoutMs: 100, needsTls: true, needsHttp: false, proxyProtocol }
      inspectSocket(far, options, resolve)
    })
    near.write(Buffer.from(sent, 'latin1'))
    await isRead
    clock.advance(100)
    assert.deepEqual(await outcome, expected)
    await close()
  })
}
