/**
 * Lets connections begin their TLS handshake a few at a time.
 *
 * A handshake costs a millisecond of CPU on each side. A thousand clients that come back at once would hold up
 * the event loop for a second: here they wait in the kernel's and our queue, and everything else gets its turn in
 * between. Bounds: handshakes begun per turn of the loop, connections that wait.
 */
import type { Socket } from 'node:net'

export interface HandshakeGateOptions {
  /** Of one turn of the event loop: with a millisecond each, the longest that other work waits. */
  readonly startsPerTurnMax: number
  readonly waitingMax: number
  readonly start: (socket: Socket) => void
  /** A connection that came when the queue was full; it has been closed. */
  readonly onOverflow: () => void
}

export class HandshakeGate {
  readonly #options: HandshakeGateOptions
  #waiting: Socket[] = []
  #isScheduled = false

  constructor(options: HandshakeGateOptions) {
    this.#options = options
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** Takes a connection that is paused. */
  offer(socket: Socket): void {
    if (this.#waiting.length >= this.#options.waitingMax) {
      socket.destroy()
      this.#options.onOverflow()
      return
    }
    // A client that gives up while it waits is dropped when its turn comes.
    socket.on('error', () => {})
    this.#waiting.push(socket)
    this.#schedule()
  }

  close(): void {
    for (const socket of this.#waiting) socket.destroy()
    this.#waiting = []
  }

  #schedule(): void {
    if (this.#isScheduled || this.#waiting.length === 0) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      const { startsPerTurnMax, start } = this.#options
      for (const socket of this.#waiting.splice(0, startsPerTurnMax)) {
        if (!socket.destroyed) start(socket)
      }
      this.#schedule()
    })
  }
}
