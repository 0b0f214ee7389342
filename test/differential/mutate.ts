/**
 * Cases that nobody thought of: messages of the corpus, cut up, put together and spoilt, from a seed. The same seed makes
 * the same case.
 */
import { seededRandom, type Random } from '../../src/lib/random.ts'
import { requestCases } from '../support/http1-request-cases.ts'
import type { RawField } from '../support/raw-http2.ts'
import { http2Corpus, requestCorpus, responseCorpus } from './corpus.ts'
import type { Http2Request } from './http2-bytes.ts'

/** A stream of chance that a number starts. */
export class Dice {
  readonly #random: Random

  constructor(seed: number) {
    this.#random = seededRandom(seed)
  }

  /** From 0 to `below`, without it. */
  next(below: number): number {
    return Math.floor(this.#random() * below)
  }

  pick<T>(from: readonly T[]): T {
    return from[this.next(from.length)] as T // callers give lists that hold something
  }

  chance(oneIn: number): boolean {
    return this.next(oneIn) === 0
  }
}

const bytesMax = 1_500

const requestSeeds = [...requestCorpus(), ...requestCases]
  .map(({ sent }) => sent)
  .filter((sent) => sent.length <= bytesMax)
const responseSeeds = responseCorpus()
  .map(({ sent }) => sent)
  .filter((sent) => sent.length <= bytesMax)

/** What smugglers put in. */
const spice = [
  '\r',
  '\n',
  '\r\n',
  '\r\n\r\n',
  '\n\n',
  ' ',
  '\t',
  '\0',
  '\x0b',
  '\x0c',
  '\x85',
  '\xa0',
  '\xff',
  ':',
  ';',
  ',',
  '"',
  '+',
  '-',
  '_',
  '0',
  '0x',
  '1',
  'Content-Length: 3\r\n',
  'Content-Length: 0\r\n',
  'Content-Length: 03\r\n',
  'content-length:3\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: identity\r\n',
  'Transfer-Encoding:chunked\r\n',
  ' Transfer-Encoding: chunked\r\n',
  '\tContent-Length: 3\r\n',
  'Connection: close\r\n',
  'Connection: keep-alive, Content-Length\r\n',
  'Connection: upgrade\r\nUpgrade: websocket\r\n',
  'Expect: 100-continue\r\n',
  'Connection: upgrade\r\nUpgrade: other\r\nContent-Length: 3\r\n',
  'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n',
  'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
  'http://other.test/',
  'OPTIONS * ',
  'Trailer: Content-Length\r\n',
  '0\r\nContent-Length: 3\r\n\r\n',
  '0\r\nTransfer-Encoding: chunked\r\n\r\n',
  '0\r\nHost: other.test\r\n\r\n',
  '\r\n folded',
  ';ext="\r\n"',
  'Host: other.test\r\n',
  'TE: trailers\r\n',
  '0\r\n\r\n',
  '0\n\n',
  '3\r\nabc\r\n',
  '5;x\nhello\r\n',
  '0\r\nX: y\r\n\r\n',
  'GET /hidden HTTP/1.1\r\nHost: app.test\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil',
  'HTTP/1.0',
  'HTTP/1.1',
  'HEAD ',
  'CONNECT ',
]

export function requestText(dice: Dice): string {
  return mutated(dice, requestSeeds)
}

export function responseText(dice: Dice): string {
  return mutated(dice, responseSeeds)
}

function mutated(dice: Dice, seeds: readonly string[]): string {
  let text = dice.pick(seeds)
  const messages = dice.next(3)
  for (let more = 0; more < messages; more += 1) text += dice.pick(seeds)
  const changes = dice.next(5)
  for (let change = 0; change < changes; change += 1) text = changed(dice, text)
  return text.slice(0, bytesMax * 4)
}

function changed(dice: Dice, text: string): string {
  const at = dice.next(text.length + 1)
  const until = Math.min(text.length, at + 1 + dice.next(12))
  switch (dice.next(9)) {
    case 0:
    case 1:
    case 2:
      return text.slice(0, at) + dice.pick(spice) + text.slice(at)
    case 3:
      return text.slice(0, at) + text.slice(until)
    case 4:
      return text.slice(0, at) + text.slice(at, until).repeat(2 + dice.next(3)) + text.slice(until)
    case 5:
      return text.slice(0, at) + String.fromCharCode(dice.next(256)) + text.slice(at + 1)
    case 6:
      return withLine(dice, text)
    case 7:
      return text.slice(0, at) + flipped(text.slice(at, until)) + text.slice(until)
    default:
      return text.slice(0, at)
  }
}

/** At the beginning of a line, where a field is a field. */
function withLine(dice: Dice, text: string): string {
  const lines = text.split('\r\n')
  const at = dice.next(lines.length + 1)
  const line = dice.chance(2) ? dice.pick(lines) : dice.pick(spice)
  return [...lines.slice(0, at), line, ...lines.slice(at)].join('\r\n')
}

function flipped(text: string): string {
  return text === text.toLowerCase() ? text.toUpperCase() : text.toLowerCase()
}

/** In one piece, in a few, or byte by byte. */
export function split(dice: Dice, bytes: Buffer): readonly Buffer[] {
  const cuts = dice.pick([0, 0, 1, 1, 2, 5, bytes.length > 400 ? 3 : bytes.length])
  if (cuts === bytes.length) return Array.from(bytes, (octet) => Buffer.of(octet))
  const at = Array.from({ length: cuts }, () => dice.next(bytes.length + 1)).sort((a, b) => a - b)
  return [0, ...at]
    .map((from, index) => bytes.subarray(from, at[index] ?? bytes.length))
    .filter((piece) => piece.length > 0)
}

const http2Seeds = http2Corpus()
const names = [...new Set(http2Seeds.flatMap(({ fields }) => fields.map(([name]) => name)))]
const values = [...new Set(http2Seeds.flatMap(({ fields }) => fields.map(([, value]) => value)))]
const datas = http2Seeds.flatMap(({ data }) => (data === undefined ? [] : [data]))

/** Requests whose fields come from everywhere in the corpus. */
export function http2Requests(dice: Dice): readonly Http2Request[] {
  return Array.from({ length: 1 + dice.next(3) }, () => {
    const seed = dice.pick(http2Seeds)
    const fields = [...seed.fields]
    for (let more = dice.next(3); more > 0; more -= 1) {
      fields.splice(dice.next(fields.length + 1), 0, field(dice))
    }
    const data = dice.chance(3) ? dice.pick(datas) : seed.data
    const trailers = dice.chance(6) ? [field(dice)] : seed.trailers
    return { fields, ...(data !== undefined && { data }), ...(trailers && { trailers }) }
  })
}

function field(dice: Dice): RawField {
  const value = dice.pick(values)
  const at = dice.next(value.length + 1)
  const spoilt = dice.chance(3) ? value.slice(0, at) + dice.pick(spice) + value.slice(at) : value
  return [dice.pick(names), spoilt]
}

/** Frames that are whole, spoilt in their bytes: lengths, types, flags, streams and blocks. */
export function spoiltFrames(dice: Dice, bytes: Buffer): Buffer {
  const spoilt = Buffer.from(bytes)
  const prefaceBytes = 24
  for (let change = 1 + dice.next(4); change > 0; change -= 1) {
    const at = prefaceBytes + dice.next(Math.max(1, spoilt.length - prefaceBytes))
    spoilt[at] = dice.chance(2) ? dice.next(256) : (spoilt[at] ?? 0) ^ (1 << dice.next(8))
  }
  const from = prefaceBytes + dice.next(Math.max(1, spoilt.length - prefaceBytes))
  const until = Math.min(spoilt.length, from + dice.next(40))
  if (dice.chance(3)) {
    return Buffer.concat([
      spoilt.subarray(0, until),
      spoilt.subarray(from, until),
      spoilt.subarray(until),
    ])
  }
  return dice.chance(5) ? spoilt.subarray(0, from) : spoilt
}
