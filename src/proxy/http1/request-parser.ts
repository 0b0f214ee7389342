/**
 * HTTP/1.1 requests from bytes, incremental at any split and strict (RFC 9112): what two parsers could read as
 * two different messages is refused, by name (refusal.ts).
 *
 * The parser stops after each message, so that its owner answers one before it reads the next, and after a
 * head that asks for an upgrade, until it is known whether bytes of HTTP or of another protocol follow.
 */
import { unreachable } from '../../lib/assert.ts'
import { isUrlAuthority, parseAuthority } from '../http/authority.ts'
import { HeaderList } from '../http/header-list.ts'
import type { RequestHead } from '../http/message.ts'
import { BodyDecoder, type BodySink } from './body-decoder.ts'
import { isAll, isTarget, isToken } from './char-class.ts'
import {
  applyConnection,
  applyProxyConnection,
  checkTransferEncoding,
  hasTrailers,
  noOptions,
  parseContentLength,
  removeNominated,
  resetOptions,
} from './field-rule.ts'
import { HeadReader, type HeadLimits } from './head-reader.ts'
import type { HeaderName, HeaderNames } from './header-names.ts'
import { knownMethods } from './method.ts'
import type { Refusal } from './refusal.ts'
import { noteSpelling, type HeaderSpelling } from './spelling.ts'

export interface RequestParserOptions {
  readonly names: HeaderNames
  readonly limits: HeadLimits
  readonly acceptsHttp10: boolean
  readonly allowsAbsoluteUrl: boolean
  readonly allowsChunkedLength: boolean
  readonly allowsCustomMethods: boolean
  readonly keepsTrailers: boolean
  readonly underscores: 'allow' | 'reject' | 'drop'
  /** How names were spelt is kept, where that says so. */
  readonly spelling?: HeaderSpelling | undefined
  /** A request without a host is no matter of the codec: who gets it refuses it, and the connection goes on. */
  readonly passesNoHost?: boolean
  /** Authority of HTTP/1.0 requests that name none; undefined refuses them. */
  readonly defaultHostHttp10: string | undefined
}

export interface RequestSink extends BodySink {
  onRequestHead(head: RequestHead): void
  onRefused(refusal: Refusal): void
}

/** `ended`: a whole message was read. `held`: an upgrade waits for its answer. `raw`: a tunnel. */
export type RequestParserState = 'head' | 'body' | 'held' | 'ended' | 'raw' | 'refused'

export class RequestParser {
  readonly #options: RequestParserOptions
  readonly #sink: RequestSink
  readonly #reader: HeadReader
  readonly #body: BodyDecoder
  state: RequestParserState = 'head'
  #head: RequestHead = emptyHead()
  #host: string | undefined
  #hostCount = 0
  #contentLength = -1
  #transferEncoding: string | undefined
  #upgrade: string | undefined
  readonly #connection = noOptions()
  #nominated: string[] = []
  #isAbsolute = false
  #lastHost = ''
  #lastAuthority = ''
  /** Bytes of the current message so far. */
  messageBytes = 0

