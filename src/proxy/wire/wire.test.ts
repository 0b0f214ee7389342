/** The wires pass the contract suite; the connector tells how an attempt ended. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { testWire, type WirePair } from '../../../test/contract/wire.ts'
import { eventually } from '../../../test/support/eventually.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { systemClock, type Clock } from '../../lib/clock.ts'
import { InternalListeners } from '../listener/internal-listener.ts'
import { addressText, createConnector } from './connector.ts'
import { FlushTurn } from './flush-turn.ts'
import { HandleWires } from './handle-wire.ts'
import { createInternalPair } from './internal-wire.ts'
import { acceptWire } from './net-wire.ts'
import { findHandleInternals, type HandleInternals } from './node-handle.ts'
import { ReadBuffer } from './read-buffer.ts'
import type { ConnectResult, Wire, WireAddress } from './wire.ts'

function createParts(clock: Clock = systemClock, internals?: HandleInternals) {
  const turn = new FlushTurn(() => {})
  const internalListeners = new InternalListeners(turn)
  const readBuffer = new ReadBuffer()
  const handles = internals === undefined ? undefined : new HandleWires(internals, turn, readBuffer)
  return {
    turn,
    readBuffer,
    internalListeners,
    handles,
    connector: createConnector({ clock, turn, readBuffer, handles, internalListeners }),
  }
}

interface PairOptions {
  readonly sharesReads?: boolean
  readonly internals?: HandleInternals
}

async function openPair(listen: WireAddress, options: PairOptions): Promise<WirePair> {
  const { turn, readBuffer, handles, connector } = createParts(systemClock, options.internals)
  const server = createServer({ allowHalfOpen: true, noDelay: true })
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve))
  await new Promise<void>((resolve) => {
    if (listen.kind === 'unix') server.listen(listen.path, resolve)
    else server.listen(0, '127.0.0.1', resolve)
  })
  const address: WireAddress =
    listen.kind === 'unix'
      ? listen
      : { kind: 'ip', address: '127.0.0.1', port: (server.address() as AddressInfo).port }
  const connected = new Promise<ConnectResult>((resolve) => {
    connector.connect({ address, connectTimeoutMs: 5_000 }, resolve)
  })
  const socket = await accepted
  const buffer = options.sharesReads === true ? readBuffer : undefined
  const far = handles === undefined ? acceptWire(socket, { turn, buffer }) : handles.take(socket)
  const result = await connected
  assert.ok(result.ok && far !== undefined)
  return {
    near: result.wire,
    far,
    async [Symbol.asyncDispose]() {
      result.wire.destroy()
      far.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const anyPort: WireAddress = { kind: 'ip', address: '127.0.0.1', port: 0 }

testWire({
  name: 'net wire',
  joinsWrites: true,
  open: async () => await openPair(anyPort, {}),
})

testWire({
  name: 'net wire with shared reads',
  joinsWrites: true,
  open: async () => await openPair(anyPort, { sharesReads: true }),
})

testWire({
  name: 'net wire, accepted end',
  joinsWrites: true,
  async open() {
    return swapped(await openPair(anyPort, { sharesReads: true }))
  },
})

testWire({
  name: 'Unix socket',
  joinsWrites: true,
  async open() {
    const folder = await mkdtemp(join(tmpdir(), 'wire-'))
    return await openUnixPair(folder, { sharesReads: true })
  },
})

async function openUnixPair(folder: string, options: PairOptions): Promise<WirePair> {
  const pair = await openPair({ kind: 'unix', path: join(folder, 's') }, options)
  return {
    near: pair.near,
    far: pair.far,
    async [Symbol.asyncDispose]() {
      await pair[Symbol.asyncDispose]()
      await rm(folder, { recursive: true })
    },
  }
}

function swapped(pair: WirePair): WirePair {
  return {
    near: pair.far,
    far: pair.near,
    [Symbol.asyncDispose]: () => pair[Symbol.asyncDispose](),
  }
}

const internals = findHandleInternals()
if (typeof internals === 'string') {
  test('handle wire', { skip: internals }, () => {})
} else {
  testWire({
    name: 'handle wire',
    joinsWrites: true,
    open: async () => await openPair(anyPort, { internals }),
  })
  testWire({
    name: 'handle wire, accepted end',
    joinsWrites: true,
    open: async () => swapped(await openPair(anyPort, { internals })),
  })
  testWire({
    name: 'handle wire on a Unix socket',
    joinsWrites: true,
    open: async () => await openUnixPair(await mkdtemp(join(tmpdir(), 'wire-')), { internals }),
  })
}

testWire({
  name: 'internal wire',
  joinsWrites: false,
  async open() {
    const [near, far] = createInternalPair('inner', createParts().turn)
    return {
      near,
      far,
      async [Symbol.asyncDispose]() {
        near.destroy()
        await new Promise((resolve) => setImmediate(resolve))
      },
    }
  },
})

async function connectTo(address: WireAddress): Promise<ConnectResult> {
  return await new Promise((resolve) => {
    createParts().connector.connect({ address, connectTimeoutMs: 5_000 }, resolve)
  })
}

test('a connection that nobody accepts is refused', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  const result = await connectTo({ kind: 'ip', address: '127.0.0.1', port })
  assert.equal(result.ok ? '' : result.reason, 'refused')
})

test('a Unix socket that is not there fails', async () => {
  const result = await connectTo({ kind: 'unix', path: '/nonexistent/socket' })
  assert.equal(result.ok ? '' : result.reason, 'failed')
})

test('an internal listener that is not there refuses', async () => {
  const result = await connectTo({ kind: 'internal', listener: 'nobody' })
  assert.equal(result.ok ? '' : result.reason, 'refused')
})

test('connecting never calls back before it returns, and never after giving up', async () => {
  const { connector, internalListeners } = createParts()
  internalListeners.register('inner', () => {})
  let calls = 0
  const giveUp = connector.connect(
    { address: { kind: 'internal', listener: 'inner' }, connectTimeoutMs: 0 },
    () => (calls += 1),
  )
  assert.equal(calls, 0)
  giveUp()
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(calls, 0)
})

test('a connect that takes too long ends with a time-out', async () => {
  const clock = new FakeClock()
  const { connector } = createParts(clock)
  let result: ConnectResult | undefined
  connector.connect(
    { address: { kind: 'ip', address: '192.0.2.1', port: 9 }, connectTimeoutMs: 100 },
    (ended) => (result = ended),
  )
  clock.advance(100)
  // A network without a route to TEST-NET-1 may have refused before.
  const ended = await eventually(() => result)
  assert.equal(ended.ok, false)
  assert.equal(clock.pendingTimers, 0)
})

test('an internal wire that is opened reaches the listener that registered last', () => {
  const { internalListeners } = createParts()
  const accepted: string[] = []
  const first = (): void => void accepted.push('first')
  const second = (_wire: Wire): void => void accepted.push('second')
  internalListeners.register('inner', first)
  internalListeners.register('inner', second)
  internalListeners.unregister('inner', first)
  assert.ok(internalListeners.open('inner'))
  assert.deepEqual(accepted, ['second'])
  internalListeners.unregister('inner', second)
  assert.equal(internalListeners.open('inner'), undefined)
})

test('addresses print as admin and logs show them', () => {
  assert.equal(addressText({ kind: 'ip', address: '::1', port: 80 }), '[::1]:80')
  assert.equal(addressText({ kind: 'ip', address: '127.0.0.1', port: 80 }), '127.0.0.1:80')
  assert.equal(addressText({ kind: 'unix', path: '/x' }), 'unix:/x')
  assert.equal(addressText({ kind: 'internal', listener: 'x' }), 'internal:x')
})
