/**
 * Bytes of a body that must wait, in order. Small chunks are copied into blocks, so that who sends a body octet by octet
 * takes about as much memory as the octets do (CVE-2020-8659), and not a buffer for each.
 */
const blockBytes = 4096

export class HeldChunks {
  #chunks: Buffer[] = []
  /** The last of the chunks while it has room. */
  #block: Buffer | undefined
  #blockUsed = 0

  get isEmpty(): boolean {
    return this.#chunks.length === 0
  }

  /** Copies: a chunk is valid during the call only. */
  push(chunk: Uint8Array): void {
    const { length } = chunk
    if (length === 0) return
    if (this.#block !== undefined && this.#blockUsed + length <= blockBytes) {
      this.#append(this.#block, chunk)
      return
    }
    this.#finishBlock()
    // Most bodies are one chunk, and a large chunk needs no room behind it.
    if (this.isEmpty || length >= blockBytes / 2) {
      this.#chunks.push(Buffer.from(chunk))
      return
    }
    this.#block = Buffer.allocUnsafe(blockBytes)
    this.#blockUsed = 0
    this.#chunks.push(this.#block)
    this.#append(this.#block, chunk)
  }

  /** Takes the first of what is held. */
  shift(): Buffer | undefined {
    const first = this.#chunks.shift()
    if (first === undefined || first !== this.#block) return first
    this.#block = undefined
    return first.subarray(0, this.#blockUsed)
  }

  forEach(visit: (chunk: Buffer) => void): void {
    for (const chunk of this.#chunks) {
      visit(chunk === this.#block ? chunk.subarray(0, this.#blockUsed) : chunk)
    }
  }

  clear(): void {
    this.#chunks = []
    this.#block = undefined
  }

  /** No more goes into it. */
  #finishBlock(): void {
    const block = this.#block
    if (block === undefined) return
    this.#chunks[this.#chunks.length - 1] = block.subarray(0, this.#blockUsed)
    this.#block = undefined
  }

  #append(block: Buffer, chunk: Uint8Array): void {
    block.set(chunk, this.#blockUsed)
    this.#blockUsed += chunk.length
  }
}
