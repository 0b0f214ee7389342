/**
 * The body of a response of `application/grpc-web-text`: each gRPC frame as base64 of its own, padded at its end.
 *
 * Nothing waits for the rest of its frame but the two bytes that may be left over of a group of three, so a large message
 * takes no memory.
 */
import { GrpcFrames } from '../http/grpc-frame.ts'

export class FrameEncoder {
  readonly #frames = new GrpcFrames()
  readonly #rest = Buffer.alloc(3)
  #restBytes = 0

  encode(chunk: Uint8Array): Buffer {
    let text = ''
    let position = 0
    while (position < chunk.length) {
      const start = position
      position = this.#frames.read(chunk, position)
      text += this.#encodePart(chunk.subarray(start, position))
      if (this.#frames.isBetween) text += this.#flush()
    }
    return Buffer.from(text, 'latin1')
  }

  /** What is left of a frame that broke off. */
  end(): Buffer {
    return Buffer.from(this.#flush(), 'latin1')
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
