/**
 * One client's HTTP/2 connection: many requests at once, each an exchange of its own.
 *
 * It ends in two steps, so that no request is lost (RFC 9113 §6.8): a GOAWAY that names no last stream tells the client
 * to open no more, a PING makes sure that it knows, a second GOAWAY names the last stream that is served.
 * Malformed requests end the connection, as in Envoy, unless the options say that they end their stream.
 */
import type { Clock } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'
import type { Failure } from '../failure.ts'
import { HeaderList } from '../http/header-list.ts'
import type { RequestHead } from '../http/message.ts'
import type { RequestEvents } from '../http/stream.ts'
import type { ServerConnectionOwner } from '../http1/server-connection.ts'
import type { Http2Stats } from '../telemetry/cluster-stats.ts'
import type { CopyBuffers } from '../wire/copy-buffer.ts'
import { LazyTimer } from '../wire/lazy-timer.ts'
import type { Wire } from '../wire/wire.ts'
import { errorCodes, pingFrame, streamIdMax, type ErrorCode } from './frame.ts'
import type { FieldSink } from './hpack/decoder.ts'
import { Keepalive } from './keepalive.ts'
import { MessageFields, type FieldLimits } from './message-fields.ts'
import { readRequest, requestPseudo } from './request-head.ts'
import { ResetGuard } from './reset-guard.ts'
import { ServerStream, type ServerStreamOwner } from './server-stream.ts'
import { Http2Session, type SessionOwner } from './session.ts'
import { serverSettings, type Http2Options } from './settings.ts'
import { StreamTable } from './stream-table.ts'
import type { HeldBytes, Http2Stream } from './stream.ts'

export interface Http2ServerOptions {
  readonly wire: Wire
  readonly clock: Clock
  readonly random: Random
  readonly http2: Http2Options
  readonly stats: Http2Stats
  readonly held: HeldBytes
  readonly copies: CopyBuffers
  readonly limits: FieldLimits
  readonly underscores: 'allow' | 'reject' | 'drop'
  /** 0 = off, as are all time-outs. Without a request in flight. */
  readonly idleTimeoutMs: number
  readonly headTimeoutMs: number
  readonly requestTimeoutMs: number
  readonly maxDurationMs: number
  readonly drainTimeoutMs: number
  readonly delayedCloseTimeoutMs: number
  /** How long what was answered may wait for the client to read it (Envoy `stream_flush_timeout`). */
  readonly flushTimeoutMs: number
  /** 0 = no limit. */
  readonly requestsMax: number
  readonly owner: Http2ServerOwner
}

export interface Http2ServerOwner extends Omit<ServerConnectionOwner, 'onRequest'> {
  /** A request; the exchange that is returned hears the rest of it. */
  onRequest(head: RequestHead, stream: ServerStream): RequestEvents
  /** The client gave up most of its requests at once. */
  onTooManyResets(): void
  onProtocolError(): void
}

/** `drain`: told to open no more. `last`: told which stream is the last. `closing`: FIN is out. */
type Phase = 'open' | 'drain' | 'last' | 'closing'

/** As Envoy: a body of another length than was promised, and what was configured, concern nobody else. */
const aloneReasons: ReadonlySet<string> = new Set(['body-length', 'underscore'])

const drainPing = 'tulle-go'

export class Http2ServerConnection implements SessionOwner, ServerStreamOwner {
  readonly #options: Http2ServerOptions
  readonly #wire: Wire
  readonly #fields: MessageFields
  readonly #resets = new ResetGuard()
  readonly #serverStreams = new StreamTable<ServerStream>()
  readonly #keepalive: Keepalive | undefined
  readonly #timer: LazyTimer
  readonly #blockTimer: LazyTimer
  readonly #flushTimer: LazyTimer
  readonly #lifetime: LazyTimer
  readonly session: Http2Session
  /** Answered before their request was whole, in the read that goes on. */
  readonly #unfinished: Http2Stream[] = []
  #phase: Phase = 'open'
  /** How it ended: by whom, and whether a request was on it. */
  endedBy: 'local' | 'remote' | undefined
  wasBusy = false
  #requests = 0
  #isClosed = false

