/**
 * What a client wants, and has accepted, of one type; it outlives streams, so that a new stream starts from the
 * last good version and nothing is sent twice.
 */
import type { Clock, Timer } from '../../lib/clock.ts'
import { typeUrls } from '../resource-set.ts'
import type { ReceivedResource } from './received.ts'

export type WantedNames = '*' | ReadonlySet<string>

export interface RejectedResource {
  readonly name: string
  readonly reason: string
}

export interface TypeSubscriptionOptions {
  readonly typeUrl: string
  readonly clock: Clock
  /** How long a name may stay unanswered while the stream is up; 0 = for ever. */
  readonly missingAfterMs: number
  readonly onMissing: (names: readonly string[]) => void
}

export class TypeSubscription {
  readonly typeUrl: string
  readonly #options: TypeSubscriptionOptions
  readonly #timers = new Map<string, Timer>()
  wanted: WantedNames = new Set()
  /** What the server was told on this stream; undefined before the first request. */
  told: WantedNames | undefined
  /** Version by name of what was accepted. */
  readonly accepted = new Map<string, string>()
  acceptedVersion = ''
  /** What is held is less than that version. */
  isIncomplete = false
  /** Of the last response on this stream. */
  nonce = ''
  lastRejection: string | undefined
  /** Accepted, and found not to work while another answer is being worked on; said with that. */
  failed: RejectedResource[] = []

  constructor(options: TypeSubscriptionOptions) {
    this.typeUrl = options.typeUrl
    this.#options = options
  }

  /** An answer of this type is complete: what it leaves out is gone. */
  get isComplete(): boolean {
    return this.typeUrl === typeUrls.listener || this.typeUrl === typeUrls.cluster
  }

  /**
   * The server may give what was not asked for: virtual hosts come under names of its own, and without being asked
   * (VHDS). Such a subscription begins with no names at all.
   */
  get isOpen(): boolean {
    return this.typeUrl === typeUrls.virtualHost
  }

  /**
   * The version in a request of state of the world. On a new stream it says that nothing of it needs to be sent again, so
   * whoever lacks a name that it wants says none: it may have dropped that while the answer was on its way.
   */
  get versionToTell(): string {
    if (this.told !== undefined) return this.acceptedVersion
    const names = this.wanted === '*' ? [] : [...this.wanted]
    const isWhole = names.every((name) => name === '*' || this.accepted.has(name))
    return isWhole && !this.isIncomplete ? this.acceptedVersion : ''
  }

  wants(name: string): boolean {
    return this.isOpen || this.wanted === '*' || this.wanted.has('*') || this.wanted.has(name)
  }

  /** What is no longer wanted is forgotten: it must be sent again when it is wanted again. */
  want(names: WantedNames): void {
    this.wanted = names
    for (const name of this.accepted.keys()) if (!this.wants(name)) this.accepted.delete(name)
    for (const [name, timer] of this.#timers) {
      if (name === wildcardTimer ? this.#isWildcard : this.wants(name)) continue
      timer.cancel()
      this.#timers.delete(name)
    }
  }

  /** The stream ended: timers stop, because silence now means nothing. */
  onStreamEnd(): void {
    this.told = undefined
    this.nonce = ''
    this.failed = []
    for (const timer of this.#timers.values()) timer.cancel()
    this.#timers.clear()
  }

  /** A request was sent: from now on each name that we never had must be answered in time. */
  onRequested(): void {
    this.told = this.wanted
    // Who asks for a virtual host keeps the time himself.
    if (this.#options.missingAfterMs === 0 || this.isOpen) return
    if (this.#isWildcard && this.acceptedVersion === '') this.#startTimer(wildcardTimer)
    if (this.wanted === '*') return
    for (const name of this.wanted) {
      if (name !== wildcardTimer && !this.accepted.has(name)) this.#startTimer(name)
    }
  }

  get #isWildcard(): boolean {
    return this.wanted === '*' || this.wanted.has('*')
  }

  onReceived(resources: readonly ReceivedResource[], removed: readonly string[]): void {
    this.#stopTimer(wildcardTimer)
    for (const { name } of resources) this.#stopTimer(name)
    for (const name of removed) this.#stopTimer(name)
  }

  #startTimer(name: string): void {
    if (this.#timers.has(name)) return
    const timer = this.#options.clock.setTimer(this.#options.missingAfterMs, () => {
      this.#timers.delete(name)
      this.#options.onMissing(name === wildcardTimer ? [] : [name])
    })
    this.#timers.set(name, timer)
  }

  #stopTimer(name: string): void {
    this.#timers.get(name)?.cancel()
    this.#timers.delete(name)
  }
}

const wildcardTimer = '*'