  constructor(options: RequestParserOptions, sink: RequestSink) {
    this.#options = options
    this.#sink = sink
    const { spelling } = options
    this.#reader = new HeadReader(
      {
        names: options.names,
        limits: options.limits,
        startLineRefusal: 'request-line',
        startLineTooLarge: 'target-too-large',
        skipsEmptyLines: true,
      },
      {
        onStartLine: (line) => this.#onRequestLine(line),
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

  /** Whether a message has begun and not ended. */
  get isInMessage(): boolean {
    return this.state === 'head' ? this.#reader.hasStarted : this.state === 'body'
  }

  /** Bytes of the current body that must still come; Infinity where unknown. */
  get bodyRemaining(): number {
    return this.state === 'body' ? this.#body.remaining : 0
  }

  /** What is known of the head that is being read, or was refused: for the log of a refusal. */
  get partialHead(): RequestHead {
    return this.#head
  }

  /** Takes bytes from `start` until a message ends; returns the index after what was taken. */
  feed(chunk: Buffer, start: number): number {
    let position = start
    if (this.state === 'head') {
      const before = this.messageBytes
      position = this.#feedHead(chunk, start)
      // Of a whole head the reader has told.
      if (this.messageBytes === before) this.messageBytes += position - start
    }
    if (position === chunk.length) return position
    if (this.state === 'body' || this.state === 'raw') return this.#feedBody(chunk, position)
    return position
  }

  /** Makes ready for the next message on the connection. */
  next(): void {
    this.state = 'head'
    this.messageBytes = 0
    this.#reader.reset(true)
    this.#head = emptyHead()
    this.#host = undefined
    this.#hostCount = 0
    this.#contentLength = -1
    this.#transferEncoding = undefined
    this.#upgrade = undefined
    resetOptions(this.#connection)
    if (this.#nominated.length !== 0) this.#nominated = []
    this.#isAbsolute = false
  }

  /** From here on bytes are no longer HTTP: the tunnel's own. */
  openTunnel(): void {
    this.state = 'raw'
    this.#body.start('until-end', false)
  }

  /** The connection's other direction ended. */
  endOfInput(): void {
    if (this.state === 'raw') this.#body.endOfInput()
  }

  #feedHead(chunk: Buffer, start: number): number {
    const result = this.#reader.read(chunk, start)
    if (result === 'more') return chunk.length
    const refusal = result === 'done' ? this.#onHeadEnd() : result
    if (refusal === undefined) return this.#reader.next
    this.state = 'refused'
    this.messageBytes = Math.max(this.messageBytes, this.#reader.headBytes)
    this.#sink.onRefused(refusal)
    return chunk.length
  }

  #feedBody(chunk: Buffer, start: number): number {
    const isTunnel = this.state === 'raw'
    // Before what is told of it, so that who hears of the end knows the whole.
    this.messageBytes += chunk.length - start
    const refusal = this.#body.decode(chunk, start)
    if (refusal !== undefined) {
      this.state = 'refused'
      this.#sink.onRefused(refusal)
      return chunk.length
    }
    this.messageBytes -= chunk.length - this.#body.next
    if (this.#body.isEnded && !isTunnel && this.state === 'body') this.state = 'ended'
    return this.#body.next
  }

  /** `METHOD SP target SP HTTP/1.x` (RFC 9112 §3). */
  #onRequestLine(line: string): Refusal | undefined {
    const afterMethod = line.indexOf(' ')
    const afterTarget = line.lastIndexOf(' ')
    if (afterMethod <= 0) return 'request-line'
    const method = line.slice(0, afterMethod)
    // HTTP/0.9 has no version at all.
    if (afterTarget === afterMethod) {
      return knownMethods.has(method) ? 'version-unsupported' : 'request-line'
    }
    const target = line.slice(afterMethod + 1, afterTarget)
    const methodRefusal = this.#checkMethod(method, line)
    if (methodRefusal !== undefined) return methodRefusal
    const refusal = this.#readVersion(line.slice(afterTarget + 1))
    if (refusal !== undefined) return refusal
    this.#head.method = method
    const targetRefusal = this.#readTarget(this.#head, target)
    if (targetRefusal !== undefined) return targetRefusal
    const isHttp10 = this.#head.protocol === 'HTTP/1.0'
    return isHttp10 && !this.#options.acceptsHttp10 ? 'http10-not-accepted' : undefined
  }

  #checkMethod(method: string, line: string): Refusal | undefined {
    if (knownMethods.has(method)) return undefined
    if (line === 'PRI * HTTP/2.0') return 'http2-preface'
    return this.#options.allowsCustomMethods && isAll(isToken, method) ? undefined : 'method'
  }

  #readVersion(version: string): Refusal | undefined {
    if (version !== 'HTTP/1.1' && version !== 'HTTP/1.0') {
      return otherVersion.test(version) ? 'version-unsupported' : 'version'
    }
    this.#head.protocol = version
    return undefined
  }

  /** The four forms of RFC 9112 §3.2. */
  #readTarget(head: RequestHead, target: string): Refusal | undefined {
    if (target === '' || !isAll(isTarget, target)) return 'target'
    if (head.method === 'CONNECT') return this.#readAuthorityForm(head, target)
    if (target.charCodeAt(0) === 0x2f) {
      head.path = target
      return undefined
    }
    if (target === '*') {
      head.path = '*'
      return head.method === 'OPTIONS' ? undefined : 'target'
    }
    if (this.#options.allowsAbsoluteUrl) return this.#readAbsoluteForm(head, target)
    // As Envoy: a path like any other, which no route takes.
    head.path = target
    return absoluteScheme.test(target) ? undefined : 'target'
  }

  #readAuthorityForm(head: RequestHead, target: string): Refusal | undefined {
    const authority = parseAuthority(target)
    if (authority === undefined || !connectTarget.test(authority)) return 'target'
    if (!isUrlAuthority(authority)) return 'target'
    head.authority = authority
    this.#isAbsolute = true
    return undefined
  }

