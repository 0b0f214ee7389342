/** Ports that are bound before there is a sidecar, and clients that do not wait for it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type Server, type Socket, connect, createServer } from 'node:net'
import { test } from 'node:test'

import { eventually } from '../../test/support/eventually.ts'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { silentLog } from '../lib/log.ts'
import { EarlyConnections } from './early-connections.ts'

interface Scene extends AsyncDisposable {
  readonly clock: FakeClock
  readonly early: EarlyConnections
  readonly server: Server
  open(first: string): Promise<{ readonly socket: Socket; text: string }>
}

async function createScene(heldMax?: number): Promise<Scene> {
  const clock = new FakeClock()
  const early = new EarlyConnections({ clock, log: silentLog, ...(heldMax && { heldMax }) })
  const server = createServer({ allowHalfOpen: true })
  early.hold(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  const sockets: Socket[] = []
  return {
    clock,
    early,
    server,
    async open(first) {
      const socket = connect(port, '127.0.0.1')
      sockets.push(socket)
      const client = { socket, text: '' }
      socket.on('data', (chunk: Buffer) => {
        client.text += chunk.toString()
      })
      socket.on('error', () => {})
      socket.write(first)
      await once(socket, 'connect')
      return client
    },
    async [Symbol.asyncDispose]() {
      early[Symbol.dispose]()
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const echo = (socket: Socket): void =>
  void socket.on('data', (chunk: Buffer) => socket.end(`echo ${chunk.toString()}`))

test('who connects before there is a listener is served by it, with what was sent', async () => {
  await using scene = await createScene()
  const early = await scene.open('one')
  await eventually(() => scene.early.held === 1)
  scene.server.on('connection', echo)
  await eventually(() => early.text === 'echo one')
  assert.equal(scene.early.held, 0)
  assert.equal(scene.clock.pendingTimers, 0)
  const late = await scene.open('two')
  await eventually(() => late.text === 'echo two')
})

test('one that gives up is forgotten', async () => {
  await using scene = await createScene()
  const early = await scene.open('')
  await eventually(() => scene.early.held === 1)
  early.socket.resetAndDestroy()
  scene.server.on('connection', (socket) => socket.end())
  await eventually(() => scene.early.held === 0)
})

test('more than may wait are closed, and so is who has waited for a minute', async () => {
  await using scene = await createScene(1)
  const first = await scene.open('')
  await eventually(() => scene.early.held === 1)
  const second = await scene.open('')
  await once(second.socket, 'close')
  assert.equal(first.socket.destroyed, false)
  scene.clock.advance(60_000)
  await once(first.socket, 'close')
  assert.equal(scene.early.held, 0)
})
