/** Which connection a request gets, when one is opened, and who waits. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FakeClock } from '../../../test/support/fake-clock.ts'
import { createSketchedCluster } from '../../../test/support/proxy-scene.ts'
import { seededRandom } from '../../lib/random.ts'
import { HeaderList } from '../http/header-list.ts'
import type { RequestHead } from '../http/message.ts'
import type { UpstreamStream } from '../http/stream.ts'
import { defaultHttp2Options } from '../http2/settings.ts'
import { CopyBuffers } from '../wire/copy-buffer.ts'
import type { ConnectOptions, ConnectResult, Connector, Wire, WireEvents } from '../wire/wire.ts'
import type { Cluster } from './cluster.ts'
import type { PoolFailure, StreamWaiter } from './host-pool.ts'
import { UpstreamPools } from './pool.ts'

/** A wire without a socket: a test plays the upstream. */
class HandWire implements Wire {
  readonly localAddress = '127.0.0.1'
  readonly localPort = 1
  readonly remoteAddress = '127.0.0.1'
  readonly remotePort = 2
  readonly bufferedBytes = 0
  events: WireEvents | undefined
  isDestroyed = false

  listen(events: WireEvents): void {
    this.events = events
  }
  write(): boolean {
    return true
  }
  pause(): void {}
  resume(): void {}
  end(): void {}
  /** The close is heard later, as a socket's is. */
  destroy(): void {
    this.isDestroyed = true
  }
  close(): void {
    this.events?.onClose(undefined)
  }
  receive(text: string): void {
    this.events?.onData(Buffer.from(text))
  }
}

class Waiter implements StreamWaiter {
  stream: UpstreamStream | undefined
  failure: PoolFailure | undefined
  reset: string | undefined
  ended = 0

  onStream(stream: UpstreamStream): void {
    this.stream = stream
    stream.sendHead(request(), true)
  }
  onNoStream(failure: PoolFailure): void {
    this.failure = failure
  }
  onInformational(): void {}
  onResponseHead(): void {}
  onResponseData(): void {}
  onResponseEnd(): void {
    this.ended += 1
  }
  onUpstreamDrain(): void {}
  onUpstreamReset(reset: { readonly message: string }): void {
    this.reset = reset.message
  }
}

function request(): RequestHead {
  return {
    method: 'GET',
    path: '/',
    authority: 'a',
    scheme: 'http',
    protocol: 'HTTP/1.1',
    headers: new HeaderList(),
    bodyLength: 0,
    upgrade: undefined,
    wantsClose: false,
  }
}

const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'

function start(limits: object = {}, settings: Partial<Cluster> = {}) {
  const clock = new FakeClock()
  const cluster = createSketchedCluster({
    name: 'a',
    addresses: [{ kind: 'ip', address: '127.0.0.1', port: 1 }],
    limits,
    settings,
  })
  const [host] = cluster.hosts
  assert.ok(host)
  const pending: ((result: ConnectResult) => void)[] = []
  const wires: HandWire[] = []
  const asked: ConnectOptions[] = []
  const connector: Connector = {
    connect(options, done) {
      asked.push(options)
      pending.push(done)
      return () => {}
    },
  }
  const pools = new UpstreamPools({
    clock,
    connector,
    random: seededRandom(1),
    held: { bufferedBytes: 0 },
    copies: new CopyBuffers(),
  })
  return {
    clock,
    cluster,
    host,
    pools,
    pending,
    wires,
    asked,
    ask(): Waiter {
      const waiter = new Waiter()
      pools.request(cluster, host, waiter)
      return waiter
    },
    /** The oldest connect ends well. */
    open(): HandWire {
      const wire = new HandWire()
      wires.push(wire)
      pending.shift()?.({ ok: true, wire })
      return wire
    },
    fail(reason: 'refused' | 'timeout' = 'refused'): void {
      pending.shift()?.({ ok: false, reason, message: reason })
    },
  }
}

test('the connection used last is used first', () => {
  const run = start()
  run.ask()
  run.ask()
  const first = run.open()
  const second = run.open()
  first.receive(answer)
  second.receive(answer)
  const third = run.ask()
  second.receive(answer)
  assert.equal(third.ended, 1)
  assert.equal(run.pending.length, 0)
})

test('a connection is opened with the cluster’s time-out and keep-alive', () => {
  const run = start({}, { connectTimeoutMs: 70, tcpKeepaliveMs: 9_000 })
  run.ask()
  const { address } = run.host
  const expected = { address, connectTimeoutMs: 70, tcpKeepaliveMs: 9_000, transport: undefined }
  assert.deepEqual(run.asked, [expected])
})

test('a request that waits takes the connection that another one leaves', () => {
  const run = start({ connectionsMax: 1 })
  run.ask()
  const second = run.ask()
  assert.equal(run.pending.length, 1)
  const wire = run.open()
  assert.equal(second.stream, undefined)
  wire.receive(answer)
  assert.ok(second.stream)
  assert.equal(run.cluster.breaker.active('pending'), 0)
})

test('a host without a connection may open one beyond the limit', () => {
  const run = start({ connectionsMax: 0 })
  const first = run.ask()
  run.open()
  assert.ok(first.stream)
  run.ask()
  assert.equal(run.pending.length, 0)
  assert.equal(run.cluster.stats.cxOverflow.value() > 0, true)
})

test('a queue that is full refuses with overflow', () => {
  const run = start({ pendingMax: 1 })
  run.ask()
  assert.equal(run.ask().failure?.failure, 'overflow')
})

