/** What TLS gives to a wire that is paused: the rest of what it had read already. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { test } from 'node:test'

import { eventually } from '../../../test/support/eventually.ts'
import { FlushTurn } from './flush-turn.ts'
import { NetWire } from './net-wire.ts'

async function scene() {
  const server = createServer((socket) => socket.end())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // Another server of Node would have a path.
  const { port } = server.address() as AddressInfo
  const socket = connect(port, '127.0.0.1')
  const wire = new NetWire(socket, new FlushTurn((error) => assert.fail(String(error))))
  const told: string[] = []
  const pauseAfter = new Set<string>()
  wire.listen({
    onData(chunk) {
      const text = Buffer.from(chunk).toString()
      told.push(text)
      if (pauseAfter.has(text)) wire.pause()
    },
    onEnd: () => told.push('end'),
    onDrain() {},
    onClose: () => told.push('close'),
  })
  return {
    wire,
    told,
    pauseAfter,
    async [Symbol.asyncDispose]() {
      socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

test('what arrives on a paused wire is kept, in order, though the reader uses its buffer again', async () => {
  await using here = await scene()
  const { wire, told } = here
  wire.pause()
  const buffer = Buffer.from('one')
  wire.receive(buffer)
  buffer.write('two')
  wire.receive(buffer)
  assert.deepEqual(told, [])
  wire.resume()
  assert.deepEqual(told.slice(0, 2), ['one', 'two'])
  wire.receive(Buffer.from('three'))
  assert.deepEqual(told.slice(0, 3), ['one', 'two', 'three'])
})

test('who pauses again while it is told of what was kept gets the rest later, and then the end', async () => {
  await using here = await scene()
  const { wire, told, pauseAfter } = here
  pauseAfter.add('one')
  wire.pause()
  for (const text of ['one', 'two']) wire.receive(Buffer.from(text))
  wire.resume()
  assert.deepEqual(told, ['one'])
  wire.receive(Buffer.from('three'))
  wire.resume()
  await eventually(() => told.includes('end'))
  assert.deepEqual(told.slice(0, 4), ['one', 'two', 'three', 'end'])
})
