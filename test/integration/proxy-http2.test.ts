/** HTTP/2 on one side or on both: nothing of a message is lost, and connections end without losing one. */
import assert from 'node:assert/strict'
import { connect, constants, type ClientHttp2Session } from 'node:http2'
import { createServer as createTcpServer, type AddressInfo } from 'node:net'
import { test } from 'node:test'

import {
  errorCodes,
  frameFlags,
  frameHead,
  frameTypes,
  goawayFrame,
  settingsFrame,
} from '../../src/proxy/http2/frame.ts'
import { defaultHttp2Options } from '../../src/proxy/http2/settings.ts'
import type { Cluster } from '../../src/proxy/upstream/cluster.ts'
import type { WireAddress } from '../../src/proxy/wire/wire.ts'
import { eventually } from '../support/eventually.ts'
import { startHttp2Origin, startHttp2Scene } from '../support/http2-scene.ts'
import { exchangeBytes, forwardTo, retryPolicy, startOrigin } from '../support/proxy-scene.ts'
import { RawClient, type RawField } from '../support/raw-http2.ts'

const http2: Partial<Cluster> = { protocol: 'http2', http2: defaultHttp2Options }
const get: readonly RawField[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'shop'],
]

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly trailers: Readonly<Record<string, unknown>>
  readonly body: Buffer
}

function ask(
  session: ClientHttp2Session,
  headers: Record<string, string | string[]>,
  body?: Buffer,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers, { endStream: body === undefined })
    const chunks: Buffer[] = []
    let head: Record<string, unknown> = {}
    let trailers: Record<string, unknown> = {}
    stream.on('response', (found) => (head = found))
    stream.on('trailers', (found) => (trailers = found))
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('error', reject)
    stream.on('end', () =>
      resolve({
        status: Number(head[':status']),
        headers: head,
        trailers,
        body: Buffer.concat(chunks),
      }),
    )
    if (body !== undefined) stream.end(body)
  })
}

function client(port: number): ClientHttp2Session & AsyncDisposable {
  const session = connect(`http://127.0.0.1:${port}`)
  session.on('error', () => {
    // Connections that are cut are part of some tests.
  })
  return Object.assign(session, {
    [Symbol.asyncDispose]: () => {
      session.destroy()
      return Promise.resolve()
    },
  })
}

/** A real origin of each version that repeats head, body and trailers. */
async function startEchoes() {
  const one = await startOrigin((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      response.writeHead(200, { trailer: 'x-sum', 'x-cookie': request.headers.cookie ?? '' })
      response.write(Buffer.concat(chunks))
      response.addTrailers({ 'x-sum': 'one', 'x-back': request.trailers['x-up'] ?? '' })
      response.end()
    })
  })
  const two = await startHttp2Origin((stream, headers) => {
    const chunks: Buffer[] = []
    let up = ''
    stream.on('trailers', (found) => (up = String(found['x-up'] ?? '')))
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', () => {
      stream.respond(
        { ':status': 200, 'x-cookie': headers.cookie ?? '' },
        { waitForTrailers: true },
      )
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': 'two', 'x-back': up }))
      stream.end(Buffer.concat(chunks))
    })
  })
  return { one, two }
}

const keepingTrailers = {
  spelling: undefined,
  sendsUrl: false,
  headersCountMax: 100,
  keepsTrailers: true,
}

test('bodies, trailers and cookies cross every pair of versions', async () => {
  const { one, two } = await startEchoes()
  await using scene = await startHttp2Scene({
    clusters: [
      { name: 'one', addresses: [one.address], settings: { http1: keepingTrailers } },
      { name: 'two', addresses: [two.address], settings: http2 },
    ],
    routes: [
      '{ match: { prefix: /one }, route: { cluster: one } }',
      '{ match: { prefix: /two }, route: { cluster: two } }',
    ],
    manager: { enableTrailers: true },
  })
  await using session = client(scene.port)
  for (const name of ['one', 'two']) {
    const stream = session.request(
      { ':method': 'POST', ':path': `/${name}`, cookie: ['a=1', 'b=2'] },
      { waitForTrailers: true },
    )
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-up': 'up' }))
    const got = await new Promise<{ body: string; head: unknown; trailers: unknown }>((resolve) => {
      let body = ''
      let head: unknown
      let trailers: unknown
      stream.on('response', (found) => (head = found['x-cookie']))
      stream.on('trailers', (found) => (trailers = [found['x-sum'], found['x-back']]))
      stream.on('data', (chunk: Buffer) => (body += chunk.toString()))
      stream.on('end', () => resolve({ body, head, trailers }))
      stream.end('hello')
    })
    assert.equal(got.body, 'hello')
    assert.equal(got.head, 'a=1; b=2')
    assert.deepEqual(got.trailers, [name, 'up'])

    const old = await exchangeBytes(
      scene.port,
      `POST /${name} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nTrailer: x-up\r\n` +
        'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-up: up\r\n\r\n',
    )
    assert.match(old, /^HTTP\/1\.1 200 OK\r\n/)
    assert.match(old, /\r\n5\r\nhello\r\n0\r\n/)
    assert.match(old, new RegExp(`x-sum: ${name}\r\n`))
    assert.match(old, /x-back: up\r\n/)
  }
  assert.deepEqual(
    scene.records.map(({ request }) => request.protocol),
    ['HTTP/2', 'HTTP/1.1', 'HTTP/2', 'HTTP/1.1'],
  )
  await one[Symbol.asyncDispose]()
  await two[Symbol.asyncDispose]()
})

