/**
 * One HTTP/2 connection to an upstream: as many requests at once as its SETTINGS and our own ceiling allow.
 *
 * A GOAWAY ends it for new requests. Those that the upstream says it has not seen are told so, and can safely be made
 * again; the others are waited for. A malformed response ends its own stream only: the requests beside it are not
 * to blame (Envoy, unless told otherwise, ends them all).
 */
import type { Clock } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'
import type { ConnectionSecurity } from '../connection-security.ts'
import type { Failure } from '../failure.ts'
import type { HeaderList } from '../http/header-list.ts'
import type { RequestHead, ResponseHead } from '../http/message.ts'
import type { ResponseEvents } from '../http/stream.ts'
import type { Http2Stats } from '../telemetry/cluster-stats.ts'
import type { CopyBuffers } from '../wire/copy-buffer.ts'
import { endText, remoteText } from '../wire/end-text.ts'
import type { Wire } from '../wire/wire.ts'
import { ClientStream, type ClientStreamOwner } from './client-stream.ts'
import { errorCodes, pingFrame, streamIdMax } from './frame.ts'
import type { FieldSink } from './hpack/decoder.ts'
import { Keepalive } from './keepalive.ts'
import { MessageFields, type FieldLimits } from './message-fields.ts'
import { encodeRequest } from './request-head.ts'
import { readResponse, responsePseudo } from './response-head.ts'
import { Http2Session, type SessionOwner } from './session.ts'
import { clientSettings, type Http2Options } from './settings.ts'
import { StreamTable } from './stream-table.ts'
import type { HeldBytes, Http2Stream } from './stream.ts'

export interface Http2ClientOptions {
  readonly wire: Wire
  readonly clock: Clock
  readonly random: Random
  readonly http2: Http2Options
  readonly stats: Http2Stats
  readonly held: HeldBytes
  readonly copies: CopyBuffers
  readonly limits: FieldLimits
  readonly owner: Http2ClientOwner
}

export interface Http2ClientOwner {
  /** Another request fits, or the last one has ended. */
  onRoom(connection: Http2ClientConnection): void
  /** The upstream ends it. */
  /** `code`: RFC 9113 §7; 0 says goodbye in good order. */
  onGoaway(connection: Http2ClientConnection, code: number): void
  /** The upstream broke a rule that concerns all its streams. */
  onProtocolError(): void
  onConnectionClose(connection: Http2ClientConnection): void
  /** Bytes that crossed the wire for one request. */
  onBytes(received: number, sent: number): void
}

/** Until the upstream says how many streams it takes: what RFC 9113 §6.5.2 asks of servers at least. */
const streamsBeforeSettings = 100

export class Http2ClientConnection implements SessionOwner, ClientStreamOwner {
  /** How it ended: by whom, and whether requests were on it. */
  endedBy: 'local' | 'remote' = 'local'
  wasBusy = false
  readonly #options: Http2ClientOptions
  readonly #wire: Wire
  readonly #session: Http2Session
  readonly #fields: MessageFields
  readonly #clientStreams = new StreamTable<ClientStream>()
  readonly #keepalive: Keepalive | undefined
  readonly localAddress: string
  readonly security: ConnectionSecurity | undefined
  #waiting: (() => void)[] = []
  #nextStreamId = 1
  /** Places that were given and not used yet. */
  #promised = 0
  #bulkStreams = 0
  #isDraining = false
  #isClosing = false
  /** Requests that it was given, for the pool's ceiling. */
  requests = 0

