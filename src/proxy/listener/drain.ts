/**
 * How the connections of one listener end without losing a request (Envoy drain strategies).
 *
 * HTTP/1 connections end with a response that says `Connection: close`, HTTP/2 ones with a GOAWAY in two steps; TCP
 * connections have no word for it, and last until they end by themselves or are cut.
 */
import type { Clock, Timer } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'
import type { Roster } from '../../lib/roster.ts'
import type { OpenConnection } from './connection.ts'

export interface DrainOptions {
  /** How long it takes; 0 is at once. */
  readonly deadlineMs: number
  /**
   * `immediate`: every next response says `Connection: close` and idle connections end now.
   * `gradual`: the share of responses that say so grows linearly until the deadline (Envoy's default).
   * `none`: connections go on as if nothing had happened.
   */
  readonly strategy: 'gradual' | 'immediate' | 'none'
  /** Whether to go on accepting until the deadline (Envoy's `/drain_listeners?graceful`); false unless set. */
  readonly keepAccepting?: boolean
  /** What happens at the deadline: `cut` (unless set) ends what is still open, `stop-accepting` only closes the door. */
  readonly atDeadline?: 'cut' | 'stop-accepting' | 'nothing'
}

export interface DrainScope {
  readonly clock: Clock
  readonly random: Random
  readonly connections: Pick<Roster<OpenConnection>, 'size' | 'list'>
  readonly stopAccepting: () => void
}

export class Drain {
  readonly #scope: DrainScope
  readonly #waiters: (() => void)[] = []
  #options: DrainOptions = { deadlineMs: 0, strategy: 'none', atDeadline: 'nothing' }
  #startMs = 0
  #timer: Timer | undefined
  #isOver = false

  constructor(scope: DrainScope) {
    this.#scope = scope
  }

  /** Resolves when no connection is left, or at the deadline; a second call sets a new strategy and deadline. */
  start(options: DrainOptions): Promise<void> {
    const { clock, connections } = this.#scope
    if (this.#isRepeated(options)) return Promise.resolve()
    this.#startMs = clock.monotonicMs()
    this.#options = options
    this.#isOver = false
    this.#timer?.cancel()
    this.#timer = clock.setTimer(options.deadlineMs, () => this.#onDeadline())
    if (options.strategy === 'immediate') {
      for (const connection of connections.list()) connection.closeWhenIdle()
    }
    return new Promise((resolve) => {
      this.#waiters.push(resolve)
      this.onConnectionClose()
    })
  }

  wantsClose(): boolean {
    const { strategy, deadlineMs } = this.#options
    if (strategy === 'none') return false
    if (strategy === 'immediate' || this.#isOver) return true
    const elapsedMs = this.#scope.clock.monotonicMs() - this.#startMs
    return this.#scope.random() * deadlineMs < elapsedMs
  }

  onConnectionClose(): void {
    // While the door is open there may be a next one.
    const isOpen = this.#options.keepAccepting === true && !this.#isOver
    if (this.#scope.connections.size !== 0 || isOpen) return
    this.#timer?.cancel()
    this.#release()
  }

  /** Somebody who says again what is under way does not begin it anew. */
  #isRepeated({ strategy, keepAccepting, atDeadline }: DrainOptions): boolean {
    const now = this.#options
    return (
      strategy === 'gradual' &&
      now.strategy === 'gradual' &&
      keepAccepting === true &&
      now.keepAccepting === true &&
      atDeadline === now.atDeadline
    )
  }

  #onDeadline(): void {
    this.#isOver = true
    const { atDeadline = 'cut' } = this.#options
    if (atDeadline === 'cut') {
      for (const connection of this.#scope.connections.list()) connection.destroy()
      this.onConnectionClose()
      return
    }
    if (atDeadline === 'stop-accepting') this.#scope.stopAccepting()
    this.#release()
  }

  #release(): void {
    for (const resolve of this.#waiters.splice(0)) resolve()
  }
}
