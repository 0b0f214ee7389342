/**
 * Connections that come before there is anybody to serve them: a workload's ports are bound before its sidecar has its first
 * configuration, so that nobody else can take them, and whoever connects meanwhile waits, unread, until a listener
 * takes the port. Without this Node would accept them, read, and never answer.
 *
 * Bounds: so many in all and so long each; beyond, a connection is closed.
 */
import type { Server, Socket } from 'node:net'

import type { Clock, Timer } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'

export interface EarlyConnectionsOptions {
  readonly clock: Clock
  readonly log: Log
  readonly heldMax?: number
  readonly heldMsMax?: number
}

export class EarlyConnections implements Disposable {
  readonly #options: Required<EarlyConnectionsOptions>
  readonly #held = new Map<Socket, Timer>()

  constructor(options: EarlyConnectionsOptions) {
    this.#options = { heldMax: 1_024, heldMsMax: 60_000, ...options }
  }

  get held(): number {
    return this.#held.size
  }

  /** Until somebody listens for the server's connections; those that have come by then are his. */
  hold(server: Server): void {
    const own = new Set<Socket>()
    // What is sent is left where it is: in the kernel, whose window ends it.
    Object.assign(server, { pauseOnConnect: true })
    const keep = (socket: Socket): void => this.#keep(socket, own)
    server.on('connection', keep)
    const hand = (event: string | symbol): void => {
      if (event !== 'connection') return
      server.off('newListener', hand)
      server.off('connection', keep)
      Object.assign(server, { pauseOnConnect: false })
      queueMicrotask(() => this.#handOver(server, own))
    }
    server.on('newListener', hand)
  }

  [Symbol.dispose](): void {
    for (const socket of this.#held.keys()) this.#drop(socket)
  }

  #keep(socket: Socket, own: Set<Socket>): void {
    const { clock, log, heldMax, heldMsMax } = this.#options
    socket.on('error', () => {
      // It closes, which says the same.
    })
    if (this.#held.size >= heldMax) {
      log.warn({ heldMax }, 'connection closed: too many wait for the sidecar to start')
      socket.destroy()
      return
    }
    own.add(socket)
    this.#held.set(
      socket,
      clock.setTimer(heldMsMax, () => {
        log.warn({ heldMsMax }, 'connection closed: no listener has taken its port')
        this.#drop(socket)
      }),
    )
    socket.once('close', () => this.#forget(socket))
  }

  #handOver(server: Server, own: ReadonlySet<Socket>): void {
    for (const socket of own) {
      if (!this.#forget(socket)) continue
      server.emit('connection', socket)
      socket.resume()
    }
  }

  #drop(socket: Socket): void {
    this.#forget(socket)
    socket.destroy()
  }

  #forget(socket: Socket): boolean {
    this.#held.get(socket)?.cancel()
    return this.#held.delete(socket)
  }
}
