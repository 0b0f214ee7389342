/**
 * Opens wires: TCP, Unix sockets, and listeners inside the process; secured by the target's transport where it has one.
 *
 * Upstream sockets read into one shared buffer (`onread`): without it Node allocates 64 KiB for every
 * read and shrinks it again.
 */
import { connect as connectSocket, type Socket } from 'node:net'

import { unreachable } from '../../lib/assert.ts'
import type { Clock } from '../../lib/clock.ts'
import { connectFirst } from './connect-first.ts'
import type { FlushTurn } from './flush-turn.ts'
import type { HandleWires } from './handle-wire.ts'
import { NetWire, acceptWire } from './net-wire.ts'
import type { ReadBuffer } from './read-buffer.ts'
import type {
  ConnectOptions,
  ConnectResult,
  Connector,
  TransportOutcome,
  Wire,
  WireAddress,
  WireTransport,
} from './wire.ts'

export interface ConnectorOptions {
  readonly clock: Clock
  readonly turn: FlushTurn
  /** Shared by all sockets of the runtime: each chunk is used up before the next read. */
  readonly readBuffer: ReadBuffer
  /** Takes connected sockets over where Node's internals may be used; undefined leaves them to `net`. */
  readonly handles?: HandleWires | undefined
  readonly internalListeners: { open(name: string): Wire | undefined }
}

type ConnectDone = (result: ConnectResult) => void

export function createConnector(options: ConnectorOptions): Connector {
  const connectOne: Connector['connect'] = (target, done) => {
    const { address, transport } = target
    if (address.kind === 'internal') {
      return transport === undefined
        ? connectInternal(options, address.listener, done)
        : refuseInternal(address.listener, done)
    }
    return transport === undefined
      ? connectNet(options, target, done)
      : connectSecure(options, { target, transport }, done)
  }
  const { clock } = options
  return {
    connect: (target, done) =>
      target.otherAddresses === undefined
        ? connectOne(target, done)
        : connectFirst(target, { clock, connectOne }, done),
  }
}

function connectNet(
  options: ConnectorOptions,
  target: ConnectOptions,
  done: ConnectDone,
): () => void {
  const { readBuffer, turn, handles } = options
  let wire: NetWire | undefined
  let isOver = false
  const onread = {
    buffer: readBuffer.whole,
    callback: (length: number) => {
      wire?.receive(readBuffer.view(length))
      return true
    },
  }
  const socket = connectSocket({
    ...socketAddress(target.address),
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: target.tcpKeepaliveMs !== undefined,
    keepAliveInitialDelay: target.tcpKeepaliveMs ?? 0,
    ...(handles === undefined && { onread }),
  })
  const finish = (result: ConnectResult): void => {
    if (isOver) return
    isOver = true
    timer?.cancel()
    done(result)
  }
  const onError = (error: NodeJS.ErrnoException): void => finish(failure(error))
  const timer =
    target.connectTimeoutMs === 0
      ? undefined
      : options.clock.setTimer(target.connectTimeoutMs, () => {
          finish(timedOut(target))
          socket.destroy()
        })
  socket.on('error', onError)
  socket.once('connect', () => {
    if (isOver) return
    setProbing(socket, target)
    socket.off('error', onError)
    if (handles === undefined) wire = new NetWire(socket, turn)
    const taken = handles?.take(socket) ?? wire ?? acceptWire(socket, { turn, buffer: readBuffer })
    finish({ ok: true, wire: taken })
  })
  return () => giveUp(socket)

  function giveUp(opening: Socket): void {
    if (isOver) return
    isOver = true
    timer?.cancel()
    opening.destroy()
  }
}

/** Node 26 takes an interval and a count too, which its types do not know yet. */
interface KeepAliveSocket {
  setKeepAlive(options: {
    readonly enable: boolean
    readonly initialDelay: number
    readonly interval: number
    readonly count: number
  }): void
}

function setProbing(socket: Socket, target: ConnectOptions): void {
  const { tcpKeepaliveMs, tcpKeepaliveProbing } = target
  if (tcpKeepaliveMs === undefined || tcpKeepaliveProbing === undefined) return
  const { intervalMs, probes } = tcpKeepaliveProbing
  const able = socket as unknown as KeepAliveSocket // see above
  able.setKeepAlive({
    enable: true,
    initialDelay: tcpKeepaliveMs,
    interval: intervalMs,
    count: probes,
  })
}

