/**
 * Says that something goes on happening without saying it each time: at once, and from then on at most once in
 * `everyMs`, with how often it was since the last time.
 */
import type { Clock } from './clock.ts'

export interface NoticeOptions {
  readonly clock: Clock
  readonly everyMs?: number
  readonly say: (count: number) => void
}

const everyDefaultMs = 10_000

export class Notice {
  readonly #options: NoticeOptions
  #count = 0
  #isQuiet = false

  constructor(options: NoticeOptions) {
    this.#options = options
  }

  note(count: number): void {
    this.#count += count
    if (!this.#isQuiet) this.#say()
  }

  #say(): void {
    const { clock, everyMs = everyDefaultMs, say } = this.#options
    const count = this.#count
    this.#count = 0
    this.#isQuiet = true
    clock.setTimer(everyMs, () => {
      this.#isQuiet = false
      if (this.#count > 0) this.#say()
    })
    say(count)
  }
}
