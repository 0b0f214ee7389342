/**
 * One HTTP/2 connection carries what belongs to many: who stands still keeps no more than a stream's window, who sends a
 * lot gets its turn and no more, and what is small finds a way past it. Counted, not timed.
 */
import assert from 'node:assert/strict'
import { connect, type ClientHttp2Session, type ServerHttp2Stream } from 'node:http2'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { test } from 'node:test'

import { FrameReader } from '../../src/proxy/http2/frame-reader.ts'
import {
  frameFlags,
  frameTypes,
  headersFrames,
  preface,
  settingsAckFrame,
  settingsFrame,
  windowUpdateFrame,
} from '../../src/proxy/http2/frame.ts'
import { HpackEncoder } from '../../src/proxy/http2/hpack/encoder.ts'
import { defaultHttp2Options } from '../../src/proxy/http2/settings.ts'
import type { Cluster } from '../../src/proxy/upstream/cluster.ts'
import { eventually } from '../support/eventually.ts'
import { startHttp2Origin, startHttp2Scene, type Http2Origin } from '../support/http2-scene.ts'
import { exchangeBytes, forwardTo } from '../support/proxy-scene.ts'
import { RawClient } from '../support/raw-http2.ts'

const windows = { streamWindowBytes: 65_536, connectionWindowBytes: 131_072 }
const bulk = Buffer.alloc(1_000_000, 'x')
const small = 'GET /small HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n'
/** More than the connection's window has room for. */
const readers = 8

/** Much of everything but `/small`. */
function answer(stream: ServerHttp2Stream, path: string | undefined): void {
  const body = path === '/small' ? Buffer.from('small') : bulk
  stream.respond({ ':status': 200, 'content-length': body.length })
  stream.end(body)
}

function sceneOf(origin: Pick<Http2Origin, 'address'>, connectionsMax: number) {
  return startHttp2Scene({
    clusters: [
      {
        name: 'two',
        addresses: [origin.address],
        limits: { connectionsMax },
        settings: { protocol: 'http2', http2: { ...defaultHttp2Options, ...windows } },
      },
    ],
    routes: [forwardTo('two')],
    http2: windows,
  })
}

/** A client of Node's own; with a window of 0 it reads nothing until it says otherwise. */
function clientOf(port: number, initialWindowSize: number): ClientHttp2Session & Disposable {
  const session = connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize } })
  session.on('error', () => {
    // Cut at the end.
  })
  return Object.assign(session, { [Symbol.dispose]: () => session.destroy() })
}

test('downloads that nobody reads keep their own windows, and let others through on their connection', async () => {
  await using origin = await startHttp2Origin((stream, headers) => answer(stream, headers[':path']))
  await using scene = await sceneOf(origin, 1)
  using session = clientOf(scene.port, 0)
  const downloads = Array.from({ length: readers }, () => session.request({ ':path': '/bulk' }))
  const { overload } = scene.runtime
  await eventually(() => overload.bufferedBytes > windows.connectionWindowBytes)

  assert.match(await exchangeBytes(scene.port, small), /small$/)
  assert.ok(overload.bufferedBytes <= readers * windows.streamWindowBytes)
  assert.equal(origin.sessions.length, 1)

  const bodies = downloads.map(
    (stream) =>
      new Promise<number>((resolve) => {
        let bytes = 0
        stream.on('data', (chunk: Buffer) => (bytes += chunk.length))
        stream.on('end', () => resolve(bytes))
      }),
  )
  session.settings({ initialWindowSize: 1_000_000 })
  assert.deepEqual(new Set(await Promise.all(bodies)), new Set([bulk.length]))
  assert.equal(overload.bufferedBytes, 0)
})

test('uploads that nobody takes keep their own windows, and let others through on their connection', async () => {
  await using origin = await startHttp2Origin(
    (stream, headers) => {
      if (headers[':path'] === '/small') answer(stream, '/small')
    },
    { initialWindowSize: 0 },
  )
  await using scene = await sceneOf(origin, 1)
  using session = clientOf(scene.port, 65_535)
  for (let count = 0; count < readers; count += 1) {
    const stream = session.request({ ':method': 'POST', ':path': '/bulk' })
    stream.on('error', () => {
      // Given up at the end.
    })
    stream.end(bulk)
  }
  const { overload } = scene.runtime
  await eventually(() => overload.bufferedBytes > windows.connectionWindowBytes)
  const body = await new Promise<string>((resolve) => {
    let text = ''
    const stream = session.request({ ':path': '/small' })
    stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
    stream.on('end', () => resolve(text))
  })
  assert.equal(body, 'small')
  assert.ok(overload.bufferedBytes <= readers * windows.streamWindowBytes)
})

