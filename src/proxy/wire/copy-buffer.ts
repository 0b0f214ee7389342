/**
 * Buffers for the copies of large chunks on their way to the kernel, used again and again.
 *
 * A chunk belongs to the read buffer, and a socket may keep a part of what it could not send at once, so large
 * chunks are copied. Fresh memory for each copy cost half of a large body's CPU: page faults, and a collector
 * driven by external memory. Nearly every write is taken by the kernel at once, so a few buffers serve everybody.
 */

const bufferBytes = 64 * 1024
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
