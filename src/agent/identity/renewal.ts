/**
 * When a workload's certificate is renewed: at half of its life, more or less, so that many do not come at once;
 * after a failure again with back-off, the sooner the nearer the end.
 *
 * Time that a certificate has left goes by the wall clock, because the peers' does; a host that slept notices within
 * `lookMs`. When a third is left a warning is due, once.
 */
import { Backoff } from '../../lib/backoff.ts'
import type { Clock, Timer } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'

export interface RenewalOptions {
  readonly clock: Clock
  readonly random: Random
  /** Asks for a new certificate, and calls `arm` when it has come. Rejects when none has. */
  readonly renew: () => Promise<void>
  readonly onFailure: (error: unknown, retryMs: number) => void
  /** A third of its life is left, and nobody could renew it. */
  readonly onNearEnd: () => void
}

/** Around the half: from 0.45 to 0.55 of what is left when it was got. */
const jitterShare = 0.1
const warningShare = 1 / 3
/** Longest time between two looks at the wall clock. */
const lookMs = 60_000
const backoffBaseMs = 1_000
const backoffMaxMs = 60_000
/** A retry comes before this part of what is left has gone. */
const retryShare = 0.2
const retryMsMin = 100

export class Renewal implements Disposable {
  readonly #options: RenewalOptions
  readonly #backoff: Backoff
  #timer: Timer | undefined
  #dueAtMs = 0
  #notAfterMs = 0
  #lifetimeMs = 0
  #isNearEndTold = false
  #isRenewing = false
  /** Asked for while a renewal was on its way, which may have been answered before. */
  #hurryMs: number | undefined
  #isClosed = false

  constructor(options: RenewalOptions) {
    this.#options = options
    this.#backoff = new Backoff({
      baseMs: backoffBaseMs,
      maxMs: backoffMaxMs,
      random: options.random,
    })
  }

  /** When the next try is due, on the wall clock. */
  get dueAtMs(): number {
    return this.#dueAtMs
  }

  /** A certificate has come that lives until then. */
  arm(notAfterMs: number): void {
    const { clock, random } = this.#options
    this.#backoff.reset()
    this.#notAfterMs = notAfterMs
    this.#lifetimeMs = notAfterMs - clock.nowMs()
    this.#isNearEndTold = false
    const share = 0.5 + (random() - 0.5) * jitterShare
    this.#dueAtMs = clock.nowMs() + this.#lifetimeMs * share
    this.#look()
  }

  /** Before its time: the roots have changed. */
  hurry(withinMs: number): void {
    if (this.#isRenewing) {
      this.#hurryMs = withinMs
      return
    }
    const { clock, random } = this.#options
    this.#dueAtMs = Math.min(this.#dueAtMs, clock.nowMs() + random() * withinMs)
    this.#look()
  }

  [Symbol.dispose](): void {
    this.#isClosed = true
    this.#timer?.cancel()
  }

  #look(): void {
    if (this.#isClosed) return
    const { clock } = this.#options
    this.#timer?.cancel()
    if (this.#isRenewing) return
    const waitMs = this.#dueAtMs - clock.nowMs()
    if (waitMs <= 0) void this.#renew()
    else this.#timer = clock.setTimer(Math.min(waitMs, lookMs), () => this.#look())
  }

  async #renew(): Promise<void> {
    const { clock, renew, onFailure } = this.#options
    this.#isRenewing = true
    try {
      await renew()
    } catch (error) {
      if (this.#isClosed) return
      const leftMs = Math.max(0, this.#notAfterMs - clock.nowMs())
      // Once it has expired there is no hurry that would help.
      const ceilingMs = leftMs > 0 ? Math.max(retryMsMin, leftMs * retryShare) : backoffMaxMs
      const retryMs = Math.max(retryMsMin, Math.min(this.#backoff.nextMs(), ceilingMs))
      this.#dueAtMs = clock.nowMs() + retryMs
      this.#warn(leftMs)
      onFailure(error, retryMs)
    } finally {
      this.#isRenewing = false
      const hurryMs = this.#hurryMs
      this.#hurryMs = undefined
      if (hurryMs === undefined) this.#look()
      else this.hurry(hurryMs)
    }
  }

  #warn(leftMs: number): void {
    if (this.#isNearEndTold || leftMs > this.#lifetimeMs * warningShare) return
    this.#isNearEndTold = true
    this.#options.onNearEnd()
  }
}
