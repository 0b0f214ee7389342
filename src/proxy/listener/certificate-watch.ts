/**
 * Ends connections whose certificates have ended: the peer's or ours has expired, or the trust of now refuses the peer.
 *
 * A client of ours has long connected anew by then (it retires connections soon after each rotation). What is left hears
 * `Connection: close` with its next response, is closed when idle after `idleGraceMs`, and cut after `cutMs`, TCP
 * included: no connection outlives its certificates by more.
 */
import type { Clock, Timer } from '../../lib/clock.ts'
import type { Wire } from '../wire/wire.ts'
import type { OpenConnection } from './connection.ts'

const lookEveryMs = 1_000
export const idleGraceMs = 30_000
export const cutMs = 600_000

type WatchedConnection = Pick<OpenConnection, 'closeWhenIdle' | 'destroy'>

interface Watched {
  readonly wire: Wire
  leftAtMs: number | undefined
}

export class CertificateWatch {
  readonly #clock: Clock
  readonly #watched = new Map<WatchedConnection, Watched>()
  #timer: Timer | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(connection: WatchedConnection, wire: Wire): void {
    if (wire.security === undefined) return
    this.#watched.set(connection, { wire, leftAtMs: undefined })
    this.#arm()
  }

  delete(connection: WatchedConnection): void {
    this.#watched.delete(connection)
  }

  close(): void {
    this.#timer?.cancel()
    this.#watched.clear()
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#watched.size === 0) return
    this.#timer = this.#clock.setTimer(lookEveryMs, () => {
      this.#timer = undefined
      this.#look()
      this.#arm()
    })
  }

  #look(): void {
    const nowMs = this.#clock.monotonicMs()
    for (const [connection, watched] of this.#watched) {
      if (watched.leftAtMs === undefined) {
        if (!this.#hasEnded(watched.wire)) continue
        watched.leftAtMs = nowMs
        if (watched.wire.security !== undefined) watched.wire.security.isLeaving = true
      }
      const leftForMs = nowMs - watched.leftAtMs
      if (leftForMs >= cutMs) connection.destroy()
      else if (leftForMs >= idleGraceMs) connection.closeWhenIdle()
    }
  }

  #hasEnded({ security, retireAtMs }: Wire): boolean {
    const { peer, local } = security ?? {}
    const endsMs = Math.min(peer?.notAfterMs ?? Infinity, local?.notAfterMs ?? Infinity)
    if (endsMs <= this.#clock.nowMs()) return true
    return retireAtMs !== undefined && retireAtMs() <= this.#clock.monotonicMs()
  }
}
