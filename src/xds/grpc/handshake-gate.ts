/**
 * Lets connections begin their TLS handshake a few at a time.
 *
 * A handshake costs a millisecond of CPU on each side. A thousand clients that come back at once would hold up
 * the event loop for a second: here they wait in the kernel's and our queue, and everything else gets its turn in
 * between. Those that have begun and not finished have a ceiling too, because their last messages may all come in
 * one turn; a slow client gives its place away after a while, and goes on without one. Bounds: handshakes begun per
 * turn of the loop, handshakes under way, connections that wait.
 */
import type { Socket } from 'node:net'

import type { Clock } from '../../lib/clock.ts'

export interface HandshakeGateOptions {
  /** Of one turn of the event loop. */
  readonly startsPerTurnMax: number
  readonly underWayMax: number
  readonly waitingMax: number
  readonly clock: Clock
  readonly start: (socket: Socket) => void
  /** A connection that came when the queue was full; it has been closed. */
  readonly onOverflow: () => void
}

/** A client farther away than this does not hold up those behind it. */
const placeMs = 100

export class HandshakeGate {
  readonly #options: HandshakeGateOptions
  /** What gives each place back. */
  readonly #underWay = new Set<() => void>()
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

  /** A handshake has come to its end, good or bad: the oldest place is given back. */
  finished(): void {
    const [oldest] = this.#underWay
    oldest?.()
  }

  close(): void {
    for (const release of this.#underWay) release()
    for (const socket of this.#waiting) socket.destroy()
    this.#waiting = []
  }

  #schedule(): void {
    const { underWayMax } = this.#options
    if (this.#isScheduled || this.#waiting.length === 0) return
    if (this.#underWay.size >= underWayMax) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.#startSome()
      this.#schedule()
    })
  }

  #startSome(): void {
    const { startsPerTurnMax, underWayMax, start } = this.#options
    const places = Math.min(startsPerTurnMax, underWayMax - this.#underWay.size)
    for (const socket of this.#waiting.splice(0, places)) {
      if (socket.destroyed) continue
      this.#takePlace()
      start(socket)
    }
  }

  #takePlace(): void {
    const release = () => {
      timer.cancel()
      this.#underWay.delete(release)
      this.#schedule()
    }
    const timer = this.#options.clock.setTimer(placeMs, release)
    this.#underWay.add(release)
  }
}
