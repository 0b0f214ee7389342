/**
 * One HTTP/2 connection below requests and responses, in both roles (RFC 9113): reads frames, keeps streams and
 * windows, answers SETTINGS and PING, and ends the connection by name where the peer breaks a rule.
 *
 * What a header block means is its owner's business (server-connection.ts, client-connection.ts), which decodes into
 * its own fields. After `fail` or the wire's end every stream hears once that it is over, and nothing else is told.
 */
import type { Clock } from '../../lib/clock.ts'
import type { HeaderList } from '../http/header-list.ts'
import type { Http2Stats } from '../telemetry/cluster-stats.ts'
import type { CopyBuffers } from '../wire/copy-buffer.ts'
import { LazyTimer } from '../wire/lazy-timer.ts'
import type { Wire, WireEvents } from '../wire/wire.ts'
import { ClosedStreams } from './closed-streams.ts'
import { FloodGuard, type Flood } from './flood-guard.ts'
import { FrameReader, type Frame, type FrameSink } from './frame-reader.ts'
import { dataProblem, frameProblem } from './frame-rules.ts'
import {
  defaultWindowBytes,
  errorCodes,
  frameFlags,
  frameTypes,
  goawayFrame,
  pingFrame,
  preface,
  resetFrame,
  settingsAckFrame,
  settingsFrame,
  windowUpdateFrame,
  type ErrorCode,
} from './frame.ts'
import { HeaderBlock, headersFragment } from './header-block.ts'
import { HpackDecoder, type FieldSink } from './hpack/decoder.ts'
import { HpackEncoder } from './hpack/encoder.ts'
import { ReceiveWindow } from './receive-window.ts'
import { Sender } from './sender.ts'
import { PeerSettings, type Http2Options, type Settings } from './settings.ts'
import { StreamTable } from './stream-table.ts'
import { Http2Stream, type HeldBytes, type StreamOwner } from './stream.ts'

export interface SessionOptions {
  readonly wire: Wire
  readonly clock: Clock
  readonly role: 'server' | 'client'
  readonly http2: Http2Options
  readonly settings: Settings
  readonly stats: Http2Stats
  readonly held: HeldBytes
  readonly copies: CopyBuffers
  readonly headBytesMax: number
  readonly owner: SessionOwner
}

export interface SessionOwner {
  /** Where the fields of the next block go; `undefined` when nobody wants them. */
  fieldsOf(streamId: number, stream: Http2Stream | undefined): FieldSink
  /** A block is complete and decoded. */
  onHeaders(streamId: number, stream: Http2Stream | undefined, isEnd: boolean): void
  /** A body was longer or shorter than its head had promised. */
  onBodyMismatch(stream: Http2Stream): void
  onPeerSettings(): void
  onGoaway(lastStreamId: number, code: number): void
  /** END_STREAM has left. */
  onLocalEnd(stream: Http2Stream): void
  onStreamClosed(stream: Http2Stream): void
  onPeerReset(stream: Http2Stream): void
  /** Its streams are about to be cut. */
  onBeforeEnd?(by: 'failure' | 'peer'): void
  /** The session has ended by an error of the peer; GOAWAY is written. */
  onFailure(code: ErrorCode, isFlood: boolean): void
  onPingAck(payload: string): void
  /** A header block has begun whose end has not come yet. */
  onOpenBlock(): void
  /** Something came. */
  onActivity(): void
  /** What came has been worked on. */
  onReadEnd(): void
  onEnd(): void
  onClose(error: Error | undefined): void
}

/** Until the peer says that it knows our settings (RFC 9113 §6.5.3). */
const settingsTimeoutMs = 30_000
const noFields: FieldSink = { onField() {} }

export class Http2Session implements WireEvents, FrameSink, StreamOwner {
  readonly #options: SessionOptions
  readonly #owner: SessionOwner
  readonly #reader: FrameReader
  readonly #decoder = new HpackDecoder()
  readonly #guard: FloodGuard
  readonly #block: HeaderBlock
  readonly #closed = new ClosedStreams()
  readonly #settingsTimer: LazyTimer
  readonly encoder: HpackEncoder
  readonly sender: Sender
  readonly peer = new PeerSettings()
  readonly streams = new StreamTable<Http2Stream>()
  /** Of the peer's preface, still to come. */
  #prefaceLeft: string
  readonly #window: ReceiveWindow
  #dataStream: Http2Stream | undefined
  #dataBytes = 0
  #dataFlags = 0
  /** The newest stream that the peer has opened; of a client: that it may have. */
  lastPeerStreamId = 0
  /** Streams of ours so far: those above were never opened. */
  lastOwnStreamId = 0
  isOver = false
  /** The last frame is being written, which may itself be one too many. */
  #isFailing = false

