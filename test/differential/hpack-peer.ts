/**
 * Header blocks, valid and spoilt, read by our decoder and by Node's own (nghttp2): both read the same fields, or both
 * refuse the block as no HPACK.
 */
import { performServerHandshake } from 'node:http2'
import { Duplex } from 'node:stream'

import { headersFrames, preface, settingsFrame } from '../../src/proxy/http2/frame.ts'
import { HpackDecoder } from '../../src/proxy/http2/hpack/decoder.ts'
import { HpackEncoder } from '../../src/proxy/http2/hpack/encoder.ts'
import { bytesOf } from './corpus.ts'
import type { Dice } from './mutate.ts'

/** RFC 9113 §7. */
const compressionError = 9

const fields = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'app.test'],
  ['x-a', 'value'],
  ['cookie', 'a=1'],
  ['accept', '*/*'],
  ['x-long', 'long '.repeat(40)],
] as const

/** A block of usual fields, of which some bytes are spoilt. */
export function spoiltBlock(dice: Dice): Buffer {
  const encoder = new HpackEncoder()
  encoder.begin()
  for (const [name, value] of fields) {
    if (name.startsWith(':') || dice.chance(2)) encoder.field(name, value)
  }
  const block = bytesOf(encoder.end())
  for (let change = dice.next(4); change > 0; change -= 1) {
    block[dice.next(block.length)] = dice.chance(2) ? dice.next(256) : 1 << dice.next(8)
  }
  return dice.chance(6) ? block.subarray(0, dice.next(block.length + 1)) : block
}

/** Undefined where both agree. */
export async function blockDisagreement(block: Buffer): Promise<string | undefined> {
  const ours: string[] = []
  const error = new HpackDecoder().decode(block, {
    onField: (name: { text: string }, value: string) => void ours.push(`${name.text}: ${value}`),
  })
  const theirs = await readByNode(block)
  if (theirs === 'refused')
    return error === undefined ? 'Node refuses the block, we read it' : undefined
  if (error !== undefined) return `we refuse the block (${error}), Node reads it`
  if (theirs === 'malformed') return undefined
  const missing = theirs.filter((field) => !ours.includes(field))
  return missing.length === 0
    ? undefined
    : `Node reads ${missing.join(', ')}; we read ${ours.join(', ')}`
}

/** Fields, or `refused` where it is no HPACK, or `malformed` where the fields make no request. */
async function readByNode(block: Buffer): Promise<readonly string[] | 'refused' | 'malformed'> {
  const sent: Buffer[] = []
  const wire = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      sent.push(chunk)
      done()
    },
  })
  wire.on('error', () => {})
  const session = performServerHandshake(wire)
  let read: string[] | undefined
  session.on('error', () => {})
  session.on('stream', (stream, ...[, , raw]) => {
    stream.on('error', () => {})
    const list = raw as unknown as readonly string[]
    read = []
    for (let index = 0; index < list.length; index += 2)
      read.push(`${list[index]}: ${list[index + 1]}`)
  })
  wire.push(bytesOf(preface + settingsFrame([]) + headersFrames(1, block.toString('latin1'), true)))
  for (let round = 0; round < 4; round += 1) await new Promise((resolve) => setImmediate(resolve))
  const refused = hasCompressionError(Buffer.concat(sent))
  session.destroy()
  wire.destroy()
  return refused ? 'refused' : (read ?? 'malformed')
}

/** Whether a GOAWAY of that code is among the frames. */
function hasCompressionError(bytes: Buffer): boolean {
  let position = 0
  while (position + 9 <= bytes.length) {
    const length = bytes.readUIntBE(position, 3)
    const type = bytes[position + 3]
    if (type === 7 && bytes.readUInt32BE(position + 13) === compressionError) return true
    position += 9 + length
  }
  return false
}
