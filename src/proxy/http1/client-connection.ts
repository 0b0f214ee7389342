/**
 * One HTTP/1.1 connection to an upstream: one request at a time, reused only when both messages ended where
 * their framing said, and nothing else came.
 */
import type { ConnectionSecurity } from '../connection-security.ts'
import type { HeaderList } from '../http/header-list.ts'
import type { RequestHead, ResponseHead } from '../http/message.ts'
import type { ResponseEvents, UpstreamStream } from '../http/stream.ts'
import { endText, remoteText } from '../wire/end-text.ts'
import type { Wire, WireEvents } from '../wire/wire.ts'
import { encodeLastChunk, encodeRequestHead } from './encoder.ts'
import { responseFailure, type Refusal } from './refusal.ts'
import { ResponseParser, type ResponseParserOptions, type ResponseSink } from './response-parser.ts'
import { respell, type HeaderSpelling } from './spelling.ts'

export interface ClientConnectionOwner {
  /** The connection can take another request. */
  onConnectionIdle(connection: ClientConnection): void
  onConnectionClose(connection: ClientConnection): void
  /** Bytes that crossed the wire for one request. */
  onBytes(received: number, sent: number): void
  /** The upstream broke a rule of HTTP. */
  onProtocolError?(): void
  /** The upstream said that it ends the connection. */
  onCloseNotify?(): void
}

export interface ClientConnectionOptions {
  readonly wire: Wire
  readonly parser: ResponseParserOptions
  readonly owner: ClientConnectionOwner
  readonly spelling?: HeaderSpelling | undefined
  readonly sendsUrl?: boolean
}

/** The rest of a response that nobody wants is read up to this to keep the connection. */
const discardBytesMax = 64 * 1024

export class ClientConnection implements WireEvents, UpstreamStream, ResponseSink {
  readonly #wire: Wire
  readonly #parser: ResponseParser
  readonly #owner: ClientConnectionOwner
  readonly #keepsTrailers: boolean
  readonly #spelling: HeaderSpelling | undefined
  readonly #sendsUrl: boolean
  readonly localAddress: string
  readonly protocol = 'HTTP/1.1'
  readonly security: ConnectionSecurity | undefined
  #events: ResponseEvents | undefined
  #isChunked = false
  #isRequestEnded = false
  #isHeadSent = false
  #isBusy = false
  #isTunnel = false
  #isClosed = false
  #isClosing = false
  #isPaused = false
  /** How it ended: by whom, and whether a request was on it. */
  endedBy: 'local' | 'remote' = 'local'
  wasBusy = false
  /** Requests that it was given, for the pool's ceiling. */
  requests = 0
  wireBytesSent = 0

  constructor(options: ClientConnectionOptions) {
    const { wire } = options
    this.#wire = wire
    this.#owner = options.owner
    this.#parser = new ResponseParser(options.parser, this)
    this.#keepsTrailers = options.parser.keepsTrailers
    this.#spelling = options.spelling
    this.#sendsUrl = options.sendsUrl === true
    this.localAddress = wire.localPort === 0 ? '' : endText(wire.localAddress, wire.localPort)
    this.security = wire.security
    wire.listen(this)
  }

