/**
 * Listens for all workers, in the main thread: one socket for each listener, whose connections go to the workers in turn.
 *
 * Workers do not listen themselves: a few long connections would leave one of them idle, and closing a socket that
 * shares its port with others (`reusePort`) loses what its queue holds. A connection is accepted here, unread, and its
 * descriptor handed over.
 */
import { createServer, type Server, type Socket } from 'node:net'

import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { Notice } from '../../lib/notice.ts'
import { socketKey } from '../config/listener-table.ts'
import { boundAddress, closeHandedOver, closeServer, listen } from '../listener/listen.ts'
import type { WireAddress } from '../wire/wire.ts'
import { type DuplicateDescriptor, descriptorOf } from './duplicate-descriptor.ts'

/** One worker, as seen from here. */
export interface ConnectionTaker {
  /** Connections are handed to those that serve only. */
  readonly isServing: boolean
  take(listener: string, descriptor: number): void
}

export interface ListenBrokerOptions {
  /** Sockets that listen already, by `ip:port` or path; each is used once. */
  readonly sockets: Map<string, Server | { readonly fd: number }>
  readonly duplicate: DuplicateDescriptor
  readonly clock: Clock
  readonly log: Log
  /** A connection was closed, since no worker could take it. */
  readonly onNotHanded: () => void
}

interface Shared {
  readonly key: string
  readonly configured: WireAddress
  readonly address: Promise<WireAddress>
  server: Server | undefined
  readonly takers: ConnectionTaker[]
  next: number
  /** Of connections that nobody could take. */
  readonly notice: Notice
  reason: string
}

export class ListenBroker {
  readonly #options: ListenBrokerOptions
  readonly #byListener = new Map<string, Shared>()

  constructor(options: ListenBrokerOptions) {
    this.#options = options
  }

  /**
   * From now on that worker gets its share of the connections. `listener` names the socket, in messages too. Resolves with
   * the address in fact; rejects with MESH_LISTEN_FAILED.
   */
  async join(listener: string, address: WireAddress, taker: ConnectionTaker): Promise<WireAddress> {
    const shared = this.#byListener.get(listener) ?? this.#open(listener, address)
    shared.takers.push(taker)
    try {
      return await shared.address
    } catch (error) {
      this.#byListener.delete(listener)
      throw error
    }
  }

  /** The last one to leave closes the socket. */
  leave(listener: string, taker: ConnectionTaker): void {
    const shared = this.#byListener.get(listener)
    const index = shared?.takers.indexOf(taker) ?? -1
    if (shared === undefined || index < 0) return
    shared.takers.splice(index, 1)
    if (shared.takers.length > 0) return
    this.#byListener.delete(listener)
    if (shared.server?.listening === true) closeServer(shared.server, shared.configured)
  }

  /** A worker is gone: it leaves everything, and what it alone served stays open for its successor. */
  forget(taker: ConnectionTaker): void {
    for (const { takers } of this.#byListener.values()) {
      const index = takers.indexOf(taker)
      if (index >= 0) takers.splice(index, 1)
    }
  }

  /** What it listens on. */
  descriptors(): ReadonlyMap<string, number> {
    const found = new Map<string, number>()
    for (const { key, server } of this.#byListener.values()) {
      const descriptor = server?.listening === true ? descriptorOf(server) : undefined
      if (descriptor !== undefined) found.set(key, descriptor)
    }
    return found
  }

  /** Another process listens on all of it. */
  release(): void {
    for (const { server } of this.#byListener.values()) {
      if (server?.listening === true) closeHandedOver(server)
    }
    this.#byListener.clear()
  }

  close(): void {
    for (const { server, configured } of this.#byListener.values()) {
      if (server?.listening === true) closeServer(server, configured)
    }
    this.#byListener.clear()
  }

  #open(listener: string, address: WireAddress): Shared {
    const { clock, log } = this.#options
    const ready = Promise.withResolvers<WireAddress>()
    // The listener's name, and where it is to listen, as the worker put them together.
    const name = listener.slice(0, -JSON.stringify(address).length - 1)
    const key = socketKey({ name, address })
    const shared: Shared = {
      key,
      configured: address,
      address: ready.promise,
      server: undefined,
      takers: [],
      next: 0,
      notice: new Notice({
        clock,
        say: (connections) => {
          const { reason } = shared
          log.warn({ listener, reason, connections }, 'connections not handed over')
        },
      }),
      reason: '',
    }
    this.#byListener.set(listener, shared)
    this.#listen(listener, address, shared).then(ready.resolve, ready.reject)
    return shared
  }

  async #listen(listener: string, address: WireAddress, shared: Shared): Promise<WireAddress> {
    const { sockets, log } = this.#options
    const adopt = sockets.get(shared.key)
    sockets.delete(shared.key)
    const isServer = adopt !== undefined && 'listen' in adopt
    // Unread: what has arrived is read by whoever serves it.
    const server = isServer ? adopt : createServer({ allowHalfOpen: true, pauseOnConnect: true })
    server.on('connection', (socket) => this.#hand(listener, shared, socket))
    // A server that was made by somebody else would read, from now on if not before.
    Object.assign(server, { pauseOnConnect: true })
    if (!server.listening) await listen(server, address, isServer ? undefined : adopt)
    server.on('error', (error) => log.warn({ listener, error: error.message }, 'accept failed'))
    shared.server = server
    return boundAddress(server, address)
  }

  #hand(listener: string, shared: Shared, socket: Socket): void {
    const { duplicate, onNotHanded } = this.#options
    socket.on('error', () => {
      // It is somebody else's, or about to be closed.
    })
    const taker = nextServing(shared)
    const descriptor = descriptorOf(socket)
    const handed = taker === undefined || descriptor === undefined ? -1 : duplicate(descriptor)
    if (handed < 0) {
      onNotHanded()
      shared.reason = taker === undefined ? 'no worker serves it' : 'no descriptor is left'
      shared.notice.note(1)
    } else taker?.take(listener, handed)
    // The other descriptor keeps the connection.
    socket.destroy()
  }
}

/** In turn, over those that serve. */
function nextServing(shared: Shared): ConnectionTaker | undefined {
  const { takers } = shared
  for (let tried = 0; tried < takers.length; tried += 1) {
    const taker = takers[shared.next++ % takers.length]
    if (taker?.isServing === true) return taker
  }
  return undefined
}
