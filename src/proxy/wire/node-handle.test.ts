/** Connections are taken as libuv hands them over, and those that are not taken become sockets as ever. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { test } from 'node:test'

import { FlushTurn } from './flush-turn.ts'
import { HandleWires } from './handle-wire.ts'
import { findHandleInternals, interceptConnections } from './node-handle.ts'
import { ReadBuffer } from './read-buffer.ts'

const internals = findHandleInternals()
const skip = typeof internals === 'string' ? internals : false

async function openServer() {
  if (typeof internals === 'string') throw new Error(internals)
  const turn = new FlushTurn((error) => assert.fail(String(error)))
  const wires = new HandleWires(internals, turn, new ReadBuffer())
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { server, wires, port }
}

async function say(port: number, text: string): Promise<{ heard: string; client: Socket }> {
  const client = connect(port, '127.0.0.1')
  client.write(text)
  const [heard] = (await once(client, 'data')) as [Buffer]
  client.end()
  await once(client, 'close')
  return { heard: heard.toString(), client }
}

test('a connection that is taken has no socket, and knows both of its ends', { skip }, async () => {
  const { server, wires, port } = await openServer()
  server.on('connection', () => assert.fail('a socket was made'))
  const ends: unknown[] = []
  interceptConnections(server, (handle) => {
    const wire = wires.accept(handle)
    if (wire === undefined) return false
    ends.push([wire.localAddress, wire.localPort, wire.remoteAddress])
    wire.listen({
      onData: (chunk) => void wire.write(`heard ${Buffer.from(chunk).toString()}`),
      onEnd: () => wire.end(),
      onDrain() {},
      onClose() {},
    })
    return true
  })
  assert.equal((await say(port, 'one')).heard, 'heard one')
  assert.equal((await say(port, 'two')).heard, 'heard two')
  assert.deepEqual(ends, [
    ['127.0.0.1', port, '127.0.0.1'],
    ['127.0.0.1', port, '127.0.0.1'],
  ])
  server.close()
  await once(server, 'close')
})

test('one that is not taken becomes a socket', { skip }, async () => {
  const { server, port } = await openServer()
  server.on('connection', (socket) =>
    socket.on('data', (chunk: Buffer) => socket.end(`got ${chunk.toString()}`)),
  )
  interceptConnections(server, () => false)
  assert.equal((await say(port, 'one')).heard, 'got one')
  server.close()
  await once(server, 'close')
})
