/**
 * Follows gRPC's frames through a body at any split (grpc PROTOCOL-HTTP2, Length-Prefixed-Message): five bytes of head,
 * the last four its length, and as many bytes as they say. Only heads are looked at, and nothing is kept.
 */
const headBytes = 5

export class GrpcFrames {
  /** Bytes of the head that have come. */
  #headBytes = 0
  #length = 0
  /** Bytes of the message that are still to come. */
  #left = 0

  /** What comes next is the first byte of a frame. */
  get isBetween(): boolean {
    return this.#headBytes === 0 && this.#left === 0
  }

  /** Where the head, or the message, or what there is of them ends: past `start`, which is in bounds. */
  read(chunk: Uint8Array, start: number): number {
    if (this.#left > 0) {
      const taken = Math.min(this.#left, chunk.length - start)
      this.#left -= taken
      return start + taken
    }
    for (let position = start; position < chunk.length; position += 1) {
      if (this.#headBytes > 0) this.#length = this.#length * 256 + (chunk[position] as number) // in bounds
      this.#headBytes += 1
      if (this.#headBytes < headBytes) continue
      this.#left = this.#length
      this.#headBytes = 0
      this.#length = 0
      return position + 1
    }
    return chunk.length
  }
}
