/** A ceiling of connections: the next one is sent away, at once or after a while, until one that came in has ended. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type Socket, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { bootstrapText, cluster, listener, typed } from '../conformance/parity/bootstrap-parts.ts'
import { openTulle } from '../conformance/parity/open-proxy.ts'
import { openBackend } from '../conformance/parity/tcp-backend.ts'
import { eventually } from '../support/eventually.ts'

interface Client {
  readonly socket: Socket
  text: string
  isEnded: boolean
}

function open(port: number): Client {
  const socket = connect(port, '127.0.0.1')
  const client: Client = { socket, text: '', isEnded: false }
  socket.on('data', (chunk: Buffer) => {
    client.text += chunk.toString('latin1')
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    client.isEnded = true
  })
  socket.write('hello')
  return client
}

for (const { name, delay, leastMs } of [
  { name: 'at once', delay: '0s', leastMs: 0 },
  { name: 'after a while', delay: '0.2s', leastMs: 150 },
]) {
  test(`a connection too many is sent away ${name}`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tulle-gate-'))
    await using backend = await openBackend('a', 'echo')
    const file = join(folder, 'bootstrap.json')
    const limit = typed('limit', 'filters.network.connection_limit.v3.ConnectionLimit', {
      stat_prefix: 'few',
      max_connections: 2,
      delay,
    })
    const proxy = typed('tcp', 'filters.network.tcp_proxy.v3.TcpProxy', {
      stat_prefix: 'tcp',
      cluster: 'a',
    })
    writeFileSync(
      file,
      bootstrapText({
        listeners: [listener('main', [limit, proxy])],
        clusters: [cluster('a', [backend.port])],
      }),
    )
    await using sidecar = await openTulle(file)
    rmSync(folder, { recursive: true })
    const port = sidecar.ports.get('main') ?? 0
    const kept = [open(port), open(port)]
    await eventually(() => kept.every(({ text }) => text.includes('hello')))
    const startMs = performance.now()
    const third = open(port)
    await eventually(() => third.isEnded)
    assert.ok(performance.now() - startMs >= leastMs)
    assert.equal(third.text, '')
    const stats = await sidecar.admin('/stats?filter=connection_limit')
    assert.match(stats, /^connection_limit\.few\.limited_connections: 1$/m)
    assert.match(stats, /^connection_limit\.few\.active_connections: 2$/m)
    kept[0]?.socket.destroy()
    await eventually(async () => {
      const text = await sidecar.admin('/stats?filter=connection_limit')
      return text.includes('active_connections: 1')
    })
    const fourth = open(port)
    await eventually(() => fourth.text.includes('hello'))
    for (const { socket } of [...kept, fourth]) socket.destroy()
  })
}
