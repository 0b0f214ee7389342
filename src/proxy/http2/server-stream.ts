/** One request of an HTTP/2 client and its answer: the exchange on the one side, a stream of the session on the other. */
import type { HeaderList } from '../http/header-list.ts'
import type { RequestHead, ResponseHead } from '../http/message.ts'
import type { DownstreamStream, MessageCounts, RequestEvents } from '../http/stream.ts'
import type { LazyTimer } from '../wire/lazy-timer.ts'
import { errorCodes } from './frame.ts'
import { GrpcMessageCount } from './grpc-message-count.ts'
import { encodeResponse } from './response-head.ts'
import type { Http2Session } from './session.ts'
import { lastBytes, type Http2Stream, type StreamEvents, type StreamReset } from './stream.ts'

export interface ServerStreamOwner {
  readonly session: Http2Session
  /** A response is about to begin. */
  onResponse(): void
  /** The whole answer is there, and the client does not take it yet. */
  onEndQueued(): void
}

export class ServerStream implements DownstreamStream, StreamEvents {
  readonly #owner: ServerStreamOwner
  readonly #stream: Http2Stream
  readonly #request: RequestHead
  readonly openedMs: number
  #exchange: RequestEvents | undefined
  /** For the end of the request; undefined where there is no limit. */
  requestTimer: LazyTimer | undefined
  #received: GrpcMessageCount | undefined
  #sent: GrpcMessageCount | undefined
  #hasNoBody = false
  /** Of a body that nothing follows; -1: how long it is, or what follows, is not known. */
  #bodyLeft = -1
  isHeadSent = false
  isTunnel = false
  /** By the client. */
  wasReset = false

  constructor(
    owner: ServerStreamOwner,
    stream: Http2Stream,
    options: { readonly request: RequestHead; readonly openedMs: number },
  ) {
    this.#owner = owner
    this.#stream = stream
    this.#request = options.request
    this.openedMs = options.openedMs
    stream.events = this
  }

  get wireBytesReceived(): number {
    return this.#stream.wireBytesReceived
  }

  get wireBytesSent(): number {
    return this.#stream.wireBytesSent
  }

  /** Who hears the rest of the request; it may have answered already. */
  attach(exchange: RequestEvents): void {
    if (!this.#stream.isClosed && this.#stream.events !== undefined) this.#exchange = exchange
  }

  /** Gives up the request: it took too long. */
  expire(): void {
    this.#exchange?.onRequestInvalid({ reason: 'request-timeout', failure: 'request-timeout' })
  }

  /** From here on, messages of both directions are counted. */
  countMessages(): void {
    this.#received = new GrpcMessageCount()
    this.#sent = new GrpcMessageCount()
  }

  get messages(): MessageCounts | undefined {
    if (this.#received === undefined || this.#sent === undefined) return undefined
    return { received: this.#received.messages, sent: this.#sent.messages }
  }

  // The exchange's side.

  sendInformational(head: ResponseHead): void {
    if (this.isHeadSent || this.#isOver()) return
    const { session } = this.#owner
    const block = encodeResponse(session.encoder, head, { status: head.status, keepsLength: false })
    session.sender.sendBlock(this.#stream, block, false)
  }

  sendHead(head: ResponseHead, isEnd: boolean): void {
    if (this.isHeadSent || this.#isOver()) return
    this.isHeadSent = true
    this.#owner.onResponse()
    const { session } = this.#owner
    // RFC 8441 §5: what HTTP/1.1 accepts with 101 is accepted with 200.
    const isUpgraded = head.status === 101 && this.isTunnel
    const status = isUpgraded ? 200 : head.status
    this.#hasNoBody = !this.isTunnel && hasNoBody(this.#request.method, status)
    const isLengthTrue = this.#hasNoBody || typeof head.bodyLength === 'number'
    this.#bodyLeft = lastBytes(head)
    const keepsLength = isLengthTrue && !this.isTunnel && status !== 204
    const block = encodeResponse(session.encoder, head, { status, keepsLength })
    session.sender.sendBlock(this.#stream, block, isEnd || this.#hasNoBody)
  }

  sendData(chunk: Uint8Array): boolean {
    if (this.#hasNoBody || this.#isOver()) return true
    this.#sent?.add(chunk)
    if (this.#bodyLeft !== -1) this.#bodyLeft -= chunk.length
    return this.#owner.session.sender.sendData(this.#stream, chunk, this.#bodyLeft === 0)
  }

  sendEnd(trailers: HeaderList | undefined): void {
    if (this.#isOver()) return
    this.#owner.session.sender.sendEnd(this.#stream, trailers)
    if (this.#stream.isEndQueued) this.#owner.onEndQueued()
  }

  openTunnel(): void {
    this.isTunnel = true
    this.requestTimer?.clear()
  }

  /** Other requests share the connection, so none of its streams ends it. */
  closeAfterResponse(): void {}

  reset(): void {
    this.#exchange = undefined
    this.#owner.session.resetStream(this.#stream, errorCodes.internalError)
  }

  pauseRequest(): void {
    this.#stream.pause()
  }

  resumeRequest(): void {
    this.#stream.resume()
  }

  // The session's side.

  onStreamData(chunk: Buffer): void {
    this.#received?.add(chunk)
    this.#exchange?.onRequestData(chunk)
  }

  onStreamEnd(trailers: HeaderList | undefined): void {
    this.requestTimer?.clear()
    this.#exchange?.onRequestEnd(trailers)
  }

  onStreamDrain(): void {
    this.#exchange?.onDownstreamDrain()
  }

  onStreamReset(reset: StreamReset): void {
    const exchange = this.#exchange
    this.#exchange = undefined
    const isGone = reset.by === 'connection'
    if (isGone) exchange?.onDownstreamClose()
    else {
      const failure = reset.by === 'peer' ? 'downstream-reset' : 'messaging-error'
      exchange?.onDownstreamClose({ reason: reset.message, failure })
    }
  }

  #isOver(): boolean {
    return this.#stream.isClosed || this.#stream.isLocalEnded
  }
}

function hasNoBody(method: string, status: number): boolean {
  return method === 'HEAD' || status === 204 || status === 304
}
