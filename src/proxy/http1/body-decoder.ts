/**
 * Takes a message body off the wire, by the framing that its head declared: a length, chunks, or the end of
 * the connection (RFC 9112 §6, §7).
 *
 * Chunk extensions are checked, counted against a ceiling and dropped; they never travel on. Chunk lines end
 * in CRLF and nothing else (CVE-2025-55315), sizes are plain hexadecimal digits without sign or space.
 */
import { unreachable } from '../../lib/assert.ts'
import { HeaderList } from '../http/header-list.ts'
import type { BodyLength } from '../http/message.ts'
import { hexValue, isFieldValue } from './char-class.ts'
import { HeadReader, type HeadLimits, type HeadSink } from './head-reader.ts'
import type { HeaderNames } from './header-names.ts'
import type { Refusal } from './refusal.ts'

export interface BodySink {
  onBody(chunk: Uint8Array): void
  onBodyEnd(trailers: HeaderList | undefined): void
}

export interface BodyDecoderOptions {
  readonly names: HeaderNames
  readonly limits: HeadLimits
  /** False: trailers are checked and dropped. */
  readonly keepsTrailers: boolean
}

/** Bytes of chunk extensions in one message. */
const extensionBytesMax = 4096
/** 2^52 is beyond any disk; more digits are an attack on somebody's integer. */
const sizeDigitsMax = 13

type ChunkState = 'size' | 'extension' | 'size-lf' | 'data' | 'data-cr' | 'data-lf' | 'trailers'

export class BodyDecoder {
  readonly #options: BodyDecoderOptions
  readonly #sink: BodySink
  #trailerReader: HeadReader | undefined
  #trailers: HeaderList | undefined
  /** Bytes to come: of the body, or of the current chunk. Infinity: until the connection ends. */
  #remaining = 0
  #isChunked = false
  #state: ChunkState = 'size'
  #size = 0
  #digits = 0
  #extensionBytes = 0
  isEnded = true
  /** Index in the chunk after what was taken, unless the body was refused. */
  next = 0

  constructor(options: BodyDecoderOptions, sink: BodySink) {
    this.#options = options
    this.#sink = sink
  }

  /** Of trailers; made by the first message that is chunked. */
  #reader(): HeadReader {
    return (this.#trailerReader ??= this.#createReader())
  }

  #createReader(): HeadReader {
    const options = this.#options
    const trailerSink: HeadSink = {
      onStartLine: () => undefined,
      onField: (name, value) => {
        if (!options.keepsTrailers || forbiddenTrailers.has(name.lower)) return undefined
        this.#trailers ??= new HeaderList()
        this.#trailers.append(name.lower, value)
        return undefined
      },
    }
    return new HeadReader(
      {
        names: options.names,
        limits: options.limits,
        startLineRefusal: 'chunk-ending',
        startLineTooLarge: 'trailers-too-large',
        skipsEmptyLines: false,
      },
      trailerSink,
    )
  }

  /** Bytes of the body that are known to be still to come; Infinity where nothing is known. */
  get remaining(): number {
    if (this.isEnded) return 0
    return this.#isChunked ? Infinity : this.#remaining
  }

  /** Starts a body. `chunked` and `until-end` differ on the wire only. */
  start(length: BodyLength, isChunked: boolean): void {
    this.isEnded = length === 0
    this.#isChunked = isChunked
    this.#remaining = length === 'until-end' ? Infinity : length
    this.#state = 'size'
    this.#size = 0
    this.#digits = 0
    this.#extensionBytes = 0
    this.#trailers = undefined
  }

  /** Takes `chunk[start…]` as far as the body goes; `next` says how far. */
  decode(chunk: Buffer, start: number): Refusal | undefined {
    if (this.#isChunked) return this.#decodeChunked(chunk, start)
    const end = Math.min(chunk.length, start + this.#remaining)
    this.next = end
    this.#remaining -= end - start
    if (end > start)
      this.#sink.onBody(start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end))
    if (this.#remaining === 0) this.#end()
    return undefined
  }

  /** The connection ended. True when that is where the body ends. */
  endOfInput(): boolean {
    if (this.isEnded) return true
    if (this.#isChunked || this.#remaining !== Infinity) return false
    this.#end()
    return true
  }

  #end(): void {
    this.isEnded = true
    const trailers = this.#trailers
    this.#trailers = undefined
    this.#sink.onBodyEnd(trailers)
  }

  #decodeChunked(chunk: Buffer, start: number): Refusal | undefined {
    let position = start
    while (position < chunk.length) {
      if (this.#state === 'data') {
        position = this.#takeData(chunk, position)
        continue
      }
      if (this.#state === 'trailers') return this.#takeTrailers(chunk, position)
      const refusal = this.#step(chunk[position] ?? 0)
      if (refusal !== undefined) return refusal
      position += 1
    }
    this.next = position
    return undefined
  }

  /** One octet outside data and trailers. */
  #step(code: number): Refusal | undefined {
    switch (this.#state) {
      case 'size':
        return this.#stepSize(code)
      case 'extension':
        return this.#stepExtension(code)
      case 'size-lf':
        if (code !== 0x0a) return 'chunk-ending'
        this.#startChunk()
        return undefined
      case 'data-cr':
        if (code !== 0x0d) return 'chunk-ending'
        this.#state = 'data-lf'
        return undefined
      case 'data-lf':
        if (code !== 0x0a) return 'chunk-ending'
        this.#state = 'size'
        this.#size = 0
        this.#digits = 0
        return undefined
      case 'data':
      case 'trailers':
        return unreachable(this.#state as never, 'a state of more than one octet')
      default:
        return unreachable(this.#state)
    }
  }

  #stepSize(code: number): Refusal | undefined {
    const digit = hexValue[code] ?? 255
    if (digit !== 255) {
      this.#digits += 1
      if (this.#digits > sizeDigitsMax) return 'chunk-size'
      this.#size = this.#size * 16 + digit
      return undefined
    }
    if (this.#digits === 0) return 'chunk-size'
    if (code === 0x0d) this.#state = 'size-lf'
    else if (code === 0x3b) this.#state = 'extension'
    else return 'chunk-size'
    return undefined
  }

  #stepExtension(code: number): Refusal | undefined {
    if (code === 0x0d) {
      this.#state = 'size-lf'
      return undefined
    }
    this.#extensionBytes += 1
    const isAllowed = isFieldValue[code] === 1 && this.#extensionBytes <= extensionBytesMax
    return isAllowed ? undefined : 'chunk-extension'
  }

  #startChunk(): void {
    if (this.#size === 0) {
      this.#state = 'trailers'
      this.#reader().reset(false)
      return
    }
    this.#remaining = this.#size
    this.#state = 'data'
  }

  #takeData(chunk: Buffer, start: number): number {
    const end = Math.min(chunk.length, start + this.#remaining)
    this.#remaining -= end - start
    if (this.#remaining === 0) this.#state = 'data-cr'
    this.#sink.onBody(chunk.subarray(start, end))
    return end
  }

  #takeTrailers(chunk: Buffer, start: number): Refusal | undefined {
    const reader = this.#reader()
    const result = reader.read(chunk, start)
    this.next = chunk.length
    if (result === 'more') return undefined
    if (result !== 'done') return result === 'head-too-large' ? 'trailers-too-large' : result
    this.next = reader.next
    this.#end()
    return undefined
  }
}

/** Fields that frame, route or authenticate a message do not count in trailers (RFC 9110 §6.5.1). */
const forbiddenTrailers: ReadonlySet<string> = new Set([
  'authorization',
  'connection',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'cookie',
  'host',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'set-cookie',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])