  /** Rarely asked: a host nearly always has one address. */
  get remoteAddress(): string {
    return remoteText(this.#wire)
  }

  get wireBytesReceived(): number {
    return this.#parser.messageBytes
  }

  /** Whether it may carry a request: neither closed nor about to be. */
  get isUsable(): boolean {
    return !this.#isClosed && !this.#isClosing
  }

  /** Takes the idle connection for one request. */
  take(events: ResponseEvents): void {
    this.#events = events
    this.#isBusy = true
    this.#isHeadSent = false
    this.#isRequestEnded = false
    this.#isTunnel = false
    this.requests += 1
    this.wireBytesSent = 0
  }

  sendHead(head: RequestHead, isEnd: boolean): void {
    this.#isHeadSent = true
    this.#isChunked = head.bodyLength === 'until-end' && head.method !== 'CONNECT'
    this.#isRequestEnded = isEnd || head.upgrade !== undefined
    this.#parser.expect(head.method, head.upgrade)
    this.#write(respell(encodeRequestHead(head, this.#sendsUrl), head.headers, this.#spelling))
    // A body of nothing in chunks, all of which had come before the connection was there.
    if (isEnd && this.#isChunked) this.#write(encodeLastChunk(undefined))
  }

  sendData(chunk: Uint8Array): boolean {
    if (chunk.length === 0 || this.#isClosed) return true
    this.wireBytesSent += chunk.length
    if (!this.#isChunked) return this.#wire.write(chunk)
    this.#write(`${chunk.length.toString(16)}\r\n`)
    this.#wire.write(chunk)
    return this.#write('\r\n')
  }

  sendEnd(trailers: HeaderList | undefined): void {
    if (this.#isClosed) return
    this.#isRequestEnded = true
    if (this.#isTunnel) this.#wire.end()
    else if (this.#isChunked) {
      const last = encodeLastChunk(this.#keepsTrailers ? trailers?.fields : undefined)
      this.#write(respell(last, trailers, this.#spelling))
    }
  }

  reset(): void {
    this.#events = undefined
    this.close()
  }

  discard(): void {
    if (this.#events === undefined) return
    this.#events = undefined
    if (!this.#isRequestEnded || this.#parser.bodyRemaining > discardBytesMax) this.close()
    else this.resumeResponse()
  }

  pauseResponse(): void {
    if (this.#isPaused) return
    this.#isPaused = true
    this.#wire.pause()
  }

  resumeResponse(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#wire.resume()
  }

  close(): void {
    if (this.#isBusy) this.#leaveBusy()
    if (!this.isUsable) return
    this.#isClosing = true
    this.#wire.destroy()
  }

  // The wire's events.

  onData(chunk: Uint8Array): void {
    if (!this.#isBusy || !this.#isHeadSent) {
      // Bytes that answer no request (RFC 9112 §9.2): perhaps a 408 before an idle close. Never a response.
      this.#fail('upstream-termination', 'bytes without a request')
      return
    }
    const bytes = chunk as Buffer // Wires hand out Buffers; the contract only promises their base.
    const next = this.#parser.feed(bytes, 0)
    if (this.#parser.state === 'ended') this.#afterResponse(next < bytes.length)
  }

  onEnd(): void {
    if (this.isUsable) this.endedBy = 'remote'
    if (this.#isTunnel) {
      this.#parser.endOfInput()
      return
    }
    if (this.#isBusy && this.#parser.endOfInput()) {
      this.#isBusy = false
      this.close()
      return
    }
    const failure = this.#endFailure()
    // As Envoy: what is not a whole message is a broken one.
    if (failure === 'upstream-protocol-error') this.#owner.onProtocolError?.()
    this.#fail(failure, 'connection ended by the upstream')
  }

  onDrain(): void {
    this.#events?.onUpstreamDrain()
  }

  onClose(error: Error | undefined): void {
    if (this.isUsable) this.endedBy = 'remote'
    this.#isClosed = true
    const message = error?.message ?? 'connection closed'
    const failure = this.#endFailure()
    if (failure === 'upstream-protocol-error') this.#owner.onProtocolError?.()
    this.#fail(failure, message)
    this.#owner.onConnectionClose(this)
  }

  // The parser's events.

  onInformational(head: ResponseHead): void {
    this.#events?.onInformational(head)
  }

  onResponseHead(head: ResponseHead): void {
    this.#isTunnel = this.#parser.state === 'raw'
    if (this.#isTunnel) this.#isChunked = false
    if (this.#parser.saysClose && !this.#isTunnel) this.#owner.onCloseNotify?.()
    this.#events?.onResponseHead(head, head.bodyLength === 0)
  }

  onBody(chunk: Uint8Array): void {
    this.#events?.onResponseData(chunk)
  }

  onBodyEnd(trailers: HeaderList | undefined): void {
    this.#parser.markEnded()
    const events = this.#events
    if (!this.#isTunnel) this.#events = undefined
    if (!this.#isTunnel) this.#countBytes()
    events?.onResponseEnd(trailers)
  }

  onRefused(refusal: Refusal): void {
    this.#owner.onProtocolError?.()
    this.#fail(responseFailure(refusal), refusal)
  }

  /** As Envoy: a message that breaks off is a bad message; none at all is a connection that ended. */
  #endFailure(): 'upstream-protocol-error' | 'upstream-termination' {
    const isInMessage = this.#isBusy && this.#isHeadSent && this.#parser.isInMessage
    return isInMessage ? 'upstream-protocol-error' : 'upstream-termination'
  }

  #countBytes(): void {
    this.#owner.onBytes(this.wireBytesReceived, this.wireBytesSent)
  }

  /** The request on it does not come to its end. */
  #leaveBusy(): void {
    this.#isBusy = false
    this.wasBusy = true
    this.#countBytes()
  }

  #write(text: string): boolean {
    this.wireBytesSent += text.length
    return this.#wire.write(text)
  }

  #afterResponse(hasExtraBytes: boolean): void {
    if (this.#isTunnel || !this.#isBusy) return
    if (hasExtraBytes || !this.#isRequestEnded || !this.#parser.keepsAlive) {
      // As Envoy: more than was asked for is a fault, and a request that is still being sent is on the connection.
      if (hasExtraBytes) this.#owner.onProtocolError?.()
      this.wasBusy = !this.#isRequestEnded
      this.#isBusy = false
      this.close()
      return
    }
    this.#isBusy = false
    this.resumeResponse()
    this.#owner.onConnectionIdle(this)
  }

  #fail(
    failure: ReturnType<typeof responseFailure> | 'upstream-termination',
    message: string,
  ): void {
    const events = this.#events
    this.#events = undefined
    this.close()
    events?.onUpstreamReset({ failure, message, requestSent: this.#isHeadSent })
  }
}
