/**
 * Header blocks of HTTP/2 to fields (RFC 7541). One per connection and direction, fed with whole blocks.
 *
 * A block that is wrong ends the connection, because from there on the two sides' tables differ. How much a block may
 * amount to is the sink's business (an entry of the table costs one octet each time it is named): it may stop
 * keeping fields, and the block is read to its end for the table's sake.
 */
import { DynamicTable } from './dynamic-table.ts'
import { fieldName, isValidValue, trimmed, type FieldName } from './field-name.ts'
import { decodeHuffman } from './huffman.ts'
import { LiteralMemo } from './literal-memo.ts'
import { entryOverhead, staticTable } from './static-table.ts'

export interface FieldSink {
  onField(name: FieldName, value: string, isValueValid: boolean): void
}

/** What was wrong with a block. */
export type HpackError = 'truncated' | 'integer' | 'index' | 'huffman' | 'table-size'

const defaultTableBytes = 4096
/** Above every length that a block can have, below every overflow. */
const integerMax = 2 ** 28
/** Names that came as text and are remembered; all are forgotten beyond it. */
const namesMax = 256
const namesCharsMax = 64
/** Slices keep the text of their block: not of one that is much larger than they are. */
const slicedBytesMax = 2048

export class HpackDecoder {
  readonly #table: DynamicTable
  /** What our SETTINGS allow the table to be. */
  #tableBytesMax = defaultTableBytes
  /** Our SETTINGS made the table smaller: the next block must say that it knows (§4.2). */
  #awaitsUpdate = false
  readonly #names = new Map<string, FieldName>()
  readonly #memo = new LiteralMemo()
  /** Of the block, those that are not kept in the table. */
  #literals = 0
  #scratch = Buffer.alloc(0)
  #block: Buffer = Buffer.alloc(0)
  /** Of the block, where any of its strings was asked for. */
  #text = ''
  #position = 0
  #error: HpackError | undefined

  constructor() {
    this.#table = new DynamicTable(defaultTableBytes)
  }

  /** Bytes and entries of the table, for tests and limits. */
  get table(): { readonly bytes: number; readonly count: number } {
    return this.#table
  }

