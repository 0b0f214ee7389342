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
import { Notice } from '../lib/notice.ts'

export interface EarlyConnectionsOptions {
  readonly clock: Clock
  readonly log: Log
  readonly heldMax?: number
  readonly heldMsMax?: number
}

interface Held {
  readonly server: Server
  readonly timer: Timer
}

export class EarlyConnections implements Disposable {
  readonly #options: Required<EarlyConnectionsOptions>
  readonly #held = new Map<Socket, Held>()
  readonly #tooMany: Notice
  readonly #tooLong: Notice

  constructor(options: EarlyConnectionsOptions) {
    this.#options = { heldMax: 1_024, heldMsMax: 60_000, ...options }
    const { clock, log, heldMax, heldMsMax } = this.#options
    this.#tooMany = new Notice({
      clock,
      say: (connections) =>
        log.warn(
          { heldMax, connections },
          'connections closed: too many wait for the sidecar to start',
        ),
    })
    this.#tooLong = new Notice({
      clock,
      say: (connections) =>
        log.warn(
          { heldMsMax, connections },
          'connections closed: no listener has taken their port',
        ),
    })
  }

  get held(): number {
    return this.#held.size
  }

  /** Until somebody listens for the server's connections; those that have come by then are his. */
  hold(server: Server): void {
    // What is sent is left where it is: in the kernel, whose window ends it.
    Object.assign(server, { pauseOnConnect: true })
    const keep = (socket: Socket): void => this.#keep(socket, server)
    server.on('connection', keep)
    const hand = (event: string | symbol): void => {
      if (event !== 'connection') return
      server.off('newListener', hand)
      server.off('connection', keep)
      Object.assign(server, { pauseOnConnect: false })
      queueMicrotask(() => this.#handOver(server))
    }
    server.on('newListener', hand)
  }

  [Symbol.dispose](): void {
    for (const socket of this.#held.keys()) this.#drop(socket)
  }

  #keep(socket: Socket, server: Server): void {
    const { clock, heldMax, heldMsMax } = this.#options
    socket.on('error', () => {
      // It closes, which says the same.
    })
    if (this.#held.size >= heldMax) {
      this.#tooMany.note(1)
      socket.destroy()
      return
    }
    const timer = clock.setTimer(heldMsMax, () => {
      this.#tooLong.note(1)
      this.#drop(socket)
    })
    this.#held.set(socket, { server, timer })
    socket.once('close', () => this.#forget(socket))
  }

  #handOver(server: Server): void {
    for (const [socket, held] of this.#held) {
      if (held.server !== server) continue
      this.#forget(socket)
      server.emit('connection', socket)
      socket.resume()
    }
  }

  #drop(socket: Socket): void {
    this.#forget(socket)
    socket.destroy()
  }

  #forget(socket: Socket): void {
    this.#held.get(socket)?.timer.cancel()
    this.#held.delete(socket)
  }
}
