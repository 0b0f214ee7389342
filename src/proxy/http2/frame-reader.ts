/**
 * HTTP/2 frames from bytes, at any split. DATA passes through in the chunks it came in, without its padding; other
 * frames are handed over whole, and what is incomplete of them is kept, at most one frame.
 */
import { frameFlags, frameHeadBytes, frameTypes, payloadBytesMax } from './frame.ts'

export interface Frame {
  type: number
  flags: number
  streamId: number
}

/** Told about frames; false ends the reading, for the connection is at its end. */
export interface FrameSink {
  /** Any frame but DATA. `payload` is valid during the call only. */
  onFrame(frame: Frame, payload: Buffer): boolean
  /** The head of a DATA frame; `bytes` is what counts for flow control, padding included. */
  onDataStart(frame: Frame, bytes: number): boolean
  onDataChunk(chunk: Buffer): boolean
  onDataEnd(): boolean
  /** The frame is no frame: its length, or its padding. */
  onFrameError(problem: 'frame-size' | 'padding', frame: Frame): void
}

type State = 'head' | 'payload' | 'pad-length' | 'data' | 'padding' | 'stopped'

export class FrameReader {
  readonly #sink: FrameSink
  readonly #frame: Frame = { type: 0, flags: 0, streamId: 0 }
  #state: State = 'head'
  /** Of the head, or of a payload that is being collected. */
  #kept: Buffer = noBytes
  #keptBytes = 0
  /** Bytes that the payload still has. */
  #left = 0
  #padding = 0

  constructor(sink: FrameSink) {
    this.#sink = sink
  }

  /** Whether the last byte that was read ended a frame. */
  get isBetweenFrames(): boolean {
    return this.#state === 'head' && this.#keptBytes === 0
  }

  stop(): void {
    this.#state = 'stopped'
  }

  feed(chunk: Buffer): void {
    let position = 0
    while (position < chunk.length || this.#isComplete()) {
      switch (this.#state) {
        case 'head':
          position = this.#readHead(chunk, position)
          break
        case 'payload':
          position = this.#readPayload(chunk, position)
          break
        case 'pad-length':
          this.#padding = chunk[position] as number // in bounds: the state needs a byte
          position += 1
          this.#startData()
          break
        case 'data':
          position = this.#readData(chunk, position)
          break
        case 'padding':
          position = this.#skipPadding(chunk, position)
          break
        case 'stopped':
          return
      }
    }
  }

  /** States that need no further byte to make progress. */
  #isComplete(): boolean {
    if (this.#state === 'payload') return this.#left === 0
    return (this.#state === 'data' || this.#state === 'padding') && this.#left === 0
  }

  #readHead(chunk: Buffer, start: number): number {
    const missing = frameHeadBytes - this.#keptBytes
    if (this.#keptBytes === 0 && chunk.length - start >= frameHeadBytes) {
      this.#startFrame(chunk, start)
      return start + frameHeadBytes
    }
    const end = Math.min(start + missing, chunk.length)
    if (this.#keptBytes === 0) this.#kept = Buffer.allocUnsafeSlow(frameHeadBytes)
    chunk.copy(this.#kept, this.#keptBytes, start, end)
    this.#keptBytes += end - start
    if (this.#keptBytes === frameHeadBytes) {
      this.#keptBytes = 0
      const head = this.#kept
      this.#kept = noBytes
      this.#startFrame(head, 0)
    }
    return end
  }

  #startFrame(head: Buffer, at: number): void {
    const frame = this.#frame
    this.#left = head.readUIntBE(at, 3)
    frame.type = head[at + 3] as number // nine bytes are there
    frame.flags = head[at + 4] as number
    frame.streamId = head.readUInt32BE(at + 5) & 0x7fff_ffff
    if (this.#left > payloadBytesMax) {
      this.#fail('frame-size')
      return
    }
    if (frame.type !== frameTypes.data) {
      this.#state = 'payload'
      return
    }
    if (!this.#sink.onDataStart(frame, this.#left)) {
      this.#state = 'stopped'
      return
    }
    this.#padding = 0
    if ((frame.flags & frameFlags.padded) === 0) this.#state = 'data'
    else if (this.#left === 0) this.#fail('frame-size')
    else {
      this.#left -= 1
      this.#state = 'pad-length'
    }
  }

  #startData(): void {
    this.#left -= this.#padding
    if (this.#left < 0) this.#fail('padding')
    else this.#state = 'data'
  }

  #readData(chunk: Buffer, start: number): number {
    const end = Math.min(start + this.#left, chunk.length)
    if (end > start) {
      this.#left -= end - start
      const isWhole = start === 0 && end === chunk.length
      if (!this.#sink.onDataChunk(isWhole ? chunk : chunk.subarray(start, end))) {
        this.#state = 'stopped'
        return end
      }
    }
    if (this.#left !== 0 || this.#state !== 'data') return end
    if (this.#padding === 0) this.#endData()
    else {
      this.#left = this.#padding
      this.#state = 'padding'
    }
    return end
  }

  #skipPadding(chunk: Buffer, start: number): number {
    const end = Math.min(start + this.#left, chunk.length)
    this.#left -= end - start
    if (this.#left === 0) this.#endData()
    return end
  }

  #endData(): void {
    this.#state = 'head'
    if (!this.#sink.onDataEnd()) this.#state = 'stopped'
  }

  #readPayload(chunk: Buffer, start: number): number {
    const length = this.#left
    if (this.#keptBytes === 0 && chunk.length - start >= length) {
      this.#endPayload(chunk.subarray(start, start + length))
      return start + length
    }
    if (this.#keptBytes === 0) this.#kept = Buffer.allocUnsafeSlow(length)
    const end = Math.min(start + length - this.#keptBytes, chunk.length)
    chunk.copy(this.#kept, this.#keptBytes, start, end)
    this.#keptBytes += end - start
    if (this.#keptBytes < length) return end
    const payload = this.#kept
    this.#kept = noBytes
    this.#keptBytes = 0
    this.#endPayload(payload)
    return end
  }

  #endPayload(payload: Buffer): void {
    this.#state = 'head'
    if (!this.#sink.onFrame(this.#frame, payload)) this.#state = 'stopped'
  }

  #fail(problem: 'frame-size' | 'padding'): void {
    this.#state = 'stopped'
    this.#sink.onFrameError(problem, this.#frame)
  }
}

const noBytes = Buffer.alloc(0)