test('bodies of many windows cross both ways, whoever is slow', async () => {
  const { one, two } = await startEchoes()
  await using scene = await startHttp2Scene({
    clusters: [
      { name: 'one', addresses: [one.address] },
      { name: 'two', addresses: [two.address], settings: http2 },
    ],
    routes: [
      '{ match: { prefix: /one }, route: { cluster: one } }',
      '{ match: { prefix: /two }, route: { cluster: two } }',
    ],
  })
  await using session = client(scene.port)
  const body = Buffer.alloc(5_000_000, 'abcdefghij')
  const answers = await Promise.all(
    ['one', 'two', 'one', 'two'].map((name) =>
      ask(session, { ':method': 'POST', ':path': `/${name}` }, body),
    ),
  )
  for (const answer of answers) assert.ok(answer.body.equals(body))
  assert.equal(scene.runtime.overload.bufferedBytes, 0)
  await one[Symbol.asyncDispose]()
  await two[Symbol.asyncDispose]()
})

test('DATA that is padding alone is taken: its window opens again, for the stream as for the connection', async () => {
  const { one, two } = await startEchoes()
  await using scene = await startHttp2Scene({
    http2: { streamWindowBytes: 65_535, connectionWindowBytes: 65_535 },
    clusters: [{ name: 'one', addresses: [one.address] }],
    routes: ['{ match: { prefix: / }, route: { cluster: one } }'],
  })
  const raw = new RawClient(scene.port)
  raw.open()
  raw.request(1, [[':method', 'POST'], ...get.slice(1)], false)
  const padding = frameHead(256, frameTypes.data, frameFlags.padded, 1) + '\xff' + '\0'.repeat(255)
  // Three windows of it, then a body that is echoed.
  for (let sent = 0; sent < 3 * 65_535; sent += 256) {
    const opened = raw.frames.filter(({ type }) => type === frameTypes.windowUpdate)
    const allowed = (streamId: number): number =>
      opened
        .filter((frame) => frame.streamId === streamId)
        .reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 65_535)
    if (Math.min(allowed(0), allowed(1)) < sent + 256) {
      const seen = raw.frames.length
      await eventually(() => raw.frames.length > seen)
    }
    raw.send(padding)
  }
  raw.data(1, 'hello', true)
  const echoed = await raw.frame(
    ({ type, payload }) => type === frameTypes.data && payload.length > 0,
  )
  assert.equal(echoed?.payload.toString(), 'hello')
  raw.close()
  await one[Symbol.asyncDispose]()
  await two[Symbol.asyncDispose]()
})

test('many requests at once share one connection to the upstream', async () => {
  await using origin = await startHttp2Origin((stream) => {
    stream.respond({ ':status': 204 }, { endStream: true })
  })
  await using scene = await startHttp2Scene({
    clusters: [{ name: 'two', addresses: [origin.address], settings: http2 }],
    routes: [forwardTo('two')],
  })
  await using session = client(scene.port)
  const answers = await Promise.all(
    Array.from({ length: 90 }, () => ask(session, { ':path': '/' })),
  )
  assert.ok(answers.every(({ status }) => status === 204))
  assert.equal(origin.sessions.length, 1)
  const { stats } = scene.clusters.get('two') as Cluster
  assert.equal(stats.cxTotal.value(), 1)
  assert.equal(stats.cxHttp2Total.value(), 1)
  assert.equal(stats.rqTotal.value(), 90)
})

