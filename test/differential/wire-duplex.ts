/**
 * An end of an internal wire as a stream, so that Node's own servers and clients can sit at it, without a socket and
 * without the timing of one. What arrives is kept, byte for byte.
 */
import { Duplex } from 'node:stream'

import type { Wire } from '../../src/proxy/wire/wire.ts'

export class WireDuplex extends Duplex {
  readonly #wire: Wire
  readonly #received: Buffer[] = []
  readonly #onActivity: () => void
  /** The peer has ended its direction, or the connection. */
  isEnded = false

  constructor(wire: Wire, onActivity: () => void) {
    super({ allowHalfOpen: true })
    this.#wire = wire
    this.#onActivity = onActivity
    this.on('error', () => {
      // What a parser says of the bytes is told by its own event; the stream only ends.
    })
    wire.listen({
      onData: (chunk) => {
        const bytes = Buffer.from(chunk)
        this.#received.push(bytes)
        onActivity()
        this.push(bytes)
      },
      onEnd: () => this.#end(),
      onDrain: () => {},
      onClose: () => {
        this.#end()
        this.destroy()
      },
    })
  }

  /** Everything that came. */
  get received(): Buffer {
    return Buffer.concat(this.#received)
  }

  #end(): void {
    this.#onActivity()
    if (this.isEnded) return
    this.isEnded = true
    this.push(null)
  }

  override _read(): void {
    // What is there was pushed when it came: messages here are small.
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#onActivity()
    this.#wire.write(chunk)
    done()
  }

  override _final(done: () => void): void {
    this.#wire.end()
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#wire.destroy()
    done(error)
  }
}
