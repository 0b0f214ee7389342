/**
 * A peer that does not read, or does not write, costs at most its own limit: whatever mix of them there is, what the
 * process buffers stays below the number of them times what one may hold, and everybody else is served at once.
 */
import assert from 'node:assert/strict'
import { type Server, type Socket, connect, createServer } from 'node:net'
import { after, before, test } from 'node:test'

import { array, assert as assertProperty, asyncProperty, constantFrom } from 'fast-check'

import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { systemRandom } from '../../src/lib/random.ts'
import { type Sidecar, openSidecar } from '../../src/proxy/sidecar.ts'
import type { WireKind } from '../../src/proxy/wire/choose-wire.ts'
import { eventually } from '../support/eventually.ts'

const types = 'type.googleapis.com/envoy.extensions'
/** Of a wire: its watermark, the chunk that took it above, and one more that was on its way. */
const wireBytesMax = 64 * 1024 + 2 * 64 * 1024
/** Of a request that may be tried again: `per_connection_buffer_limit_bytes`. */
const requestBytesMax = 128 * 1024
/** Of a client that is read on while its request is paused, and the chunk that takes it above. */
const readAheadBytesMax = 64 * 1024 + 64 * 1024

const kinds = {
  'reads no response': { wires: 1, requests: 0, held: 0 },
  'sends to an upstream that reads nothing': { wires: 1, requests: 1, held: 1 },
  'reads nothing from a tunnel': { wires: 1, requests: 0, held: 0 },
  'sends half a request': { wires: 0, requests: 0, held: 0 },
} as const
type Kind = keyof typeof kinds

function bootstrap(floodPort: number, deafPort: number): string {
  const cluster = (name: string, port: number): string => `
  - name: ${name}
    connect_timeout: 1s
    per_connection_buffer_limit_bytes: 65536
    load_assignment: {cluster_name: ${name}, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: ${port}}}}}]}]}`
  return `
static_resources:
  listeners:
  - name: web
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    per_connection_buffer_limit_bytes: ${requestBytesMax}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": ${types}.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          route_config:
            name: r
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - {match: {prefix: /flood}, route: {cluster: flood, timeout: 0s}}
              - {match: {prefix: /deaf}, route: {cluster: deaf, timeout: 0s, retry_policy: {retry_on: 5xx}}}
              - {match: {prefix: /}, direct_response: {status: 200, body: {inline_string: served}}}
          http_filters: [{name: router, typed_config: {"@type": ${types}.filters.http.router.v3.Router}}]
  - name: tunnel
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - {name: tcp, typed_config: {"@type": ${types}.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: tunnel, cluster: flood}}
  clusters:${cluster('flood', floodPort)}${cluster('deaf', deafPort)}
`
}

for (const wire of ['handles', 'net'] as const satisfies readonly WireKind[]) {
  let flood: Server
  let deaf: Server
  let sidecar: Sidecar
  const upstreamSockets = new Set<Socket>()

  before(async () => {
    flood = await listen(upstreamSockets, pourOut)
    deaf = await listen(upstreamSockets, (socket) => socket.pause())
    const text = bootstrap(portOf(flood), portOf(deaf))
    const scope = { clock: systemClock, random: systemRandom, log: silentLog }
    sidecar = await openSidecar({ bootstrap: { text, file: 'b.yaml' }, wire, ...scope })
  })
  after(async () => {
    await sidecar.close()
    for (const socket of upstreamSockets) socket.destroy()
    flood.close()
    deaf.close()
  })

  const buffered = (): number =>
    sidecar.stats
      .list()
      .find(({ name }) => name === 'server.buffered_bytes')
      ?.value() ?? 0

  test(`${wire}: slow readers and slow writers cost their own limit, and nobody else waits`, async () => {
    const { listeners } = await sidecar.status()
    const port = (name: string): number => {
      const address = listeners.find((listener) => listener.name === name)?.address
      return address?.kind === 'ip' ? address.port : 0
    }
    let most = 0
    const names = Object.keys(kinds) as Kind[] // of the object above
    const mix = array(constantFrom(...names), { minLength: 1, maxLength: 12 })
    await assertProperty(
      asyncProperty(mix, async (peers) => {
        const bytesMax = peers.reduce((sum, kind) => {
          const { wires, requests, held } = kinds[kind]
          return sum + wires * wireBytesMax + requests * requestBytesMax + held * readAheadBytesMax
        }, 0)
        const sockets = peers.map((kind) => open(kind, port))
        try {
          await settled(buffered)
          most = Math.max(most, buffered())
          assert.ok(buffered() <= bytesMax, `${buffered()} bytes, at most ${bytesMax} are theirs`)
          const startMs = performance.now()
          assert.match(await askAside(port('web')), /served$/)
          assert.ok(performance.now() - startMs < 5_000)
        } finally {
          for (const socket of sockets) socket.destroy()
          // That a client has left is not seen behind more than is read on; its upstream says so.
          for (const socket of upstreamSockets) socket.destroy()
        }
        await eventually(() => buffered() === 0)
      }),
      { numRuns: 12, endOnFailure: true },
    )
    assert.ok(most > 64 * 1024, 'somebody was stuck in truth')
  })
}

function open(kind: Kind, port: (name: string) => number): Socket {
  const socket = connect(
    port(kind === 'reads nothing from a tunnel' ? 'tunnel' : 'web'),
    '127.0.0.1',
  )
  socket.on('error', () => {})
  socket.pause()
  if (kind === 'reads no response') socket.write('GET /flood HTTP/1.1\r\nhost: a\r\n\r\n')
  if (kind === 'sends half a request') socket.write('POST /deaf HTTP/1.1\r\nhost: a\r\ncontent-le')
  if (kind === 'sends to an upstream that reads nothing') {
    socket.write('POST /deaf HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000000\r\n\r\n')
    pour(socket)
  }
  return socket
}

/** An HTTP response without an end; bytes without an end to a tunnel, which asks nothing. */
function pourOut(socket: Socket): void {
  socket.once('data', () => {})
  socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n')
  pour(socket)
}

const block = Buffer.alloc(64 * 1024, 'x')

/** As fast as it is read. */
function pour(socket: Socket): void {
  const more = (): void => {
    while (!socket.destroyed && socket.write(block)) {
      // The kernel takes a few megabytes, and then no more.
    }
  }
  socket.on('drain', more)
  more()
}

/** Resolves when the number has stayed the same for a while: everybody is stuck. */
async function settled(read: () => number): Promise<void> {
  let last = -1
  let same = 0
  await eventually(
    () => {
      const now = read()
      same = now === last ? same + 1 : 0
      last = now
      return same >= 5
    },
    { intervalMs: 20, deadlineMs: 10_000 },
  )
}

function askAside(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    socket.on('error', reject)
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
    })
    socket.on('end', () => resolve(text))
    socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n')
  })
}

async function listen(sockets: Set<Socket>, onSocket: (socket: Socket) => void): Promise<Server> {
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    onSocket(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}

function portOf(server: Server): number {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}
