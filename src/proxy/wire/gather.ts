/**
 * What a wire writes in one turn, gathered for one system call: text alone stays text, for one write of one string is
 * cheapest; with a large body among it everything is copied into a block, once, because the chunk that it came in
 * belongs to the reader's buffer. Frames of HTTP/2 leave four at a time in that way.
 */
import { bufferOf } from '../../lib/bytes.ts'
import type { CopyBuffers } from './copy-buffer.ts'

/** Above this a body goes into a block instead of being joined to the text. */
const joinBytesMax = 8 * 1024
/** Text, and a block, beyond this do not wait for the end of the turn. */
const textMax = 15 * 1024
const blockBytesMax = 64 * 1024

export class Gather {
  readonly #copies: CopyBuffers
  #text = ''
  #block: Buffer | undefined
  #bytes = 0

  constructor(copies: CopyBuffers) {
    this.#copies = copies
  }

  /** Bytes that wait. */
  get length(): number {
    return this.#text.length + this.#bytes
  }

  /** Whether what waits should leave now. */
  get isFull(): boolean {
    return this.#text.length > textMax || this.#bytes >= blockBytesMax
  }

  /** Strings are latin1. Take out what waits whenever it is full. */
  add(data: Uint8Array | string): void {
    if (this.#block !== undefined) this.#append(data)
    else if (typeof data === 'string') this.#text += data
    else if (data.length <= joinBytesMax) this.#text += latin1(data)
    else {
      const text = this.takeText()
      if (text !== '') this.#append(text)
      this.#append(data)
    }
  }

  /** Takes out the text that waits; empty where there is a block, or nothing. */
  takeText(): string {
    const text = this.#text
    this.#text = ''
    return text
  }

  /**
   * Takes out the block, of which the first `length` bytes are to be sent: ask for that before. Whoever has it gives it
   * back to the copies when they are.
   */
  takeBlock(): Buffer | undefined {
    const block = this.#block
    this.#block = undefined
    this.#bytes = 0
    return block
  }

  /** Nothing of it will be sent. */
  clear(): void {
    this.#text = ''
    const block = this.takeBlock()
    if (block !== undefined) this.#copies.give(block)
  }

  #append(data: Uint8Array | string): void {
    const block = this.#roomFor(data.length)
    if (typeof data === 'string') block.write(data, this.#bytes, 'latin1')
    else block.set(data, this.#bytes)
    this.#bytes += data.length
  }

  #roomFor(bytes: number): Buffer {
    const block = this.#block
    if (block === undefined) return (this.#block = this.#copies.take(bytes))
    if (this.#bytes + bytes <= block.length) return block
    const larger = this.#copies.take(this.#bytes + bytes)
    larger.set(block.subarray(0, this.#bytes))
    this.#copies.give(block)
    return (this.#block = larger)
  }
}

function latin1(data: Uint8Array): string {
  // Chunks are Buffers wherever they come from a socket; the other case is a literal of ours.
  const bytes = Buffer.isBuffer(data) ? data : bufferOf(data)
  return bytes.toString('latin1')
}
