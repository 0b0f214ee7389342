/**
 * Counts gRPC messages as they pass (Envoy's `grpc_stats`): five bytes of head, then as many as they say. Only the heads
 * are looked at, at any split; a message counts when it begins.
 */
export class GrpcMessageCount {
  messages = 0
  /** Bytes of the head that have come. */
  #headBytes = 0
  #length = 0
  /** Bytes of the message that are still to come. */
  #left = 0

  add(chunk: Uint8Array): void {
    let position = 0
    while (position < chunk.length) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, chunk.length - position)
        this.#left -= taken
        position += taken
        continue
      }
      if (this.#headBytes === 0) this.messages += 1
      else this.#length = this.#length * 256 + (chunk[position] as number) // in bounds
      this.#headBytes += 1
      position += 1
      if (this.#headBytes < 5) continue
      this.#left = this.#length
      this.#headBytes = 0
      this.#length = 0
    }
  }
}
