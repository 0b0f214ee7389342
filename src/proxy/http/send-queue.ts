/**
 * What of one body cannot leave at once: copies of the chunks that it came in, in buffers that are used
 * again. Fresh memory for each of them cost a third of the CPU of bulk bodies, in the collector.
 */
import type { CopyBuffers } from '../wire/copy-buffer.ts'

interface Queued {
  readonly block: Buffer
  /** What of the block is still to be sent. */
  from: number
  readonly to: number
}

/** A buffer of the pool is large: what is smaller than this has memory of its own. */
const pooledBytesMin = 8 * 1024

export class SendQueue {
  #chunks: Queued[] | undefined
  #bytes = 0

  get bytes(): number {
    return this.#bytes
  }

  push(chunk: Uint8Array, copies: CopyBuffers): void {
    const { length } = chunk
    const block = length < pooledBytesMin ? Buffer.allocUnsafeSlow(length) : copies.take(length)
    block.set(chunk)
    this.#chunks ??= []
    this.#chunks.push({ block, from: 0, to: length })
    this.#bytes += length
  }

  /** Hands out at most `bytesMax` of the first chunk, and says how many; they are valid during the call. */
  send(bytesMax: number, copies: CopyBuffers, take: (bytes: Buffer) => void): number {
    const first = this.#chunks?.[0]
    if (first === undefined) return 0
    const { block, from, to } = first
    const end = Math.min(from + bytesMax, to)
    first.from = end
    this.#bytes -= end - from
    if (end === to) this.#chunks?.shift()
    take(block.subarray(from, end))
    if (end === to) copies.give(block)
    return end - from
  }

  clear(copies: CopyBuffers): void {
    for (const { block } of this.#chunks ?? []) copies.give(block)
    this.#chunks = undefined
    this.#bytes = 0
  }
}
