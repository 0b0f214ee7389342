/**
 * One turn of the event loop for writers: what is written while a chunk is being worked on is collected by
 * each wire and leaves in one write per wire when the turn ends.
 *
 * A wire's read callback enters the turn and leaves it; the last one out flushes. What is written outside
 * (a timer, the end of a promise) is flushed by the next tick. A read needs no `nextTick` of
 * its own that way.
 */
import type { Clock } from '../../lib/clock.ts'
import { CopyBuffers } from './copy-buffer.ts'

interface Time {
  readonly monotonicMs: number
  readonly nowMs: number
}

export interface Flushable {
  /** Gives the collected bytes to the kernel. Must not throw. */
  flush(): void
}

/** Takes the place of a wire that was flushed, so that none is kept alive. */
const nothing: Flushable = { flush() {} }

export class FlushTurn {
  readonly copies = new CopyBuffers()
  #depth = 0
  #isTickPending = false
  #time: Time | undefined
  #dirty: Flushable[] = []
  #spare: Flushable[] = []
  /** How many of `#dirty` count: shortening an array is a call into the runtime, a counter is not. */
  #dirtyCount = 0
  readonly #onBug: (error: unknown) => void
  readonly #onTick = (): void => {
    this.#isTickPending = false
    if (this.#depth === 0 && this.#dirtyCount !== 0) this.#flushAll()
  }

  /** `onBug` is told about an exception that reached a wire: the connection is lost, the process is not. */
  constructor(onBug: (error: unknown) => void) {
    this.#onBug = onBug
  }

  enter(): void {
    if (this.#depth === 0) this.#time = undefined
    this.#depth += 1
  }

  /**
   * `clock`, read once per turn: a request asks for the time about ten times.
   * Outside a turn every reading is fresh.
   */
  cache(clock: Clock): Clock {
    const read = (): Time => {
      if (this.#depth === 0) return { monotonicMs: clock.monotonicMs(), nowMs: clock.nowMs() }
      this.#time ??= { monotonicMs: clock.monotonicMs(), nowMs: clock.nowMs() }
      return this.#time
    }
    return {
      nowMs: () => read().nowMs,
      monotonicMs: () => read().monotonicMs,
      setTimer: (delayMs, run) => clock.setTimer(delayMs, run),
    }
  }

  leave(): void {
    if (this.#depth === 1 && this.#dirtyCount !== 0) this.#flushAll()
    this.#depth -= 1
  }

  /** Has `flush` called once at the end of the turn. A wire schedules itself once per turn. */
  schedule(wire: Flushable): void {
    this.#dirty[this.#dirtyCount] = wire
    this.#dirtyCount += 1
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
    while (this.#dirtyCount !== 0) {
      const dirty = this.#dirty
      const count = this.#dirtyCount
      this.#dirty = this.#spare
      this.#spare = dirty
      this.#dirtyCount = 0
      for (let index = 0; index < count; index += 1) {
        dirty[index]?.flush()
        dirty[index] = nothing
      }
    }
    this.#depth -= 1
  }
}
