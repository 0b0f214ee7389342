/**
 * What a listener in a worker takes its connections from: like a server that listens, but the main thread does that, and
 * hands over the descriptor of each connection.
 */
import { EventEmitter } from 'node:events'
import { type AddressInfo, Socket } from 'node:net'

import type { WireAddress } from '../wire/wire.ts'

/** The part of `net.Server` that a listener uses. */
export class HandedServer extends EventEmitter {
  listening = true
  /** Where the main thread listens in fact. */
  bound: WireAddress
  readonly #leave: () => void

  /** `leave` tells the main thread that no more connections are wanted. */
  constructor(configured: WireAddress, leave: () => void) {
    super()
    this.bound = configured
    this.#leave = leave
  }

  address(): AddressInfo | string {
    const { bound } = this
    if (bound.kind === 'unix') return bound.path
    if (bound.kind === 'internal') return bound.listener
    return { address: bound.address, port: bound.port, family: 'IP' }
  }

  close(): this {
    if (!this.listening) return this
    this.listening = false
    this.#leave()
    queueMicrotask(() => this.emit('close'))
    return this
  }

  /** One connection. Those that were accepted before the end was known arrive behind it, and are served. */
  hand(fd: number): void {
    this.emit('connection', new Socket({ fd, readable: true, writable: true, allowHalfOpen: true }))
  }
}
