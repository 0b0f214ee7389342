/**
 * HTTP/1.1 responses from bytes, as strict as requests: a response that the client might frame otherwise than
 * we do is refused (502 UPE) and its connection is not used again.
 *
 * How much body follows depends on the request (RFC 9112 §6.3): the owner says which one it is. Bytes after a
 * response, or without a request, are never taken for the start of another one.
 */
import { unreachable } from '../../lib/assert.ts'
import { HeaderList } from '../http/header-list.ts'
import type { ResponseHead } from '../http/message.ts'
import { BodyDecoder, type BodySink } from './body-decoder.ts'
import { isAll, isFieldValue } from './char-class.ts'
import {
  applyConnection,
  applyProxyConnection,
  checkTransferEncoding,
  noOptions,
  parseContentLength,
  removeNominated,
  resetOptions,
} from './field-rule.ts'
import { HeadReader, type HeadLimits } from './head-reader.ts'
import type { HeaderName, HeaderNames } from './header-names.ts'
import type { Refusal } from './refusal.ts'
import { noteSpelling, type HeaderSpelling } from './spelling.ts'

export interface ResponseParserOptions {
  readonly names: HeaderNames
  readonly limits: HeadLimits
  readonly keepsTrailers: boolean
  /** How names were spelt is kept, where that says so. */
  readonly spelling?: HeaderSpelling | undefined
}

export interface ResponseSink extends BodySink {
  /** 1xx other than 101. */
  onInformational(head: ResponseHead): void
  onResponseHead(head: ResponseHead): void
  onRefused(refusal: Refusal): void
}

/** `idle`: no request waits. */
export type ResponseParserState = 'idle' | 'head' | 'body' | 'raw' | 'ended' | 'refused'

export class ResponseParser {
  readonly #sink: ResponseSink
  readonly #reader: HeadReader
  readonly #body: BodyDecoder
  state: ResponseParserState = 'idle'
  #head: ResponseHead = emptyHead()
  #isHeadRequest = false
  #isConnect = false
  #upgrade: string | undefined
  #responseUpgrade: string | undefined
  #contentLength = -1
  #transferEncoding: string | undefined
  readonly #connection = noOptions()
  #endsWithConnection = false
  #nominated: string[] = []
  /** Bytes of the current response so far, informational ones included. */
  messageBytes = 0

  constructor(options: ResponseParserOptions, sink: ResponseSink) {
    this.#sink = sink
    const { spelling } = options
    this.#reader = new HeadReader(
      {
        names: options.names,
        limits: options.limits,
        startLineRefusal: 'status-line',
        startLineTooLarge: 'head-too-large',
        skipsEmptyLines: false,
      },
      {
        onStartLine: (line) => this.#onStatusLine(line),
        onField:
          spelling?.keepsReceived === true
            ? (name, value) => {
                noteSpelling(this.#head.headers, name, spelling)
                return this.#onField(name, value)
              }
            : (name, value) => this.#onField(name, value),
      },
    )
    this.#body = new BodyDecoder(options, sink)
  }

  /** Whether the connection may carry another request after this response. */
  get keepsAlive(): boolean {
    if (this.state !== 'ended') return false
    if (this.#connection.hasClose || this.#endsWithConnection) return false
    return this.#head.protocol === 'HTTP/1.1' || this.#connection.hasKeepAlive
  }

  /** The upstream ends the connection after this response. */
  get saysClose(): boolean {
    const { hasClose, hasKeepAlive } = this.#connection
    return hasClose || (this.#head.protocol === 'HTTP/1.0' && !hasKeepAlive)
  }

  get bodyRemaining(): number {
    return this.state === 'body' ? this.#body.remaining : 0
  }

  /** Whether a response has begun and not ended. */
  get isInMessage(): boolean {
    return this.state === 'head' ? this.#reader.hasStarted : this.state === 'body'
  }

  /** A request was sent: its response is awaited. */
  expect(method: string, upgrade: string | undefined): void {
    this.state = 'head'
    this.messageBytes = 0
    this.#isHeadRequest = method === 'HEAD'
    this.#isConnect = method === 'CONNECT'
    this.#upgrade = upgrade
    this.#startHead()
  }

  /** Takes bytes from `start`; returns the index after what belongs to this response. */
  feed(chunk: Buffer, start: number): number {
    let position = start
    while (this.state === 'head' && position < chunk.length)
      position = this.#feedHead(chunk, position)
    if ((this.state !== 'body' && this.state !== 'raw') || position === chunk.length)
      return position
    // Before what is told of it, so that who hears of the end knows the whole.
    this.messageBytes += chunk.length - position
    const refusal = this.#body.decode(chunk, position)
    if (refusal !== undefined) return this.#refuse(refusal, chunk)
    this.messageBytes -= chunk.length - this.#body.next
    return this.#body.next
  }

  /** The upstream ended its direction. False when the response is not complete by that. */
  endOfInput(): boolean {
    if (this.state !== 'body' && this.state !== 'raw') return this.state === 'ended'
    this.#endsWithConnection = true
    return this.#body.endOfInput()
  }

  /** Told by the owner's sink when the body has ended. */
  markEnded(): void {
    this.state = 'ended'
  }

  #startHead(): void {
    this.#reader.reset(true)
    this.#head = emptyHead()
    this.#contentLength = -1
    this.#transferEncoding = undefined
    this.#responseUpgrade = undefined
    resetOptions(this.#connection)
    if (this.#nominated.length !== 0) this.#nominated = []
  }

  #feedHead(chunk: Buffer, start: number): number {
    const result = this.#reader.read(chunk, start)
    if (result === 'more') return chunk.length
    if (result !== 'done') return this.#refuse(result, chunk)
    this.messageBytes += this.#reader.headBytes
    const refusal = this.#onHeadEnd()
    return refusal === undefined ? this.#reader.next : this.#refuse(refusal, chunk)
  }

  #refuse(refusal: Refusal, chunk: Buffer): number {
    this.state = 'refused'
    this.#sink.onRefused(refusal)
    return chunk.length
  }

  /** `HTTP/1.x SP 3DIGIT SP reason` (RFC 9112 §4); the reason and its space may be missing. */
  #onStatusLine(line: string): Refusal | undefined {
    const status = readStatus(line)
    if (status === 0 || !isAll(isFieldValue, line)) return 'status-line'
    this.#head.status = status
    this.#head.protocol = line.charCodeAt(7) === 0x30 ? 'HTTP/1.0' : 'HTTP/1.1'
    return undefined
  }

