/**
 * What an HTTP/2 connection sends, and in which order: heads and control frames at once, bodies as the windows and the
 * wire allow, streams in turn, a frame of at most 16 KiB each time, so that a long body delays a short one by little.
 *
 * A body whose turn it is goes straight from its chunk to the wire. Only what cannot leave is copied and queued; the
 * stream is then told to stop, so a queue holds about a chunk. Streams that were told to stop go on one after the other,
 * a chunk each, as long as others wait.
 */
import type { HeaderList } from '../http/header-list.ts'
import type { CopyBuffers } from '../wire/copy-buffer.ts'
import type { Wire } from '../wire/wire.ts'
import type { Flood, FloodGuard } from './flood-guard.ts'
import {
  defaultWindowBytes,
  frameFlags,
  frameHead,
  frameTypes,
  headersFrames,
  payloadBytesMax,
  windowBytesMax,
} from './frame.ts'
import type { HpackEncoder } from './hpack/encoder.ts'
import type { Http2Stream } from './stream.ts'

export interface SenderOptions {
  readonly wire: Wire
  readonly encoder: HpackEncoder
  readonly guard: FloodGuard
  /** Memory for what cannot leave at once. */
  readonly copies: CopyBuffers
  readonly nowMs: () => number
  /** The peer reads too little of what it asks for. */
  readonly onFlood: (flood: Flood) => void
  /** END_STREAM has left. */
  readonly onLocalEnd: (stream: Http2Stream) => void
}

export class Sender {
  readonly #options: SenderOptions
  readonly #wire: Wire
  #window = defaultWindowBytes
  #isWireFull = false
  #isStopped = false
  /** Streams with something to send that their windows allow, the next first. */
  readonly #turns: Http2Stream[] = []
  /** Streams that were told to stop and have nothing queued, the next first. While there are any, the connection is
   * blocked, or they are being told to go on. */
  readonly #stopped = new Set<Http2Stream>()
  #isPumping = false
  #isTelling = false

  constructor(options: SenderOptions) {
    this.#options = options
    this.#wire = options.wire
  }

