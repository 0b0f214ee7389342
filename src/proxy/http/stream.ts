/**
 * The seam between codecs and the exchange: one request and its response, whatever the protocol.
 *
 * The downstream codec makes a `DownstreamStream` and tells a `RequestEvents`; the upstream codec makes an
 * `UpstreamStream` and tells a `ResponseEvents`. Chunks are valid during the call only, in both directions.
 * `pause` and `resume` are switches, not counts. After an end, a reset or a close, neither side calls again.
 */
import type { ConnectionSecurity } from '../connection-security.ts'
import type { Failure } from '../failure.ts'
import type { HeaderList } from './header-list.ts'
import type { HttpProtocol, RequestHead, ResponseHead } from './message.ts'

/** How to answer one request. */
export interface DownstreamStream {
  /** All bytes of this exchange so far, heads and framing included. */
  readonly wireBytesReceived: number
  readonly wireBytesSent: number
  /** Of a gRPC call whose codec counts them. */
  readonly messages?: MessageCounts | undefined
  /** Of a request whose upstream may speak another protocol: a filter begins it. */
  readonly translation?: Translation | undefined
  /** 1xx other than 101; ignored where the protocol of the client has none. */
  sendInformational(head: ResponseHead): void
  sendHead(head: ResponseHead, isEnd: boolean): void
  /** False when the caller must stop until `onDownstreamDrain`. */
  sendData(chunk: Uint8Array): boolean
  sendEnd(trailers: HeaderList | undefined): void
  /** Bytes in both directions from here on; called before the head that accepts (101, or 2xx to CONNECT). */
  openTunnel(): void
  /** This response is the last one on its connection. Called before `sendHead`. */
  closeAfterResponse(): void
  /** Gives up without a whole response; the client sees a broken connection. */
  reset(): void
  pauseRequest(): void
  resumeRequest(): void
}

/** Both bodies of an exchange in another form, from here on. */
export interface Translation {
  /** The status of the response is of its making: what answered knew none. */
  readonly hasOwnStatus: boolean
  /** What is wrong with what has come of the request, or undefined. */
  begin(call: TranslatedCall): Unreadable | undefined
}

/** Why a request cannot be translated. */
export interface Unreadable {
  readonly failure: Failure
  readonly details: string
}

/** The exchange, as its translation sees it. */
export interface TranslatedCall {
  readonly record: { bytesReceived: number; bytesSent: number }
  /** The request came whole before its translation began. */
  readonly isWhole: boolean
  changeHeld(change: (chunk: Uint8Array) => Uint8Array): void
  reject(reason: Unreadable): void
  /** What the call ended with, where its response says so. */
  onStatus(headers: HeaderList): void
}

/** gRPC messages of one call. */
export interface MessageCounts {
  readonly received: number
  readonly sent: number
}

export interface RequestEvents {
  onRequestData(chunk: Uint8Array): void
  onRequestEnd(trailers: HeaderList | undefined): void
  /** The message became invalid half-way; nothing more of it will come. */
  onRequestInvalid(refusal: RequestRefusal): void
  onDownstreamDrain(): void
  /** The client went away, or gave up this request: why, unless its connection ended. */
  onDownstreamClose(why?: RequestRefusal): void
}

/** Why a message was refused: the codec's own name for it, and what to answer. */
export interface RequestRefusal {
  readonly reason: string
  readonly failure: Failure
}

/** One request to an upstream. */
export interface UpstreamStream {
  readonly localAddress: string
  /** `address:port` of the far end; empty where it has no port. */
  readonly remoteAddress?: string
  /** Absent for a tunnel of bytes. */
  readonly protocol?: HttpProtocol
  /** What TLS has proved of the upstream; absent on plaintext. */
  readonly security?: ConnectionSecurity | undefined
  readonly wireBytesReceived: number
  readonly wireBytesSent: number
  sendHead(head: RequestHead, isEnd: boolean): void
  /** False when the caller must stop until `onUpstreamDrain`. */
  sendData(chunk: Uint8Array): boolean
  sendEnd(trailers: HeaderList | undefined): void
  /** Gives up; no event follows. */
  reset(): void
  /** Not interested in the rest of the response: keeps the connection where that is cheap. */
  discard(): void
  pauseResponse(): void
  resumeResponse(): void
}

export interface ResponseEvents {
  onInformational(head: ResponseHead): void
  onResponseHead(head: ResponseHead, isEnd: boolean): void
  onResponseData(chunk: Uint8Array): void
  onResponseEnd(trailers: HeaderList | undefined): void
  onUpstreamDrain(): void
  /** The response will not come, or not to its end. */
  onUpstreamReset(reset: UpstreamReset): void
}

export interface UpstreamReset {
  readonly failure: Failure
  /** The transport's own words, or the codec's name for what it refused. */
  readonly message: string
  /** Whether any byte of the request may have reached the upstream. */
  readonly requestSent: boolean
}