test('requests that follow a long body take another connection, and share that', async () => {
  await using origin = await startHttp2Origin((stream, headers) => answer(stream, headers[':path']))
  await using scene = await startHttp2Scene({
    clusters: [
      {
        name: 'two',
        addresses: [origin.address],
        settings: { protocol: 'http2', http2: defaultHttp2Options },
      },
    ],
    routes: [forwardTo('two')],
  })
  // It reads more than what counts as long, and then stands still.
  using session = clientOf(scene.port, 400_000)
  session.request({ ':path': '/bulk' })
  await eventually(() => scene.runtime.overload.bufferedBytes > 0)
  for (let count = 0; count < 5; count += 1) await exchangeBytes(scene.port, small)
  const { stats } = scene.clusters.get('two') as Cluster
  assert.equal(stats.cxHttp2Total.value(), 2)
})

/** Never opens a window; answers what has no body with 204, and keeps which connection that came by. */
async function startStingyOrigin() {
  const connections: Socket[] = []
  const answeredOn: number[] = []
  const server = createServer((socket) => {
    const index = connections.push(socket) - 1
    const encoder = new HpackEncoder()
    const ignore = () => true
    const reader = new FrameReader({
      onFrame({ type, flags, streamId }) {
        if (type !== frameTypes.headers || (flags & frameFlags.endStream) === 0) return true
        encoder.begin()
        encoder.field(':status', '204')
        socket.write(headersFrames(streamId, encoder.end(), true), 'latin1')
        answeredOn.push(index)
        return true
      },
      onDataStart: ignore,
      onDataChunk: ignore,
      onDataEnd: ignore,
      onFrameError: () => {},
    })
    socket.on('error', () => {
      // Cut at the end.
    })
    socket.write(settingsFrame([[4, 1_000_000]]) + settingsAckFrame, 'latin1')
    socket.once('data', (first: Buffer) => {
      reader.feed(first.subarray(preface.length))
      socket.on('data', (chunk: Buffer) => reader.feed(chunk))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    address: {
      kind: 'ip',
      address: '127.0.0.1',
      port: (server.address() as AddressInfo).port,
    } as const,
    answeredOn,
    async [Symbol.asyncDispose]() {
      for (const socket of connections) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

test('a connection that takes nothing is given no request while another one is opened', async () => {
  await using origin = await startStingyOrigin()
  await using scene = await sceneOf(origin, 2)
  using session = clientOf(scene.port, 65_535)
  const upload = session.request({ ':method': 'POST', ':path': '/bulk' })
  upload.on('error', () => {
    // Given up at the end.
  })
  upload.end(bulk)
  await eventually(() => scene.runtime.overload.bufferedBytes > 0)
  assert.match(await exchangeBytes(scene.port, small), /^HTTP\/1.1 204 /)
  assert.deepEqual(origin.answeredOn, [1])
})

test('long bodies take turns frame by frame, and a short one waits for one frame of each', async () => {
  await using origin = await startHttp2Origin((stream, headers) => answer(stream, headers[':path']))
  await using scene = await sceneOf(origin, 4)
  const client = new RawClient(scene.port)
  // Streams may send all they have; the connection may not.
  client.open([[4, 1_000_000]])
  const ask = (streamId: number, path: string): void =>
    client.request(streamId, [
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', path],
      [':authority', 'shop'],
    ])
  const data = () => client.frames.filter(({ type }) => type === frameTypes.data)
  const bytes = () => data().reduce((sum, { payload }) => sum + payload.length, 0)
  ask(1, '/bulk')
  await eventually(() => bytes() === 65_535)
  ask(3, '/bulk')
  ask(5, '/bulk')
  ask(7, '/small')
  const heads = () => client.frames.filter(({ type }) => type === frameTypes.headers)
  await eventually(() => heads().length === 4)
  // Until the origin's bytes are there for all of them.
  await eventually(() => scene.runtime.overload.bufferedBytes > 2 * 16_384)

  const before = data().length
  client.send(windowUpdateFrame(0, 9 * 16_384))
  await eventually(() => bytes() === 65_535 + 9 * 16_384)
  const turns = data().slice(before)
  assert.ok(turns.every(({ payload }) => payload.length <= 16_384))
  const end = turns.findIndex(({ streamId }) => streamId === 7)
  assert.ok(end >= 0 && end <= 3, `the short body is frame ${end}`)
  const bulkTurns = turns.filter(({ streamId }) => streamId !== 7).map(({ streamId }) => streamId)
  for (const streamId of [1, 3, 5]) {
    const count = bulkTurns.filter((turn) => turn === streamId).length
    assert.ok(count >= 2 && count <= 4, `stream ${streamId}: ${count} of ${bulkTurns.join()}`)
  }
  assert.equal((turns[end]?.flags ?? 0) & frameFlags.endStream, 0)
  client.close()
})
