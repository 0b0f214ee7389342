/**
 * Opens plain wires: TCP, Unix sockets, and listeners inside the process. TLS stands beside this one.
 *
 * Upstream sockets read into one shared buffer (`onread`): without it Node allocates 64 KiB for every
 * read and shrinks it again.
 */
import { connect as connectSocket, type Socket } from 'node:net'

import { unreachable } from '../../lib/assert.ts'
import type { Clock } from '../../lib/clock.ts'
import type { FlushTurn } from './flush-turn.ts'
import type { HandleWires } from './handle-wire.ts'
import { NetWire, acceptWire } from './net-wire.ts'
import type { ReadBuffer } from './read-buffer.ts'
import type { ConnectOptions, ConnectResult, Connector, Wire, WireAddress } from './wire.ts'

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
  return {
    connect(target, done) {
      return target.address.kind === 'internal'
        ? connectInternal(options, target.address.listener, done)
        : connectNet(options, target, done)
    },
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
  const onError = (error: NodeJS.ErrnoException): void => {
    const reason = error.code === 'ECONNREFUSED' ? 'refused' : 'failed'
    finish({ ok: false, reason, message: error.message })
  }
  const timer =
    target.connectTimeoutMs === 0
      ? undefined
      : options.clock.setTimer(target.connectTimeoutMs, () => {
          finish({
            ok: false,
            reason: 'timeout',
            message: `no connection to ${addressText(target.address)} within ${target.connectTimeoutMs} ms`,
          })
          socket.destroy()
        })
  socket.on('error', onError)
  socket.once('connect', () => {
    if (isOver) return
    socket.off('error', onError)
    if (handles === undefined) wire = new NetWire(socket, turn)
    const taken = handles?.take(socket) ?? wire ?? acceptWire(socket, turn, readBuffer)
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
