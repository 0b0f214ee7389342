/**
 * What the peer may still send on a connection, all streams together (RFC 9113 §6.9).
 *
 * A stream that is paused is sent what its own window allows, and that is held. Were the connection's window to stay
 * taken until then, a dozen readers that stand still would stop every other stream of the connection, and nothing that
 * those have to say would move it. So what is held counts as taken, as long as the process holds little; each stream is
 * still bounded by its own window, and the process by `heldBytesMax`.
 */
import { defaultWindowBytes } from './frame.ts'
import type { HeldBytes, Http2Stream } from './stream.ts'

/** Of the process; beyond it connections wait for their streams. A quarter of what makes it refuse requests. */
const heldBytesMax = 64 * 1024 * 1024

/** A window below this keeps whatever comes next waiting. */
const scarceBytes = 16_384

export class ReceiveWindow {
  readonly #windowBytes: number
  readonly #held: HeldBytes
  #left: number
  #takenBytes = 0

  constructor(windowBytes: number, held: HeldBytes) {
    this.#windowBytes = windowBytes
    this.#held = held
    this.#left = Math.max(windowBytes, defaultWindowBytes)
  }

  /** Whether the peer hardly may send, because streams hold what it has sent. */
  get isScarce(): boolean {
    return this.#left < scarceBytes
  }

  /** False when the peer sent more than it may. */
  receive(bytes: number): boolean {
    this.#left -= bytes
    return this.#left >= 0
  }

  take(bytes: number): void {
    this.#takenBytes += bytes
  }

  /** A stream holds what came. */
  hold(stream: Http2Stream, bytes: number): void {
    if (this.#held.bufferedBytes > heldBytesMax) return
    stream.lentBytes += bytes
    this.#takenBytes += bytes
  }

  /** A stream let go of what came. */
  release(stream: Http2Stream, bytes: number): void {
    const lent = Math.min(stream.lentBytes, bytes)
    stream.lentBytes -= lent
    this.#takenBytes += bytes - lent
  }

  /** Bytes to tell the peer of; 0 while it has enough. */
  open(): number {
    if (this.#takenBytes * 2 < this.#windowBytes) return 0
    const opened = this.#takenBytes
    this.#takenBytes = 0
    this.#left += opened
    return opened
  }
}