interface SecureTarget {
  readonly target: ConnectOptions
  readonly transport: WireTransport
}

/** The time to connect includes the handshake, as in Envoy. */
function connectSecure(
  options: ConnectorOptions,
  { target, transport }: SecureTarget,
  done: ConnectDone,
): () => void {
  const { clock, turn, readBuffer } = options
  const socket = connectSocket({
    ...socketAddress(target.address),
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: target.tcpKeepaliveMs !== undefined,
    keepAliveInitialDelay: target.tcpKeepaliveMs ?? 0,
  })
  let isOver = false
  let stopHandshake: (() => void) | undefined
  const finish = (result: ConnectResult): void => {
    if (isOver) return
    isOver = true
    timer?.cancel()
    if (!result.ok) abandon()
    done(result)
  }
  const abandon = (): void => {
    stopHandshake?.()
    socket.destroy()
  }
  const onTimeout = (): void => finish(timedOut(target))
  const { connectTimeoutMs } = target
  const timer = connectTimeoutMs === 0 ? undefined : clock.setTimer(connectTimeoutMs, onTimeout)
  // Stays for good: once TLS has taken the socket over, its own errors come here as well, and mean nothing more.
  socket.on('error', (error) => finish(failure(error)))
  socket.once('connect', () => {
    if (isOver) return
    setProbing(socket, target)
    stopHandshake = transport.secure(socket, (outcome) => {
      stopHandshake = undefined
      finish(secured(outcome))
    })
  })
  return () => {
    if (isOver) return
    isOver = true
    timer?.cancel()
    abandon()
  }

  function secured(outcome: TransportOutcome): ConnectResult {
    if (!outcome.ok) return { ok: false, reason: 'failed', message: outcome.message }
    const { security, retireAtMs } = outcome
    const parts = { turn, buffer: readBuffer }
    return { ok: true, wire: acceptWire(outcome.socket, parts, { security, retireAtMs }) }
  }
}

function failure(error: NodeJS.ErrnoException): ConnectResult {
  const reason = error.code === 'ECONNREFUSED' ? 'refused' : 'failed'
  return { ok: false, reason, message: error.message }
}

function timedOut(target: ConnectOptions): ConnectResult {
  const { address, connectTimeoutMs } = target
  const message = `no connection to ${addressText(address)} within ${connectTimeoutMs} ms`
  return { ok: false, reason: 'timeout', message }
}

function refuseInternal(name: string, done: ConnectDone): () => void {
  let isOver = false
  process.nextTick(() => {
    if (isOver) return
    const message = `TLS to the internal listener ${name} is not implemented`
    done({ ok: false, reason: 'failed', message })
  })
  return () => {
    isOver = true
  }
}

function connectInternal(options: ConnectorOptions, name: string, done: ConnectDone): () => void {
  let isOver = false
  process.nextTick(() => {
    if (isOver) return
    const wire = options.internalListeners.open(name)
    if (wire !== undefined) done({ ok: true, wire })
    else done({ ok: false, reason: 'refused', message: `no internal listener named ${name}` })
  })
  return () => {
    isOver = true
  }
}

function socketAddress(address: WireAddress): { path: string } | { host: string; port: number } {
  return address.kind === 'unix'
    ? { path: address.path }
    : { host: address.kind === 'ip' ? address.address : '', port: portOf(address) }
}

function portOf(address: WireAddress): number {
  return address.kind === 'ip' ? address.port : 0
}

/** `ip:port`, `[v6]:port`, `unix:path` or `internal:name`: what logs and admin print. */
export function addressText(address: WireAddress): string {
  switch (address.kind) {
    case 'ip':
      return address.address.includes(':')
        ? `[${address.address}]:${address.port}`
        : `${address.address}:${address.port}`
    case 'unix':
      return `unix:${address.path}`
    case 'internal':
      return `internal:${address.listener}`
    default:
      return unreachable(address)
  }
}