  /** Our SETTINGS_HEADER_TABLE_SIZE has been acknowledged. */
  limitTable(bytesMax: number): void {
    this.#tableBytesMax = bytesMax
    if (this.#table.bytesMax > bytesMax) this.#awaitsUpdate = true
  }

  decode(block: Buffer, sink: FieldSink): HpackError | undefined {
    this.#block = block
    this.#text = ''
    this.#position = 0
    this.#literals = 0
    this.#error = undefined
    let isBegun = false
    while (this.#position < block.length && this.#error === undefined) {
      const first = block[this.#position] as number // in bounds
      if ((first & 0xe0) === 0x20) {
        if (isBegun) return 'table-size'
        this.#updateSize()
      } else {
        if (this.#awaitsUpdate) return 'table-size'
        isBegun = true
        if ((first & 0x80) !== 0) this.#readIndexed(sink)
        else if ((first & 0x40) !== 0) this.#readKept(sink)
        else this.#readLiteral(sink)
      }
    }
    this.#block = noBytes
    this.#text = ''
    return this.#error
  }

  #updateSize(): void {
    const bytesMax = this.#readInteger(5)
    if (this.#error !== undefined) return
    if (bytesMax > this.#tableBytesMax) this.#error = 'table-size'
    else {
      this.#awaitsUpdate = false
      this.#table.resize(bytesMax)
    }
  }

  #readIndexed(sink: FieldSink): void {
    const entry = this.#entryAt(this.#readInteger(7))
    if (entry !== undefined) sink.onField(entry.name, entry.value, entry.isValueValid)
  }

  /** §6.2.1 */
  #readKept(sink: FieldSink): void {
    const name = this.#nameAt(this.#readInteger(6))
    const raw = name && this.#readString(true)
    if (name === undefined || raw === undefined) return
    const value = trimmed(raw)
    const isValueValid = isValidValue(value)
    const size = name.text.length + raw.length + entryOverhead
    this.#table.add({ name, value, isValueValid, size })
    sink.onField(name, value, isValueValid)
  }

  /** §6.2.2, §6.2.3 */
  #readLiteral(sink: FieldSink): void {
    const start = this.#position
    const place = this.#literals
    this.#literals += 1
    const known = this.#memo.find(place, this.#block, start)
    if (known !== undefined) {
      this.#position += this.#memo.length
      sink.onField(known.name, known.value, known.isValueValid)
      return
    }
    const index = this.#readInteger(4)
    const name = this.#nameAt(index)
    const raw = name && this.#readString(false)
    if (name === undefined || raw === undefined) return
    const value = trimmed(raw)
    const isValueValid = isValidValue(value)
    // What an index of the dynamic table stands for changes.
    if (index <= staticTable.length) {
      this.#memo.keep(
        place,
        { block: this.#block, start, end: this.#position },
        { name, value, isValueValid },
      )
    }
    sink.onField(name, value, isValueValid)
  }

  #nameAt(index: number): FieldName | undefined {
    if (this.#error !== undefined) return undefined
    return index === 0 ? this.#readName() : this.#entryAt(index)?.name
  }

  #readName(): FieldName | undefined {
    const text = this.#readString(false)
    return text === undefined ? undefined : (this.#names.get(text) ?? this.#learn(text))
  }

  /** Peers that index nothing spell the same names each time. */
  #learn(text: string): FieldName {
    const name = fieldName(text)
    if (text.length > namesCharsMax) return name
    if (this.#names.size >= namesMax) this.#names.clear()
    this.#names.set(name.text, name)
    return name
  }

  #entryAt(index: number) {
    if (this.#error !== undefined) return undefined
    const entry =
      index <= staticTable.length
        ? staticTable[index - 1]
        : this.#table.at(index - staticTable.length - 1)
    if (entry === undefined) this.#error = 'index'
    return entry
  }

  /** §5.2. What is kept in the table must not keep its whole block, of which it would be a slice. */
  #readString(isKept: boolean): string | undefined {
    const first = this.#block[this.#position]
    if (first === undefined) {
      this.#error = 'truncated'
      return undefined
    }
    const length = this.#readInteger(7)
    if (this.#error !== undefined) return undefined
    const start = this.#position
    const end = start + length
    if (end > this.#block.length) {
      this.#error = 'truncated'
      return undefined
    }
    this.#position = end
    if ((first & 0x80) !== 0) return this.#readHuffman(start, end)
    if (isKept || this.#block.length > slicedBytesMax) {
      return this.#block.toString('latin1', start, end)
    }
    // One call into the runtime for the block, not one for each of its strings.
    if (this.#text === '') this.#text = this.#block.toString('latin1')
    return this.#text.slice(start, end)
  }

  #readHuffman(start: number, end: number): string | undefined {
    // No code is shorter than five bits.
    const most = Math.ceil(((end - start) * 8) / 5)
    if (this.#scratch.length < most) this.#scratch = Buffer.allocUnsafeSlow(Math.max(most, 256))
    const length = decodeHuffman(this.#block, { start, end }, this.#scratch)
    if (length === -1) {
      this.#error = 'huffman'
      return undefined
    }
    return this.#scratch.toString('latin1', 0, length)
  }

  /** §5.1 */
  #readInteger(prefixBits: number): number {
    const block = this.#block
    const mask = (1 << prefixBits) - 1
    const first = block[this.#position]
    this.#position += 1
    if (first === undefined) return this.#fail('truncated')
    let value = first & mask
    if (value < mask) return value
    for (let factor = 1; ; factor *= 128) {
      const octet = block[this.#position]
      this.#position += 1
      if (octet === undefined) return this.#fail('truncated')
      value += (octet & 0x7f) * factor
      if (value > integerMax || factor > integerMax) return this.#fail('integer')
      if ((octet & 0x80) === 0) return value
    }
  }

  #fail(error: HpackError): number {
    this.#error = error
    return 0
  }
}

const noBytes = Buffer.alloc(0)
