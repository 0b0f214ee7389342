/** Buffers for copies that know how many are lent, for tests that ask whether each is given back. */
import { CopyBuffers } from '../../src/proxy/wire/copy-buffer.ts'

export class CountedBuffers extends CopyBuffers {
  #lent = new Set<Buffer>()

  get lent(): number {
    return this.#lent.size
  }

  override take(bytes: number): Buffer {
    const buffer = super.take(bytes)
    this.#lent.add(buffer)
    return buffer
  }

  override give(buffer: Buffer): void {
    this.#lent.delete(buffer)
    super.give(buffer)
  }
}
