/**
 * One client's HTTP/1.1 connection: requests are read and answered one after the other, in order.
 *
 * While one is being answered, or its body is paused, what the client sends is held up to a bound, and then the wire is
 * paused: a client that leaves meanwhile is seen soon, unless it has sent more than that. A connection ends after a
 * response that said so, after a request that was refused, and after a response that began before its request was
 * complete (as in Envoy: the rest is not waited for).
 */
import { unreachable } from '../../lib/assert.ts'
import type { Clock } from '../../lib/clock.ts'
import type { HeaderList } from '../http/header-list.ts'
import type { RequestHead, ResponseHead } from '../http/message.ts'
import type { DownstreamStream, RequestEvents, RequestRefusal } from '../http/stream.ts'
import { LazyTimer } from '../wire/lazy-timer.ts'
import type { Wire, WireEvents } from '../wire/wire.ts'
import {
  encodeInformationalHead,
  encodeLastChunk,
  encodeResponseHead,
  encodeTunnelHead,
} from './encoder.ts'
import { requestFailure, type Refusal } from './refusal.ts'
import { RequestParser, type RequestParserOptions, type RequestSink } from './request-parser.ts'
import { respell, type HeaderSpelling } from './spelling.ts'

export interface ServerConnectionOptions {
  readonly wire: Wire
  readonly clock: Clock
  /** What the process holds (listener/overload.ts). */
  readonly held: { bufferedBytes: number }
  readonly parser: RequestParserOptions
  /** 0 = off, as are all time-outs. Without a request in flight. */
  readonly idleTimeoutMs: number
  /** From the first byte of a head to its end: the shortest of all times that a request may take. */
  readonly headLimit: HeadLimit
  /** From the first byte of a request to its end. */
  readonly requestTimeoutMs: number
  readonly maxDurationMs: number
  /** How long a connection that is too old may wait for its last request (Envoy `drain_timeout`). */
  readonly drainTimeoutMs: number
  readonly delayedCloseTimeoutMs: number
  /** 0 = no limit. */
  readonly requestsMax: number
  readonly keepsTrailers: boolean
  readonly spelling?: HeaderSpelling | undefined
  readonly owner: ServerConnectionOwner
}

export interface ServerConnectionOwner {
  /** A request; the exchange that is returned hears the rest of it. */
  onRequest(head: RequestHead, stream: DownstreamStream): RequestEvents
  /** A head that was refused; whoever is returned has the reply to give. */
  onRefusedRequest(
    refusal: RequestRefusal,
    head: RequestHead,
    stream: DownstreamStream,
  ): RequestEvents
  /** Asked at each response head: whether the connection should end after it (drain, overload). */
  wantsClose(): boolean
  /** One of the connection's limits was reached. */
  onLimit(limit: ConnectionLimit): void
  onConnectionClose(): void
}

export interface HeadLimit {
  readonly timeoutMs: number
  readonly refusal: 'header-timeout' | 'request-timeout' | 'head-idle' | 'head-duration'
}

/** `close`: the peer did not end its side in time. */
export type ConnectionLimit = 'idle' | 'duration' | 'requests' | 'close'

/** For what was sent to leave, where nothing else says how long that may take. */
const flushTimeMs = 1_000
/** Held behind a request that is being answered, or that is paused. */
const heldBytesMax = 256 * 1024
/**
 * Up to here what is held is read, so that the end of a client is seen that stands behind it; then the wire is paused. Of
 * a request that is paused, when that lasts: a body that flows is not copied.
 */
const readAheadBytesMax = 64 * 1024
const lookAfterMs = 100

/** The connection ended in the middle of a head. */
const leftInHead: RequestRefusal = { reason: 'closed', failure: 'downstream-disconnect' }

type Phase = 'idle' | 'head' | 'exchange' | 'closing'

