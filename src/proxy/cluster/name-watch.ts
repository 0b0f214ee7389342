/**
 * Keeps one name resolved: asks again at the refresh rate, or when the answer's TTL is over; backs off with jitter after a failure, and keeps the last
 * good answer meanwhile. Answers are sorted, so that the same set in another order is not a change.
 */
import { Backoff } from '../../lib/backoff.ts'
import type { Clock, Timer } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'
import type { DnsConfig } from '../config/cluster-config.ts'
import type { Resolve } from './resolver.ts'

export interface NameWatchOptions {
  readonly name: string
  readonly dns: DnsConfig
  readonly resolve: Resolve
  readonly clock: Clock
  readonly random: Random
  /** Every answer; `addresses` is undefined when the look-up failed, and the last good ones stay in force. */
  readonly onAnswer: (addresses: readonly string[] | undefined, message: string) => void
}

export class NameWatch {
  readonly #options: NameWatchOptions
  readonly #backoff: Backoff
  #timer: Timer | undefined
  #isClosed = false

  constructor(options: NameWatchOptions) {
    this.#options = options
    this.#backoff = new Backoff({
      baseMs: options.dns.failureRefreshBaseMs,
      maxMs: options.dns.failureRefreshMaxMs,
      random: options.random,
    })
    this.#ask()
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
  }

  #ask(): void {
    const { name, dns, resolve } = this.#options
    resolve(name, dns.family, (result) => {
      if (this.#isClosed) return
      if (result.ok) {
        this.#backoff.reset()
        this.#askAgain(dns.refreshMs)
        if (dns.respectsTtl) this.#askTtl()
        this.#options.onAnswer([...new Set(result.addresses)], '')
      } else {
        // A failure that comes at once must not turn into a busy loop.
        const delayMs = dns.failureIsFixed ? dns.refreshMs : this.#backoff.nextMs()
        this.#askAgain(Math.max(delayMs, 1))
        this.#options.onAnswer(undefined, result.message)
      }
    })
  }

  /** The refresh rate holds until it is known, and where it is not, or says 0. */
  #askTtl(): void {
    const { name, dns, resolve } = this.#options
    const timer = this.#timer
    resolve.ttlOf?.(name, dns.family, (ttlMs) => {
      if (this.#isClosed || ttlMs === undefined || ttlMs === 0 || this.#timer !== timer) return
      timer?.cancel()
      this.#askAgain(Math.max(ttlMs, dns.ttlMsMin))
    })
  }

  #askAgain(delayMs: number): void {
    this.#timer = this.#options.clock.setTimer(delayMs, () => this.#ask())
  }
}
