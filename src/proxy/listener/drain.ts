/** How the connections of one listener end without losing a request (Envoy drain strategies). */
import type { Clock, Timer } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'
import type { OpenConnection } from './connection.ts'

export interface DrainOptions {
  /** Connections that are still open after this long are cut. 0 cuts at once. */
  readonly deadlineMs: number
  /**
   * `immediate`: every next response says `Connection: close` and idle connections end now.
   * `gradual`: the share of responses that say so grows linearly until the deadline (Envoy's default).
   */
  readonly strategy: 'gradual' | 'immediate'
  /** Whether to go on accepting while draining (Envoy's `/drain_listeners?graceful`); false unless set. */
  readonly keepAccepting?: boolean
}

export interface DrainScope {
  readonly clock: Clock
  readonly random: Random
  readonly connections: ReadonlySet<OpenConnection>
}

export class Drain {
  readonly #scope: DrainScope
  readonly #waiters: (() => void)[] = []
  #startMs = 0
  #deadlineMs = 0
  #strategy: DrainOptions['strategy'] = 'gradual'
  #timer: Timer | undefined
  #isOver = false

  constructor(scope: DrainScope) {
    this.#scope = scope
  }

  /** Resolves when no connection is left; a second call sets a new strategy and deadline. */
  start(options: DrainOptions): Promise<void> {
    const { clock, connections } = this.#scope
    this.#startMs = clock.monotonicMs()
    this.#deadlineMs = options.deadlineMs
    this.#strategy = options.strategy
    this.#timer?.cancel()
    this.#timer = clock.setTimer(options.deadlineMs, () => this.#onDeadline())
    if (options.strategy === 'immediate') {
      for (const connection of connections) connection.closeWhenIdle()
    }
    return new Promise((resolve) => {
      this.#waiters.push(resolve)
      this.onConnectionClose()
    })
  }

  wantsClose(): boolean {
    if (this.#strategy === 'immediate' || this.#isOver) return true
    const elapsedMs = this.#scope.clock.monotonicMs() - this.#startMs
    return this.#scope.random() * this.#deadlineMs < elapsedMs
  }

  onConnectionClose(): void {
    if (this.#scope.connections.size !== 0) return
    this.#timer?.cancel()
    for (const resolve of this.#waiters.splice(0)) resolve()
  }

  #onDeadline(): void {
    this.#isOver = true
    for (const connection of this.#scope.connections) connection.destroy()
  }
}