export class ServerConnection implements WireEvents, DownstreamStream, RequestSink {
  readonly #options: ServerConnectionOptions
  readonly #wire: Wire
  readonly #parser: RequestParser
  readonly #timer: LazyTimer
  readonly #lifetime: LazyTimer | undefined
  #phase: Phase = 'idle'
  #exchange: RequestEvents | undefined
  #request: RequestHead | undefined
  #requests = 0
  #isRequestEnded = false
  #isHeadSent = false
  #isLast = false
  #isChunked = false
  /** The end of the response is told by its framing, not by the end of the connection. */
  #isDelimited = false
  #isTunnel = false
  #hasNoBody = false
  #isPumping = false
  #isClosed = false
  #isDraining = false
  #held: Buffer | undefined
  #isPausedByExchange = false
  /** Made when a request is first paused. */
  #lookTimer: LazyTimer | undefined
  /** A pause lasts: reads on, up to its bound. */
  #isLooking = false
  #isPaused = false
  /** Of a tunnel: the client has ended its side, behind what is held. */
  #isEndHeld = false
  wireBytesSent = 0
  /** How it ended: by whom, and whether a request was on it. */
  endedBy: 'local' | 'remote' | undefined
  wasBusy = false
  /** Of the request that was answered last: the parser forgets it when it makes ready for the next. */
  #bytesOfLast = 0

  constructor(options: ServerConnectionOptions) {
    this.#options = options
    this.#wire = options.wire
    this.#parser = new RequestParser(options.parser, this)
    this.#timer = new LazyTimer(options.clock, () => this.#onTimeout())
    if (options.maxDurationMs !== 0) {
      this.#lifetime = new LazyTimer(options.clock, () => this.#onTooOld())
      this.#lifetime.set(options.maxDurationMs, options.clock.monotonicMs())
    }
    this.#startTimer(options.idleTimeoutMs)
    this.#wire.listen(this)
  }

  get wireBytesReceived(): number {
    return this.#phase === 'idle' ? this.#bytesOfLast : this.#parser.messageBytes
  }

