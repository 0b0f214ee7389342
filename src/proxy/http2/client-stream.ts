/** One request to an HTTP/2 upstream and its answer: an attempt on the one side, a stream of the session on the other. */
import type { ConnectionSecurity } from '../connection-security.ts'
import type { Failure } from '../failure.ts'
import type { HeaderList } from '../http/header-list.ts'
import type { RequestHead, ResponseHead } from '../http/message.ts'
import type { ResponseEvents, UpstreamStream } from '../http/stream.ts'
import { errorCodes } from './frame.ts'
import { lastBytes, type Http2Stream, type StreamEvents, type StreamReset } from './stream.ts'

export interface ClientStreamOwner {
  readonly localAddress: string
  readonly remoteAddress: string
  readonly security: ConnectionSecurity | undefined
  /** Sends the head, now or when the peer's settings are known; undefined: the connection is over, or refuses. */
  openStream(one: ClientStream, head: RequestHead, isEnd: boolean): void
  sendData(stream: Http2Stream, chunk: Uint8Array, isLast: boolean): boolean
  sendEnd(stream: Http2Stream, trailers: HeaderList | undefined): void
  cancel(stream: Http2Stream): void
  /** A place is free that was never used. */
  giveBack(one: ClientStream): void
  onBulk(): void
}

/** A body larger than this keeps small messages on the same connection waiting. */
const bulkBytes = 256 * 1024

export class ClientStream implements UpstreamStream, StreamEvents {
  readonly #owner: ClientStreamOwner
  #events: ResponseEvents | undefined
  /** Undefined until the head is sent. */
  stream: Http2Stream | undefined
  request: RequestHead | undefined
  isHeadReceived = false
  isTunnel = false
  isBulk = false
  #bytes = 0
  /** Of a body that nothing follows; -1: how long it is, or what follows, is not known. */
  #bodyLeft = -1
  /** What came before the head could be sent: the end, or bytes of a tunnel. */
  #early: Buffer[] = []
  #earlyEnd: { readonly trailers: HeaderList | undefined } | undefined
  #isPaused = false

  constructor(owner: ClientStreamOwner, events: ResponseEvents) {
    this.#owner = owner
    this.#events = events
  }

  readonly protocol = 'HTTP/2'

  get localAddress(): string {
    return this.#owner.localAddress
  }

  get remoteAddress(): string {
    return this.#owner.remoteAddress
  }

  get security(): ConnectionSecurity | undefined {
    return this.#owner.security
  }

  get wireBytesReceived(): number {
    return this.stream?.wireBytesReceived ?? 0
  }

  get wireBytesSent(): number {
    return this.stream?.wireBytesSent ?? 0
  }

  get isDetached(): boolean {
    return this.#events === undefined
  }

  // The attempt's side.

  sendHead(head: RequestHead, isEnd: boolean): void {
    this.request = head
    this.#bodyLeft = lastBytes(head)
    this.#owner.openStream(this, head, isEnd)
  }

  /** The head is out. */
  onOpened(stream: Http2Stream): void {
    this.stream = stream
    if (this.#isPaused) stream.pause()
    for (const chunk of this.#early.splice(0)) this.#owner.sendData(stream, chunk, false)
    if (this.#earlyEnd !== undefined) this.#owner.sendEnd(stream, this.#earlyEnd.trailers)
  }

  sendData(chunk: Uint8Array): boolean {
    const { stream } = this
    if (stream === undefined) {
      this.#early.push(Buffer.from(chunk))
      this.#bodyLeft = -1
      return false
    }
    this.#count(chunk.length)
    if (this.#bodyLeft !== -1) this.#bodyLeft -= chunk.length
    return this.#owner.sendData(stream, chunk, this.#bodyLeft === 0)
  }

  sendEnd(trailers: HeaderList | undefined): void {
    if (this.stream === undefined) this.#earlyEnd = { trailers }
    else this.#owner.sendEnd(this.stream, trailers)
  }

  reset(): void {
    this.#events = undefined
    this.#early = []
    if (this.stream === undefined) this.#owner.giveBack(this)
    else this.#owner.cancel(this.stream)
  }

  discard(): void {
    this.reset()
  }

  pauseResponse(): void {
    this.#isPaused = true
    this.stream?.pause()
  }

  resumeResponse(): void {
    this.#isPaused = false
    this.stream?.resume()
  }

  // The connection's side.

  onInformational(head: ResponseHead): void {
    this.#events?.onInformational(head)
  }

  onResponseHead(head: ResponseHead, isEnd: boolean): void {
    this.isHeadReceived = true
    this.#events?.onResponseHead(head, isEnd)
  }

  fail(failure: Failure, message: string, requestSent: boolean): void {
    const events = this.#events
    this.#events = undefined
    events?.onUpstreamReset({ failure, message, requestSent })
  }

  onStreamData(chunk: Buffer): void {
    this.#count(chunk.length)
    this.#events?.onResponseData(chunk)
  }

  onStreamEnd(trailers: HeaderList | undefined): void {
    const events = this.#events
    if (!this.isTunnel) this.#events = undefined
    events?.onResponseEnd(trailers)
    // The answer is complete, so the rest of the request is for nobody. A tunnel goes on the other way.
    const { stream } = this
    if (!this.isTunnel && stream?.isLocalEnded === false) this.#owner.cancel(stream)
  }

  onStreamDrain(): void {
    this.#events?.onUpstreamDrain()
  }

  onStreamReset({ by, code, message }: StreamReset): void {
    if (by === 'connection') this.fail('upstream-termination', message, true)
    else if (by === 'us' || by === 'connection-failure')
      this.fail('upstream-protocol-error', message, true)
    else if (code === errorCodes.refusedStream) {
      this.fail('upstream-refused-stream', 'stream refused', false)
    } else if (code === errorCodes.protocolError) {
      this.fail('upstream-protocol-error', 'stream reset with a protocol error', true)
    } else this.fail('upstream-reset', `stream reset with code ${code}`, true)
  }

  #count(bytes: number): void {
    this.#bytes += bytes
    if (this.isBulk || this.#bytes <= bulkBytes) return
    this.isBulk = true
    this.#owner.onBulk()
  }
}
