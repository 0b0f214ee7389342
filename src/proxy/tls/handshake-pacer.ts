/**
 * A ceiling on the TLS handshakes that one turn of the event loop starts, in both directions together.
 *
 * A full handshake is a millisecond of the processor on each side. When a thousand peers reconnect at once, requests on
 * connections that stand must not wait a second behind them: the rest of them waits for the next turns. The queue has a
 * ceiling too; a connection beyond it is refused, which its peer sees at once, instead of timing out later.
 */
export interface PacedTurn {
  /** Runs `run` after the events that wait now have been handled. */
  (run: () => void): void
}

export interface HandshakePacerOptions {
  readonly startsPerTurnMax?: number
  readonly waitingMax?: number
  readonly nextTurn?: PacedTurn
}

/** Some 8 ms of a turn at most. */
const startsPerTurnDefault = 8
const waitingDefault = 16_384

export class HandshakePacer {
  readonly #startsMax: number
  readonly #waitingMax: number
  readonly #nextTurn: PacedTurn
  /** A set keeps the order, and lets one in the middle go. */
  readonly #waiting = new Set<() => void>()
  #started = 0
  #isTurnComing = false

  constructor(options: HandshakePacerOptions = {}) {
    this.#startsMax = options.startsPerTurnMax ?? startsPerTurnDefault
    this.#waitingMax = options.waitingMax ?? waitingDefault
    this.#nextTurn = options.nextTurn ?? ((run) => void setImmediate(run))
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** Calls `start` now or in a later turn; the returned function takes it back. Undefined: too many wait. */
  enter(start: () => void): (() => void) | undefined {
    if (this.#started < this.#startsMax && this.#waiting.size === 0) {
      this.#started += 1
      this.#awaitTurn()
      start()
      return () => {}
    }
    if (this.#waiting.size >= this.#waitingMax) return undefined
    this.#waiting.add(start)
    this.#awaitTurn()
    return () => this.#waiting.delete(start)
  }

  #awaitTurn(): void {
    if (this.#isTurnComing) return
    this.#isTurnComing = true
    this.#nextTurn(() => this.#onTurn())
  }

  #onTurn(): void {
    this.#isTurnComing = false
    this.#started = 0
    for (const start of this.#waiting) {
      if (this.#started >= this.#startsMax) break
      this.#waiting.delete(start)
      this.#started += 1
      start()
    }
    if (this.#started > 0) this.#awaitTurn()
  }
}