  /** Ends now when nothing is in flight, otherwise after the response that is. */
  closeWhenIdle(): void {
    if (this.#isClosed) return
    this.#isDraining = true
    if (this.#phase === 'idle') this.#closeGracefully()
  }

  /** Lets go of the wire, of which it has read nothing: another codec has it. */
  abandon(): void {
    this.#isClosed = true
    this.#phase = 'closing'
    this.#timer.close()
    this.#lookTimer?.close()
    this.#lifetime?.close()
  }

  /** Cuts the connection. */
  destroy(): void {
    this.#noteEnd('local')
    this.#wire.destroy()
  }

  // The wire's events.

  onData(chunk: Uint8Array): void {
    if (this.#phase === 'closing') return
    const bytes = chunk as Buffer // Wires hand out Buffers; the contract only promises their base.
    if (this.#held !== undefined) this.#hold(Buffer.concat([this.#held, bytes]))
    else if (this.#isPausedByExchange) this.#hold(Buffer.from(bytes))
    else this.#pump(bytes)
  }

  onEnd(): void {
    if (this.#isTunnel) {
      if (this.#held === undefined) this.#parser.endOfInput()
      else this.#isEndHeld = true
      return
    }
    this.#noteEnd('remote')
    // As Envoy: a client that ends its direction is gone, even when its request was complete.
    this.#abort()
    this.#wire.end()
    if (this.#phase !== 'closing') this.#startClosing()
  }

  onDrain(): void {
    this.#exchange?.onDownstreamDrain()
  }

  onClose(): void {
    this.#noteEnd('remote')
    this.#keep(undefined)
    this.#abort()
    this.#isClosed = true
    this.#phase = 'closing'
    this.#timer.close()
    this.#lookTimer?.close()
    this.#lifetime?.close()
    this.#options.owner.onConnectionClose()
  }

  // The parser's events.

  onRequestHead(head: RequestHead): void {
    this.#startExchange(head)
    this.#isRequestEnded = head.bodyLength === 0 && head.upgrade === undefined
    if (this.#isRequestEnded || head.upgrade !== undefined) this.#timer.clear()
    else this.#startTimer(this.#options.requestTimeoutMs)
    this.#exchange = this.#options.owner.onRequest(head, this)
    if (this.#phase !== 'exchange') this.#exchange = undefined
  }

  onBody(chunk: Uint8Array): void {
    this.#exchange?.onRequestData(chunk)
  }

  onBodyEnd(trailers: HeaderList | undefined): void {
    this.#isRequestEnded = true
    if (this.#phase === 'exchange') this.#timer.clear()
    this.#exchange?.onRequestEnd(trailers)
  }

  onRefused(refusal: Refusal): void {
    // Behind the last response, in what is read of the same chunk.
    if (this.#phase === 'closing') return
    const reason = { reason: refusal, failure: requestFailure(refusal) }
    this.#isLast = true
    this.#timer.clear()
    if (this.#exchange !== undefined) {
      this.#isRequestEnded = true
      this.#exchange.onRequestInvalid(reason)
      return
    }
    const head = this.#parser.partialHead
    this.#startExchange(head)
    this.#isLast = true
    this.#isRequestEnded = true
    this.#exchange = this.#options.owner.onRefusedRequest(reason, head, this)
    if (this.#phase !== 'exchange') this.#exchange = undefined
  }

  // The exchange's side.

  sendInformational(head: ResponseHead): void {
    if (this.#request?.protocol !== 'HTTP/1.1' || this.#isHeadSent) return
    this.#writeFields(encodeInformationalHead(head), head.headers)
  }

  sendHead(head: ResponseHead, isEnd: boolean): void {
    const request = this.#request
    if (request === undefined || this.#phase !== 'exchange') return
    this.#isHeadSent = true
    if (this.#isTunnel) {
      this.#writeFields(encodeTunnelHead(head), head.headers)
      return
    }
    const isHttp11 = request.protocol === 'HTTP/1.1' || !this.#options.parser.acceptsHttp10
    this.#frame(head, request, isHttp11)
    if (!this.#isLast) this.#isLast = this.#endsAfter(request)
    const isToHead = request.method === 'HEAD'
    const framing = { isHttp11, hasNoBody: this.#hasNoBody, isToHead, isLast: this.#isLast }
    this.#writeFields(encodeResponseHead(head, framing), head.headers)
    if (isEnd) this.#finishResponse()
  }

  sendData(chunk: Uint8Array): boolean {
    if (this.#hasNoBody || chunk.length === 0 || this.#phase !== 'exchange') return true
    this.wireBytesSent += chunk.length
    if (!this.#isChunked) return this.#wire.write(chunk)
    this.#write(`${chunk.length.toString(16)}\r\n`)
    this.#wire.write(chunk)
    return this.#write('\r\n')
  }

  sendEnd(trailers: HeaderList | undefined): void {
    if (this.#phase !== 'exchange') return
    if (this.#isTunnel) {
      this.#endTunnel()
      return
    }
    if (this.#isChunked) {
      const last = encodeLastChunk(this.#options.keepsTrailers ? trailers?.fields : undefined)
      this.#writeFields(last, trailers)
    }
    this.#finishResponse()
  }

  openTunnel(): void {
    this.#isTunnel = true
    this.#hasNoBody = false
    this.#isChunked = false
    this.#timer.clear()
    if (this.#parser.state === 'held') this.#parser.openTunnel()
    if (this.#isPumping || this.#held === undefined) return
    // The head that accepts is written first; what the client sent early follows in the next turn.
    process.nextTick(() => this.#pumpHeld())
  }

  closeAfterResponse(): void {
    this.#isLast = true
  }

  /** Where a client sees that the message is not whole, or in a tunnel, what there is of it still leaves (as in Envoy). */
  reset(): void {
    if (this.#isHeadSent && (this.#isDelimited || this.#isTunnel)) {
      this.#closeGracefully()
      return
    }
    this.#exchange = undefined
    this.#startClosing()
    this.#wire.destroy()
  }

  pauseRequest(): void {
    if (this.#isPausedByExchange || this.#isClosed) return
    this.#isPausedByExchange = true
    const { clock } = this.#options
    this.#lookTimer ??= new LazyTimer(clock, () => this.#look())
    this.#lookTimer.set(lookAfterMs, clock.monotonicMs())
    this.#updatePause()
  }

  resumeRequest(): void {
    if (!this.#isPausedByExchange) return
    this.#endPause()
    // A wire, too, says nothing more of what it has read than in its own turn.
    if (this.#held !== undefined) process.nextTick(() => this.#pumpHeld())
  }

  // Inner life.

  #startExchange(head: RequestHead): void {
    this.#phase = 'exchange'
    this.#request = head
    this.#requests += 1
    this.#isHeadSent = false
    this.#isLast = false
    this.#isTunnel = false
    this.#isChunked = false
    this.#hasNoBody = false
    this.wireBytesSent = 0
  }

  /** How the response ends (RFC 9112 §6.3): HTTP/1.0 knows no chunks, so there the connection ends with it. */
  #frame(head: ResponseHead, request: RequestHead, isHttp11: boolean): void {
    this.#hasNoBody = request.method === 'HEAD' || head.status === 204 || head.status === 304
    const isOpen = head.bodyLength === 'until-end' && !this.#hasNoBody
    this.#isChunked = isOpen && isHttp11
    this.#isDelimited = !isOpen || isHttp11
    if (!this.#isDelimited) this.#isLast = true
  }

  #writeFields(text: string, headers: HeaderList | undefined): void {
    this.#write(respell(text, headers, this.#options.spelling))
  }

  #write(text: string): boolean {
    this.wireBytesSent += text.length
    return this.#wire.write(text)
  }

  #pump(chunk: Buffer): void {
    let position = 0
    let wasInHead = this.#phase === 'head'
    this.#isPumping = true
    while (position < chunk.length && !this.#isPausedByExchange && this.#canRead()) {
      if (this.#phase === 'idle') {
        this.#phase = 'head'
        wasInHead = false
        this.#timer.clear()
      }
      position = this.#parser.feed(chunk, position)
    }
    this.#isPumping = false
    if (this.#phase === 'closing') return
    // Most heads come whole, and need no timer.
    if (this.#phase === 'head' && !wasInHead) this.#startTimer(this.#options.headLimit.timeoutMs)
    if (position < chunk.length) this.#hold(Buffer.from(chunk.subarray(position)))
  }

  /** Whether the parser may have the next bytes; makes it ready for the next message when it may. */
  #canRead(): boolean {
    switch (this.#parser.state) {
      case 'head':
      case 'body':
      case 'raw':
        return this.#phase !== 'closing'
      case 'ended':
        if (this.#phase !== 'idle') return false
        this.#nextMessage()
        return true
      case 'held':
      case 'refused':
        return false
      default:
        return unreachable(this.#parser.state)
    }
  }

  #nextMessage(): void {
    this.#parser.next()
    this.#phase = 'idle'
    this.#request = undefined
  }

  #hold(rest: Buffer): void {
    this.#keep(rest)
    if (rest.length > heldBytesMax && !this.#isPausedByExchange) this.#wire.destroy()
    else this.#updatePause()
  }

  #look(): void {
    this.#isLooking = this.#isPausedByExchange
    this.#updatePause()
  }

  #endPause(): void {
    this.#isPausedByExchange = false
    this.#isLooking = false
    this.#lookTimer?.clear()
    this.#updatePause()
  }

  #keep(bytes: Buffer | undefined): void {
    this.#options.held.bufferedBytes += (bytes?.length ?? 0) - (this.#held?.length ?? 0)
    this.#held = bytes
  }

  #pumpHeld(): void {
    const held = this.#held
    if (held === undefined || this.#isClosed || this.#isPumping || this.#isPausedByExchange) return
    this.#keep(undefined)
    this.#pump(held)
    this.#updatePause()
    if (!this.#isEndHeld || this.#held !== undefined) return
    this.#isEndHeld = false
    this.#parser.endOfInput()
  }

  #updatePause(): void {
    const isFull = (this.#held?.length ?? 0) >= readAheadBytesMax
    const waits = this.#isPausedByExchange && !this.#isLooking
    const isPaused = (isFull || waits) && !this.#isClosed
    if (isPaused === this.#isPaused) return
    this.#isPaused = isPaused
    if (isPaused) this.#wire.pause()
    else this.#wire.resume()
  }

  #endsAfter(request: RequestHead): boolean {
    const { requestsMax, owner } = this.#options
    if (request.wantsClose || this.#isDraining || !this.#isRequestEnded) return true
    if (requestsMax !== 0 && this.#requests >= requestsMax) {
      owner.onLimit('requests')
      return true
    }
    return owner.wantsClose()
  }

  #finishResponse(): void {
    this.#bytesOfLast = this.#parser.messageBytes
    this.#exchange = undefined
    if (this.#isLast) {
      const { wantsClose = false } = this.#request ?? {}
      this.#closeGracefully(wantsClose && this.#isRequestEnded && this.#held === undefined)
      return
    }
    if (this.#isPausedByExchange) this.#endPause()
    this.#phase = 'idle'
    this.#startTimer(this.#options.idleTimeoutMs)
    if (!this.#isPumping && this.#held !== undefined) process.nextTick(() => this.#pumpHeld())
    else if (!this.#isPumping) this.#nextMessage()
  }

  #endTunnel(): void {
    this.#wire.end()
  }

  /** Who has said `close` sends nothing more (RFC 9112, 9.6), and so nothing that would make of our close a reset. */
  #closeGracefully(isClientDone = false): void {
    this.#exchange = undefined
    if (isClientDone && this.#wire.finish !== undefined) this.#wire.finish()
    else this.#wire.end()
    this.#startClosing()
  }

  /** FIN is out; the peer gets a moment to read what was sent before the socket goes. */
  #startClosing(): void {
    this.#phase = 'closing'
    this.#noteEnd('local')
    this.#keep(undefined)
    this.#endPause()
    // Without a delay, too, what was sent needs a moment to leave.
    if (!this.#isClosed) this.#startTimer(this.#options.delayedCloseTimeoutMs || flushTimeMs)
  }

  #noteEnd(by: 'local' | 'remote'): void {
    if (this.endedBy !== undefined) return
    this.endedBy = by
    this.wasBusy = this.#phase === 'exchange' || this.#phase === 'head'
  }

  /** The client is gone: what it was asking for is over, be it a part of a head. */
  #abort(): void {
    const exchange = this.#exchange
    this.#exchange = undefined
    exchange?.onDownstreamClose()
    if (this.#phase !== 'head') return
    const head = this.#parser.partialHead
    this.#startExchange(head)
    this.#options.owner.onRefusedRequest(leftInHead, head, this)
  }

  #startTimer(delayMs: number): void {
    if (delayMs === 0) this.#timer.clear()
    else this.#timer.set(delayMs, this.#options.clock.monotonicMs())
  }

  /** Envoy drains first: the next response is the last one; without one the connection ends a little later. */
  #onTooOld(): void {
    if (this.#isDraining) {
      this.closeWhenIdle()
      return
    }
    this.#isDraining = true
    const { drainTimeoutMs, clock, owner } = this.#options
    owner.onLimit('duration')
    this.#lifetime?.set(drainTimeoutMs, clock.monotonicMs())
  }

  /** As Envoy: a connection that has carried requests is drained first, so that one that is just coming is not lost. */
  #onIdle(): void {
    const { owner, drainTimeoutMs } = this.#options
    if (!this.#isDraining) {
      owner.onLimit('idle')
      this.#isDraining = this.#requests > 0
      if (this.#isDraining && drainTimeoutMs !== 0) {
        this.#startTimer(drainTimeoutMs)
        return
      }
    }
    this.#closeGracefully()
  }

  #onTimeout(): void {
    switch (this.#phase) {
      case 'closing':
        this.#options.owner.onLimit('close')
        this.#wire.destroy()
        return
      case 'idle':
        this.#onIdle()
        return
      case 'head':
        this.#parser.state = 'refused'
        this.onRefused(this.#options.headLimit.refusal)
        return
      case 'exchange':
        this.#parser.state = 'refused'
        this.onRefused('request-timeout')
    }
  }
}
