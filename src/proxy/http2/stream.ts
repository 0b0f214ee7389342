/**
 * One stream of an HTTP/2 connection, below requests and responses: what may be sent, what has come, and who is told
 * (RFC 9113 §5). The session owns it; what goes out waits in the sender's turn.
 *
 * A stream that is paused is still sent what its window allows: that is kept here, copied, and its window is not opened
 * again before it is taken.
 */
import type { HeaderList } from '../http/header-list.ts'
import { HeldChunks } from '../http/held-chunks.ts'
import type { BodyLength, HttpProtocol } from '../http/message.ts'
import { SendQueue } from '../http/send-queue.ts'

export interface StreamEvents {
  onStreamData(chunk: Buffer): void
  onStreamEnd(trailers: HeaderList | undefined): void
  onStreamDrain(): void
  /** Nothing follows. */
  onStreamReset(reset: StreamReset): void
}

export interface StreamReset {
  /** Of RST_STREAM; a peer may send any number. */
  readonly code: number
  /**
   * Who gave up: the peer, we for what the peer did on this stream, or the connection with all its streams, which
   * ended, or failed because the peer broke a rule.
   */
  readonly by: 'peer' | 'us' | 'connection' | 'connection-failure'
  readonly message: string
}

/** What the process holds for all its streams (listener/overload.ts). */
export interface HeldBytes {
  bufferedBytes: number
}

/** The session, as its streams see it. */
export interface StreamOwner {
  /** The bytes came and wait. */
  onHeld(stream: Http2Stream, bytes: number): void
  /** The bytes were taken: windows may open. */
  onConsumed(stream: Http2Stream, bytes: number): void
}

export interface StreamWindows {
  readonly sendBytes: number
  readonly receiveBytes: number
}

export class Http2Stream {
  readonly id: number
  readonly #owner: StreamOwner
  readonly #total: HeldBytes
  events: StreamEvents | undefined
  /** What the peer takes; below 0 after it made its windows smaller. */
  sendWindow: number
  /** What the peer may still send. */
  receiveWindow: number
  /** Taken, and not told to the peer yet. */
  consumedBytes = 0
  /** Held, and given back to the connection's window already. */
  lentBytes = 0
  /** Whether DATA would be of no message: the head of the response has not come. */
  awaitsHead = false
  /** END_STREAM has come, or the like of it. */
  isRemoteEnded = false
  /** END_STREAM has left. */
  isLocalEnded = false
  /** Left the session. */
  isClosed = false
  /** Of the body that its head promised; -1: it promised nothing. */
  bodyLeft = -1
  wireBytesReceived = 0
  wireBytesSent = 0

  // What the sender keeps of it.
  readonly queue = new SendQueue()
  isEndQueued = false
  trailers: HeaderList | undefined
  isInTurn = false
  needsDrain = false
  /** When something of it last left, or began to wait. */
  progressMs = 0

  /** Made when something must wait: few streams ever do. */
  #held: HeldChunks | undefined
  #heldBytes = 0
  #isEndHeld = false
  #heldTrailers: HeaderList | undefined
  #isPaused = false

  constructor(
    id: number,
    options: { owner: StreamOwner; held: HeldBytes; windows: StreamWindows },
  ) {
    this.id = id
    this.#owner = options.owner
    this.#total = options.held
    this.sendWindow = options.windows.sendBytes
    this.receiveWindow = options.windows.receiveBytes
  }

  get isDone(): boolean {
    return this.isRemoteEnded && this.isLocalEnded
  }

  /** Whether nothing waits to leave. */
  get isFlushed(): boolean {
    return this.queue.bytes === 0 && !this.isEndQueued
  }

  get #holds(): boolean {
    return this.#held?.isEmpty === false
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    while (!this.#isPaused) {
      const chunk = this.#held?.shift()
      if (chunk === undefined) break
      this.#forgetHeld(chunk.length)
      this.#deliver(chunk)
    }
    if (!this.#isEndHeld || this.#holds || this.#isPaused) return
    this.#isEndHeld = false
    this.#end(this.#heldTrailers)
  }

  receive(chunk: Buffer): void {
    if (this.events === undefined) {
      this.#owner.onConsumed(this, chunk.length)
      return
    }
    if (!this.#isPaused && !this.#holds) {
      this.#deliver(chunk)
      return
    }
    this.#held ??= new HeldChunks()
    this.#held.push(chunk)
    this.#heldBytes += chunk.length
    this.#total.bufferedBytes += chunk.length
    this.#owner.onHeld(this, chunk.length)
  }

  receiveEnd(trailers: HeaderList | undefined): void {
    this.isRemoteEnded = true
    if (!this.#holds && !this.#isPaused) {
      this.#end(trailers)
      return
    }
    this.#isEndHeld = true
    this.#heldTrailers = trailers
  }

  /** Nobody listens any more: what is held goes. */
  detach(): void {
    this.events = undefined
    this.#isPaused = false
    this.#isEndHeld = false
    const bytes = this.#heldBytes
    this.#held = undefined
    if (bytes === 0) return
    this.#forgetHeld(bytes)
    this.#owner.onConsumed(this, bytes)
  }

  /** Tells whoever listens that it is over, once. */
  cut(reset: StreamReset): void {
    const { events } = this
    this.detach()
    events?.onStreamReset(reset)
  }

  #deliver(chunk: Buffer): void {
    this.events?.onStreamData(chunk)
    this.#owner.onConsumed(this, chunk.length)
  }

  #end(trailers: HeaderList | undefined): void {
    this.events?.onStreamEnd(trailers)
  }

  #forgetHeld(bytes: number): void {
    this.#heldBytes -= bytes
    this.#total.bufferedBytes -= bytes
  }
}

/** How long a body is that nothing can follow: HTTP/1.1 has no trailers behind a `content-length`. Else -1. */
export function lastBytes(head: {
  readonly protocol: HttpProtocol
  readonly bodyLength: BodyLength
}): number {
  const { bodyLength, protocol } = head
  return typeof bodyLength === 'number' && protocol !== 'HTTP/2' ? bodyLength : -1
}
