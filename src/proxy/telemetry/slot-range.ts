/** Hands out runs of neighbouring slots; a freed run is reused for one of the same length. */
import { invariant } from '../../lib/assert.ts'

export class SlotRange {
  readonly end: number
  readonly size: number
  used = 0
  readonly #name: string
  readonly #lengths = new Map<number, number>()
  readonly #free = new Map<number, number[]>()
  #next: number

  /** `name` stands in the message of whoever asks for more than there are. */
  constructor(name: string, start: number, end: number) {
    this.#name = name
    this.#next = start
    this.end = end
    this.size = end - start
  }

  allocate(length: number): number {
    const reused = this.#free.get(length)?.pop()
    const slot = reused ?? this.#next
    if (reused === undefined) {
      invariant(
        this.#next + length <= this.end,
        `at most ${this.size} ${this.#name} slots (${this.#name}sMax)`,
      )
      this.#next += length
    }
    this.#lengths.set(slot, length)
    this.used += length
    return slot
  }

  /** 0 when the slot is not in use. */
  lengthOf(slot: number): number {
    return this.#lengths.get(slot) ?? 0
  }

  release(slot: number): void {
    const length = this.lengthOf(slot)
    this.#lengths.delete(slot)
    this.used -= length
    const list = this.#free.get(length)
    if (list === undefined) this.#free.set(length, [slot])
    else list.push(slot)
  }
}