  constructor(options: SessionOptions) {
    const { wire, clock, http2, stats } = options
    this.#options = options
    this.#owner = options.owner
    this.#reader = new FrameReader(this)
    this.#guard = new FloodGuard(http2, stats)
    this.#block = new HeaderBlock(options.headBytesMax)
    this.encoder = new HpackEncoder(http2.hpackTableBytes)
    this.#prefaceLeft = options.role === 'server' ? preface : ''
    this.#window = new ReceiveWindow(http2.connectionWindowBytes, options.held)
    this.#settingsTimer = new LazyTimer(clock, () =>
      this.fail(errorCodes.settingsTimeout, 'settings were not acknowledged in time'),
    )
    this.sender = new Sender({
      wire,
      encoder: this.encoder,
      guard: this.#guard,
      copies: options.copies,
      nowMs: () => clock.monotonicMs(),
      onFlood: (flood) => this.#onFlood(flood),
      onLocalEnd: (stream) => {
        this.#owner.onLocalEnd(stream)
        this.closeIfDone(stream)
      },
    })
    wire.listen(this)
  }

  /** Whether more frames of one read may follow. */
  get isReading(): boolean {
    return this.#guard.isReading
  }

  /** Whether the peer takes little of what it is given, or may send little of what it has. */
  get isStalled(): boolean {
    return this.sender.isBlocked || this.#window.isScarce
  }

  /** Our first frames. */
  start(): void {
    const { role, settings, http2, clock } = this.#options
    const more = http2.connectionWindowBytes - defaultWindowBytes
    let text = role === 'client' ? preface : ''
    text += settingsFrame(settings)
    if (more > 0) text += windowUpdateFrame(0, more)
    this.sender.sendControl(text)
    this.#settingsTimer.set(settingsTimeoutMs, clock.monotonicMs())
  }

  openStream(id: number): Http2Stream {
    const { held, http2, stats } = this.#options
    const windows = {
      sendBytes: this.peer.streamWindowBytes,
      receiveBytes: http2.streamWindowBytes,
    }
    const stream = new Http2Stream(id, { owner: this, held, windows })
    this.streams.add(id, stream)
    this.#guard.onStream()
    stats.streamsActive.add(1)
    return stream
  }

  /** RST_STREAM; whoever listens to the stream is not told. */
  resetStream(stream: Http2Stream, code: ErrorCode): void {
    if (stream.isClosed) return
    stream.detach()
    this.#closeStream(stream, true)
    this.sendReset(stream.id, code)
  }

  /** For streams that were never opened, too. */
  sendReset(streamId: number, code: ErrorCode): void {
    this.#options.stats.txReset.add(1)
    this.#closed.add(streamId, true)
    this.sender.sendControl(resetFrame(streamId, code))
  }

  sendGoaway(lastStreamId: number, code: ErrorCode): void {
    this.#options.stats.goawaySent.add(1)
    this.sender.sendControl(goawayFrame(lastStreamId, code))
  }

  closeIfDone(stream: Http2Stream): void {
    if (stream.isDone && !stream.isClosed) this.#closeStream(stream, false)
  }

  /** Breaks off: the peer learns why, streams hear that they are over. */
  fail(code: ErrorCode, reason: string, isFlood = false): void {
    if (this.isOver || this.#isFailing) return
    this.#isFailing = true
    this.sender.sendControl(goawayFrame(this.lastPeerStreamId, code, reason))
    this.#options.stats.goawaySent.add(1)
    this.#endAll(reason, 'connection-failure')
    this.#owner.onFailure(code, isFlood)
  }

  /** Ends without an error; what was written leaves. */
  stop(reason: string): void {
    if (!this.isOver) this.#endAll(reason)
  }

  // The wire.

  onData(chunk: Uint8Array): void {
    if (this.isOver) return
    const bytes = chunk as Buffer // Wires hand out Buffers; the contract only promises their base.
    this.#owner.onActivity()
    const start = this.#prefaceLeft === '' ? 0 : this.#readPreface(bytes)
    if (start === -1 || start === bytes.length) return
    this.sender.countWaiting()
    this.#guard.isReading = true
    this.#reader.feed(start === 0 ? bytes : bytes.subarray(start))
    this.#guard.isReading = false
    this.#owner.onReadEnd()
    if (!this.isOver) this.#openConnectionWindow()
  }

  onEnd(): void {
    this.#endAll('connection ended by the peer')
    this.#owner.onEnd()
  }

  onDrain(): void {
    this.sender.onWireDrain()
  }

  onClose(error: Error | undefined): void {
    this.#endAll(error?.message ?? 'connection closed')
    this.#owner.onClose(error)
  }

  // Frames.

  onFrame(frame: Frame, payload: Buffer): boolean {
    const { type, flags } = frame
    const isSettings = type === frameTypes.settings
    if (!this.peer.isKnown && !(isSettings && (flags & frameFlags.ack) === 0)) {
      return this.#refuse(errorCodes.protocolError, 'the first frame was no SETTINGS')
    }
    if (
      this.#block.isOpen &&
      (type !== frameTypes.continuation || frame.streamId !== this.#block.streamId)
    ) {
      return this.#refuse(errorCodes.protocolError, 'a frame inside a header block')
    }
    const flood = this.#guard.checkInbound(type, flags, payload.length === 0)
    if (flood !== undefined) return this.#onFlood(flood)
    this.#dispatch(frame, payload)
    return !this.isOver
  }

  onFrameError(problem: 'frame-size' | 'padding', { type }: Frame): void {
    const code = problem === 'padding' ? errorCodes.protocolError : errorCodes.frameSizeError
    this.fail(code, `bad ${problem} of a frame of type ${type}`)
  }

  onDataStart(frame: Frame, bytes: number): boolean {
    const { streamId, flags } = frame
    if (!this.peer.isKnown || streamId === 0 || this.#block.isOpen) {
      return this.#refuse(errorCodes.protocolError, 'DATA where it may not be')
    }
    const flood = this.#guard.checkInbound(frameTypes.data, flags, bytes === 0)
    if (flood !== undefined) return this.#onFlood(flood)
    if (!this.#window.receive(bytes)) {
      return this.#refuse(errorCodes.flowControlError, 'more DATA than the connection takes')
    }
    this.#dataBytes = bytes
    this.#dataFlags = flags
    this.#dataStream = undefined
    const stream = this.streams.get(streamId)
    if (stream === undefined) return this.#onStrayFrame(streamId, 'DATA')
    const problem = dataProblem(stream)
    if (problem !== undefined) return this.#cutStream(stream, problem.code, problem.reason)
    stream.receiveWindow -= bytes
    stream.wireBytesReceived += bytes + 9
    if (stream.receiveWindow < 0) {
      this.#cutStream(stream, errorCodes.flowControlError, 'more DATA than the stream takes')
    } else this.#dataStream = stream
    return true
  }

  onDataChunk(chunk: Buffer): boolean {
    const stream = this.#dataStream
    if (stream === undefined || stream.isClosed) return true
    if (stream.bodyLeft !== -1) {
      stream.bodyLeft -= chunk.length
      if (stream.bodyLeft < 0) {
        this.#owner.onBodyMismatch(stream)
        return !this.isOver
      }
    }
    this.#dataBytes -= chunk.length
    stream.receive(chunk)
    return !this.isOver
  }

  onDataEnd(): boolean {
    const stream = this.#dataStream
    this.#dataStream = undefined
    // What nobody got, padding among it, is taken.
    this.#window.take(this.#dataBytes)
    if (stream === undefined || stream.isClosed) return !this.isOver
    if ((this.#dataFlags & frameFlags.endStream) !== 0) this.endRemote(stream, undefined)
    else this.#openStreamWindow(stream, this.#dataBytes)
    return !this.isOver
  }

  /** The peer has said everything on this stream. */
  endRemote(stream: Http2Stream, trailers: HeaderList | undefined): void {
    if (stream.bodyLeft > 0) {
      this.#owner.onBodyMismatch(stream)
      return
    }
    stream.receiveEnd(trailers)
    this.closeIfDone(stream)
  }

  onHeld(stream: Http2Stream, bytes: number): void {
    this.#window.hold(stream, bytes)
  }

  onConsumed(stream: Http2Stream, bytes: number): void {
    this.#window.release(stream, bytes)
    if (this.isOver) return
    if (!stream.isRemoteEnded && !stream.isClosed) this.#openStreamWindow(stream, bytes)
    this.#openConnectionWindow()
  }

  #openStreamWindow(stream: Http2Stream, bytes: number): void {
    stream.consumedBytes += bytes
    if (stream.consumedBytes * 2 < this.#options.http2.streamWindowBytes) return
    const opened = stream.consumedBytes
    stream.consumedBytes = 0
    stream.receiveWindow += opened
    this.sender.sendControl(windowUpdateFrame(stream.id, opened))
  }

  #readPreface(bytes: Buffer): number {
    const count = Math.min(this.#prefaceLeft.length, bytes.length)
    if (bytes.toString('latin1', 0, count) !== this.#prefaceLeft.slice(0, count)) {
      this.fail(errorCodes.protocolError, 'no connection preface')
      return -1
    }
    this.#prefaceLeft = this.#prefaceLeft.slice(count)
    return count
  }

  #openConnectionWindow(): void {
    const opened = this.isOver ? 0 : this.#window.open()
    if (opened > 0) this.sender.sendControl(windowUpdateFrame(0, opened))
  }

  #dispatch(frame: Frame, payload: Buffer): void {
    const problem = frameProblem(frame, payload)
    if (problem !== undefined) {
      this.fail(problem.code, problem.reason)
      return
    }
    switch (frame.type) {
      case frameTypes.headers:
        this.#onHeaders(frame, payload)
        return
      case frameTypes.rstStream:
        this.#onReset(frame, payload)
        return
      case frameTypes.settings:
        this.#onSettings(frame, payload)
        return
      case frameTypes.ping:
        this.#onPing(frame, payload)
        return
      case frameTypes.goaway:
        this.#owner.onGoaway(payload.readUInt32BE(0) & 0x7fff_ffff, payload.readUInt32BE(4))
        return
      case frameTypes.windowUpdate:
        this.#onWindowUpdate(frame, payload)
        return
      case frameTypes.continuation:
        this.#onContinuation(frame, payload)
    }
  }

  #onHeaders(frame: Frame, payload: Buffer): void {
    const { streamId, flags } = frame
    const isOdd = streamId % 2 === 1
    const mayOpen = this.#options.role === 'server' ? isOdd : this.streams.has(streamId) || isOdd
    if (streamId === 0 || !mayOpen) {
      this.fail(errorCodes.protocolError, 'HEADERS on a stream that cannot be')
      return
    }
    const fragment = headersFragment(frame, payload)
    if (!fragment.ok) {
      this.fail(fragment.code, 'HEADERS with bad padding or priority')
      return
    }
    if (fragment.dependsOn === streamId) {
      this.fail(errorCodes.protocolError, 'a stream that depends on itself')
      return
    }
    const isEnd = (flags & frameFlags.endStream) !== 0
    if ((flags & frameFlags.endHeaders) === 0) {
      this.#block.open(streamId, isEnd, fragment.bytes)
      this.#owner.onOpenBlock()
      return
    }
    this.#readBlock(streamId, fragment.bytes, isEnd)
  }

  #onContinuation({ streamId, flags }: Frame, payload: Buffer): void {
    const block = this.#block
    if (!block.isOpen) {
      this.fail(errorCodes.protocolError, 'CONTINUATION of nothing')
      return
    }
    const whole = block.add(payload, flags)
    if (block.isFlood) {
      this.#options.stats.headerOverflow.add(1)
      this.fail(errorCodes.enhanceYourCalm, 'a header block without end')
      return
    }
    if (whole === undefined) return
    block.close()
    this.#readBlock(streamId, whole, block.isEnd)
  }

  /** Decoded in any case, because the table must keep in step. */
  #readBlock(streamId: number, block: Buffer, isEnd: boolean): void {
    const stream = this.streams.get(streamId)
    if (stream !== undefined) stream.wireBytesReceived += block.length + 9
    const isStray = stream === undefined && this.#wasOpened(streamId)
    const sink = isStray ? noFields : this.#owner.fieldsOf(streamId, stream)
    const error = this.#decoder.decode(block, sink)
    if (error !== undefined) {
      this.fail(errorCodes.compressionError, `header block: ${error}`)
      return
    }
    if (isStray) this.#onStrayHeaders(streamId)
    else if (stream?.isRemoteEnded === true) {
      this.#cutStream(stream, errorCodes.streamClosed, 'HEADERS behind the end of the stream')
    } else this.#owner.onHeaders(streamId, stream, isEnd)
  }

  /** §5.1: of what we gave up the peer may not know yet; everything else is an error. */
  #onStrayHeaders(streamId: number): void {
    const memory = this.#closed.find(streamId)
    if (memory === 'reset') return
    const code = memory === 'ended' ? errorCodes.streamClosed : errorCodes.protocolError
    this.fail(code, 'HEADERS on a stream that is closed')
  }

  #onStrayFrame(streamId: number, what: string): boolean {
    if (!this.#wasOpened(streamId)) {
      return this.#refuse(errorCodes.protocolError, `${what} on a stream that was never opened`)
    }
    if (what === 'DATA' && this.#closed.find(streamId) === 'ended') {
      return this.#refuse(errorCodes.streamClosed, 'DATA on a stream that is closed')
    }
    return true
  }

  #wasOpened(streamId: number): boolean {
    if (this.#options.role === 'server') {
      return streamId % 2 === 1 && streamId <= this.lastPeerStreamId
    }
    return streamId % 2 === 1 && streamId <= this.lastOwnStreamId
  }

  #onReset({ streamId }: Frame, payload: Buffer): void {
    const stream = this.streams.get(streamId)
    if (stream === undefined) {
      this.#onStrayFrame(streamId, 'RST_STREAM')
      return
    }
    this.#options.stats.rxReset.add(1)
    this.#owner.onPeerReset(stream)
    this.#closeStream(stream, false)
    // §8.1: a server that has answered may not want the rest of the request; its answer stays.
    if (this.#options.role === 'client' && stream.isRemoteEnded) return
    stream.cut({ code: payload.readUInt32BE(0), by: 'peer', message: 'stream reset by the peer' })
  }

  #onSettings({ flags }: Frame, payload: Buffer): void {
    if ((flags & frameFlags.ack) !== 0) {
      this.#settingsTimer.clear()
      this.#decoder.limitTable(this.#options.http2.hpackTableBytes)
      return
    }
    const before = this.peer.streamWindowBytes
    const problem = this.peer.apply(payload, this.#options.role === 'client')
    if (problem !== undefined) {
      this.fail(problem, 'SETTINGS that cannot be')
      return
    }
    this.encoder.limitTable(this.peer.headerTableBytes)
    this.sender.sendControl(settingsAckFrame)
    this.#moveWindows(this.peer.streamWindowBytes - before)
    if (!this.isOver) this.#owner.onPeerSettings()
  }

  /** §6.9.2: the change holds for every stream that is open, and may take a window below zero. */
  #moveWindows(bytes: number): void {
    if (bytes === 0) return
    for (const { stream } of this.streams.list()) {
      if (this.sender.openStreamWindow(stream, bytes)) continue
      this.fail(errorCodes.flowControlError, 'a window beyond its bounds')
      return
    }
  }

  #onPing({ flags }: Frame, payload: Buffer): void {
    const text = payload.toString('latin1', 0, 8)
    if ((flags & frameFlags.ack) !== 0) this.#owner.onPingAck(text)
    else this.sender.sendControl(pingFrame(text, true))
  }

  #onWindowUpdate({ streamId }: Frame, payload: Buffer): void {
    const bytes = payload.readUInt32BE(0) & 0x7fff_ffff
    if (streamId === 0) {
      if (bytes === 0) this.fail(errorCodes.protocolError, 'WINDOW_UPDATE of nothing')
      else if (!this.sender.openWindow(bytes)) {
        this.fail(errorCodes.flowControlError, 'a window beyond its bounds')
      }
      return
    }
    const stream = this.streams.get(streamId)
    if (stream === undefined) this.#onStrayFrame(streamId, 'WINDOW_UPDATE')
    else if (bytes === 0) {
      this.#cutStream(stream, errorCodes.protocolError, 'WINDOW_UPDATE of nothing')
    } else if (!this.sender.openStreamWindow(stream, bytes)) {
      this.#cutStream(stream, errorCodes.flowControlError, 'a window beyond its bounds')
    }
  }

  /** The peer broke a rule that concerns one stream only: true, the connection goes on. */
  #cutStream(stream: Http2Stream, code: ErrorCode, message: string): true {
    const { events } = stream
    this.resetStream(stream, code)
    events?.onStreamReset({ code, by: 'us', message })
    return true
  }

  #closeStream(stream: Http2Stream, isReset: boolean): void {
    stream.isClosed = true
    this.streams.delete(stream.id)
    this.sender.forget(stream)
    this.#closed.add(stream.id, isReset)
    this.#options.stats.streamsActive.add(-1)
    this.#owner.onStreamClosed(stream)
  }

  #refuse(code: ErrorCode, reason: string): false {
    this.fail(code, reason)
    return false
  }

  #onFlood(flood: Flood): false {
    this.fail(errorCodes.enhanceYourCalm, flood, true)
    return false
  }

  #endAll(message: string, by: 'connection' | 'connection-failure' = 'connection'): void {
    if (this.isOver) return
    this.isOver = true
    this.#owner.onBeforeEnd?.(by === 'connection' ? 'peer' : 'failure')
    this.#reader.stop()
    this.sender.stop()
    this.#settingsTimer.close()
    for (const { stream } of this.streams.list()) {
      this.#closeStream(stream, true)
      stream.cut({ code: errorCodes.noError, by, message })
    }
  }
}
