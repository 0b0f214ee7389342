/**
 * Buffers for the copies of large chunks on their way to the kernel, used again and again.
 *
 * A chunk belongs to the read buffer, and a socket may keep a part of what it could not send at once, so large
 * chunks are copied. With fresh memory for each copy a response of 1 MiB took 870 to 1 020 µs of CPU (two rounds),
 * much of it the collector's, driven by external memory; with these buffers 370 to 420 (three rounds of another run,
 * same shared machine, November 2026). A write that the kernel takes at once gives its buffer back at once.
 */

/** A whole read, and the text that leaves before it. */
const bufferBytes = 80 * 1024
const sparesMax = 64

export class CopyBuffers {
  readonly #spares: Buffer[] = []

  /** A buffer of at least `bytes`; given back with `give` when its bytes have been sent. */
  take(bytes: number): Buffer {
    if (bytes > bufferBytes) return Buffer.allocUnsafeSlow(bytes)
    return this.#spares.pop() ?? Buffer.allocUnsafeSlow(bufferBytes)
  }

  give(buffer: Buffer): void {
    if (buffer.length === bufferBytes && this.#spares.length < sparesMax) this.#spares.push(buffer)
  }
}
