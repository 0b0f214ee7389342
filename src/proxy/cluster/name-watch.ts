/**
 * Keeps one name resolved: asks again at the refresh rate, or when the answer's TTL is over; backs off with jitter after a
 * failure, and keeps the last good answer meanwhile.
 */
import { Backoff } from '../../lib/backoff.ts'
import type { Clock, Timer } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'
import type { DnsConfig } from '../config/cluster-config.ts'
import type { Resolve } from './resolver.ts'

export interface NameWatchOptions {
  readonly name: string
  readonly dns: DnsConfig
  /** Whether an answer without addresses is a good one; absent: it is. */
  readonly takesNone?: boolean
  readonly resolve: Resolve
  readonly clock: Clock
  readonly random: Random
  /** Each time that it is asked for. */
  readonly onAsk?: () => void
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
    const { name, dns, resolve, onAsk } = this.#options
    onAsk?.()
    resolve(name, dns.family, (result) => {
      if (this.#isClosed) return
      if (!result.ok) this.#onFailure(result.message)
      else if (result.addresses.length > 0) this.#onAddresses(result.addresses)
      else this.#onNone()
    })
  }

  #onAddresses(addresses: readonly string[]): void {
    const { dns, onAnswer } = this.#options
    this.#backoff.reset()
    this.#askAgain(dns.refreshMs)
    if (dns.respectsTtl) this.#askTtl()
    onAnswer([...new Set(addresses)], '')
  }

  /** There is no TTL to respect. */
  #onNone(): void {
    const { dns, takesNone = true, onAnswer } = this.#options
    if (!takesNone) {
      this.#onFailure('the name has no address')
      return
    }
    this.#backoff.reset()
    this.#askAgain(dns.refreshMs)
    onAnswer([], '')
  }

  #onFailure(message: string): void {
    const { dns, onAnswer } = this.#options
    // A failure that comes at once must not turn into a busy loop.
    const delayMs = dns.failureIsFixed ? dns.refreshMs : this.#backoff.nextMs()
    this.#askAgain(Math.max(delayMs, 1))
    onAnswer(undefined, message)
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
