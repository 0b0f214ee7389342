/**
 * Ids for requests that have none: UUID version 4 from four draws of the runtime's chance. They identify, they protect nothing.
 */
import type { Random } from '../lib/random.ts'

export class RequestIds {
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
  }

  next(): string {
    const a = (this.#random() * 0x1_0000_0000) >>> 0
    const b = (this.#random() * 0x1_0000_0000) >>> 0
    const c = (this.#random() * 0x1_0000_0000) >>> 0
    const d = (this.#random() * 0x1_0000_0000) >>> 0
    return (
      `${hex(a >>> 24)}${hex(a >>> 16)}${hex(a >>> 8)}${hex(a)}-${hex(b >>> 24)}${hex(b >>> 16)}-` +
      `${hex(((b >>> 8) & 0x0f) | 0x40)}${hex(b)}-${hex(((c >>> 24) & 0x3f) | 0x80)}${hex(c >>> 16)}-` +
      `${hex(c >>> 8)}${hex(c)}${hex(d >>> 24)}${hex(d >>> 16)}${hex(d >>> 8)}${hex(d)}`
    )
  }
}

const octets: readonly string[] = Array.from({ length: 256 }, (_, value) =>
  value.toString(16).padStart(2, '0'),
)

function hex(value: number): string {
  return octets[value & 0xff] as string // 256 entries, masked
}
