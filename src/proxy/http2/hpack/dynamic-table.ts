/** The reader's table of what a connection has said (RFC 7541 §2.3.2): a ring, newest first, bounded in bytes. */
import { entryOverhead, type TableEntry } from './static-table.ts'

export class DynamicTable {
  #ring: (TableEntry | undefined)[]
  /** Where the newest entry stands. */
  #newest = 0
  #count = 0
  #bytes = 0
  #bytesMax: number

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
    this.#ring = emptyRing(ringSize(bytesMax))
  }

  get bytes(): number {
    return this.#bytes
  }

  get count(): number {
    return this.#count
  }

  get bytesMax(): number {
    return this.#bytesMax
  }

  /** 0 is the newest. */
  at(index: number): TableEntry | undefined {
    if (index >= this.#count) return undefined
    return this.#ring[(this.#newest - index) & (this.#ring.length - 1)]
  }

  resize(bytesMax: number): void {
    this.#bytesMax = bytesMax
    this.#shrinkTo(bytesMax)
    const size = ringSize(bytesMax)
    if (size <= this.#ring.length) return
    const ring = emptyRing(size)
    for (let index = 0; index < this.#count; index += 1) {
      ring[this.#count - 1 - index] = this.at(index)
    }
    this.#ring = ring
    this.#newest = Math.max(this.#count - 1, 0)
  }

  /** An entry larger than the table empties it (§4.4). */
  add(entry: TableEntry): void {
    this.#shrinkTo(this.#bytesMax - entry.size)
    if (entry.size > this.#bytesMax) return
    this.#newest = (this.#newest + 1) & (this.#ring.length - 1)
    this.#ring[this.#newest] = entry
    this.#count += 1
    this.#bytes += entry.size
  }

  #shrinkTo(bytes: number): void {
    while (this.#count > 0 && this.#bytes > bytes) {
      const oldest = (this.#newest - this.#count + 1) & (this.#ring.length - 1)
      this.#bytes -= this.#ring[oldest]?.size ?? 0
      this.#ring[oldest] = undefined
      this.#count -= 1
    }
  }
}

/** A power of two above the number of entries that fit. */
function ringSize(bytesMax: number): number {
  return 2 ** Math.ceil(Math.log2(Math.floor(bytesMax / entryOverhead) + 2))
}

function emptyRing(size: number): (TableEntry | undefined)[] {
  return Array.from({ length: size })
}