test("an upstream's limit of streams is kept, and more connections are opened", async () => {
  let open = 0
  let most = 0
  await using origin = await startHttp2Origin(
    (stream) => {
      open += 1
      most = Math.max(most, open)
      setTimeout(() => {
        open -= 1
        stream.respond({ ':status': 200 }, { endStream: true })
      }, 5)
    },
    { maxConcurrentStreams: 3 },
  )
  await using scene = await startHttp2Scene({
    clusters: [
      {
        name: 'two',
        addresses: [origin.address],
        settings: { ...http2, http2: { ...defaultHttp2Options, concurrentStreamsMax: 3 } },
        limits: { connectionsMax: 2 },
      },
    ],
    routes: [forwardTo('two')],
  })
  await using session = client(scene.port)
  const answers = await Promise.all(
    Array.from({ length: 30 }, () => ask(session, { ':path': '/' })),
  )
  assert.ok(answers.every(({ status }) => status === 200))
  assert.equal(origin.sessions.length, 2)
  assert.ok(most <= 6, `${most} streams at once`)
})

test('REFUSED_STREAM is retried where the policy says so, and 503 UR where none does', async () => {
  let count = 0
  await using origin = await startHttp2Origin((stream) => {
    count += 1
    if (count % 2 === 1) stream.close(constants.NGHTTP2_REFUSED_STREAM)
    else stream.respond({ ':status': 200 }, { endStream: true })
  })
  const refused = retryPolicy('num_retries: 1').replace(
    '5xx,connect-failure,reset',
    'refused-stream',
  )
  await using scene = await startHttp2Scene({
    clusters: [{ name: 'two', addresses: [origin.address], settings: http2 }],
    routes: [
      `{ match: { prefix: /retry }, route: { cluster: two, ${refused} } }`,
      forwardTo('two'),
    ],
  })
  await using session = client(scene.port)
  assert.equal((await ask(session, { ':path': '/retry' })).status, 200)
  const answer = await ask(session, { ':path': '/' })
  assert.equal(answer.status, 503)
  assert.equal(
    answer.body.toString(),
    'upstream connect error or disconnect/reset before headers. reset reason: remote refused stream reset',
  )
  assert.equal(scene.records[1]?.flags, 'UR')
})

for (const { name, code, status, flag, counted } of [
  { name: 'CANCEL', code: constants.NGHTTP2_CANCEL, status: 503, flag: 'UR', counted: [1, 0] },
  {
    name: 'PROTOCOL_ERROR',
    code: constants.NGHTTP2_PROTOCOL_ERROR,
    status: 502,
    flag: 'UPE',
    counted: [0, 1],
  },
  {
    name: 'REFUSED_STREAM',
    code: constants.NGHTTP2_REFUSED_STREAM,
    status: 503,
    flag: 'UR',
    counted: [0, 0],
  },
]) {
  test(`a stream that the upstream resets with ${name} is ${status} ${flag}`, async () => {
    await using origin = await startHttp2Origin((stream) => stream.close(code))
    await using scene = await startHttp2Scene({
      clusters: [{ name: 'two', addresses: [origin.address], settings: http2 }],
      routes: [forwardTo('two')],
    })
    await using session = client(scene.port)
    assert.equal((await ask(session, { ':path': '/' })).status, status)
    assert.equal(scene.records[0]?.flags, flag)
    const stats = scene.clusters.get('two')?.stats
    assert.deepEqual([stats?.rqRxReset.value(), stats?.rqTxReset.value()], counted)
  })
}

