/** How a listener comes to its address, and when it lets go of it. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { eventually } from '../../../test/support/eventually.ts'
import { exchangeBytes, startScene } from '../../../test/support/proxy-scene.ts'
import { MeshError } from '../../lib/mesh-error.ts'
import { openListener } from './listener.ts'

const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
/** A reason why there is none, or false. */
const noIpv6 = addresses.some(({ address }) => address === '::1') ? false : 'there is no IPv6 here'

const request = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'

test('a server that was bound before is adopted with what waits on it', async () => {
  await using scene = await startScene()
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await using listener = await openListener({
    config: { ...scene.listener.config, name: 'adopted' },
    runtime: scene.runtime,
    adopt: server,
  })
  assert.deepEqual(listener.address, { kind: 'ip', address: '127.0.0.1', port })
  assert.match(await exchangeBytes(port, request), /^HTTP\/1\.1 404 /)
})

test('an address that is taken is named in the error', async () => {
  await using scene = await startScene()
  const config = { ...scene.listener.config, address: scene.listener.address }
  await assert.rejects(openListener({ config, runtime: scene.runtime }), (error) => {
    assert.ok(error instanceof MeshError)
    assert.equal(error.code, 'MESH_LISTEN_FAILED')
    assert.match(error.message, new RegExp(`127.0.0.1:${scene.port}`))
    return true
  })
})

test('a listener on a Unix socket answers', async () => {
  await using scene = await startScene()
  const folder = await mkdtemp(join(tmpdir(), 'listener-'))
  const path = join(folder, 's')
  const listener = await scene.open({ ...scene.listener.config, address: { kind: 'unix', path } })
  assert.deepEqual(listener.address, { kind: 'unix', path })
  const socket = connect(path)
  let received = ''
  socket.on('data', (chunk) => (received += chunk.toString()))
  socket.write(request)
  await eventually(() => received.startsWith('HTTP/1.1 404'))
  await listener.close()
  await rm(folder, { recursive: true })
})

test('a listener on every address of IPv6 takes none of IPv4', { skip: noIpv6 }, async () => {
  await using scene = await startScene()
  const address = { kind: 'ip', address: '::', port: 0 } as const
  await using listener = await scene.open({ ...scene.listener.config, address })
  const { port } = listener.address as { readonly port: number }
  const refusal = (host: string) =>
    new Promise<string>((resolve) => {
      const socket = connect(port, host)
      socket.once('connect', () => resolve('none'))
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''))
      socket.once('close', () => socket.destroy())
      socket.end()
    })
  assert.equal(await refusal('::1'), 'none')
  assert.equal(await refusal('127.0.0.1'), 'ECONNREFUSED')
})

test('a listener that does not bind holds no port', async () => {
  await using scene = await startScene()
  const config = { ...scene.listener.config, bindToPort: false }
  const listener = await scene.open(config)
  assert.deepEqual(listener.address, config.address)
  await listener.close()
})

test('while overload says stop, connections wait unread; then they are served', async () => {
  await using scene = await startScene()
  scene.runtime.overload.set('stop_accepting_connections', 1)
  const asking = exchangeBytes(scene.port, request)
  await eventually(() => scene.listener.connectionsWaiting === 1)
  assert.equal(scene.listener.connectionsActive, 0)
  scene.runtime.overload.set('stop_accepting_connections', 0)
  assert.match(await asking, /^HTTP\/1\.1 404 /)
})

test('while overload says so, responses close their connection and connections are refused', async () => {
  await using scene = await startScene()
  scene.runtime.overload.set('disable_http_keepalive', 1)
  const received = await exchangeBytes(scene.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.match(received, /\r\nconnection: close\r\n/)
  scene.runtime.overload.set('reject_incoming_connections', 1)
  assert.equal(await exchangeBytes(scene.port, request), '')
  assert.equal(scene.listener.overflowTotal, 1)
})

test('the process-wide ceiling counts over all listeners', async () => {
  await using scene = await startScene({ runtime: { connectionsMax: 1 } })
  const second = await scene.open({ ...scene.listener.config, name: 'second' })
  const port = second.address.kind === 'ip' ? second.address.port : 0
  const held = connect(scene.port, '127.0.0.1')
  held.on('error', () => {})
  await eventually(() => scene.listener.connectionsActive === 1)
  assert.equal(await exchangeBytes(port, request), '')
  held.destroy()
  await eventually(() => scene.runtime.overload.connectionsActive === 0)
  assert.match(await exchangeBytes(port, request), /^HTTP\/1\.1 404 /)
})

test('a gradual drain closes a growing share of connections', async () => {
  await using scene = await startScene({ random: () => 0.5 })
  const clock = scene.runtime.clock
  const startMs = clock.monotonicMs()
  const drained = scene.listener.drain({
    deadlineMs: 200,
    strategy: 'gradual',
    keepAccepting: true,
  })
  const first = await exchangeBytes(scene.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', (seen) =>
    seen.includes('\r\n\r\n'),
  )
  if (clock.monotonicMs() - startMs < 100) assert.doesNotMatch(first, /connection: close/)
  await eventually(() => clock.monotonicMs() - startMs > 110, { intervalMs: 5 })
  const later = await exchangeBytes(scene.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', (seen) =>
    seen.includes('\r\n\r\n'),
  )
  assert.match(later, /connection: close/)
  await drained
})
