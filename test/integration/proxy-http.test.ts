/** Requests through a real listener to real servers over loopback: what arrives on either side. */
import assert from 'node:assert/strict'
import {
  createServer as createHttpServer,
  get,
  Agent,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'

import type { WireAddress } from '../../src/proxy/wire/wire.ts'
import { eventually } from '../support/eventually.ts'
import { FakeClock } from '../support/fake-clock.ts'
import {
  exchangeBytes,
  connectTo,
  forwardTo,
  retryOnce,
  retryPolicy,
  startOrigin,
  startScene,
  type SceneOptions,
} from '../support/proxy-scene.ts'

const close = 'Host: shop\r\nConnection: close\r\n'

/** An origin that repeats what it got, as JSON. */
async function startEcho() {
  return await startOrigin((request, response) => {
    void text(request).then((body) => {
      const { method, url, headers } = request
      response.setHeader('x-origin', 'echo')
      return response.end(JSON.stringify({ method, url, headers, body }))
    })
  })
}

function fetchWith(agent: Agent, port: number): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = get({ port, host: '127.0.0.1', agent }, (response) => {
      response.resume().on('end', () => resolve(response))
    })
    request.on('error', reject)
  })
}

interface Echoed {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

function echoed(received: string): Echoed {
  const start = received.indexOf('\r\n\r\n') + 4
  return JSON.parse(received.slice(start, received.lastIndexOf('}') + 1)) as Echoed
}

async function echoScene(options: Omit<SceneOptions, 'clusters'> = {}) {
  const origin = await startEcho()
  const scene = await startScene({
    clusters: [{ name: 'echo', addresses: [origin.address] }],
    routes: [forwardTo('echo')],
    ...options,
  })
  return {
    scene,
    ask: (bytes: string | readonly string[]) => exchangeBytes(scene.port, bytes),
    async [Symbol.asyncDispose]() {
      await scene[Symbol.asyncDispose]()
      await origin[Symbol.asyncDispose]()
    },
  }
}

/** A raw server whose one connection handler a test writes. */
async function startRaw(onConnection: (socket: Socket) => void) {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    onConnection(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address: WireAddress = {
    kind: 'ip',
    address: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
  }
  return {
    address,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

test('a request reaches the upstream with the headers that a proxy adds', async () => {
  await using run = await echoScene()
  const received = await run.ask(`GET /a?b HTTP/1.1\r\n${close}X-Mine: 1\r\n\r\n`)
  const { url, headers } = echoed(received)
  assert.equal(url, '/a?b')
  assert.equal(headers.host, 'shop')
  assert.equal(headers['x-mine'], '1')
  assert.equal(headers['x-forwarded-proto'], 'http')
  assert.match(
    String(headers['x-request-id']),
    /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  )
  assert.equal(headers['x-envoy-expected-rq-timeout-ms'], '15000')
  assert.match(received, /^HTTP\/1\.1 200 OK\r\n/)
  assert.match(received, /\r\nserver: envoy\r\n/)
  assert.match(received, /\r\nx-envoy-upstream-service-time: \d+\r\n/)
  assert.match(received, /\r\nconnection: close\r\n/)
})

test('the record says what happened', async () => {
  await using run = await echoScene()
  await run.ask(`POST / HTTP/1.1\r\n${close}Content-Length: 5\r\n\r\nhello`)
  const [record] = run.scene.records
  assert.ok(record)
  assert.equal(record.status, 200)
  assert.equal(record.flags, '-')
  assert.equal(record.details, 'via_upstream')
  assert.equal(record.bytesReceived, 5)
  assert.equal(record.clusterName, 'echo')
  assert.equal(record.attempts, 1)
  assert.ok(record.wireBytesReceived > 5 && record.wireBytesSent > record.bytesSent)
  assert.equal(run.scene.clusters.get('echo')?.breaker.active('requests'), 0)
})

test('bodies pass in both framings, and pipelined requests are answered in order', async () => {
  await using run = await echoScene()
  const received = await run.ask(
    'POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nT: u\r\n\r\n' +
      'POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc' +
      `GET /3 HTTP/1.1\r\n${close}\r\n`,
  )
  const urls = [...received.matchAll(/"url":"(\/\d)".*?"body":"(\w*)"/g)].map((match) =>
    match.slice(1),
  )
  assert.deepEqual(urls, [
    ['/1', 'hello'],
    ['/2', 'abc'],
    ['/3', ''],
  ])
})

test('a request that comes byte by byte is the same request', async () => {
  await using run = await echoScene()
  const received = await run.ask(
    `POST / HTTP/1.1\r\n${close}Content-Length: 5\r\n\r\nhello`.split(''),
  )
  assert.equal(echoed(received).body, 'hello')
})

test('a body of 5 MB goes up and comes down whole', async () => {
  const size = 5 * 1024 * 1024
  await using origin = await startOrigin((request, response) => request.pipe(response))
  await using scene = await startScene({
    clusters: [{ name: 'a', addresses: [origin.address] }],
    routes: [forwardTo('a')],
  })
  const response = await fetch(`http://127.0.0.1:${scene.port}/`, {
    method: 'POST',
    body: Buffer.alloc(size, 'x'),
  })
  const body = Buffer.from(await response.arrayBuffer())
  assert.equal(body.length, size)
  assert.ok(body.every((octet) => octet === 0x78))
})

test('connections to the upstream are used again', async () => {
  let connections = 0
  await using origin = await startOrigin((_request, response) => response.end('x'))
  origin.server.on('connection', () => (connections += 1))
  await using scene = await startScene({
    clusters: [{ name: 'a', addresses: [origin.address] }],
    routes: [forwardTo('a')],
  })
  for (let count = 0; count < 5; count += 1) {
    await exchangeBytes(scene.port, `GET / HTTP/1.1\r\n${close}\r\n`)
  }
  assert.equal(connections, 1)
})

test('an upstream connection is not used beyond its number of requests', async () => {
  let connections = 0
  await using origin = await startOrigin((_request, response) => response.end('x'))
  origin.server.on('connection', () => (connections += 1))
  await using scene = await startScene({
    clusters: [
      { name: 'a', addresses: [origin.address], settings: { requestsPerConnectionMax: 2 } },
    ],
    routes: [forwardTo('a')],
  })
  for (let count = 0; count < 5; count += 1) {
    await exchangeBytes(scene.port, `GET / HTTP/1.1\r\n${close}\r\n`)
  }
  assert.equal(connections, 3)
})

test('HEAD keeps the length and has no body', async () => {
  await using origin = await startOrigin((_request, response) => {
    response.writeHead(200, { 'content-length': 5 }).end()
  })
  await using scene = await startScene({
    clusters: [{ name: 'a', addresses: [origin.address] }],
    routes: [forwardTo('a')],
  })
  const received = await exchangeBytes(scene.port, `HEAD / HTTP/1.1\r\n${close}\r\n`)
  assert.match(received, /\r\ncontent-length: 5\r\n/)
  assert.ok(received.endsWith('\r\n\r\n'))
})

test('100 Continue is answered before the client sends its body, and is not asked for upstream', async () => {
  await using run = await echoScene()
  const received = await run.ask([
    `POST / HTTP/1.1\r\n${close}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n`,
    'hello',
  ])
  assert.match(received, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/)
  const { body, headers } = echoed(received.slice(received.indexOf('200 OK')))
  assert.equal(body, 'hello')
  assert.equal(headers.expect, undefined)
})

for (const proxies100Continue of [true, false]) {
  test(`early hints ${proxies100Continue ? 'pass where the listener says so' : 'are dropped'}`, async () => {
    await using origin = await startOrigin((_request, response) => {
      response.writeEarlyHints({ link: '</x.css>; rel=preload' }, () => response.end('x'))
    })
    await using scene = await startScene({
      clusters: [{ name: 'a', addresses: [origin.address] }],
      routes: [forwardTo('a')],
      manager: { proxies100Continue },
    })
    const received = await exchangeBytes(scene.port, `GET / HTTP/1.1\r\n${close}\r\n`)
    const hints = 'HTTP/1.1 103 Early Hints\r\nlink: </x.css>; rel=preload\r\n\r\n'
    assert.equal(received.startsWith(hints), proxies100Continue)
    assert.match(received, /HTTP\/1\.1 200 OK\r\n/)
  })
}

test('a websocket passes after 101, with bytes that the client sent early', async () => {
  const origin = createHttpServer()
  origin.on('upgrade', (_request, socket, head) => {
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    )
    socket.write(head)
    socket.pipe(socket)
  })
  await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve))
  const address = {
    kind: 'ip',
    address: '127.0.0.1',
    port: (origin.address() as AddressInfo).port,
  } as const
  await using scene = await startScene({
    clusters: [{ name: 'a', addresses: [address] }],
    routes: [forwardTo('a', 'upgrade_configs: [{ upgrade_type: websocket }]')],
  })
  const received = await exchangeBytes(
    scene.port,
    [
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly',
      ' late',
    ],
    (seen) => seen.endsWith('early late'),
  )
  assert.match(received, /^HTTP\/1\.1 101 Switching Protocols\r\n/)
  assert.match(received, /upgrade: websocket\r\n/)
  origin.closeAllConnections()
  await new Promise((resolve) => origin.close(resolve))
})

test('an upgrade that the upstream answers with 200 is refused, and nothing behind it is read (CVE-2024-23326)', async () => {
  await using run = await echoScene({
    routes: [forwardTo('echo', 'upgrade_configs: [{ upgrade_type: websocket }]')],
  })
  const received = await run.ask(
    'GET /1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n' +
      `GET /2 HTTP/1.1\r\n${close}\r\n`,
  )
  assert.match(received, /^HTTP\/1\.1 200 OK\r\n[\s\S]*connection: close\r\n\r\n$/)
  assert.match(received, /\r\nx-origin: echo\r\n/)
  assert.equal(run.scene.records.length, 1)
  assert.equal(run.scene.records[0]?.details, 'websocket_handshake_unsuccessful')
})

test('CONNECT is a tunnel to the cluster, opened when the connection stands', async () => {
  await using raw = await startRaw((socket) => socket.pipe(socket))
  await using scene = await startScene({
    clusters: [{ name: 'a', addresses: [raw.address] }],
    routes: [connectTo('a', { endsHere: true })],
  })
  const received = await exchangeBytes(
    scene.port,
    ['CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\nearly', ' late'],
    (seen) => seen.endsWith('early late'),
  )
  assert.match(received, /^HTTP\/1\.1 200 OK\r\n/)
  assert.doesNotMatch(received, /content-length|transfer-encoding/)
  await eventually(() => scene.records.length === 1)
  assert.equal(scene.clusters.get('a')?.breaker.active('connections'), 0)
})

test('CONNECT into an internal listener routes what is inside the tunnel', async () => {
  await using origin = await startEcho()
  await using scene = await startScene({
    clusters: [
      { name: 'echo', addresses: [origin.address] },
      { name: 'tunnel', addresses: [{ kind: 'internal', listener: 'inner' }] },
    ],
    routes: [forwardTo('echo'), connectTo('tunnel', { endsHere: true })],
  })
  await scene.open({
    ...scene.listener.config,
    name: 'inner',
    address: { kind: 'internal', listener: 'inner' },
  })
  const received = await exchangeBytes(
    scene.port,
    `CONNECT shop:80 HTTP/1.1\r\nHost: shop:80\r\n\r\nGET /inside HTTP/1.1\r\n${close}\r\n`,
    (seen) => seen.includes('"body"'),
  )
  assert.match(
    received,
    /^HTTP\/1\.1 200 OK\r\n[\s\S]*HTTP\/1\.1 200 OK\r\n[\s\S]*"url":"\/inside"/,
  )
})

test('a response until the end of its connection reaches the client in chunks', async () => {
  await using raw = await startRaw((socket) => {
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\n\r\nhello'))
  })
  await using scene = await startScene({
    clusters: [{ name: 'a', addresses: [raw.address] }],
    routes: [forwardTo('a')],
  })
  const received = await exchangeBytes(scene.port, `GET / HTTP/1.1\r\n${close}\r\n`)
  assert.match(received, /transfer-encoding: chunked\r\n[\s\S]*5\r\nhello\r\n0\r\n\r\n$/)
})

test('a body that the upstream breaks off is broken off for the client', async () => {
  await using raw = await startRaw((socket) => {
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello'))
  })
  await using scene = await startScene({
    clusters: [{ name: 'a', addresses: [raw.address] }],
    routes: [forwardTo('a')],
  })
  await exchangeBytes(scene.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  const [record] = await eventually(() => (scene.records.length === 1 ? scene.records : undefined))
  assert.equal(record?.flags, 'UPE')
  assert.equal(record.details, 'upstream_reset_after_response_started{protocol_error}')
})

test('bytes after a response are not taken for the next one', async () => {
  let connections = 0
  await using raw = await startRaw((socket) => {
    connections += 1
    socket.on('data', () => {
      socket.write(
        'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil',
      )
    })
  })
  await using scene = await startScene({
    clusters: [{ name: 'a', addresses: [raw.address] }],
    routes: [forwardTo('a')],
  })
  const first = await exchangeBytes(scene.port, `GET / HTTP/1.1\r\n${close}\r\n`)
  const second = await exchangeBytes(scene.port, `GET / HTTP/1.1\r\n${close}\r\n`)
  assert.ok(first.endsWith('ok') && second.endsWith('ok'))
  assert.equal(connections, 2)
})

test('a retry sends the same body to another host', async () => {
  const seen: string[] = []
  await using bad = await startOrigin((request, response) => {
    void text(request).then((body) => {
      seen.push(body)
      return response.writeHead(503).end('try another')
    })
  })
  await using good = await startOrigin((request, response) => {
    void text(request).then((body) => {
      seen.push(body)
      return response.end('fine')
    })
  })
  await using scene = await startScene({
    clusters: [{ name: 'a', addresses: [bad.address, good.address] }],
    routes: [forwardTo('a', retryOnce)],
    virtualHost: 'include_request_attempt_count: true,',
    random: () => 0,
  })
  const received = await exchangeBytes(
    scene.port,
    `POST / HTTP/1.1\r\n${close}Content-Length: 5\r\n\r\nhello`,
  )
  assert.match(received, /^HTTP\/1\.1 200 OK[\s\S]*fine$/)
  assert.deepEqual(seen, ['hello', 'hello'])
  assert.equal(scene.records[0]?.attempts, 2)
  const stats = scene.clusters.get('a')?.stats
  assert.equal(stats?.rqRetry.value(), 1)
  assert.equal(stats?.rqRetrySuccess.value(), 1)
  assert.equal(scene.clusters.get('a')?.breaker.active('retries'), 0)
})

test('a body larger than the buffer is sent once and not again', async () => {
  let requests = 0
  await using bad = await startOrigin((request, response) => {
    requests += 1
    request.resume().on('end', () => response.writeHead(503).end())
  })
  await using scene = await startScene({
    clusters: [{ name: 'a', addresses: [bad.address] }],
    routes: [forwardTo('a', retryOnce)],
  })
  const response = await fetch(`http://127.0.0.1:${scene.port}/`, {
    method: 'POST',
    body: Buffer.alloc(2 * 1024 * 1024),
  })
  assert.equal(response.status, 503)
  assert.equal(requests, 1)
})

test('retries beyond the breaker are not made, and the flag says so', async () => {
  await using bad = await startOrigin((_request, response) => response.writeHead(503).end())
  await using scene = await startScene({
    clusters: [{ name: 'a', addresses: [bad.address], limits: { retriesMax: 0 } }],
    routes: [forwardTo('a', retryOnce)],
  })
  await exchangeBytes(scene.port, `GET / HTTP/1.1\r\n${close}\r\n`)
  assert.equal(scene.records[0]?.attempts, 1)
  assert.equal(scene.records[0]?.flags, 'UO')
})

test('an attempt that takes too long is given up for another one', async () => {
  let requests = 0
  await using slow = await startOrigin((_request, response) => {
    requests += 1
    if (requests > 1) response.end('second')
  })
  await using scene = await startScene({
    clusters: [{ name: 'a', addresses: [slow.address] }],
    routes: [forwardTo('a', retryPolicy('num_retries: 1, per_try_timeout: 0.03s'))],
  })
  const received = await exchangeBytes(scene.port, `GET / HTTP/1.1\r\n${close}\r\n`)
  assert.match(received, /second$/)
  assert.equal(scene.clusters.get('a')?.stats.rqPerTryTimeout.value(), 1)
})

test('a client that leaves ends the attempt', async () => {
  await using raw = await startRaw((socket) => socket.resume())
  await using scene = await startScene({
    clusters: [{ name: 'a', addresses: [raw.address] }],
    routes: [forwardTo('a')],
  })
  const request = get({ port: scene.port, host: '127.0.0.1' })
  request.on('error', () => {})
  await eventually(() => raw.sockets.size === 1)
  request.destroy()
  const [record] = await eventually(() => (scene.records.length === 1 ? scene.records : undefined))
  assert.equal(record?.flags, 'DC')
  assert.equal(record?.status, 0)
  await eventually(() =>
    [...raw.sockets].every((socket) => socket.destroyed || socket.readableEnded),
  )
  assert.equal(scene.clusters.get('a')?.breaker.active('requests'), 0)
})

test('a slow client holds the upstream back', async () => {
  const size = 64 * 1024 * 1024
  let sent = 0
  await using raw = await startRaw((socket) => {
    socket.once('data', () => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`)
      const push = (): void => {
        while (sent < size) {
          sent += 65_536
          if (!socket.write(Buffer.alloc(65_536))) break
        }
      }
      socket.on('drain', push)
      push()
    })
  })
  await using scene = await startScene({
    clusters: [{ name: 'a', addresses: [raw.address] }],
    routes: [forwardTo('a')],
  })
  const agent = new Agent()
  const request = get({ port: scene.port, host: '127.0.0.1', agent })
  const response = await new Promise<NodeJS.ReadableStream>((resolve) =>
    request.on('response', resolve),
  )
  response.pause()
  let before = -1
  await eventually(
    () => {
      const isStill = sent === before
      before = sent
      return isStill && sent > 0
    },
    { intervalMs: 100, deadlineMs: 10_000 },
  )
  assert.ok(sent < size / 2, `${sent} bytes were taken for a client that reads none`)
  request.destroy()
  agent.destroy()
})

test('a new config takes effect on a connection that lives, without cutting it', async () => {
  await using run = await echoScene()
  const { scene } = run
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const ask = async (): Promise<string> =>
    await new Promise((resolve, reject) => {
      const request = get({ port: scene.port, host: '127.0.0.1', agent }, (response) => {
        response
          .resume()
          .on('end', () => resolve(`${String(response.headers['server'])} ${request.reusedSocket}`))
      })
      request.on('error', reject)
    })
  assert.equal(await ask(), 'envoy false')
  scene.listener.update({
    ...scene.listener.config,
    chains: [
      { name: 'all', network: { kind: 'http', manager: scene.manager({ serverName: 'other' }) } },
    ],
  })
  assert.equal(await ask(), 'other true')
  agent.destroy()
})

test('draining answers what is in flight, says close, and accepts nobody', async () => {
  let answer: (() => void) | undefined
  await using origin = await startOrigin((_request, response) => {
    answer = () => response.end('in flight')
  })
  await using scene = await startScene({
    clusters: [{ name: 'a', addresses: [origin.address] }],
    routes: [forwardTo('a')],
  })
  const asking = exchangeBytes(scene.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await eventually(() => answer)
  const drained = scene.listener.drain({ deadlineMs: 5_000, strategy: 'immediate' })
  answer?.()
  assert.match(await asking, /connection: close\r\n[\s\S]*in flight$/)
  await drained
  assert.equal(scene.listener.connectionsActive, 0)
  assert.equal(await exchangeBytes(scene.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'), '')
})

test('an idle connection ends after its time', async () => {
  const clock = new FakeClock()
  await using run = await echoScene({ clock, manager: { idleTimeoutMs: 60_000 } })
  const asking = run.ask('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await eventually(() => run.scene.records.length === 1)
  clock.advance(59_000)
  assert.equal(run.scene.listener.connectionsActive, 1)
  clock.advance(1_000)
  // Somebody may be asking just now: it is drained first.
  assert.equal(run.scene.listener.connectionsActive, 1)
  clock.advance(5_000)
  assert.match(await asking, /^HTTP\/1\.1 200/)
  clock.advance(1_000)
  await eventually(() => run.scene.listener.connectionsActive === 0)
})

test('a connection that is too old says so with its next response, or ends a little later', async () => {
  const clock = new FakeClock()
  const manager = { maxConnectionDurationMs: 60_000, drainTimeoutMs: 5_000 }
  await using run = await echoScene({ clock, manager })
  const { scene } = run
  const busy = new Agent({ keepAlive: true })
  const idle = run.ask('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  const ask = async () => {
    const response = await fetchWith(busy, scene.port)
    return response.headers.connection
  }
  assert.equal(await ask(), undefined)
  await eventually(() => scene.records.length === 2)
  clock.advance(60_000)
  assert.equal(scene.listener.connectionsActive, 2)
  assert.equal(await ask(), 'close')
  clock.advance(5_000)
  assert.match(await idle, /^HTTP\/1\.1 200/)
  clock.advance(1_000)
  await eventually(() => scene.listener.connectionsActive === 0)
  busy.destroy()
})

test('a stream may last no longer than its listener says, a tunnel neither', async () => {
  await using raw = await startRaw((socket) => socket.resume())
  await using scene = await startScene({
    clusters: [{ name: 'a', addresses: [raw.address] }],
    routes: [connectTo('a', { endsHere: true }), forwardTo('a')],
    manager: { maxStreamDurationMs: 50 },
  })
  const answer = await exchangeBytes(scene.port, `GET / HTTP/1.1\r\n${close}\r\n`)
  assert.match(answer, /^HTTP\/1\.1 504 [\s\S]*downstream duration timeout$/)
  const tunnel = await exchangeBytes(scene.port, 'CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n')
  assert.match(tunnel, /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\n$/)
  assert.equal(scene.records[1]?.details, 'max_duration_timeout')
})

test('connections beyond the ceiling are refused and counted', async () => {
  await using run = await echoScene({ listener: { connectionsMax: 1 } })
  const first = run.ask('GET / HTTP/1.1\r\nHost: a\r\n')
  await eventually(() => run.scene.listener.connectionsActive === 1)
  assert.equal(await run.ask('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), '')
  assert.equal(run.scene.listener.overflowTotal, 1)
  await run.scene.listener.close()
  await first
})

test('paths have one spelling before anything matches on them', async () => {
  await using run = await echoScene({
    manager: { normalizePath: true, mergeSlashes: true },
  })
  const received = await run.ask(`GET /public/../admin//x/%2e/y?a=../b HTTP/1.1\r\n${close}\r\n`)
  assert.equal(echoed(received).url, '/admin/x/y?a=../b')
})

test('x-envoy headers of strangers do not act, an id that came is kept', async () => {
  await using run = await echoScene()
  const received = await run.ask(
    `GET / HTTP/1.1\r\n${close}X-Envoy-Max-Retries: 5\r\nX-Forwarded-Client-Cert: By=me\r\nX-Envoy-Internal: true\r\n` +
      'X-Request-Id: mine\r\nX-Forwarded-For: 10.1.1.1\r\nX-Forwarded-Proto: https\r\n\r\n',
  )
  const { headers } = echoed(received)
  assert.equal(headers['x-envoy-max-retries'], undefined)
  assert.equal(headers['x-forwarded-client-cert'], undefined)
  assert.equal(headers['x-envoy-internal'], undefined)
  assert.equal(headers['x-request-id'], 'mine')
  assert.equal(headers['x-forwarded-for'], '10.1.1.1')
  assert.equal(headers['x-forwarded-proto'], 'https')
  const [record] = run.scene.records
  assert.equal(record?.downstreamRemoteAddress, '10.1.1.1:0')
  assert.match(record.downstreamDirectRemoteAddress, /^127\.0\.0\.1:\d+$/)
})

test('at an edge the client’s address is appended and its id replaced', async () => {
  await using run = await echoScene({ manager: { useRemoteAddress: true } })
  const received = await run.ask(
    `GET / HTTP/1.1\r\n${close}X-Request-Id: mine\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\n\r\n`,
  )
  const { headers } = echoed(received)
  assert.notEqual(headers['x-request-id'], 'mine')
  assert.equal(headers['x-forwarded-for'], '1.1.1.1,127.0.0.1')
  assert.equal(headers['x-envoy-external-address'], '127.0.0.1')
  assert.equal(headers['x-forwarded-proto'], 'http')
})
