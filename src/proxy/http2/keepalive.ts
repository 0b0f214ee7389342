/**
 * Asks a peer that says nothing whether it is still there (Envoy `connection_keepalive`): a PING each interval, or before
 * a connection is used again after idle time, and the end of the connection when no answer comes in time.
 */
import type { Clock } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'
import { LazyTimer } from '../wire/lazy-timer.ts'
import type { KeepaliveOptions } from './settings.ts'

export interface KeepaliveScope {
  readonly clock: Clock
  readonly random: Random
  readonly options: KeepaliveOptions
  /** `payload`: eight octets, which come back. */
  readonly sendPing: (payload: string) => void
  readonly onTimeout: () => void
}

const payload = 'tulle-ka'

export class Keepalive {
  readonly #scope: KeepaliveScope
  readonly #interval: LazyTimer
  readonly #answer: LazyTimer
  #lastActivityMs: number

  constructor(scope: KeepaliveScope) {
    const { clock } = scope
    this.#scope = scope
    this.#interval = new LazyTimer(clock, () => {
      this.#ping()
      this.#schedule()
    })
    this.#answer = new LazyTimer(clock, scope.onTimeout)
    this.#lastActivityMs = clock.monotonicMs()
    this.#schedule()
  }

  onActivity(): void {
    this.#lastActivityMs = this.#scope.clock.monotonicMs()
  }

  /** A stream is about to be opened. */
  beforeUse(): void {
    const { options, clock } = this.#scope
    if (options.idleMs === 0) return
    if (clock.monotonicMs() - this.#lastActivityMs >= options.idleMs) this.#ping()
  }

  onAck(text: string): void {
    if (text === payload) this.#answer.clear()
  }

  close(): void {
    this.#interval.close()
    this.#answer.close()
  }

  #schedule(): void {
    const { clock, random, options } = this.#scope
    if (options.intervalMs === 0) return
    const jitter = (options.intervalMs * options.jitterPercent * random()) / 100
    this.#interval.set(options.intervalMs + jitter, clock.monotonicMs())
  }

  #ping(): void {
    if (this.#answer.isSet) return
    this.#scope.sendPing(payload)
    this.#answer.set(this.#scope.options.timeoutMs, this.#scope.clock.monotonicMs())
  }
}
