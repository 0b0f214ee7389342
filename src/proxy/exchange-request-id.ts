/**
 * Ids for requests that have none: UUID version 4 from four draws of the runtime's chance. They identify, they protect nothing.
 *
 * The digits are written into bytes and read as one string: joined from parts, the id would be a tree of them, flattened
 * again by each log and header that reads it.
 */
import type { Random } from '../lib/random.ts'

const digits = Buffer.from('0123456789abcdef')
const empty = Buffer.from('00000000-0000-4000-8000-000000000000')

export class RequestIds {
  readonly #random: Random
  readonly #text: Buffer = Buffer.from(empty)

  constructor(random: Random) {
    this.#random = random
  }

  next(): string {
    const text = this.#text
    const middle = this.#draw()
    const last = this.#draw()
    writeHex(text, this.#draw(), [0, 8])
    writeHex(text, middle >>> 16, [9, 13])
    writeHex(text, (middle & 0xfff) | 0x4000, [14, 18])
    writeHex(text, ((last >>> 16) & 0x3fff) | 0x8000, [19, 23])
    writeHex(text, last, [24, 28])
    writeHex(text, this.#draw(), [28, 36])
    return text.toString('latin1')
  }

  #draw(): number {
    return (this.#random() * 0x1_0000_0000) >>> 0
  }
}

/** The lowest digits of `value` that fit. */
function writeHex(text: Buffer, value: number, [start, end]: readonly [number, number]): void {
  let rest = value
  for (let index = end - 1; index >= start; index -= 1) {
    text[index] = digits[rest & 0xf] as number // 16 of them
    rest >>>= 4
  }
}