  #readAbsoluteForm(head: RequestHead, target: string): Refusal | undefined {
    const scheme = absoluteScheme.exec(target)
    if (scheme === null) return 'target'
    const start = scheme[0].length
    const end = target.slice(start).search(/[/?]/)
    const authority = parseAuthority(
      end === -1 ? target.slice(start) : target.slice(start, start + end),
    )
    if (authority === undefined || !isUrlAuthority(authority)) return 'target'
    const rest = end === -1 ? '' : target.slice(start + end)
    head.authority = authority
    head.path = rest.startsWith('/') ? rest : `/${rest}`
    if (end === -1 && head.method === 'OPTIONS') head.path = '*' // RFC 9112 §3.2.4
    head.scheme = scheme[1]?.toLowerCase() === 'https' ? 'https' : 'http'
    head.hasScheme = true
    this.#isAbsolute = true
    return undefined
  }

  // One branch per header that frames the message; splitting it would hide that the list is closed.
  // oxlint-disable-next-line complexity
  #onField(name: HeaderName, value: string): Refusal | undefined {
    switch (name.kind) {
      case 'other':
      case 'expect':
        return name.hasUnderscore ? this.#onUnderscore(name, value) : this.#append(name, value)
      case 'host':
        this.#host = value
        this.#hostCount += 1
        return this.#hostCount > 1 ? 'host-duplicate' : undefined
      case 'content-length':
        if (this.#contentLength !== -1) return 'content-length-duplicate'
        this.#contentLength = parseContentLength(value)
        return this.#contentLength === -1 ? 'content-length' : this.#append(name, value)
      case 'transfer-encoding':
        if (this.#transferEncoding !== undefined) return 'transfer-encoding'
        this.#transferEncoding = value
        return undefined
      case 'connection':
        applyConnection(value, this.#connection, this.#nominated)
        return this.#connection.isInvalid ? 'connection' : undefined
      case 'proxy-connection':
        applyProxyConnection(value, this.#connection)
        return undefined
      case 'upgrade':
        this.#upgrade = value
        return undefined
      case 'te':
        return hasTrailers(value) ? this.#append(name, 'trailers') : undefined
      case 'hop':
        return undefined
      default:
        return unreachable(name.kind)
    }
  }

  #append(name: HeaderName, value: string): undefined {
    this.#head.headers.append(name.lower, value)
  }

  #onUnderscore(name: HeaderName, value: string): Refusal | undefined {
    switch (this.#options.underscores) {
      case 'reject':
        return 'header-underscore'
      case 'drop':
        return undefined
      case 'allow':
        return this.#append(name, value)
      default:
        return unreachable(this.#options.underscores)
    }
  }

  #onHeadEnd(): Refusal | undefined {
    const head = this.#head
    const refusal = this.#checkHost(head) ?? this.#frame(head)
    if (refusal !== undefined) return refusal
    if (this.#nominated.length !== 0) removeNominated(head.headers, this.#nominated)
    head.wantsClose =
      this.#connection.hasClose || (head.protocol === 'HTTP/1.0' && !this.#connection.hasKeepAlive)
    if (this.#upgrade !== undefined && this.#connection.hasUpgrade) askUpgrade(head, this.#upgrade)
    this.#start(head)
    return undefined
  }

  #start(head: RequestHead): void {
    const isTunnel = head.method === 'CONNECT'
    if (isTunnel) this.openTunnel()
    else if (head.upgrade !== undefined) this.state = 'held'
    else if (head.bodyLength === 0) this.state = 'ended'
    else {
      this.state = 'body'
      this.#body.start(head.bodyLength, this.#transferEncoding !== undefined)
    }
    this.messageBytes = this.#reader.headBytes
    this.#sink.onRequestHead(head)
    if (!isTunnel && head.upgrade === undefined && head.bodyLength === 0)
      this.#sink.onBodyEnd(undefined)
  }

  /**
   * RFC 9112 §3.2: exactly one Host; the target's own authority wins over it. As Envoy, and because nobody can misread
   * it, a target that names its host needs no other.
   */
  #checkHost(head: RequestHead): Refusal | undefined {
    const host = this.#host
    if (host === undefined) return this.#useDefaultHost(head)
    if (host === '' && !this.#isAbsolute) return 'host-missing'
    if (host !== this.#lastHost && host !== '') {
      const authority = parseAuthority(host)
      if (authority === undefined) return 'host-invalid'
      this.#lastHost = host
      this.#lastAuthority = authority
    }
    if (!this.#isAbsolute) head.authority = this.#lastAuthority
    return undefined
  }

  #useDefaultHost(head: RequestHead): Refusal | undefined {
    if (this.#isAbsolute && head.authority !== '') return undefined
    const isHttp10 = head.protocol === 'HTTP/1.0'
    if (isHttp10) head.authority = this.#options.defaultHostHttp10 ?? ''
    const passes = head.authority !== '' || this.#options.passesNoHost === true
    return passes ? undefined : 'host-missing'
  }

  /** RFC 9112 §6.3, without its lenient choices. */
  #frame(head: RequestHead): Refusal | undefined {
    const length = this.#contentLength
    if (this.#transferEncoding === undefined) {
      head.bodyLength = length === -1 ? 0 : length
    } else {
      if (head.protocol === 'HTTP/1.0') return 'transfer-encoding-http10'
      if (length !== -1) {
        if (!this.#options.allowsChunkedLength) return 'content-length-and-transfer-encoding'
        head.headers.remove('content-length')
      }
      const refusal = checkTransferEncoding(this.#transferEncoding)
      if (refusal !== undefined) return refusal
      head.bodyLength = 'until-end'
    }
    if (head.method !== 'CONNECT') return undefined
    if (head.bodyLength !== 0) return 'connect-body'
    head.bodyLength = 'until-end'
    return undefined
  }
}

const otherVersion = /^HTTP\/\d\.\d$/
const absoluteScheme = /^(https?):\/\//i
const connectTarget = /:\d{1,5}$/

function emptyHead(): RequestHead {
  return {
    method: '',
    path: '',
    authority: '',
    scheme: 'http',
    hasScheme: false,
    protocol: 'HTTP/1.1',
    headers: new HeaderList(),
    bodyLength: 0,
    upgrade: undefined,
    wantsClose: false,
  }
}

/** h2c is never forwarded: its upgrade would change the protocol behind the proxy's back. */
function askUpgrade(head: RequestHead, spelling: string): void {
  const upgrade = spelling.toLowerCase()
  if (upgrade === 'h2c' || head.bodyLength !== 0) return
  head.upgrade = upgrade
  if (spelling !== upgrade) head.upgradeSpelling = spelling
}
