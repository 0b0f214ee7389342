/**
 * Reads the lines of a message head, at any split of its bytes: a start line, header fields, an empty line.
 *
 * Lines end in CRLF and nothing else; a line is judged when it is complete, so that the verdict does not depend
 * on how the bytes arrived. What is incomplete is kept as text and joined with the next chunk only when that
 * holds a line feed, which keeps byte-wise senders linear.
 */
import { isFieldValue, isToken } from './char-class.ts'
import type { HeaderName, HeaderNames } from './header-names.ts'
import type { Refusal } from './refusal.ts'

export interface HeadLimits {
  /** Start line and fields, with their line ends. */
  readonly headBytesMax: number
  readonly headersCountMax: number
}

export interface HeadReaderOptions {
  readonly names: HeaderNames
  readonly limits: HeadLimits
  /** What a start line that cannot be one is called. */
  readonly startLineRefusal: Refusal
  /** What a start line beyond the limit is called. */
  readonly startLineTooLarge: Refusal
  /** RFC 9112 §2.2: a server ignores empty lines before a request line. */
  readonly skipsEmptyLines: boolean
}

/** Told about each line; a refusal ends the message. */
export interface HeadSink {
  onStartLine(line: string): Refusal | undefined
  onField(name: HeaderName, value: string): Refusal | undefined
}

/** `done`: the empty line was read. `more`: every byte was taken, the head is not complete. */
export type HeadResult = 'done' | 'more' | Refusal

const lineFeed = 0x0a
const carriageReturn = 0x0d
/** Decoded at once: more than nearly every head, little of a body that follows it. */
const windowBytes = 4096

export class HeadReader {
  readonly #options: HeadReaderOptions
  readonly #sink: HeadSink
  /** What has come of a line that is not complete. */
  #rest = ''
  #headBytes = 0
  #fieldCount = 0
  #isStartLineRead = false
  /** Where the head ended in the last window. */
  #position = 0
  /** Index in the last chunk after the head, once `read` said `done`. */
  next = 0

  constructor(options: HeadReaderOptions, sink: HeadSink) {
    this.#options = options
    this.#sink = sink
  }

  /** Bytes of the head so far. */
  get headBytes(): number {
    return this.#headBytes
  }

  /** Whether any byte of the current head has come. */
  get hasStarted(): boolean {
    return this.#isStartLineRead || this.#rest !== ''
  }

  /** Starts the next head; `false`: fields only (trailers). */
  reset(hasStartLine: boolean): void {
    this.#rest = ''
    this.#headBytes = 0
    this.#fieldCount = 0
    this.#isStartLineRead = !hasStartLine
  }

  /** Reads from `chunk[start…]`. */
  read(chunk: Buffer, start: number): HeadResult {
    for (let from = start; ; from += windowBytes) {
      const to = Math.min(from + windowBytes, chunk.length)
      const result = this.#readWindow(chunk, from, to)
      if (result !== 'more' || to === chunk.length) return result
    }
  }

  #readWindow(chunk: Buffer, from: number, to: number): HeadResult {
    const fresh = chunk.toString('latin1', from, to)
    const restLength = this.#rest.length
    if (restLength === 0) {
      const result = this.#readLines(fresh)
      this.next = from + this.#position
      return result
    }
    if (!fresh.includes('\n')) return this.#keep(this.#rest + fresh)
    const text = this.#rest + fresh
    this.#rest = ''
    const result = this.#readLines(text)
    this.next = from + this.#position - restLength
    return result
  }

  #readLines(text: string): HeadResult {
    const { headBytesMax } = this.#options.limits
    let position = 0
    while (position < text.length) {
      if (!this.#isStartLineRead && !canStart(text.charCodeAt(position))) {
        return this.#options.startLineRefusal
      }
      const end = text.indexOf('\n', position)
      if (end === -1) break
      this.#headBytes += end + 1 - position
      if (this.#headBytes > headBytesMax) return this.#tooLarge()
      if (end === position || text.charCodeAt(end - 1) !== carriageReturn) return 'line-ending'
      const result = this.#readLine(text, position, end - 1)
      position = end + 1
      if (result === undefined) continue
      this.#position = position
      return result
    }
    return this.#keep(position === 0 ? text : text.slice(position))
  }

  /** One line without its CRLF. */
  #readLine(text: string, start: number, end: number): HeadResult | undefined {
    if (this.#isStartLineRead) {
      return start === end ? 'done' : this.#readField(text, start, end)
    }
    if (start === end) {
      return this.#options.skipsEmptyLines ? undefined : this.#options.startLineRefusal
    }
    this.#isStartLineRead = true
    return this.#sink.onStartLine(text.slice(start, end))
  }

  #readField(text: string, start: number, end: number): Refusal | undefined {
    if (isBlank(text.charCodeAt(start))) return 'obs-fold'
    const colon = text.indexOf(':', start)
    if (colon === -1 || colon >= end) return 'header-name'
    const name = this.#options.names.findIn(text, start, colon)
    if (name === undefined) return 'header-name'
    this.#fieldCount += 1
    if (this.#fieldCount > this.#options.limits.headersCountMax) return 'too-many-headers'
    return this.#readValue(name, text, [colon + 1, end])
  }

  #readValue(
    name: HeaderName,
    text: string,
    range: readonly [number, number],
  ): Refusal | undefined {
    let [from, to] = range
    while (from < to && isBlank(text.charCodeAt(from))) from += 1
    while (to > from && isBlank(text.charCodeAt(to - 1))) to -= 1
    for (let index = from; index < to; index += 1) {
      const code = text.charCodeAt(index)
      if (isFieldValue[code] !== 1) return code === carriageReturn ? 'line-ending' : 'header-value'
    }
    return this.#sink.onField(name, text.slice(from, to))
  }

  #keep(rest: string): HeadResult {
    if (this.#headBytes + rest.length > this.#options.limits.headBytesMax) return this.#tooLarge()
    this.#rest = rest
    return 'more'
  }

  #tooLarge(): Refusal {
    return this.#isStartLineRead ? 'head-too-large' : this.#options.startLineTooLarge
  }
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}

function canStart(code: number): boolean {
  return isToken[code] === 1 || code === carriageReturn || code === lineFeed
}