  #onField(name: HeaderName, value: string): Refusal | undefined {
    switch (name.kind) {
      case 'content-length':
        this.#head.headers.append(name.lower, value)
        return this.#onContentLength(value)
      case 'transfer-encoding':
        if (this.#transferEncoding !== undefined) return 'transfer-encoding'
        this.#transferEncoding = value
        return checkTransferEncoding(value)
      case 'connection':
        applyConnection(value, this.#connection, this.#nominated)
        return undefined
      case 'proxy-connection':
        applyProxyConnection(value, this.#connection)
        return undefined
      case 'upgrade':
        this.#responseUpgrade = value
        return undefined
      case 'hop':
        return undefined
      case 'other':
      case 'host':
      case 'expect':
      case 'te':
        this.#head.headers.append(name.lower, value)
        return undefined
      default:
        return unreachable(name.kind)
    }
  }

  #onContentLength(value: string): Refusal | undefined {
    if (this.#contentLength !== -1) return 'content-length-duplicate'
    this.#contentLength = parseContentLength(value)
    return this.#contentLength === -1 ? 'content-length' : undefined
  }

  #onHeadEnd(): Refusal | undefined {
    const head = this.#head
    if (this.#nominated.length !== 0) removeNominated(head.headers, this.#nominated)
    const refusal = this.#checkFraming(head)
    if (refusal !== undefined) return refusal
    if (head.status < 200 && head.status !== 101) {
      this.#startHead()
      this.#sink.onInformational(head)
      return undefined
    }
    if (head.status === 101) return this.#startUpgrade(head)
    if (this.#isConnect && head.status < 300) {
      this.#startRaw(head)
      return undefined
    }
    this.#startBody(head)
    return undefined
  }

  /**
   * RFC 9110 §8.6, RFC 9112 §6.1: 1xx and 204 have neither a length nor a coding; who reads one would wait for a body. As
   * Envoy, a length of nothing is taken away.
   */
  #checkFraming(head: ResponseHead): Refusal | undefined {
    const isCoded = this.#transferEncoding !== undefined
    if (isCoded && this.#contentLength !== -1) return 'content-length-and-transfer-encoding'
    if (isCoded && head.protocol === 'HTTP/1.0') return 'transfer-encoding-http10'
    if (head.status >= 200 && head.status !== 204) return undefined
    if (isCoded || this.#contentLength > 0) return 'framing-not-allowed'
    if (this.#contentLength === 0) head.headers.remove('content-length')
    return undefined
  }

  /** 101 counts only where the request asked for an upgrade (CVE-2024-23326). */
  #startUpgrade(head: ResponseHead): Refusal | undefined {
    if (this.#upgrade === undefined || this.#responseUpgrade === undefined) return 'status-101'
    head.headers.append('upgrade', this.#responseUpgrade)
    this.#startRaw(head)
    return undefined
  }

  #startRaw(head: ResponseHead): void {
    head.bodyLength = 'until-end'
    this.state = 'raw'
    this.#body.start('until-end', false)
    this.#sink.onResponseHead(head)
  }

  #startBody(head: ResponseHead): void {
    head.bodyLength = this.#bodyLength(head)
    if (head.bodyLength === 0) {
      this.state = 'ended'
      this.#sink.onResponseHead(head)
      this.#sink.onBodyEnd(undefined)
      return
    }
    const isChunked = this.#transferEncoding !== undefined
    this.#endsWithConnection = head.bodyLength === 'until-end' && !isChunked
    this.state = 'body'
    this.#body.start(head.bodyLength, isChunked)
    this.#sink.onResponseHead(head)
  }

  #bodyLength(head: ResponseHead): number | 'until-end' {
    if (this.#isHeadRequest || head.status === 204 || head.status === 304) return 0
    if (this.#transferEncoding !== undefined) return 'until-end'
    return this.#contentLength === -1 ? 'until-end' : this.#contentLength
  }
}

/** Three digits from 100 on, or 0 when the line is no status line. */
function readStatus(line: string): number {
  const minor = line.charCodeAt(7)
  if (!line.startsWith('HTTP/1.') || (minor !== 0x30 && minor !== 0x31)) return 0
  if (line.charCodeAt(8) !== 0x20 || (line.length > 12 && line.charCodeAt(12) !== 0x20)) return 0
  let status = 0
  for (let index = 9; index < 12; index += 1) {
    const digit = line.charCodeAt(index) - 0x30
    // NaN past the end of the line fails the comparison too.
    if (!(digit >= 0 && digit <= 9)) return 0
    status = status * 10 + digit
  }
  return status >= 100 ? status : 0
}

function emptyHead(): ResponseHead {
  return { status: 0, headers: new HeaderList(), bodyLength: 0, protocol: 'HTTP/1.1' }
}
