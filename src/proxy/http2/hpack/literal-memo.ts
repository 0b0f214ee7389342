/**
 * Literal fields that a peer sends again and again (RFC 7541 §6.2.2, §6.2.3): not every peer keeps a table, and one that
 * keeps none spells the same fields in the same order in every block. The bytes at a literal's place in the block are
 * compared with those that stood there last time; where they are the same, so are name and value, and nothing is decoded.
 *
 * Bound: `placesMax` literals of `bytesMax` octets for each connection and direction. A place whose bytes are never the same
 * (an id, a time) is given up for good after `missesMax` blocks, so it costs no more than a look.
 */
import type { FieldName } from './field-name.ts'

export interface LiteralField {
  readonly name: FieldName
  readonly value: string
  readonly isValueValid: boolean
}

/** Where it stands. */
export interface Literal {
  readonly block: Uint8Array
  readonly start: number
  readonly end: number
}

const placesMax = 32
const bytesMax = 96
const missesMax = 4
const noBytes = new Uint8Array(0)

class Place {
  bytes = noBytes
  length = 0
  field: LiteralField | undefined
  misses = 0

  forget(): void {
    this.field = undefined
    this.bytes = noBytes
  }
}

export class LiteralMemo {
  readonly #places: (Place | undefined)[] = []
  /** Octets of the literal that `find` knew. */
  length = 0

  /** The field whose literal begins there, if it is the one that stood at that place before. */
  find(place: number, block: Uint8Array, start: number): LiteralField | undefined {
    const known = this.#places[place]
    if (known === undefined || known.field === undefined) return undefined
    const { bytes, length } = known
    for (let index = 0; index < length; index += 1) {
      if (bytes[index] !== block[start + index]) {
        known.misses += 1
        if (known.misses >= missesMax) known.forget()
        return undefined
      }
    }
    known.misses = 0
    this.length = length
    return known.field
  }

  /** What the literal that `find` did not know has turned out to be. */
  keep(place: number, { block, start, end }: Literal, field: LiteralField): void {
    if (place >= placesMax || end - start > bytesMax) return
    const known = (this.#places[place] ??= new Place())
    if (known.misses >= missesMax) return
    const length = end - start
    if (known.bytes.length < length) known.bytes = new Uint8Array(length)
    const { bytes } = known
    for (let index = start; index < end; index += 1) bytes[index - start] = block[index] as number // in bounds
    known.length = length
    // Of a value that is a slice, the whole block would be kept.
    known.field = { ...field, value: Buffer.from(field.value, 'latin1').toString('latin1') }
  }
}
