/** Node's own WebSocket client and an echo server, through two sidecars, whatever is spoken between them. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { test } from 'node:test'

import { runEnvoy } from '../support/mtls-scene.ts'
import { findEnvoy, skipUnless } from '../support/programs.ts'
import { startSidecarHop } from '../support/sidecar-hop.ts'

/** RFC 6455 §4.2.2. */
const magic = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** Sends every message back as it came, a frame for each frame. */
function echoFrames(socket: Duplex): void {
  let bytes = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
    for (;;) {
      const length = frameLength(bytes)
      if (length === undefined || bytes.length < length.head + length.payload) return
      const payload = bytes.subarray(length.head, length.head + length.payload)
      const mask = bytes.subarray(length.head - 4, length.head)
      for (let index = 0; index < payload.length; index += 1) {
        payload[index] = (payload[index] ?? 0) ^ (mask[index % 4] ?? 0)
      }
      // The same head without its mask: a server does not mask (§5.1).
      const head = Buffer.from(bytes.subarray(0, length.head - 4))
      head[1] = (head[1] ?? 0) & 0x7f
      socket.write(Buffer.concat([head, payload]))
      // A server ends the connection of a conversation that is over (§7.1.1).
      if (((head[0] ?? 0) & 0x0f) === 8) socket.end()
      bytes = bytes.subarray(length.head + length.payload)
    }
  })
}

/** RFC 6455 §5.2, of a client's frame; undefined while its head is not there. */
function frameLength(bytes: Buffer): { head: number; payload: number } | undefined {
  if (bytes.length < 14) {
    // A short frame may be whole all the same.
    if (bytes.length < 6 || ((bytes[1] ?? 0) & 0x7f) > 125) return undefined
  }
  const short = (bytes[1] ?? 0) & 0x7f
  if (short === 126) return { head: 8, payload: bytes.readUInt16BE(2) }
  if (short === 127) return { head: 14, payload: Number(bytes.readBigUInt64BE(2)) }
  return { head: 6, payload: short }
}

async function startEcho() {
  const server = createServer()
  const sockets = new Set<Duplex>()
  server.on('upgrade', ({ headers }, socket: Duplex) => {
    sockets.add(socket)
    const key = String(headers['sec-websocket-key'])
    const accept = createHash('sha1')
      .update(key + magic)
      .digest('base64')
    socket.on('error', () => {
      // Cut at the end.
    })
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        `Sec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: echo\r\n\r\n`,
    )
    echoFrames(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const skip = skipUnless(findEnvoy(), 'a real Envoy')
/** Of `message` and of `close`. */
interface EventFields {
  readonly data: string | ArrayBuffer
  readonly code: number
  readonly reason: string
  readonly wasClean: boolean
}

const setups = [
  { name: 'HTTP/1.1', options: { between: 'http1' }, skip: false },
  { name: 'HTTP/2', options: { between: 'http2' }, skip: false },
  { name: 'HTTP/2 from a real Envoy', options: { between: 'http2', near: runEnvoy }, skip },
  { name: 'HTTP/2 to a real Envoy', options: { between: 'http2', far: runEnvoy }, skip },
] as const

for (const setup of setups) {
  test(
    `a WebSocket over ${setup.name}: messages of all sizes come back, and it ends as agreed`,
    { skip: setup.skip },
    async () => {
      await using echo = await startEcho()
      await using hop = await startSidecarHop({ appPort: echo.port, ...setup.options })
      const socket = new WebSocket(`ws://127.0.0.1:${hop.port}/chat`, ['other', 'echo'])
      socket.binaryType = 'arraybuffer'
      const event = async (name: 'open' | 'message' | 'close'): Promise<EventFields> => {
        const [found] = await once(socket, name, { signal: AbortSignal.timeout(10_000) })
        return found as EventFields
      }
      await event('open')
      assert.equal(socket.protocol, 'echo')
      for (const text of ['', 'hello', 'ü'.repeat(200), 'x'.repeat(100_000)]) {
        const answer = event('message')
        socket.send(text)
        assert.equal((await answer).data, text)
      }
      const bytes = Buffer.alloc(2_000_000, 'abcdefg')
      const answer = event('message')
      socket.send(bytes)
      assert.ok(Buffer.from((await answer).data as ArrayBuffer).equals(bytes))
      const closed = event('close')
      socket.close(4000, 'enough')
      const { code, reason, wasClean } = await closed
      assert.deepEqual({ code, reason, wasClean }, { code: 4000, reason: 'enough', wasClean: true })
    },
  )
}
