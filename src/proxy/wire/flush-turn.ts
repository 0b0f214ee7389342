/**
 * One turn of the event loop for writers: what is written while a chunk is being worked on is collected by
 * each wire and leaves in one write per wire when the turn ends.
 *
 * A wire's read callback enters the turn and leaves it; the last one out flushes. What is written outside
 * (a timer, the end of a promise) is flushed by the next tick. Corking and `nextTick` always, as `node:http`
 * does, costs 0.2 µs that most requests need not pay.
 */
export interface Flushable {
  /** Gives the collected bytes to the kernel. Must not throw. */
  flush(): void
}

export class FlushTurn {
  #depth = 0
  #isTickPending = false
  #dirty: Flushable[] = []
  #spare: Flushable[] = []
  readonly #onBug: (error: unknown) => void
  readonly #onTick = (): void => {
    this.#isTickPending = false
    if (this.#depth === 0 && this.#dirty.length !== 0) this.#flushAll()
  }

  /** `onBug` is told about an exception that reached a wire: the connection is lost, the process is not. */
  constructor(onBug: (error: unknown) => void) {
    this.#onBug = onBug
  }

  enter(): void {
    this.#depth += 1
  }

  leave(): void {
    if (this.#depth === 1 && this.#dirty.length !== 0) this.#flushAll()
    this.#depth -= 1
  }

  /** Has `flush` called once at the end of the turn. A wire schedules itself once per turn. */
  schedule(wire: Flushable): void {
    this.#dirty.push(wire)
    if (this.#depth !== 0 || this.#isTickPending) return
    this.#isTickPending = true
    process.nextTick(this.#onTick)
  }

  reportBug(error: unknown): void {
    this.#onBug(error)
  }

  /** A flush may cause writes elsewhere (an internal wire delivers); those belong to the same turn. */
  #flushAll(): void {
    this.#depth += 1
    while (this.#dirty.length !== 0) {
      const dirty = this.#dirty
      this.#dirty = this.#spare
      for (const wire of dirty) wire.flush()
      dirty.length = 0
      this.#spare = dirty
    }
    this.#depth -= 1
  }
}