test('a connect that fails fails everyone who waits, and gives everything back', () => {
  const run = start({ connectionsMax: 1 })
  const waiters = [run.ask(), run.ask()]
  run.fail('timeout')
  assert.deepEqual(
    waiters.map((waiter) => waiter.failure?.failure),
    ['connect-timeout', 'connect-timeout'],
  )
  assert.equal(run.cluster.breaker.active('connections'), 0)
  assert.equal(run.cluster.breaker.active('pending'), 0)
  assert.equal(run.cluster.stats.cxActive.value(), 0)
})

test('who gives up waiting leaves the queue; the connection stays for the next', () => {
  const run = start()
  const waiter = run.ask()
  run.pools.cancel(run.host, waiter)
  assert.equal(run.cluster.breaker.active('pending'), 0)
  run.open()
  assert.equal(waiter.stream, undefined)
  assert.ok(run.ask().stream)
})

test('an idle connection that its upstream ends is not given out, even before its close is heard', () => {
  const run = start()
  run.ask()
  const wire = run.open()
  wire.receive(answer)
  wire.events?.onEnd()
  const next = run.ask()
  assert.equal(next.stream, undefined)
  assert.equal(run.pending.length, 1)
  wire.close()
  run.open()
  assert.ok(next.stream)
})

test('bytes on an idle connection end it', () => {
  const run = start()
  run.ask()
  const wire = run.open()
  wire.receive(answer)
  wire.receive('HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n')
  assert.equal(wire.isDestroyed, true)
  assert.equal(run.ask().stream, undefined)
})

test('an idle connection ends after its time', () => {
  const run = start({}, { idleTimeoutMs: 1_000 })
  run.ask()
  const wire = run.open()
  wire.receive(answer)
  run.clock.advance(999)
  assert.equal(wire.isDestroyed, false)
  run.clock.advance(1)
  assert.equal(wire.isDestroyed, true)
})

test('a host has no more connections than one host may have, and always one', () => {
  const run = start({ connectionsPerHostMax: 1 })
  run.ask()
  const second = run.ask()
  assert.equal(run.pending.length, 1)
  assert.equal(run.cluster.stats.cxOverflow.value(), 1)
  const wire = run.open()
  wire.receive(answer)
  assert.notEqual(second.stream, undefined, 'it waits for the one that there is')
  const none = start({ connectionsPerHostMax: 0 })
  none.ask()
  assert.equal(none.pending.length, 1)
})

test('a connection of a certain age takes no more requests: idle ends now, busy after its response', () => {
  const run = start({}, { connectionDurationMsMax: 1_000 })
  run.ask()
  const idle = run.open()
  idle.receive(answer)
  run.clock.advance(999)
  assert.equal(idle.isDestroyed, false)
  run.clock.advance(1)
  assert.equal(idle.isDestroyed, true)
  const waiter = run.ask()
  const busy = run.open()
  run.clock.advance(1_000)
  assert.equal(busy.isDestroyed, false)
  busy.receive(answer)
  assert.equal(waiter.ended, 1)
  assert.equal(busy.isDestroyed, true)
  assert.equal(run.cluster.stats.cxMaxDuration.value(), 2)
})

test('a host that left drains: idle ends now, busy after its response', () => {
  const run = start()
  run.ask()
  const busy = run.ask()
  const idleWire = run.open()
  const busyWire = run.open()
  idleWire.receive(answer)
  run.pools.drainHost(run.host)
  assert.equal(idleWire.isDestroyed, true)
  assert.equal(busyWire.isDestroyed, false)
  busyWire.receive(answer)
  assert.equal(busy.ended, 1)
  assert.equal(busyWire.isDestroyed, true)
})

test('two idle connections that close leave no trace in the pool', () => {
  const run = start()
  run.ask()
  run.ask()
  const wires = [run.open(), run.open()]
  for (const wire of wires) wire.receive(answer)
  run.pools.drainHost(run.host)
  const fresh = run.ask()
  for (const wire of wires) wire.close()
  const third = run.open()
  third.receive(answer)
  assert.equal(fresh.ended, 1)
  assert.ok(run.ask().stream, 'the new connection is still idle in the pool')
  assert.equal(run.cluster.breaker.active('connections'), 1)
})

test('a removed cluster drains its hosts', () => {
  const controller = new AbortController()
  const run = start({}, { removed: controller.signal })
  run.ask()
  const wire = run.open()
  wire.receive(answer)
  controller.abort()
  assert.equal(wire.isDestroyed, true)
})

test('a connection that is lost tells its request', () => {
  const run = start()
  const waiter = run.ask()
  const wire = run.open()
  wire.events?.onClose(new Error('read ECONNRESET'))
  assert.equal(waiter.reset, 'read ECONNRESET')
  assert.equal(run.cluster.breaker.active('connections'), 0)
})

for (const [version, settings] of [
  ['HTTP/1', {}],
  ['HTTP/2', { http2: defaultHttp2Options }],
] as const) {
  test(`each request that waits for a connection of ${version} that fails is counted`, () => {
    const scene = start({}, settings)
    const { cluster } = scene
    const waiters = [scene.ask(), scene.ask(), scene.ask()]
    assert.equal(cluster.stats.rqPendingFailureEject.value(), 0)
    scene.fail()
    const failures = waiters.filter(({ failure }) => failure?.failure === 'connect-failure').length
    assert.equal(cluster.stats.rqPendingFailureEject.value(), failures)
    assert.equal(failures, 3)
  })
}
