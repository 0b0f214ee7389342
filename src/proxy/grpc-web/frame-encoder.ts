/**
 * The body of a response of `application/grpc-web-text`: each gRPC frame as base64 of its own, padded at its end.
 *
 * A frame is five bytes of head, the last four its length, and as many bytes as they say. Nothing waits for the rest of
 * its frame but the two bytes that may be left over of a group of three, so a large message takes no memory.
 */
export class FrameEncoder {
  /** Bytes of the head that have come. */
  #headBytes = 0
  #length = 0
  /** Bytes of the message that are still to come. */
  #left = 0
  readonly #rest = Buffer.alloc(3)
  #restBytes = 0

  encode(chunk: Uint8Array): Buffer {
    let text = ''
    let position = 0
    while (position < chunk.length) {
      const start = position
      position = this.#readPart(chunk, position)
      text += this.#encodePart(chunk.subarray(start, position))
      if (this.#headBytes === 0 && this.#left === 0) text += this.#flush()
    }
    return Buffer.from(text, 'latin1')
  }

  /** What is left of a frame that broke off. */
  end(): Buffer {
    return Buffer.from(this.#flush(), 'latin1')
  }

  /** Where the head, or the message, or what there is of them ends. */
  #readPart(chunk: Uint8Array, start: number): number {
    let position = start
    if (this.#left > 0) {
      const taken = Math.min(this.#left, chunk.length - position)
      this.#left -= taken
      return position + taken
    }
    while (position < chunk.length) {
      if (this.#headBytes > 0) this.#length = this.#length * 256 + (chunk[position] as number) // in bounds
      this.#headBytes += 1
      position += 1
      if (this.#headBytes < 5) continue
      this.#left = this.#length
      this.#headBytes = 0
      this.#length = 0
      break
    }
    return position
  }

  #encodePart(part: Uint8Array): string {
    let position = 0
    let text = ''
    while (this.#restBytes > 0 && position < part.length) {
      this.#keep(part[position] as number) // in bounds
      position += 1
      if (this.#restBytes === 3) text = this.#flush()
    }
    const whole = part.length - ((part.length - position) % 3)
    text += Buffer.from(part.buffer, part.byteOffset + position, whole - position).toString(
      'base64',
    )
    for (position = whole; position < part.length; position += 1)
      this.#keep(part[position] as number)
    return text
  }

  #keep(octet: number): void {
    this.#rest[this.#restBytes] = octet
    this.#restBytes += 1
  }

  #flush(): string {
    const text = this.#rest.toString('base64', 0, this.#restBytes)
    this.#restBytes = 0
    return text
  }
}