  /** Bytes that wait in this process to leave. */
  get queuedBytes(): number {
    let bytes = this.#wire.bufferedBytes
    for (const stream of this.#turns) bytes += stream.queue.bytes
    return bytes
  }

  /** Whether the peer, or the network, takes nothing for now. */
  get isBlocked(): boolean {
    return this.#isWireFull || this.#window <= 0
  }

  /** No more frames. */
  stop(): void {
    this.#isStopped = true
    this.#turns.length = 0
    this.#stopped.clear()
  }

  /** SETTINGS, PING, RST_STREAM, WINDOW_UPDATE, GOAWAY. */
  sendControl(text: string): void {
    this.#write(text, true)
  }

  /** A header block that ends nothing, or the stream. */
  sendBlock(stream: Http2Stream, block: string, isEnd: boolean): void {
    const text = headersFrames(stream.id, block, isEnd)
    stream.wireBytesSent += text.length
    this.#write(text, false)
    if (isEnd) this.#endLocal(stream)
  }

  /**
   * False when the stream should stop until it is told. `isLast`: nothing follows, trailers neither, so that the end
   * may leave with it; `sendEnd` still comes.
   */
  sendData(stream: Http2Stream, chunk: Uint8Array, isLast = false): boolean {
    if (!this.#maySend(stream) || chunk.length === 0) return true
    const isFree = stream.queue.bytes === 0 && this.#turns.length === 0
    const from = isFree ? this.#sendNow(stream, chunk, isLast) : 0
    if (from === chunk.length) {
      if (stream.isClosed || (!this.#isWireFull && this.#stopped.size === 0)) return true
      stream.needsDrain = true
      this.#stopped.add(stream)
      return false
    }
    if (stream.queue.bytes === 0) stream.progressMs = this.#options.nowMs()
    stream.queue.push(from === 0 ? chunk : chunk.subarray(from), this.#options.copies)
    stream.needsDrain = true
    this.#takeTurn(stream)
    return false
  }

  sendEnd(stream: Http2Stream, trailers: HeaderList | undefined): void {
    if (!this.#maySend(stream) || stream.isEndQueued) return
    stream.trailers = trailers
    if (stream.queue.bytes === 0) this.#sendLast(stream)
    else stream.isEndQueued = true
  }

  /** Whether more of the stream may leave. */
  #maySend(stream: Http2Stream): boolean {
    return !this.#isStopped && !stream.isLocalEnded && !stream.isClosed
  }

  /** WINDOW_UPDATE of the connection; false when it opened the window beyond what a window can be. */
  openWindow(bytes: number): boolean {
    this.#window += bytes
    if (this.#window > windowBytesMax) return false
    this.#pump()
    return true
  }

  openStreamWindow(stream: Http2Stream, bytes: number): boolean {
    stream.sendWindow += bytes
    if (stream.sendWindow > windowBytesMax) return false
    if (stream.queue.bytes > 0) {
      this.#takeTurn(stream)
      this.#pump()
    }
    return true
  }

  /** Tells the guard what waits; before each read too, since all that a connection says may be said while it reads. */
  countWaiting(): void {
    this.#options.guard.onWaiting(this.#wire.bufferedBytes)
  }

  onWireDrain(): void {
    this.#isWireFull = false
    this.countWaiting()
    this.#pump()
  }

  /** The stream is over. */
  forget(stream: Http2Stream): void {
    this.#stopped.delete(stream)
    stream.queue.clear(this.#options.copies)
    stream.isEndQueued = false
    if (!stream.isInTurn) return
    stream.isInTurn = false
    const index = this.#turns.indexOf(stream)
    if (index !== -1) this.#turns.splice(index, 1)
  }

  #takeTurn(stream: Http2Stream): void {
    if (stream.isInTurn || stream.sendWindow <= 0) return
    stream.isInTurn = true
    this.#turns.push(stream)
  }

  /** As much of a chunk as may leave; the number of bytes that did. */
  #sendNow(stream: Http2Stream, chunk: Uint8Array, isLast: boolean): number {
    let from = 0
    while (from < chunk.length && !this.#isWireFull) {
      const room = Math.min(this.#window, stream.sendWindow, payloadBytesMax)
      if (room <= 0) break
      const to = Math.min(from + room, chunk.length)
      const part = from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to)
      this.#sendFrame(stream, part, isLast && to === chunk.length)
      from = to
    }
    return from
  }

  #sendFrame(stream: Http2Stream, payload: Uint8Array, isEnd: boolean): void {
    const { length } = payload
    this.#window -= length
    stream.sendWindow -= length
    stream.wireBytesSent += length + 9
    stream.progressMs = this.#options.nowMs()
    this.#options.guard.onDataFrameSent()
    const flags = isEnd ? frameFlags.endStream : 0
    this.#write(frameHead(length, frameTypes.data, flags, stream.id), false)
    if (!this.#isStopped) this.#isWireFull = !this.#wire.write(payload)
    if (isEnd) this.#endLocal(stream)
  }

  #pump(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    while (this.#turns.length > 0 && !this.isBlocked && !this.#isStopped) {
      const stream = this.#turns.shift() as Http2Stream // not empty
      stream.isInTurn = false
      this.#sendQueued(stream)
      if (stream.queue.bytes > 0) this.#takeTurn(stream)
      else if (stream.isEndQueued) {
        stream.isEndQueued = false
        this.#sendLast(stream)
      } else this.#stopped.add(stream)
    }
    this.#isPumping = false
    this.#tellStopped()
  }

  /** One that has more to send than its share is stopped again, and is then the last of them. */
  #tellStopped(): void {
    if (this.#isTelling) return
    this.#isTelling = true
    for (const stream of this.#stopped) {
      if (this.isBlocked) break
      this.#stopped.delete(stream)
      this.#tellDrained(stream)
    }
    this.#isTelling = false
  }

  /** One frame of what is queued. */
  #sendQueued(stream: Http2Stream): void {
    const room = Math.min(this.#window, stream.sendWindow, payloadBytesMax)
    if (room <= 0) return
    stream.queue.send(room, this.#options.copies, (bytes) => this.#sendFrame(stream, bytes, false))
  }

  #sendLast(stream: Http2Stream): void {
    const { trailers } = stream
    stream.trailers = undefined
    if (trailers !== undefined && trailers.size > 0) {
      const { encoder } = this.#options
      encoder.begin()
      const { fields } = trailers
      for (let index = 0; index < fields.length; index += 2) {
        encoder.field(fields[index] as string, fields[index + 1] as string) // in bounds
      }
      this.sendBlock(stream, encoder.end(), true)
      return
    }
    stream.wireBytesSent += 9
    this.#write(frameHead(0, frameTypes.data, frameFlags.endStream, stream.id), false)
    this.#endLocal(stream)
  }

  #endLocal(stream: Http2Stream): void {
    stream.isLocalEnded = true
    this.#options.onLocalEnd(stream)
  }

  #tellDrained(stream: Http2Stream): void {
    if (!stream.needsDrain || stream.isClosed) return
    stream.needsDrain = false
    stream.events?.onStreamDrain()
  }

  #write(text: string, isControl: boolean): void {
    if (this.#isStopped) return
    const { guard, onFlood } = this.#options
    this.countWaiting()
    this.#isWireFull = !this.#wire.write(text)
    const flood = guard.checkOutbound(isControl)
    if (flood !== undefined) onFlood(flood)
  }
}
