/**
 * The body of a request on its way: what has come before there was an upstream to send it to, and what must be
 * kept in case the request is sent again.
 *
 * Chunks belong to the reader's buffer, so what is kept is copied; a request that cannot be retried and has its
 * upstream keeps nothing. Past `bytesMax` a request that flows is no longer replayable (Envoy does the same),
 * and one that waits is paused.
 */
import type { HeaderList } from './http/header-list.ts'
import { HeldChunks } from './http/held-chunks.ts'

interface BodyTaker {
  sendData(chunk: Uint8Array): boolean
  sendEnd(trailers: HeaderList | undefined): void
}

/** The part of the exchange's scope that says how much may be held. */
export interface BodyScope {
  readonly bufferBytesMax: number
  /** What all requests of the process hold; above its ceiling new requests are refused (listener/overload.ts). */
  readonly runtime: { readonly overload: HeldBytes }
}

interface HeldBytes {
  bufferedBytes: number
  readonly bufferedBytesOfProcess: number
  readonly bufferedBytesMax: number
}

export class RequestBody {
  #bytesMax: number
  readonly #total: HeldBytes
  readonly #chunks = new HeldChunks()
  #bytes = 0
  #isReplayable = true
  isEnded: boolean
  trailers: HeaderList | undefined

  constructor(scope: BodyScope, isEnded: boolean) {
    this.#bytesMax = scope.bufferBytesMax
    this.#total = scope.runtime.overload
    this.isEnded = isEnded
  }

  /** The route's own ceiling, where it has one. */
  limit(bytesMax: number | undefined): void {
    if (bytesMax !== undefined) this.#bytesMax = bytesMax
  }

  /** Whether everything that has come so far is still held. */
  get isReplayable(): boolean {
    return this.#isReplayable
  }

  get isEmpty(): boolean {
    return this.#bytes === 0
  }

  get isFull(): boolean {
    return this.#bytes >= this.#bytesMax
  }

  /** Sends what is held, and the end where it has come; false when the attempt takes no more for now. */
  sendTo(attempt: BodyTaker): boolean {
    let isBelow = true
    this.#chunks.forEach((chunk) => {
      isBelow = attempt.sendData(chunk)
    })
    if (this.isEnded) attempt.sendEnd(this.trailers)
    return isBelow
  }

  /** What is held takes another form. */
  changeHeld(change: (chunk: Uint8Array) => Uint8Array): void {
    const changed: Uint8Array[] = []
    this.#chunks.forEach((chunk) => changed.push(change(chunk)))
    this.close()
    for (const chunk of changed) this.hold(chunk)
  }

  forEachHeld(visit: (chunk: Uint8Array) => void): void {
    this.#chunks.forEach(visit)
  }

  /** Keeps a chunk for later. */
  hold(chunk: Uint8Array): void {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    this.#total.bufferedBytes += chunk.length
  }

  /** Keeps a chunk that has been sent, while the whole fits and the process has room; true where that ends with this one. */
  holdForReplay(chunk: Uint8Array): boolean {
    if (!this.#isReplayable) return false
    const total = this.#total.bufferedBytesOfProcess + chunk.length
    const isFull = this.#bytes + chunk.length > this.#bytesMax
    if (isFull || total > this.#total.bufferedBytesMax) this.forget()
    else this.hold(chunk)
    return !this.#isReplayable
  }

  /** Nothing is sent again from here on. */
  forget(): void {
    if (this.#bytes === 0 && this.isEnded) return
    this.#isReplayable = false
    this.close()
  }

  /** Lets go of what is held. */
  close(): void {
    if (this.#bytes === 0) return
    this.#total.bufferedBytes -= this.#bytes
    this.#chunks.clear()
    this.#bytes = 0
  }
}
