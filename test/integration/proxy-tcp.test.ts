/** Plain TCP through a real listener: bytes, ends, failures, and what is recorded. */
import assert from 'node:assert/strict'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { test } from 'node:test'

import type { TcpProxyConfig } from '../../src/proxy/listener/listener-config.ts'
import type { HostOutcome, OutlierDetector } from '../../src/proxy/resilience/outlier-detector.ts'
import type { TcpRecord } from '../../src/proxy/telemetry/request-record.ts'
import type { WireAddress } from '../../src/proxy/wire/wire.ts'
import { eventually } from '../support/eventually.ts'
import { FakeClock } from '../support/fake-clock.ts'
import {
  createTcpStats,
  exchangeBytes,
  listenerDefaults,
  startScene,
  type SceneOptions,
} from '../support/proxy-scene.ts'

async function startServer(onConnection: (socket: Socket) => void) {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    onConnection(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    address: {
      kind: 'ip',
      address: '127.0.0.1',
      port: (server.address() as AddressInfo).port,
    } as WireAddress,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function startTcp(
  addresses: readonly WireAddress[],
  config: Partial<TcpProxyConfig> = {},
  options: SceneOptions = {},
) {
  const scene = await startScene({ clusters: [{ name: 'a', addresses }], ...options })
  const opened: TcpRecord[] = []
  const ended: TcpRecord[] = []
  const listener = await scene.open({
    ...listenerDefaults,
    name: 'tcp',
    chains: [
      {
        name: 'all',
        network: {
          kind: 'tcp',
          proxy: {
            statPrefix: 'tcp',
            pickCluster: () => 'a',
            stats: createTcpStats(scene.registry, 'tcp'),
            observers: [
              {
                onOpen: (record) => opened.push({ ...record }),
                onEnd: (record) => ended.push({ ...record }),
              },
            ],
            idleTimeoutMs: 3_600_000,
            connectAttemptsMax: 1,
            maxDurationMs: 0,
            ...config,
          },
        },
      },
    ],
  })
  const port = listener.address.kind === 'ip' ? listener.address.port : 0
  return {
    scene,
    listener,
    port,
    opened,
    ended,
    [Symbol.asyncDispose]: () => scene[Symbol.asyncDispose](),
  }
}

test('bytes pass both ways, and each side ends on its own', async () => {
  await using server = await startServer((socket) => {
    let got = ''
    socket.on('data', (chunk) => (got += chunk.toString()))
    // The answer needs the whole question: it comes after the client's end.
    socket.on('end', () => socket.end(`got ${got}`))
  })
  await using run = await startTcp([server.address])
  const socket = connect({ port: run.port, host: '127.0.0.1', allowHalfOpen: true })
  let received = ''
  socket.on('data', (chunk) => (received += chunk.toString()))
  socket.end('question')
  await eventually(() => received === 'got question')
  const [record] = await eventually(() => (run.ended.length === 1 ? run.ended : undefined))
  assert.equal(record?.flags, '-')
  assert.deepEqual([record?.bytesReceived, record?.bytesSent], [8, 12])
  assert.equal(run.opened.length, 1)
  assert.equal(run.opened[0]?.host?.addressText, record?.host?.addressText)
  assert.equal(run.scene.clusters.get('a')?.breaker.active('connections'), 0)
})

test('a connection that goes on is counted as it goes, and observers hear of it every five seconds', async () => {
  await using server = await startServer((socket) => socket.pipe(socket))
  const clock = new FakeClock()
  const told: (readonly [number, number])[] = []
  const observer = {
    onOpen: () => {},
    onProgress: (record: TcpRecord) => told.push([record.newBytesReceived, record.newBytesSent]),
    onEnd: (record: TcpRecord) => told.push([record.newBytesReceived, record.newBytesSent]),
  }
  await using run = await startTcp([server.address], { observers: [observer] }, { clock })
  const value = (name: string) =>
    run.scene.registry
      .list()
      .find((stat) => stat.name === name)
      ?.value()
  const counts = () =>
    ['tcp.tcp.downstream_cx_', 'cluster.a.upstream_cx_'].flatMap((scope) => [
      value(`${scope}rx_bytes_total`),
      value(`${scope}tx_bytes_total`),
    ])
  const socket = connect(run.port, '127.0.0.1')
  let received = ''
  socket.on('data', (chunk) => (received += chunk.toString()))
  const say = async (text: string) => {
    received = ''
    socket.write(text)
    await eventually(() => received === text)
  }
  await say('four')
  assert.deepEqual(counts(), [4, 4, 4, 4])
  clock.advance(4_999)
  assert.deepEqual(told, [])
  clock.advance(1)
  assert.deepEqual(told, [[4, 4]])
  // Nothing moves: nothing is told.
  clock.advance(60_000)
  assert.equal(told.length, 1)
  await say('seven..')
  socket.end()
  await eventually(() => told.length === 2)
  assert.deepEqual(told[1], [7, 7])
  assert.deepEqual(counts(), [11, 11, 11, 11])
})

test('a server that speaks first is heard', async () => {
  await using server = await startServer((socket) => socket.end('220 welcome'))
  await using run = await startTcp([server.address])
  assert.equal(await exchangeBytes(run.port, ''), '220 welcome')
})

test('a host that does not take the connection is left for another one', async () => {
  const dead = await startServer(() => {})
  await dead[Symbol.asyncDispose]()
  await using server = await startServer((socket) => socket.end('here'))
  await using run = await startTcp([dead.address, server.address], { connectAttemptsMax: 2 })
  assert.equal(await exchangeBytes(run.port, ''), 'here')
})

test('a connection that stands is a good answer of its host, for nothing more is heard of it', async () => {
  await using server = await startServer((socket) => socket.end('here'))
  const outcomes: HostOutcome[] = []
  const outlierDetector: OutlierDetector = {
    report: (_host, outcome) => outcomes.push(outcome),
    update() {},
    configure() {},
    onCheckPassed() {},
    averages: () => ({
      external: { average: -1, threshold: -1 },
      local: { average: -1, threshold: -1 },
    }),
    state: () => undefined,
    close() {},
  }
  const cluster = { name: 'a', addresses: [server.address], settings: { outlierDetector } }
  await using run = await startTcp([], {}, { clusters: [cluster] })
  assert.equal(await exchangeBytes(run.port, ''), 'here')
  assert.deepEqual(outcomes, [{ kind: 'connected', isFinal: true }])
})

test('without a host that answers the connection ends, and the flags say why', async () => {
  const dead = await startServer(() => {})
  await dead[Symbol.asyncDispose]()
  await using run = await startTcp([dead.address])
  assert.equal(await exchangeBytes(run.port, 'x'), '')
  const [record] = await eventually(() => (run.ended.length === 1 ? run.ended : undefined))
  assert.equal(record?.flags, 'UF,URX')
  assert.equal(run.scene.clusters.get('a')?.breaker.active('connections'), 0)
  assert.equal(run.scene.clusters.get('a')?.stats.cxActive.value(), 0)
})

for (const [what, options, config, flags] of [
  ['no cluster', {}, { pickCluster: () => 'gone' }, 'NC'],
  ['no host', { clusters: [{ name: 'a', addresses: [] }] }, {}, 'UH'],
] as const) {
  test(`with ${what} the connection ends with ${flags}`, async () => {
    await using run = await startTcp([], config, options)
    assert.equal(await exchangeBytes(run.port, 'x'), '')
    await eventually(() => run.ended[0]?.flags === flags)
  })
}

test('a connection beyond the breaker ends with UO', async () => {
  await using server = await startServer(() => {})
  await using run = await startTcp(
    [server.address],
    {},
    {
      clusters: [{ name: 'a', addresses: [server.address], limits: { connectionsMax: 0 } }],
    },
  )
  assert.equal(await exchangeBytes(run.port, 'x'), '')
  await eventually(() => run.ended[0]?.flags === 'UO')
})

test('a connection on which nothing moves ends after its time', async () => {
  const clock = new FakeClock()
  await using server = await startServer(() => {})
  await using run = await startTcp([server.address], { idleTimeoutMs: 60_000 }, { clock })
  const asking = exchangeBytes(run.port, 'x')
  await eventually(() => run.opened.length === 1)
  clock.advance(30_000)
  assert.equal(run.ended.length, 0)
  clock.advance(60_000)
  await asking
  await eventually(() => run.ended[0]?.details === 'idle_timeout')
})

test('a connection that lasts too long is cut', async () => {
  const clock = new FakeClock()
  await using server = await startServer(() => {})
  await using run = await startTcp([server.address], { maxDurationMs: 1_000 }, { clock })
  const asking = exchangeBytes(run.port, 'x')
  await eventually(() => run.opened.length === 1)
  clock.advance(1_000)
  await asking
  await eventually(() => run.ended[0]?.flags === 'DT')
  const stats = run.scene.registry.list()
  const counter = stats.find(({ name }) => name === 'tcp.tcp.max_downstream_connection_duration')
  assert.equal(counter?.value(), 1)
})

test('an upstream that resets resets the client', async () => {
  await using server = await startServer((socket) =>
    socket.once('data', () => socket.resetAndDestroy()),
  )
  await using run = await startTcp([server.address])
  await exchangeBytes(run.port, 'x')
  await eventually(() => run.ended[0]?.flags === 'UR')
})

test('draining cuts TCP connections at the deadline only', async () => {
  const clock = new FakeClock()
  await using server = await startServer(() => {})
  await using run = await startTcp([server.address], {}, { clock })
  const asking = exchangeBytes(run.port, 'x')
  await eventually(() => run.opened.length === 1)
  const drained = run.listener.drain({ deadlineMs: 5_000, strategy: 'immediate' })
  clock.advance(4_999)
  assert.equal(run.listener.connectionsActive, 1)
  clock.advance(1)
  await drained
  await asking
  assert.equal(run.listener.connectionsActive, 0)
})
