/** One case for each seed: what is generated, sent, and looked at. */
import { unreachable } from '../../src/lib/assert.ts'
import type { HttpConnectionManager } from '../../src/proxy/listener/listener-config.ts'
import { bytesOf } from './corpus.ts'
import { blockDisagreement, spoiltBlock } from './hpack-peer.ts'
import { http2Bytes, readHttp2 } from './http2-bytes.ts'
import { upstreamViolations, readerViolations, violations } from './invariant.ts'
import { MemoryProxy, type Exchanged } from './memory-proxy.ts'
import { Dice, http2Requests, requestText, responseText, split, spoiltFrames } from './mutate.ts'
import { openReaders, type Readers } from './reader/external-reader.ts'
import { readResponses } from './response-stream.ts'
import { AnsweringProxy } from './two-requests.ts'

/** What is fuzzed, by what a number draws. */
export const subjects = [
  'requests',
  'lenient requests',
  'requests to HTTP/2',
  'responses',
  'HTTP/2 requests',
  'HTTP/2 frames',
  'HPACK blocks',
] as const

export type Subject = (typeof subjects)[number]

export interface FuzzFailure {
  readonly seed: number
  readonly subject: Subject
  /** The bytes that were sent, as text with escapes. */
  readonly sent: readonly string[]
  readonly problems: readonly string[]
}

/** Listeners that take what is usually refused must hold the same promises. */
const lenient: Partial<HttpConnectionManager> = {
  acceptHttp10: true,
  defaultHostHttp10: 'app.test',
  allowChunkedLength: true,
  allowCustomMethods: true,
  enableTrailers: true,
  normalizePath: true,
  mergeSlashes: true,
  proxies100Continue: true,
  headersWithUnderscores: 'drop',
}

export class Fuzzer {
  readonly #strict: MemoryProxy
  readonly #lenient: MemoryProxy
  readonly #toHttp2: MemoryProxy
  readonly #answering: AnsweringProxy
  readonly readers: Readers

  private constructor(proxies: {
    strict: MemoryProxy
    lenient: MemoryProxy
    toHttp2: MemoryProxy
    answering: AnsweringProxy
    readers: Readers
  }) {
    this.#strict = proxies.strict
    this.#lenient = proxies.lenient
    this.#toHttp2 = proxies.toHttp2
    this.#answering = proxies.answering
    this.readers = proxies.readers
  }

  static async open(): Promise<Fuzzer> {
    return new Fuzzer({
      strict: await MemoryProxy.open(),
      lenient: await MemoryProxy.open({ manager: lenient }),
      toHttp2: await MemoryProxy.open({ upstream: 'http2' }),
      answering: await AnsweringProxy.open(),
      readers: await openReaders(),
    })
  }

  /** Undefined where everything holds. */
  async run(seed: number): Promise<FuzzFailure | undefined> {
    const dice = new Dice(seed)
    const subject = subjects[seed % subjects.length] ?? 'requests'
    const { pieces, problems } = await this.#try(subject, dice)
    if (problems.length === 0) return undefined
    return { seed, subject, sent: pieces.map((piece) => piece.toString('latin1')), problems }
  }

  #try(subject: Subject, dice: Dice): Promise<Attempt> {
    switch (subject) {
      case 'requests':
        return this.#requests(this.#strict, dice)
      case 'lenient requests':
        return this.#requests(this.#lenient, dice)
      case 'requests to HTTP/2':
        return this.#requestsToHttp2(dice)
      case 'responses':
        return this.#responses(dice)
      case 'HTTP/2 requests':
        return this.#http2(split(dice, http2Bytes(http2Requests(dice))))
      case 'HTTP/2 frames':
        return this.#http2(split(dice, spoiltFrames(dice, http2Bytes(http2Requests(dice)))))
      case 'HPACK blocks':
        return hpack(spoiltBlock(dice))
      default:
        return unreachable(subject)
    }
  }

  async #requests(proxy: MemoryProxy, dice: Dice): Promise<Attempt> {
    const sent = requestText(dice)
    const bytes = bytesOf(sent)
    const pieces = split(dice, bytes)
    const exchanged = await proxy.exchange(pieces)
    const problems = [...checked(exchanged, sent)]
    problems.push(...(await readerViolations(exchanged, this.readers.present)))
    const whole = await proxy.exchange([bytes])
    problems.push(...checked(whole, sent))
    const read = JSON.stringify(exchanged.read.flat())
    const readWhole = JSON.stringify(whole.read.flat())
    // What the origin does not take for a method ends its connection, sooner or later.
    const isStrange = exchanged.strange.includes(true) || whole.strange.includes(true)
    if (read !== readWhole && !isStrange)
      problems.push(`a split changes what is read: ${read}, ${readWhole}`)
    return { pieces, problems }
  }

  async #requestsToHttp2(dice: Dice): Promise<Attempt> {
    const sent = requestText(dice)
    const pieces = split(dice, bytesOf(sent))
    const problems = checked(await this.#toHttp2.exchange(pieces), sent)
    return { pieces, problems }
  }

  async #responses(dice: Dice): Promise<Attempt> {
    const pieces = split(dice, bytesOf(responseText(dice)))
    const answer = { pieces, method: dice.chance(5) ? 'HEAD' : 'GET', ends: dice.chance(2) }
    const exchanged = await this.#answering.pipelined(answer)
    const methods = [answer.method, 'GET']
    const { responses, problem } = readResponses(exchanged.received, methods, exchanged.isClosed)
    const problems =
      problem === undefined ? [] : [`the client cannot read what we send: ${problem}`]
    const second = responses[1]
    if (second !== undefined && second.body !== 'second') {
      problems.push(`the second response is ${second.status} [${second.body}]`)
    }
    const [, later] = await this.#answering.byNode(answer)
    if (later !== '200 [second]' && later !== 'no answer') {
      problems.push(`to Node's client the second response is ${later ?? 'nothing'}`)
    }
    return { pieces, problems }
  }

  async #http2(pieces: readonly Buffer[]): Promise<Attempt> {
    const exchanged = await this.#strict.exchange(pieces)
    const problems = [...upstreamViolations(exchanged)]
    problems.push(...(await readerViolations(exchanged, this.readers.present)))
    // What is sent to a client that never spoke HTTP/2 is HTTP/1.
    if (exchanged.received[0] === 0) {
      const { problem } = readHttp2(exchanged.received)
      if (problem !== undefined) problems.push(`the client cannot read what we send: ${problem}`)
    }
    return { pieces, problems }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#strict[Symbol.asyncDispose]()
    await this.#lenient[Symbol.asyncDispose]()
    await this.#toHttp2[Symbol.asyncDispose]()
    await this.#answering[Symbol.asyncDispose]()
    await this.readers[Symbol.asyncDispose]()
  }
}

interface Attempt {
  readonly pieces: readonly Buffer[]
  readonly problems: readonly string[]
}

/** A mutation may have made the preface of HTTP/2. */
function checked(exchanged: Exchanged, sent: string): readonly string[] {
  return sent.startsWith('PRI ') ? upstreamViolations(exchanged) : violations(exchanged)
}

async function hpack(block: Buffer): Promise<Attempt> {
  const problem = await blockDisagreement(block)
  return { pieces: [block], problems: problem === undefined ? [] : [problem] }
}
