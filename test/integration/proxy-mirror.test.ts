/** Copies of requests whose upstreams misbehave: nothing of it reaches the client, and nothing of it stays. */
import assert from 'node:assert/strict'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'

import type { WireAddress } from '../../src/proxy/wire/wire.ts'
import { eventually } from '../support/eventually.ts'
import { exchangeBytes, forwardTo, startOrigin, startScene } from '../support/proxy-scene.ts'

/** A server that accepts and does no more, unless a test says what. */
async function startSilent(onConnection: (socket: Socket) => void = (socket) => socket.pause()) {
  const sockets = new Set<Socket>()
  let closed = 0
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => {
      closed += 1
    })
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
    closed: () => closed,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function startCounting() {
  return startOrigin((request, response) => {
    const answer = (body: string) => response.end(String(body.length))
    // A request that breaks off has no answer.
    text(request).then(answer, () => undefined)
  })
}

const mirrored = (more = ''): string =>
  forwardTo('main', `${more} request_mirror_policies: [{ cluster: copy }]`)

test('a copy that nobody reads holds a buffer and no more, and the request is whole', async () => {
  await using main = await startCounting()
  await using copy = await startSilent()
  await using scene = await startScene({
    clusters: [
      { name: 'main', addresses: [main.address] },
      { name: 'copy', addresses: [copy.address] },
    ],
    routes: [mirrored()],
    listener: { bufferLimitBytes: 64 * 1024 },
  })
  const size = 16 * 1024 * 1024
  const head = `POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${size}\r\n\r\n`
  const received = await exchangeBytes(scene.port, head + 'x'.repeat(size))
  assert.match(received, new RegExp(`\r\n${size}$`))
  const stats = scene.clusters.get('copy')?.stats
  assert.equal(stats?.rqActive.value(), 0)
  assert.equal(scene.runtime.overload.bufferedBytes, 0)
})

test('a copy is not waited for, and ends at the route’s time-out', async () => {
  await using main = await startCounting()
  await using copy = await startSilent((socket) => socket.resume())
  await using scene = await startScene({
    clusters: [
      { name: 'main', addresses: [main.address] },
      { name: 'copy', addresses: [copy.address] },
    ],
    routes: [mirrored('timeout: 0.2s,')],
  })
  const received = await exchangeBytes(
    scene.port,
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  )
  assert.match(received, /^HTTP\/1\.1 200 /)
  const stats = scene.clusters.get('copy')?.stats
  assert.equal(stats?.rqActive.value(), 1)
  await eventually(() => stats?.rqTimeout.value() === 1 && stats.rqActive.value() === 0, {
    deadlineMs: 2_000,
  })
  assert.equal(stats?.answers.count(504), 1)
  assert.equal(scene.records[0]?.flags, '-')
})

test('a client that leaves in the middle of its request ends the copy too', async () => {
  await using main = await startCounting()
  await using copy = await startSilent((socket) => socket.resume())
  await using scene = await startScene({
    clusters: [
      { name: 'main', addresses: [main.address] },
      { name: 'copy', addresses: [copy.address] },
    ],
    routes: [mirrored()],
  })
  const socket = connect(scene.port, '127.0.0.1')
  socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf')
  await eventually(() => copy.sockets.size === 1, { deadlineMs: 2_000 })
  socket.destroy()
  await eventually(() => copy.closed() === 1, { deadlineMs: 2_000 })
  const stats = scene.clusters.get('copy')?.stats
  assert.equal(stats?.rqActive.value(), 0)
})

test('a copy that is cut or answered with garbage leaves the response as it is', async () => {
  await using main = await startCounting()
  for (const answer of [
    '',
    'garbage\r\n\r\n',
    'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf',
  ]) {
    await using copy = await startSilent((socket) => {
      socket.once('data', () => socket.end(answer))
    })
    await using scene = await startScene({
      clusters: [
        { name: 'main', addresses: [main.address] },
        { name: 'copy', addresses: [copy.address] },
      ],
      routes: [mirrored()],
    })
    const received = await exchangeBytes(
      scene.port,
      'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello',
    )
    assert.match(received, /\r\n5$/)
    const stats = scene.clusters.get('copy')?.stats
    await eventually(() => stats?.answers.count() === 1 && stats.rqActive.value() === 0, {
      deadlineMs: 2_000,
    })
  }
})

test('copies are held to the breakers of their own cluster', async () => {
  await using main = await startCounting()
  await using copy = await startSilent((socket) => socket.resume())
  await using scene = await startScene({
    clusters: [
      { name: 'main', addresses: [main.address] },
      { name: 'copy', addresses: [copy.address], limits: { requestsMax: 1 } },
    ],
    routes: [mirrored()],
  })
  for (let index = 0; index < 3; index += 1) {
    const received = await exchangeBytes(
      scene.port,
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    )
    assert.match(received, /^HTTP\/1\.1 200 /)
  }
  const stats = scene.clusters.get('copy')?.stats
  assert.equal(stats?.answers.count(503), 2)
  assert.equal(stats?.rqActive.value(), 1)
})
