/**
 * The memory that all sockets of a runtime read into, with views of it by length: a view per read would be an
 * object per message, and messages come in few lengths.
 */

const bytes = 64 * 1024
/** Direct-mapped by the low bits of the length. */
const viewsMax = 256

export class ReadBuffer {
  readonly whole: Buffer = Buffer.allocUnsafeSlow(bytes)
  readonly #views: Buffer[] = []

  constructor() {
    for (let index = 0; index < viewsMax; index += 1) this.#views.push(this.whole.subarray(0, 0))
  }

  /** The first `length` bytes; valid until the next read. */
  view(length: number): Buffer {
    const slot = length & (viewsMax - 1)
    const known = this.#views[slot]
    if (known !== undefined && known.length === length) return known
    const view = this.whole.subarray(0, length)
    this.#views[slot] = view
    return view
  }
}