/** An upstream of literal bytes. */
async function startRawOrigin(onData: (write: (text: string) => void, count: number) => void) {
  let count = 0
  const server = createTcpServer((socket) => {
    count += 1
    const own = count
    let isAnswered = false
    socket.on('error', () => {
      // Cut by the proxy.
    })
    socket.on('data', (chunk: Buffer) => {
      // The HEADERS of stream 1 are in the first bytes, or in the second ones.
      if (isAnswered || !chunk.includes(Buffer.from([0x01, 0x05, 0, 0, 0, 1]))) return
      isAnswered = true
      onData((text) => void socket.write(text, 'latin1'), own)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const address: WireAddress = { kind: 'ip', address: '127.0.0.1', port }
  return {
    address,
    connections: () => count,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  }
}

test('a request that a GOAWAY says was not seen is safely made again', async () => {
  await using origin = await startRawOrigin((write, connection) => {
    if (connection === 1) write(settingsFrame([]) + goawayFrame(0, errorCodes.noError))
    else write(settingsFrame([]) + '\0\0\x01\x01\x05\0\0\0\x01\x88')
  })
  const refused = retryPolicy('num_retries: 1').replace(
    '5xx,connect-failure,reset',
    'refused-stream',
  )
  await using scene = await startHttp2Scene({
    clusters: [{ name: 'two', addresses: [origin.address], settings: http2 }],
    routes: [forwardTo('two', refused)],
  })
  await using session = client(scene.port)
  assert.equal((await ask(session, { ':path': '/' })).status, 200)
  assert.equal(origin.connections(), 2)
  assert.equal(scene.clusters.get('two')?.stats.cxCloseNotify.value(), 1)
  scene.runtime.pools.close()
})

test('a malformed response is 502 UPE for its own request', async () => {
  await using origin = await startRawOrigin((write) => {
    // :status 200, then `x: a\0`.
    write(settingsFrame([]) + '\0\0\x07\x01\x05\0\0\0\x01\x88\0\x01x\x02a\0')
  })
  await using scene = await startHttp2Scene({
    clusters: [{ name: 'two', addresses: [origin.address], settings: http2 }],
    routes: [forwardTo('two')],
  })
  await using session = client(scene.port)
  assert.equal((await ask(session, { ':path': '/' })).status, 502)
  assert.equal(scene.records[0]?.flags, 'UPE')
  scene.runtime.pools.close()
})

/** `:status 100`, as a literal. */
const continueHead = '\0\0\x05\x01\x04\0\0\0\x01\x08\x03100'
const dataEnd = '\0\0\x02\0\x01\0\0\0\x01hi'

const faultyAnswers: readonly [name: string, frames: string, endsConnection: boolean][] = [
  ['DATA before a head', dataEnd, false],
  ['an end before a head', '\0\0\0\0\x01\0\0\0\x01', false],
  ['DATA behind an interim head', continueHead + dataEnd, false],
  ['a header block that cannot be read', '\0\0\x01\x01\x05\0\0\0\x01\x80', true],
  ['a frame that is too large', '\0\x50\0\0\0\0\0\0\x01', true],
  ['a stream of its own', '\0\0\x01\x01\x05\0\0\0\x02\x88', true],
  ['a promise to push', '\0\0\x04\x05\x04\0\0\0\x01\0\0\0\x02', true],
  ['settings that are none', '\0\0\x06\x04\0\0\0\0\0\0\x04\x80\0\0\0', true],
]

for (const [name, frames, endsConnection] of faultyAnswers) {
  test(`${name} from an upstream is 502 UPE, and nothing of it reaches the client`, async () => {
    await using origin = await startRawOrigin((write) => write(settingsFrame([]) + frames))
    await using scene = await startHttp2Scene({
      clusters: [{ name: 'two', addresses: [origin.address], settings: http2 }],
      routes: [forwardTo('two')],
    })
    await using session = client(scene.port)
    const answer = await ask(session, { ':path': '/' })
    assert.equal(answer.status, 502)
    assert.match(String(answer.body), /reset reason: protocol error/)
    assert.equal(scene.records[0]?.flags, 'UPE')
    const stats = scene.clusters.get('two')?.stats
    assert.equal(stats?.cxProtocolError.value(), endsConnection ? 1 : 0)
    assert.equal(stats?.rqTxReset.value(), 1)
    assert.equal(stats?.cxDestroyWithActiveRq.value(), 0)
    scene.runtime.pools.close()
  })
}

test('a request that the client gives up is given up at the upstream', async () => {
  let code = -1
  await using origin = await startHttp2Origin((stream) => {
    stream.on('aborted', () => (code = stream.rstCode))
  })
  await using scene = await startHttp2Scene({
    clusters: [{ name: 'two', addresses: [origin.address], settings: http2 }],
    routes: [forwardTo('two')],
  })
  const raw = new RawClient(scene.port)
  raw.open()
  raw.request(1, [[':method', 'POST'], ...get.slice(1)], false)
  await eventually(() => scene.clusters.get('two')?.stats.rqActive.value() === 1)
  raw.send('\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08')
  await eventually(() => code === constants.NGHTTP2_CANCEL)
  assert.equal(scene.records[0]?.flags, 'DR')
  assert.equal(scene.records[0]?.details, 'http2.remote_reset')
  raw.close()
})

test('a connection that drains tells so in two steps, and answers what is under way', async () => {
  const answers: (() => void)[] = []
  await using origin = await startOrigin((_request, response) => {
    answers.push(() => void response.end('late'))
  })
  await using scene = await startHttp2Scene({
    clusters: [{ name: 'one', addresses: [origin.address] }],
    routes: [forwardTo('one')],
  })
  const raw = new RawClient(scene.port)
  raw.open()
  raw.request(1, get)
  await eventually(() => answers.length === 1)
  const drained = scene.listener.drain({ deadlineMs: 10_000, strategy: 'immediate' })
  const first = await raw.frame(({ type }) => type === frameTypes.goaway)
  assert.equal(first?.payload.readUInt32BE(0), 2 ** 31 - 1)
  const ping = await raw.frame(({ type }) => type === frameTypes.ping)
  // A request that was under way to us when the first step left.
  raw.request(3, get)
  raw.send(`\0\0\x08\x06\x01\0\0\0\0${ping?.payload.toString('latin1') ?? ''}`)
  const last = await raw.frame(
    ({ type, payload }) => type === frameTypes.goaway && payload.readUInt32BE(0) !== 2 ** 31 - 1,
  )
  assert.equal(last?.payload.readUInt32BE(0), 3)
  await eventually(() => answers.length === 2)
  for (const answer of answers) answer()
  await raw.closed()
  await drained
  assert.deepEqual(
    scene.records.map(({ status }) => status),
    [200, 200],
  )
})

test('an upgrade crosses HTTP/2 as extended CONNECT, and comes out as an upgrade', async () => {
  await using origin = await startOrigin(() => {
    // Upgrades only.
  })
  origin.server.on('upgrade', (request, socket) => {
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
    )
    socket.write(`path ${request.url ?? ''};`)
    socket.pipe(socket)
  })
  const upgrades = new Set(['websocket'])
  await using far = await startHttp2Scene({
    clusters: [{ name: 'one', addresses: [origin.address] }],
    routes: [forwardTo('one')],
    manager: { upgrades },
    http2: { allowsConnect: true },
  })
  await using near = await startHttp2Scene({
    clusters: [
      {
        name: 'far',
        addresses: [{ kind: 'ip', address: '127.0.0.1', port: far.port }],
        settings: http2,
      },
    ],
    routes: [forwardTo('far')],
    manager: { upgrades },
  })
  const received = await exchangeBytes(
    near.port,
    'GET /chat HTTP/1.1\r\nHost: shop\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nearly',
    (text) => text.includes('early'),
  )
  assert.match(received, /^HTTP\/1\.1 101 Switching Protocols\r\n/)
  assert.match(received, /path \/chat;early$/)
  await eventually(() => far.records.length === 1)
  assert.equal(far.records[0]?.request.protocol, 'HTTP/2')
})

test('an upstream that knows no extended CONNECT gets none', async () => {
  await using origin = await startHttp2Origin((stream) => {
    stream.respond({ ':status': 200 }, { endStream: true })
  })
  await using scene = await startHttp2Scene({
    clusters: [{ name: 'two', addresses: [origin.address], settings: http2 }],
    routes: [forwardTo('two')],
    manager: { upgrades: new Set(['websocket']) },
  })
  const received = await exchangeBytes(
    scene.port,
    'GET /chat HTTP/1.1\r\nHost: shop\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
    (text) => text.includes('\r\n\r\n'),
  )
  assert.match(received, /^HTTP\/1\.1 502 /)
})

test('keep-alive asks silent clients, and ends those that do not answer', async () => {
  await using scene = await startHttp2Scene({
    routes: [forwardTo('one')],
    http2: { keepalive: { intervalMs: 10, timeoutMs: 30, jitterPercent: 0, idleMs: 0 } },
  })
  const raw = new RawClient(scene.port)
  raw.open()
  assert.ok(await raw.frame(({ type }) => type === frameTypes.ping))
  await raw.closed()
  assert.equal(scene.http2Stat('keepalive_timeout'), 1)
})

test('a HEAD and a 304 have no body, whatever their length says; a 204 may have no length', async () => {
  await using origin = await startOrigin((request, response) => {
    response.writeHead(Number(request.url?.slice(1)), { 'content-length': '5' })
    response.end()
  })
  await using scene = await startHttp2Scene({
    clusters: [{ name: 'one', addresses: [origin.address] }],
    routes: [forwardTo('one')],
  })
  await using session = client(scene.port)
  const head = await ask(session, { ':method': 'HEAD', ':path': '/200' })
  assert.equal(head.headers['content-length'], '5')
  assert.equal(head.body.length, 0)
  assert.equal((await ask(session, { ':path': '/304' })).status, 304)
  // RFC 9110 §8.6; as Envoy.
  assert.equal((await ask(session, { ':path': '/204' })).status, 502)
})
