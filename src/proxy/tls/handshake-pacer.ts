/**
 * A ceiling on the TLS handshakes that one turn of the event loop starts, and on those that are half done, in both
 * directions together.
 *
 * A full handshake is a millisecond of the processor on each side, half of it when the peer's answer comes. When a thousand
 * peers reconnect at once, requests on connections that stand must not wait a second behind them: the rest waits for the
 * next turns. A handshake that is half done keeps its place for `holdMs` at most, so that peers who are slow, or mean, keep
 * nobody out for long. The queue has a ceiling too; a connection beyond it is refused, which its peer sees at once.
 */
import type { Clock, Timer } from '../../lib/clock.ts'

/** Runs `run` after the events that wait now have been handled. */
export type PacedTurn = (run: () => void) => void

export interface HandshakePacerOptions {
  readonly clock: Clock
  readonly startsPerTurnMax?: number
  readonly openMax?: number
  readonly holdMs?: number
  readonly waitingMax?: number
  readonly nextTurn?: PacedTurn
}

/** Some 4 ms of a turn. */
const startsPerTurnDefault = 8
/** Their answers may all come in one turn: some 16 ms. */
const openDefault = 32
const holdDefaultMs = 50
const waitingDefault = 16_384

export class HandshakePacer {
  readonly #clock: Clock
  readonly #startsMax: number
  readonly #openMax: number
  readonly #holdMs: number
  readonly #waitingMax: number
  readonly #nextTurn: PacedTurn
  /** A set keeps the order, and lets one in the middle go. */
  readonly #waiting = new Set<Handshake>()
  /** Started and not finished, with the time until which each counts; oldest first. */
  readonly #open = new Map<Handshake, number>()
  #started = 0
  #isTurnComing = false
  #timer: Timer | undefined

  constructor(options: HandshakePacerOptions) {
    this.#clock = options.clock
    this.#startsMax = options.startsPerTurnMax ?? startsPerTurnDefault
    this.#openMax = options.openMax ?? openDefault
    this.#holdMs = options.holdMs ?? holdDefaultMs
    this.#waitingMax = options.waitingMax ?? waitingDefault
    this.#nextTurn = options.nextTurn ?? ((run) => void setImmediate(run))
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /**
   * Calls `start` now or in a later turn. The returned function says that the handshake has ended, or is not wanted any
   * more; calling it again does nothing. Undefined: too many wait.
   */
  enter(start: () => void): (() => void) | undefined {
    const handshake: Handshake = { start }
    if (this.#waiting.size === 0 && this.#hasRoom()) this.#begin(handshake)
    else if (this.#waiting.size >= this.#waitingMax) return undefined
    else this.#waiting.add(handshake)
    this.#arm()
    return () => {
      this.#waiting.delete(handshake)
      if (this.#open.delete(handshake)) this.#arm()
    }
  }

  #hasRoom(): boolean {
    return this.#started < this.#startsMax && this.#open.size < this.#openMax
  }

  #begin(handshake: Handshake): void {
    this.#started += 1
    this.#open.set(handshake, this.#clock.monotonicMs() + this.#holdMs)
    handshake.start()
  }

  /** Sees to it that the next turn, or the end of the oldest stay, goes on with what waits. */
  #arm(): void {
    if (this.#started > 0 || (this.#waiting.size > 0 && this.#hasRoom())) {
      if (this.#isTurnComing) return
      this.#isTurnComing = true
      this.#nextTurn(() => this.#onTurn())
      return
    }
    if (this.#waiting.size === 0 || this.#timer !== undefined) return
    this.#timer = this.#clock.setTimer(this.#holdMs, () => {
      this.#timer = undefined
      this.#expire()
      this.#arm()
    })
  }

  #onTurn(): void {
    this.#isTurnComing = false
    this.#started = 0
    this.#expire()
    for (const handshake of this.#waiting) {
      if (!this.#hasRoom()) break
      this.#waiting.delete(handshake)
      this.#begin(handshake)
    }
    this.#arm()
  }

  #expire(): void {
    const nowMs = this.#clock.monotonicMs()
    for (const [handshake, untilMs] of this.#open) {
      if (untilMs > nowMs) return
      this.#open.delete(handshake)
    }
  }
}

interface Handshake {
  readonly start: () => void
}