  constructor(options: Http2ServerOptions) {
    const { wire, clock, http2, stats, limits } = options
    this.#options = options
    this.#wire = wire
    this.#fields = new MessageFields({
      limits,
      underscores: options.underscores,
      pseudo: requestPseudo,
      onUnderscoreDropped: () => stats.droppedHeadersWithUnderscores.add(1),
    })
    this.#timer = new LazyTimer(clock, () => this.#onTimeout())
    this.#blockTimer = new LazyTimer(clock, () =>
      this.session.fail(errorCodes.protocolError, 'a header block did not end in time'),
    )
    this.#flushTimer = new LazyTimer(clock, () => this.#onFlushTimeout())
    this.#lifetime = new LazyTimer(clock, () => this.#onDrainTimer())
    if (options.maxDurationMs !== 0) this.#lifetime.set(options.maxDurationMs, clock.monotonicMs())
    this.session = new Http2Session({
      wire,
      clock,
      role: 'server',
      http2,
      settings: serverSettings(http2, limits.headBytesMax),
      stats,
      held: options.held,
      copies: options.copies,
      headBytesMax: limits.headBytesMax,
      owner: this,
    })
    this.#keepalive = this.#openKeepalive()
    this.session.start()
    this.#startIdle()
  }

  /** Ends when nothing is in flight, and the client knows that it should open no more. */
  closeWhenIdle(): void {
    if (this.#phase !== 'open' || this.#isClosed) return
    this.#phase = 'drain'
    this.session.sendGoaway(streamIdMax, errorCodes.noError)
    this.session.sender.sendControl(pingFrame(drainPing, false))
    this.#lifetime.set(this.#options.drainTimeoutMs, this.#options.clock.monotonicMs())
  }

  destroy(): void {
    this.#noteConnectionEnd('local')
    this.#wire.destroy()
  }

  // Streams ask.

  onResponse(): void {
    if (this.#phase === 'open' && this.#options.owner.wantsClose()) this.closeWhenIdle()
  }

  onEndQueued(): void {
    const { flushTimeoutMs, clock } = this.#options
    if (flushTimeoutMs !== 0) this.#flushTimer.set(flushTimeoutMs, clock.monotonicMs())
  }

  // The session tells.

  fieldsOf(_streamId: number, stream: Http2Stream | undefined): FieldSink {
    this.#fields.begin(stream !== undefined)
    return this.#fields
  }

  onOpenBlock(): void {
    const { headTimeoutMs, clock } = this.#options
    if (headTimeoutMs !== 0) this.#blockTimer.set(headTimeoutMs, clock.monotonicMs())
  }

  onHeaders(streamId: number, stream: Http2Stream | undefined, isEnd: boolean): void {
    this.#blockTimer.clear()
    this.#fields.finish()
    if (stream === undefined) this.#onRequest(streamId, isEnd)
    else this.#onTrailers(stream, isEnd)
  }

  onBodyMismatch(stream: Http2Stream): void {
    this.#refuse(stream, 'body-length')
  }

  onPeerSettings(): void {}

  /** A client opens streams, we do not. */
  onGoaway(): void {
    this.closeWhenIdle()
  }

  onLocalEnd(stream: Http2Stream): void {
    const isTunnel = this.#serverStreams.get(stream.id)?.isTunnel === true
    // §8.1: the rest of the request is not wanted. A tunnel goes on in the other direction.
    if (stream.isRemoteEnded || isTunnel) return
    // Its end may stand in the bytes that are being read.
    if (this.session.isReading) this.#unfinished.push(stream)
    else this.session.resetStream(stream, errorCodes.noError)
  }

  onReadEnd(): void {
    while (this.#unfinished.length > 0) {
      const stream = this.#unfinished.pop()
      if (stream?.isRemoteEnded === false) this.session.resetStream(stream, errorCodes.noError)
    }
  }

  onPeerReset(stream: Http2Stream): void {
    const one = this.#serverStreams.get(stream.id)
    if (one !== undefined) one.wasReset = true
  }

  onStreamClosed(stream: Http2Stream): void {
    const one = this.#serverStreams.get(stream.id)
    if (one !== undefined) {
      one.requestTimer?.close()
      this.#serverStreams.delete(stream.id)
      this.#noteEnd(one)
    }
    if (this.session.streams.size !== 0 || this.session.isOver) return
    if (this.#phase === 'last') this.#closeGracefully()
    else if (this.#phase !== 'closing') this.#startIdle()
  }

  onPingAck(payload: string): void {
    this.#keepalive?.onAck(payload)
    if (payload === drainPing && this.#phase === 'drain') this.#nameLast()
  }

  onActivity(): void {
    this.#keepalive?.onActivity()
  }

  onFailure(code: ErrorCode, isFlood: boolean): void {
    // As Envoy: floods have counters of their own.
    if (code !== errorCodes.noError && !isFlood) this.#options.owner.onProtocolError()
    this.#noteConnectionEnd('local')
    this.#wire.end()
    this.#startClosing()
  }

  onBeforeEnd(by: 'failure' | 'peer'): void {
    this.#noteConnectionEnd(by === 'peer' ? 'remote' : 'local')
  }

  onEnd(): void {
    this.#wire.end()
    if (this.#phase !== 'closing') this.#startClosing()
  }

  onClose(): void {
    this.#isClosed = true
    this.#phase = 'closing'
    this.#timer.close()
    this.#blockTimer.close()
    this.#flushTimer.close()
    this.#lifetime.close()
    this.#keepalive?.close()
    this.#options.owner.onConnectionClose()
  }

  // Requests.

  #onRequest(streamId: number, isEnd: boolean): void {
    const { session } = this
    session.lastPeerStreamId = streamId
    const isRefused = session.streams.size >= this.#options.http2.concurrentStreamsMax
    if (isRefused || this.#phase === 'last') {
      this.#options.stats.streamRefusedErrors.add(1)
      session.sendReset(streamId, errorCodes.refusedStream)
      return
    }
    this.#timer.clear()
    this.#requests += 1
    const stream = session.openStream(streamId)
    const fields = this.#fields
    if (fields.isTooLarge) {
      this.#options.stats.headerOverflow.add(1)
      this.#logRefusal(stream, 'too-many-headers')
      session.resetStream(stream, errorCodes.internalError)
      return
    }
    const { allowsConnect } = this.#options.http2
    const read = readRequest(fields, { isEnd, allowsConnect })
    if (read.kind === 'malformed') {
      this.#refuse(stream, read.reason, true)
      return
    }
    this.#open(stream, read.head, isEnd)
    this.#limitRequests()
  }

  #open(stream: Http2Stream, head: RequestHead, isEnd: boolean): void {
    const { owner } = this.#options
    const one = this.#createStream(stream, head)
    // Also where nothing was promised and an end is still to come, with trailers perhaps.
    if (head.method !== 'CONNECT' && head.upgrade === undefined) {
      stream.bodyLeft = this.#fields.contentLength
    }
    if (!isEnd && head.method !== 'CONNECT' && head.upgrade === undefined) this.#limitRequest(one)
    // Known before anybody answers: an early answer resets only what is still being sent.
    stream.isRemoteEnded = isEnd
    one.attach(owner.onRequest(head, one))
    if (isEnd && !stream.isClosed) this.session.endRemote(stream, undefined)
  }

  #createStream(stream: Http2Stream, request: RequestHead): ServerStream {
    const openedMs = this.#options.clock.monotonicMs()
    const one = new ServerStream(this, stream, { request, openedMs })
    this.#serverStreams.add(stream.id, one)
    return one
  }

  #limitRequest(one: ServerStream): void {
    const { requestTimeoutMs, clock } = this.#options
    if (requestTimeoutMs === 0) return
    one.requestTimer = new LazyTimer(clock, () => one.expire())
    one.requestTimer.set(requestTimeoutMs, clock.monotonicMs())
  }

  #limitRequests(): void {
    const { requestsMax, owner } = this.#options
    if (requestsMax === 0 || this.#requests < requestsMax) return
    if (this.#requests === requestsMax) owner.onLimit('requests')
    this.closeWhenIdle()
  }

  #onTrailers(stream: Http2Stream, isEnd: boolean): void {
    const { malformed, isTooLarge, headers } = this.#fields
    if (isTooLarge) {
      this.#options.stats.headerOverflow.add(1)
      this.#cut(stream, errorCodes.internalError, 'too-many-headers')
    } else if (malformed !== undefined) this.#refuse(stream, malformed)
    else if (!isEnd) this.#refuse(stream, 'trailers-open')
    else {
      this.#options.stats.trailers.add(1)
      this.session.endRemote(stream, headers)
    }
  }

  /** A message that is none. */
  #refuse(stream: Http2Stream, reason: string, isHead = false): void {
    const { stats, http2 } = this.#options
    const isAlone = http2.endsStreamOnInvalidMessage || aloneReasons.has(reason)
    if (!isAlone) this.#noteConnectionEnd('local')
    if (isHead) this.#logRefusal(stream, reason)
    if (reason === 'underscore') {
      stats.requestsRejectedWithUnderscores.add(1)
      this.#cut(stream, errorCodes.internalError, reason)
      return
    }
    stats.rxMessagingError.add(1)
    this.#cut(stream, errorCodes.protocolError, reason)
    if (isAlone) return
    this.session.fail(errorCodes.protocolError, `malformed message: ${reason}`)
  }

  #cut(stream: Http2Stream, code: ErrorCode, message: string): void {
    const one = this.#serverStreams.get(stream.id)
    this.session.resetStream(stream, code)
    one?.onStreamReset({ code, by: 'us', message })
  }

  /** Whoever observes requests hears of it; nothing is answered. */
  #logRefusal(stream: Http2Stream, reason: string): void {
    const head = partialHead(this.#fields)
    const failure: Failure = 'messaging-error'
    const one = this.#createStream(stream, head)
    this.#options.owner.onRefusedRequest({ reason, failure }, head, one)
  }

  #noteEnd(one: ServerStream): void {
    const livedMs = this.#options.clock.monotonicMs() - one.openedMs
    const wasReset = one.wasReset && !one.isHeadSent
    if (this.#resets.onStreamEnd({ wasReset, livedMs })) return
    this.#options.owner.onTooManyResets()
    this.session.fail(errorCodes.enhanceYourCalm, 'too_many_premature_resets', true)
  }

  // The end.

  #openKeepalive(): Keepalive | undefined {
    const { http2, clock, random, stats } = this.#options
    if (http2.keepalive === undefined) return undefined
    return new Keepalive({
      clock,
      random,
      options: http2.keepalive,
      sendPing: (payload) => this.session.sender.sendControl(pingFrame(payload, false)),
      onTimeout: () => {
        stats.keepaliveTimeout.add(1)
        this.destroy()
      },
    })
  }

  #startIdle(): void {
    const { idleTimeoutMs, clock } = this.#options
    if (idleTimeoutMs !== 0) this.#timer.set(idleTimeoutMs, clock.monotonicMs())
  }

  #nameLast(): void {
    if (this.#phase !== 'drain') return
    this.#phase = 'last'
    this.#lifetime.clear()
    this.session.sendGoaway(this.session.lastPeerStreamId, errorCodes.noError)
    if (this.session.streams.size === 0) this.#closeGracefully()
  }

  #onDrainTimer(): void {
    if (this.#phase === 'open') {
      this.#options.owner.onLimit('duration')
      this.closeWhenIdle()
    } else this.#nameLast()
  }

  #noteConnectionEnd(by: 'local' | 'remote'): void {
    if (this.endedBy !== undefined) return
    this.endedBy = by
    this.wasBusy = this.session.streams.size !== 0
  }

  #closeGracefully(): void {
    this.#noteConnectionEnd('local')
    this.session.stop('connection closed')
    this.#wire.end()
    this.#startClosing()
  }

  #startClosing(): void {
    this.#phase = 'closing'
    this.#lifetime.close()
    this.#blockTimer.close()
    const { delayedCloseTimeoutMs, clock } = this.#options
    if (this.#isClosed) return
    if (delayedCloseTimeoutMs === 0) this.#wire.destroy()
    else this.#timer.set(delayedCloseTimeoutMs, clock.monotonicMs())
  }

  #onTimeout(): void {
    const { owner } = this.#options
    if (this.#phase === 'closing') {
      owner.onLimit('close')
      this.#wire.destroy()
      return
    }
    if (this.session.streams.size !== 0) return
    owner.onLimit('idle')
    // In two steps, so that a request that is just coming is not lost.
    this.closeWhenIdle()
  }

  /** Answers that the client does not read. */
  #onFlushTimeout(): void {
    const { flushTimeoutMs, clock, stats } = this.#options
    const nowMs = clock.monotonicMs()
    let waitsForMs = 0
    for (const { stream } of this.session.streams.list()) {
      if (stream.isFlushed) continue
      const stillMs = nowMs - stream.progressMs
      if (stillMs < flushTimeoutMs) waitsForMs = Math.max(waitsForMs, flushTimeoutMs - stillMs)
      else if (stream.isEndQueued) {
        stats.txFlushTimeout.add(1)
        this.session.resetStream(stream, errorCodes.cancel)
      }
    }
    if (waitsForMs !== 0) this.#flushTimer.set(waitsForMs, nowMs)
  }
}

/** What is known of a request that was refused: for the log. */
function partialHead(fields: MessageFields): RequestHead {
  return {
    method: fields.pseudo.method ?? '',
    path: fields.pseudo.path ?? '',
    authority: fields.pseudo.authority ?? fields.host ?? '',
    scheme: 'http',
    protocol: 'HTTP/2',
    headers: new HeaderList(),
    bodyLength: 0,
    upgrade: undefined,
    wantsClose: false,
  }
}
