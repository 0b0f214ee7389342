/**
 * A wire whose first bytes have been read already: whoever listens is given those first, then what follows.
 *
 * Inspection of connections inside the process ends in one: a socket can take its bytes back, a wire cannot. The wire
 * below must be paused when it is handed over.
 */
import type { FlushTurn } from './flush-turn.ts'
import type { Wire, WireEvents } from './wire.ts'

export interface ReplayOptions {
  readonly turn: FlushTurn
  /** Read, and not used up. */
  readonly held: Buffer
  /** The peer had ended its direction already. */
  readonly isEnded: boolean
  readonly requestedServerName: string | undefined
}

export class ReplayWire implements Wire {
  readonly requestedServerName: string | undefined
  readonly #inner: Wire
  readonly #turn: FlushTurn
  #held: Buffer | undefined
  #isEndHeld: boolean
  #events: WireEvents | undefined
  #isPaused = false
  #isScheduled = false
  #isClosed = false

  constructor(inner: Wire, options: ReplayOptions) {
    this.#inner = inner
    this.#turn = options.turn
    this.#held = options.held.length === 0 ? undefined : options.held
    this.#isEndHeld = options.isEnded
    this.requestedServerName = options.requestedServerName
  }

  get localAddress(): string {
    return this.#inner.localAddress
  }

  get localPort(): number {
    return this.#inner.localPort
  }

  get remoteAddress(): string {
    return this.#inner.remoteAddress
  }

  get remotePort(): number {
    return this.#inner.remotePort
  }

  get bufferedBytes(): number {
    return this.#inner.bufferedBytes
  }

  listen(events: WireEvents): void {
    this.#events = events
    this.#inner.listen(this.#innerEvents(events))
    this.#wake()
  }

  write(data: Uint8Array | string): boolean {
    return this.#inner.write(data)
  }

  pause(): void {
    this.#isPaused = true
    this.#inner.pause()
  }

  resume(): void {
    this.#isPaused = false
    this.#wake()
  }

  end(): void {
    this.#inner.end()
  }

  destroy(): void {
    this.#inner.destroy()
  }

  reset(): void {
    if (this.#inner.reset === undefined) this.#inner.destroy()
    else this.#inner.reset()
  }

  /** The end of the turn: what is held goes out first, and only then is the wire below read again. */
  flush(): void {
    this.#isScheduled = false
    if (this.#isPaused || this.#isClosed || this.#events === undefined) return
    try {
      this.#replay(this.#events)
    } catch (error) {
      // A bug of ours must cost one connection, not the process.
      this.#turn.reportBug(error)
      this.destroy()
    }
  }

  #replay(events: WireEvents): void {
    const held = this.#held
    this.#held = undefined
    if (held !== undefined) events.onData(held)
    if (this.#isPaused || this.#isClosed) return
    if (this.#isEndHeld) {
      this.#isEndHeld = false
      events.onEnd()
    }
    if (!this.#isPaused && !this.#isClosed) this.#inner.resume()
  }

  #wake(): void {
    if (this.#isScheduled || this.#isPaused || this.#events === undefined) return
    if (this.#held === undefined && !this.#isEndHeld) {
      this.#inner.resume()
      return
    }
    this.#isScheduled = true
    this.#turn.schedule(this)
  }

  #innerEvents(events: WireEvents): WireEvents {
    return {
      onData: (chunk) => events.onData(chunk),
      onEnd: () => events.onEnd(),
      onDrain: () => events.onDrain(),
      onClose: (error) => {
        this.#isClosed = true
        events.onClose(error)
      },
    }
  }
}
