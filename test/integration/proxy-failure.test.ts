/** Each failure that a request can meet, provoked once: what the client gets, and what the record says. */
import assert from 'node:assert/strict'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { test } from 'node:test'

import type { StreamSource } from '../../src/proxy/exchange-attempt.ts'
import { failureReplies, type Failure } from '../../src/proxy/failure.ts'
import type { FilterContext, HttpFilter } from '../../src/proxy/filter/http-filter.ts'
import type { UpstreamPools } from '../../src/proxy/upstream/pool.ts'
import type { WireAddress } from '../../src/proxy/wire/wire.ts'
import { eventually } from '../support/eventually.ts'
import { FakeClock } from '../support/fake-clock.ts'
import {
  exchangeBytes,
  connectTo,
  forwardTo,
  retryOnce,
  retryPolicy,
  startScene,
  type Scene,
  type SceneOptions,
} from '../support/proxy-scene.ts'

const closing = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'

/** A server whose connections a test answers by hand. */
async function startRaw(onData: (socket: Socket, chunk: string) => void) {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', (chunk) => onData(socket, chunk.toString('latin1')))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    address: { kind: 'ip', address: '127.0.0.1', port } as WireAddress,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** A port where nobody listens. */
async function deadAddress(): Promise<WireAddress> {
  const raw = await startRaw(() => {})
  await raw[Symbol.asyncDispose]()
  return raw.address
}

interface Expected {
  readonly failure: Failure
  /** Where it is not the table's. */
  readonly status?: number
  readonly flags?: string
}

function assertFailure(scene: Scene, received: string, expected: Expected): void {
  const reply = failureReplies[expected.failure]
  const status = expected.status ?? reply.status
  assert.match(received, new RegExp(`^HTTP/1\\.1 ${status} `))
  const record = scene.records[0]
  assert.equal(record?.failure, expected.failure)
  assert.equal(record.status, status)
  assert.equal(record.flags, expected.flags ?? reply.flag)
  if (reply.connection === 'close') assert.match(received, /\r\nconnection: close\r\n/)
}

const refusedBytes: Readonly<Partial<Record<Failure, string>>> = {
  'bad-request': 'GET / HTTP/1.1\nHost: a\r\n\r\n',
  'headers-too-large': `GET / HTTP/1.1\r\nHost: a\r\nX: ${'v'.repeat(61_500)}\r\n\r\n`,
  'too-many-headers': `GET / HTTP/1.1\r\nHost: a\r\n${'X: v\r\n'.repeat(101)}\r\n`,
  'unsupported-transfer-encoding': 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n',
  'unsupported-version': 'GET / HTTP/1.0\r\nHost: a\r\n\r\n',
}

for (const [failure, bytes] of Object.entries(refusedBytes)) {
  test(`${failure}: the bytes are refused, counted by reason, and the connection ends`, async () => {
    await using scene = await startScene()
    const received = await exchangeBytes(scene.port, bytes)
    assertFailure(scene, received, { failure: failure as Failure })
    const rejected = scene.registry
      .list()
      .filter(({ name }) => name.includes('downstream_rq_rejected'))
    assert.equal(rejected.length, 1)
    assert.equal(rejected[0]?.value(), 1)
  })
}

test('bad-request: a body that becomes invalid half-way ends the attempt', async () => {
  await using raw = await startRaw(() => {})
  await using scene = await startScene(to(raw.address))
  const received = await exchangeBytes(scene.port, [
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n',
    'zz\r\n',
  ])
  assertFailure(scene, received, { failure: 'bad-request' })
  assert.equal(scene.clusters.get('a')?.breaker.active('requests'), 0)
})

test('request-timeout: a head that does not end in time', async () => {
  const clock = new FakeClock()
  await using scene = await startScene({ clock, manager: { requestHeadersTimeoutMs: 1_000 } })
  const asking = exchangeBytes(scene.port, 'GET / HTTP/1.1\r\nHo')
  await eventually(() => scene.listener.connectionsActive === 1)
  // The timer starts with the first byte, so the clock moves until that has come.
  await eventually(() => {
    clock.advance(1_000)
    return scene.records.length === 1
  })
  assertFailure(scene, await asking, { failure: 'request-timeout' })
})

for (const [failure, manager] of [
  ['stream-idle-timeout', { streamIdleTimeoutMs: 1_000 }],
  ['max-duration', { maxStreamDurationMs: 1_000 }],
] as const) {
  test(`${failure}: a head is a part of its stream`, async () => {
    const clock = new FakeClock()
    await using scene = await startScene({ clock, manager })
    const asking = exchangeBytes(scene.port, 'GET / HTTP/1.1\r\nHo')
    await eventually(() => scene.listener.connectionsActive === 1)
    await eventually(() => {
      clock.advance(1_000)
      return scene.records.length === 1
    })
    assertFailure(scene, await asking, { failure })
  })
}

test('request-timeout: a request that does not end in time', async () => {
  await using raw = await startRaw(() => {})
  await using scene = await startScene({ ...to(raw.address), manager: { requestTimeoutMs: 50 } })
  const received = await exchangeBytes(
    scene.port,
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe',
  )
  assertFailure(scene, received, { failure: 'request-timeout' })
})

test('no-route: no route matches', async () => {
  await using scene = await startScene()
  assertFailure(scene, await exchangeBytes(scene.port, closing), { failure: 'no-route' })
})

test('no-cluster: the route names a cluster that is not there', async () => {
  await using scene = await startScene({ routes: [forwardTo('gone')] })
  assertFailure(scene, await exchangeBytes(scene.port, closing), { failure: 'no-cluster' })
  // As in Envoy: what does not exist is no upstream.
  assert.equal(scene.records[0]?.clusterName, '')
})

test('no-healthy-upstream: the cluster has no host', async () => {
  await using scene = await startScene(to())
  const received = await exchangeBytes(scene.port, closing)
  assertFailure(scene, received, { failure: 'no-healthy-upstream' })
  assert.match(received, /no healthy upstream$/)
})

test('dns-failure: the name does not resolve', async () => {
  await using scene = await startScene({
    clusters: [
      {
        name: 'a',
        addresses: [],
        settings: { resolveHost: (_authority, done) => done(undefined) },
      },
    ],
    routes: [forwardTo('a')],
  })
  assertFailure(scene, await exchangeBytes(scene.port, closing), { failure: 'dns-failure' })
})

test('connect-failure: nobody listens', async () => {
  await using scene = await startScene(to(await deadAddress()))
  const received = await exchangeBytes(scene.port, closing)
  assertFailure(scene, received, { failure: 'connect-failure' })
  const reason = 'delayed connect error: Connection refused'
  assert.equal(scene.records[0]?.transportFailure, reason)
  assert.ok(
    scene.records[0]?.details.endsWith(
      `{remote_connection_failure|${reason.replaceAll(' ', '_')}}`,
    ),
  )
  const cluster = scene.clusters.get('a')
  assert.equal(cluster?.stats.cxConnectFail.value(), 1)
  assert.equal(cluster?.breaker.active('connections'), 0)
  assert.equal(cluster?.breaker.active('pending'), 0)
})

test('connect-failure after retries says so in the flags', async () => {
  const routes = [forwardTo('a', retryOnce)]
  await using scene = await startScene({ ...to(await deadAddress()), routes })
  const received = await exchangeBytes(scene.port, closing)
  assertFailure(scene, received, { failure: 'connect-failure', flags: 'URX,UF' })
  assert.match(received, /retried and the latest reset reason: remote connection failure$/)
  assert.equal(scene.records[0]?.attempts, 2)
})

test('connect-timeout: the connection does not stand in time', async () => {
  // TEST-NET-1 answers nothing; where the network refuses it at once there is nothing to time out.
  const clock = new FakeClock()
  await using scene = await startScene({
    ...to({ kind: 'ip', address: '192.0.2.1', port: 9 }),
    clock,
  })
  const asking = exchangeBytes(scene.port, closing)
  await eventually(() => scene.clusters.get('a')?.stats.cxTotal.value() === 1)
  clock.advance(5_000)
  const received = await asking
  const isRefused = scene.records[0]?.failure === 'connect-failure'
  assertFailure(scene, received, { failure: isRefused ? 'connect-failure' : 'connect-timeout' })
})

test('upstream-termination: the upstream ends the connection without an answer', async () => {
  await using raw = await startRaw((socket) => socket.end())
  await using scene = await startScene(to(raw.address))
  assertFailure(scene, await exchangeBytes(scene.port, closing), {
    failure: 'upstream-termination',
  })
})

test('upstream-protocol-error: the answer is no HTTP', async () => {
  await using raw = await startRaw((socket) => socket.write('hello\r\n\r\n'))
  await using scene = await startScene(to(raw.address))
  assertFailure(scene, await exchangeBytes(scene.port, closing), {
    failure: 'upstream-protocol-error',
  })
})

test('upstream-headers-too-large: the answer’s head is beyond the limit', async () => {
  await using raw = await startRaw((socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nX: ${'v'.repeat(90_000)}\r\n\r\n`)
  })
  await using scene = await startScene(to(raw.address))
  const received = await exchangeBytes(scene.port, closing)
  assertFailure(scene, received, { failure: 'upstream-headers-too-large' })
})

test('upstream-timeout: no answer within the route’s time', async () => {
  await using raw = await startRaw(() => {})
  const routes = [forwardTo('a', 'timeout: 0.03s')]
  await using scene = await startScene({ ...to(raw.address), routes })
  const received = await exchangeBytes(scene.port, closing)
  assertFailure(scene, received, { failure: 'upstream-timeout' })
  assert.equal(scene.clusters.get('a')?.stats.rqTimeout.value(), 1)
})

test('upstream-timeout: a websocket’s handshake is answered in time', async () => {
  await using raw = await startRaw(() => {})
  const settings = 'timeout: 0.03s, upgrade_configs: [{ upgrade_type: websocket }]'
  await using scene = await startScene({
    ...to(raw.address),
    routes: [forwardTo('a', settings)],
  })
  const received = await exchangeBytes(
    scene.port,
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
  )
  assertFailure(scene, received, { failure: 'upstream-timeout' })
})

test('upstream-timeout: while a retry waits the cluster counts nothing', async () => {
  const busy = 'HTTP/1.1 503 Busy\r\nretry-after: 9\r\ncontent-length: 0\r\n\r\n'
  await using raw = await startRaw((socket) => socket.write(busy))
  const limited =
    'rate_limited_retry_back_off: { max_interval: 10s, reset_headers: [{ name: retry-after }] }'
  const routes = [forwardTo('a', `timeout: 0.05s, ${retryPolicy(`num_retries: 1, ${limited}`)}`)]
  await using scene = await startScene({ ...to(raw.address), routes })
  const received = await exchangeBytes(scene.port, closing)
  assertFailure(scene, received, { failure: 'upstream-timeout' })
  const stats = scene.clusters.get('a')?.stats
  assert.equal(stats?.rqTimeout.value(), 0)
  assert.equal(stats?.rqRetry.value(), 0)
  assert.equal(stats?.answers.count(504), 0)
})

test('per-try-timeout: an internal client may limit a try that is not made again', async () => {
  await using raw = await startRaw(() => {})
  await using scene = await startScene({
    ...to(raw.address),
    manager: { useRemoteAddress: true, isInternalAddress: () => true },
  })
  const limit = 'x-envoy-upstream-rq-per-try-timeout-ms: 30'
  const received = await exchangeBytes(scene.port, closing.replace('\r\n', `\r\n${limit}\r\n`))
  assertFailure(scene, received, { failure: 'per-try-timeout' })
})

test('per-try-timeout: no answer within the time of an attempt', async () => {
  await using raw = await startRaw(() => {})
  const routes = [forwardTo('a', retryPolicy('num_retries: 0, per_try_timeout: 0.03s'))]
  await using scene = await startScene({ ...to(raw.address), routes })
  const received = await exchangeBytes(scene.port, closing)
  assertFailure(scene, received, { failure: 'per-try-timeout', flags: 'URX,UT' })
})

test('upstream-max-duration: an attempt lasts longer than its cluster allows', async () => {
  await using raw = await startRaw(() => {})
  const limited = { name: 'a', addresses: [raw.address], settings: { maxStreamDurationMs: 30 } }
  await using scene = await startScene({ ...to(raw.address), clusters: [limited] })
  const received = await exchangeBytes(scene.port, closing)
  assertFailure(scene, received, { failure: 'upstream-max-duration' })
  assert.equal(scene.clusters.get('a')?.stats.rqMaxDuration.value(), 1)
})

test('upstream-max-duration: 408 while the request is incomplete', async () => {
  await using raw = await startRaw(() => {})
  const limited = { name: 'a', addresses: [raw.address], settings: { maxStreamDurationMs: 30 } }
  await using scene = await startScene({ ...to(raw.address), clusters: [limited] })
  const received = await exchangeBytes(
    scene.port,
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe',
  )
  assertFailure(scene, received, { failure: 'upstream-max-duration', status: 408 })
})

test('stream-idle-timeout: nothing moves; 408 while the request is incomplete', async () => {
  await using raw = await startRaw(() => {})
  await using scene = await startScene({ ...to(raw.address), manager: { streamIdleTimeoutMs: 30 } })
  const received = await exchangeBytes(
    scene.port,
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe',
  )
  assertFailure(scene, received, { failure: 'stream-idle-timeout' })
})

test('stream-idle-timeout: 504 once the request is complete', async () => {
  await using raw = await startRaw(() => {})
  await using scene = await startScene({ ...to(raw.address), manager: { streamIdleTimeoutMs: 30 } })
  const received = await exchangeBytes(scene.port, closing)
  assertFailure(scene, received, { failure: 'stream-idle-timeout', status: 504 })
})

test('max-duration: the stream lasts too long', async () => {
  await using raw = await startRaw(() => {})
  const routes = [forwardTo('a', 'max_stream_duration: { max_stream_duration: 0.03s }')]
  await using scene = await startScene({ ...to(raw.address), routes })
  const received = await exchangeBytes(scene.port, closing)
  assertFailure(scene, received, { failure: 'max-duration', status: 504 })
})

test('overflow: too many requests at once', async () => {
  await using raw = await startRaw(() => {})
  await using scene = await startScene(to(raw.address, { requestsMax: 0 }))
  const received = await exchangeBytes(scene.port, closing)
  assertFailure(scene, received, { failure: 'overflow' })
  assert.match(received, /\r\nx-envoy-overloaded: true\r\n/)
})

test('overflow: one connection and one pending request, as Istio’s own task sets them', async () => {
  await using raw = await startRaw(() => {})
  await using scene = await startScene(to(raw.address, { connectionsMax: 1, pendingMax: 1 }))
  const first = exchangeBytes(scene.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await eventually(() => raw.sockets.size === 1)
  const second = exchangeBytes(scene.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await eventually(() => scene.clusters.get('a')?.breaker.active('pending') === 1)
  const received = await exchangeBytes(scene.port, closing)
  assertFailure(scene, received, { failure: 'overflow' })
  assert.equal(scene.clusters.get('a')?.stats.rqPendingOverflow.value(), 1)
  await scene.listener.close()
  await Promise.all([first, second])
})

test('overloaded: requests are refused while the process has no room', async () => {
  await using scene = await startScene()
  scene.runtime.overload.set('stop_accepting_requests', 1)
  assertFailure(scene, await exchangeBytes(scene.port, closing), { failure: 'overloaded' })
})

test('overloaded: the requests that wait hold more than the process may', async () => {
  const waiting: FilterContext[] = []
  const filter: HttpFilter = {
    name: 'wait',
    onRequest(context) {
      if (context.request.method !== 'POST') return 'continue'
      waiting.push(context)
      return 'suspend'
    },
  }
  await using scene = await startScene({ filters: [filter] })
  const { overload } = scene.runtime
  overload.bufferedBytesMax = 9
  const first = exchangeBytes(
    scene.port,
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789',
    (seen) => seen.includes('\r\n\r\n'),
  )
  await eventually(() => overload.bufferedBytes === 10)
  assertFailure(scene, await exchangeBytes(scene.port, closing), { failure: 'overloaded' })
  waiting[0]?.resume({ failure: 'denied' })
  assert.match(await first, /^HTTP\/1\.1 403 /)
  assert.equal(overload.bufferedBytes, 0)
  assert.match(await exchangeBytes(scene.port, closing), /^HTTP\/1\.1 404 /)
})

test('upstream-reset: the upstream resets the stream', async () => {
  const source: StreamSource = {
    request(_cluster, _host, waiter) {
      waiter.onUpstreamReset({ failure: 'upstream-reset', message: 'reset', requestSent: true })
    },
    cancel() {},
  }
  await using scene = await startScene({
    ...to(await deadAddress()),
    // HTTP/1.1 cannot reset a stream, so the pools are exchanged for what a reset of HTTP/2 will say.
    replace: (runtime) => ({ ...runtime, pools: source as UpstreamPools }),
  })
  const received = await exchangeBytes(scene.port, closing)
  assertFailure(scene, received, { failure: 'upstream-reset' })
  assert.match(received, /reset reason: remote reset$/)
})

const ofFilters = ['denied', 'rate-limited', 'fault-abort', 'payload-too-large'] as const
for (const failure of ofFilters) {
  test(`${failure}: a filter’s reply takes the place of the upstream’s`, async () => {
    const filter: HttpFilter = { name: 'refuse', onRequest: () => ({ failure }) }
    await using scene = await startScene({
      filters: [filter],
      routes: [forwardTo('a')],
    })
    assertFailure(scene, await exchangeBytes(scene.port, closing), { failure })
  })
}

test('fault-reset: the client gets no byte, and its connection ends', async () => {
  const filter: HttpFilter = { name: 'cut', onRequest: () => ({ failure: 'fault-reset' }) }
  await using scene = await startScene({ filters: [filter], routes: [forwardTo('a')] })
  // What follows on the connection is not answered either.
  const twice = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(2)
  assert.equal(await exchangeBytes(scene.port, twice), '')
  const [record, ...others] = scene.records
  assert.deepEqual(others, [])
  assert.equal(record?.status, 0)
  assert.equal(record?.flags, 'FI')
  assert.equal(record?.details, 'fault_filter_reset')
})

test('upgrade-refused: the route allows no upgrade', async () => {
  await using scene = await startScene(to())
  const received = await exchangeBytes(
    scene.port,
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
  )
  assertFailure(scene, received, { failure: 'upgrade-refused' })
})

test('upgrade-refused: CONNECT on a route that does not end it, with bytes that came early', async () => {
  await using scene = await startScene({
    ...to(),
    routes: [connectTo('a', { endsHere: false })],
  })
  const received = await exchangeBytes(
    scene.port,
    'CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n',
  )
  assertFailure(scene, received, { failure: 'upgrade-refused' })
  assert.equal(scene.records.length, 1)
})

test('a gRPC client reads the failure in grpc-status', async () => {
  await using scene = await startScene(to())
  const received = await exchangeBytes(
    scene.port,
    'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/grpc\r\n\r\n',
  )
  assert.match(received, /^HTTP\/1\.1 200 OK\r\n/)
  assert.match(received, /\r\ngrpc-status: 14\r\ngrpc-message: no healthy upstream\r\n/)
  assert.equal(scene.records[0]?.grpcStatus, 14)
})

test('a filter may wait, and continue or refuse later', async () => {
  await using scene = await startScene({
    filters: [
      {
        name: 'wait',
        onRequest(context) {
          setImmediate(() => context.resume({ failure: 'denied', body: 'after a while' }))
          return 'suspend'
        },
      },
    ],
  })
  assert.match(await exchangeBytes(scene.port, closing), /^HTTP\/1\.1 403 [\s\S]*after a while$/)
})

function to(address?: WireAddress, limits: object = {}): Pick<SceneOptions, 'clusters' | 'routes'> {
  return {
    clusters: [{ name: 'a', addresses: address === undefined ? [] : [address], limits }],
    routes: [forwardTo('a')],
  }
}

for (const { status, keepsAfterInvalid, isLast } of [
  { status: 400, keepsAfterInvalid: false, isLast: true },
  { status: 400, keepsAfterInvalid: true, isLast: false },
  { status: 401, keepsAfterInvalid: false, isLast: false },
]) {
  const verb = isLast ? 'ends' : 'keeps'
  const where = keepsAfterInvalid ? ', where the listener goes on after what is invalid' : ''
  test(`a route that answers ${status} ${verb} the connection${where}`, async () => {
    await using scene = await startScene({
      manager: { keepsAfterInvalid },
      routes: [`{ match: { prefix: / }, direct_response: { status: ${status} } }`],
    })
    const twice = `GET / HTTP/1.1\r\nHost: a\r\n\r\n${closing}`
    const received = await exchangeBytes(scene.port, twice)
    assert.equal(received.split(`HTTP/1.1 ${status}`).length - 1, isLast ? 1 : 2)
  })
}