  get remoteAddress(): string {
    return remoteText(this.#wire)
  }

  constructor(options: Http2ClientOptions) {
    const { wire, clock, http2, stats, limits } = options
    this.#options = options
    this.#wire = wire
    this.localAddress = wire.localPort === 0 ? '' : endText(wire.localAddress, wire.localPort)
    this.security = wire.security
    this.#fields = new MessageFields({ limits, underscores: 'allow', pseudo: responsePseudo })
    this.#session = new Http2Session({
      wire,
      clock,
      role: 'client',
      http2,
      settings: clientSettings(http2, limits.headBytesMax),
      stats,
      held: options.held,
      copies: options.copies,
      headBytesMax: limits.headBytesMax,
      owner: this,
    })
    this.#session.start()
    this.#keepalive = this.#openKeepalive()
  }

  /** Whether it may carry requests at all: neither closed nor ending. */
  get isUsable(): boolean {
    return !this.#isClosing && !this.#isDraining && !this.#session.isOver
  }

  /** Requests that it can be given now. */
  get room(): number {
    if (!this.isUsable) return 0
    return this.#streamsMax() - this.activeStreams
  }

  #noteEnd(by: 'local' | 'remote'): void {
    this.endedBy = by
    this.onBeforeEnd()
  }

  /** Its streams are told first, and are gone then. */
  onBeforeEnd(by?: 'failure' | 'peer'): void {
    // As Envoy: of one that broke a rule, the streams are reset before it ends.
    if (by !== 'failure' && this.activeStreams !== 0) this.wasBusy = true
  }

  get activeStreams(): number {
    return this.#session.streams.size + this.#promised
  }

  get queuedBytes(): number {
    return this.#session.sender.queuedBytes
  }

  /** Whether a small message would wait: the upstream takes or may send nothing, or a long body is under way. */
  get isCongested(): boolean {
    return this.#bulkStreams > 0 || this.#session.isStalled
  }

  /** Whether nothing would leave for now. */
  get isBlocked(): boolean {
    return this.#session.sender.isBlocked
  }

  /** A place for one request; call only where there is room. */
  take(events: ResponseEvents): ClientStream {
    this.requests += 1
    this.#promised += 1
    this.#keepalive?.beforeUse()
    return new ClientStream(this, events)
  }

  /** No more requests; ends after the last one. */
  drain(): void {
    this.#isDraining = true
    this.#closeIfIdle()
  }

  close(): void {
    if (this.#isClosing) return
    this.onBeforeEnd()
    this.#isClosing = true
    this.#session.stop('connection closed')
    this.#wire.destroy()
  }

  // Streams ask.

  openStream(one: ClientStream, head: RequestHead, isEnd: boolean): void {
    const { peer } = this.#session
    // RFC 8441 §3: only a server that has said so understands it.
    if (head.upgrade !== undefined && !peer.isKnown && !this.#session.isOver) {
      this.#waiting.push(() => this.openStream(one, head, isEnd))
      return
    }
    if (one.isDetached) return
    if (this.#session.isOver || this.#nextStreamId > streamIdMax) {
      this.#promised -= 1
      one.fail('upstream-termination', 'connection closed', false)
      return
    }
    if (head.upgrade !== undefined && !peer.allowsConnect) {
      this.#promised -= 1
      one.fail('upstream-protocol-error', 'the upstream accepts no extended CONNECT', false)
      return
    }
    this.#open(one, head, isEnd)
  }

  sendData(stream: Http2Stream, chunk: Uint8Array, isLast: boolean): boolean {
    return this.#session.sender.sendData(stream, chunk, isLast)
  }

  sendEnd(stream: Http2Stream, trailers: HeaderList | undefined): void {
    this.#session.sender.sendEnd(stream, trailers)
  }

  cancel(stream: Http2Stream): void {
    if (stream.isClosed) stream.detach()
    else this.#session.resetStream(stream, errorCodes.cancel)
  }

  giveBack(_one: ClientStream): void {
    this.#promised -= 1
    this.#onRoom()
  }

  onBulk(): void {
    this.#bulkStreams += 1
  }

  // The session tells.

  fieldsOf(_streamId: number, stream: Http2Stream | undefined): FieldSink {
    const one = stream && this.#clientStreams.get(stream.id)
    this.#fields.begin(one?.isHeadReceived === true)
    return this.#fields
  }

  onHeaders(_streamId: number, stream: Http2Stream | undefined, isEnd: boolean): void {
    const one = stream && this.#clientStreams.get(stream.id)
    if (stream === undefined || one === undefined) {
      this.#session.fail(errorCodes.protocolError, 'HEADERS on a stream that was never opened')
      return
    }
    this.#fields.finish()
    if (this.#fields.isTooLarge) {
      this.#options.stats.headerOverflow.add(1)
      this.#giveUp(one, 'upstream-headers-too-large', 'headers-too-large')
    } else if (one.isHeadReceived) this.#onTrailers(one, stream, isEnd)
    else this.#onResponse(one, stream, isEnd)
  }

  onBodyMismatch(stream: Http2Stream): void {
    const one = this.#clientStreams.get(stream.id)
    if (one !== undefined) this.#refuse(one, 'body-length')
  }

  onPeerSettings(): void {
    for (const open of this.#waiting.splice(0)) open()
    this.#onRoom()
  }

  onGoaway(lastStreamId: number, code: number): void {
    this.#isDraining = true
    this.#options.owner.onGoaway(this, code)
    for (const { id, stream: one } of this.#clientStreams.list()) {
      if (id <= lastStreamId || one.stream === undefined) continue
      this.#session.resetStream(one.stream, errorCodes.cancel)
      one.fail('upstream-refused-stream', `GOAWAY with code ${code}`, false)
    }
    this.#closeIfIdle()
  }

  onLocalEnd(): void {}

  onReadEnd(): void {}

  onOpenBlock(): void {}

  onPeerReset(): void {}

  onStreamClosed(stream: Http2Stream): void {
    const one = this.#clientStreams.get(stream.id)
    if (one?.isBulk === true) this.#bulkStreams -= 1
    this.#clientStreams.delete(stream.id)
    this.#options.owner.onBytes(stream.wireBytesReceived, stream.wireBytesSent)
    this.#onRoom()
  }

  onPingAck(payload: string): void {
    this.#keepalive?.onAck(payload)
  }

  onActivity(): void {
    this.#keepalive?.onActivity()
  }

  onFailure(): void {
    this.#options.owner.onProtocolError()
    if (!this.#isClosing) this.#noteEnd('local')
    this.#isClosing = true
    this.#wire.end()
    // Nothing more is read: the upstream need not be waited for.
    this.#wire.destroy()
  }

  onEnd(): void {
    if (!this.#isClosing) this.#noteEnd('remote')
    this.close()
  }

  onClose(): void {
    if (!this.#isClosing) this.#noteEnd('remote')
    this.#isClosing = true
    this.#keepalive?.close()
    for (const open of this.#waiting.splice(0)) open()
    this.#options.owner.onConnectionClose(this)
  }

  // Responses.

  #open(one: ClientStream, head: RequestHead, isEnd: boolean): void {
    const session = this.#session
    const id = this.#nextStreamId
    this.#nextStreamId += 2
    session.lastOwnStreamId = id
    const stream = session.openStream(id)
    this.#promised -= 1
    stream.events = one
    stream.awaitsHead = true
    this.#clientStreams.add(id, one)
    session.sender.sendBlock(stream, encodeRequest(session.encoder, head), isEnd)
    one.onOpened(stream)
    if (this.#nextStreamId > streamIdMax) this.drain()
  }

  #onResponse(one: ClientStream, stream: Http2Stream, isEnd: boolean): void {
    const { request } = one
    const hasNoBody = request?.method === 'HEAD'
    const read = readResponse(this.#fields, { isEnd, hasNoBody })
    if (read.kind === 'malformed') {
      this.#refuse(one, read.reason)
      return
    }
    const { head } = read
    if (head.status < 200) {
      one.onInformational(head)
      return
    }
    stream.awaitsHead = false
    one.isTunnel = head.status < 300 && isTunnel(request)
    if (one.isTunnel) acceptTunnel(head, request)
    else stream.bodyLeft = read.promisedBytes
    one.onResponseHead(head, isEnd)
    if (isEnd && !stream.isClosed) this.#session.endRemote(stream, undefined)
  }

  #onTrailers(one: ClientStream, stream: Http2Stream, isEnd: boolean): void {
    const { malformed, headers } = this.#fields
    if (malformed !== undefined) this.#refuse(one, malformed)
    else if (!isEnd) this.#refuse(one, 'trailers-open')
    else this.#session.endRemote(stream, headers)
  }

  #refuse(one: ClientStream, reason: string): void {
    this.#options.stats.rxMessagingError.add(1)
    this.#giveUp(one, 'upstream-protocol-error', reason)
  }

  #giveUp(one: ClientStream, failure: Failure, message: string): void {
    if (one.stream !== undefined) this.#session.resetStream(one.stream, errorCodes.protocolError)
    one.fail(failure, message, true)
  }

  #streamsMax(): number {
    const { peer } = this.#session
    const { concurrentStreamsMax } = this.#options.http2
    return Math.min(
      concurrentStreamsMax,
      peer.isKnown ? peer.concurrentStreamsMax : streamsBeforeSettings,
    )
  }

  #onRoom(): void {
    if (this.#session.isOver) return
    this.#options.owner.onRoom(this)
    this.#closeIfIdle()
  }

  #closeIfIdle(): void {
    if (this.#isDraining && this.activeStreams === 0) this.close()
  }

  #openKeepalive(): Keepalive | undefined {
    const { http2, clock, random, stats } = this.#options
    if (http2.keepalive === undefined) return undefined
    return new Keepalive({
      clock,
      random,
      options: http2.keepalive,
      sendPing: (payload) => this.#session.sender.sendControl(pingFrame(payload, false)),
      onTimeout: () => {
        stats.keepaliveTimeout.add(1)
        this.close()
      },
    })
  }
}

function isTunnel(request: RequestHead | undefined): boolean {
  return request?.method === 'CONNECT' || request?.upgrade !== undefined
}

function acceptTunnel(head: ResponseHead, request: RequestHead | undefined): void {
  head.bodyLength = 'until-end'
  // RFC 8441 §5, backwards: whoever asked for an upgrade hears of one.
  if (request?.upgrade === undefined) return
  head.status = 101
  head.headers.append('upgrade', request.upgrade)
}
