/** What the gRPC server does with connections that are not what they should be. */
import assert from 'node:assert/strict'
import { request as httpRequest } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import { describe, test } from 'node:test'

import { eventually } from '../../../test/support/eventually.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { systemClock } from '../../lib/clock.ts'
import { silentLog } from '../../lib/log.ts'
import { openGrpcStream } from './grpc-client.ts'
import { GrpcFrame } from './grpc-frame.ts'
import { openGrpcServer, type GrpcServerOptions } from './grpc-server.ts'
import type { GrpcStatus } from './grpc-status.ts'
import type { GrpcStream } from './grpc-stream.ts'

function openServer(options: Partial<GrpcServerOptions> = {}) {
  return openGrpcServer({
    listen: { host: '127.0.0.1', port: 0 },
    methods: { '/echo': echo },
    clock: systemClock,
    log: silentLog,
    ...options,
  })
}

function echo(stream: GrpcStream) {
  return {
    onMessage: (message: Uint8Array) => void stream.send(new GrpcFrame(message)),
    onDrain() {},
    onClose() {},
  }
}

function portOf(address: string): number {
  return Number(address.split(':').at(-1))
}

/** The preface of RFC 9113 §3.4 and an empty SETTINGS frame. */
const preface = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
])

describe('gRPC server', () => {
  test('a peer that no longer answers pings is cut off', async () => {
    const clock = new FakeClock()
    await using server = await openServer({ clock })
    const socket = connect(portOf(server.address), '127.0.0.1')
    socket.on('error', () => {}) // A reset is as good an end as any.
    const closed = new Promise((resolve) => socket.once('close', resolve))
    const seen: Buffer[] = []
    socket.on('data', (chunk: Buffer) => seen.push(chunk))
    socket.write(preface)
    await eventually(() => seen.length > 0)
    const before = seen.length
    clock.advance(30_000)
    // A PING, which this peer does not answer: frame type 6.
    await eventually(() => seen.slice(before).some((chunk) => chunk[3] === 6))
    clock.advance(10_000)
    await closed
  })

  test('a request that is not gRPC is answered with 415', async () => {
    await using server = await openServer()
    const session = connectHttp2(`http://${server.address}`)
    try {
      const stream = session.request({ ':method': 'GET', ':path': '/echo' })
      const status = await new Promise((resolve) => {
        stream.on('response', (headers) => resolve(headers[':status']))
      })
      assert.equal(status, 415)
    } finally {
      session.destroy()
    }
  })

  test('HTTP/1 is not understood, and harms nobody', async () => {
    await using server = await openServer()
    await new Promise<void>((resolve) => {
      const url = `http://${server.address}/`
      const request = httpRequest(url, (response) => response.resume().on('end', () => resolve()))
      request.on('error', () => resolve())
      request.end()
    })
    const messages: string[] = []
    const stream = openGrpcStream({
      target: server.address,
      path: '/echo',
      clock: systemClock,
      events: {
        onMessage: (message) => messages.push(String(message)),
        onDrain() {},
        onClose() {},
      },
    })
    stream.send(new GrpcFrame(Buffer.from('hi')))
    await eventually(() => messages.length === 1)
    stream.end({ code: 1, message: '' })
  })

  test('our own fault is told as INTERNAL, without its details', async () => {
    await using server = await openServer({
      methods: {
        '/echo': () => ({
          onMessage() {
            throw new Error('the secret of the house')
          },
          onDrain() {},
          onClose() {},
        }),
      },
    })
    const status = await new Promise<GrpcStatus>((resolve) => {
      const stream = openGrpcStream({
        target: server.address,
        path: '/echo',
        clock: systemClock,
        events: { onMessage() {}, onDrain() {}, onClose: resolve },
      })
      stream.send(new GrpcFrame(Buffer.from('hi')))
    })
    assert.equal(status.code, 13)
    assert.doesNotMatch(status.message, /secret/)
  })
})
