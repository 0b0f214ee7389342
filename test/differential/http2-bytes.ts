/** HTTP/2 on the client's side of a case: a request as bytes, and what came back in a few words. */
import { FrameReader } from '../../src/proxy/http2/frame-reader.ts'
import {
  frameFlags,
  frameHead,
  frameTypes,
  headersFrames,
  preface,
  settingsAckFrame,
  settingsFrame,
} from '../../src/proxy/http2/frame.ts'
import { HpackDecoder } from '../../src/proxy/http2/hpack/decoder.ts'
import { HpackEncoder } from '../../src/proxy/http2/hpack/encoder.ts'
import type { RawField } from '../support/raw-http2.ts'
import { bytesOf, type Http2Case } from './corpus.ts'

export type Http2Request = Pick<Http2Case, 'fields' | 'data' | 'trailers'>

const usual: readonly RawField[] = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':authority', 'app.test'],
  [':path', '/x'],
]

/** A whole connection: preface, SETTINGS, and the requests on streams 1, 3, … */
export function http2Bytes(requests: readonly Http2Request[]): Buffer {
  const encoder = new HpackEncoder()
  const block = (fields: readonly RawField[]): string => {
    encoder.begin()
    for (const [name, value] of fields) encoder.field(name, value)
    return encoder.end()
  }
  let text = preface + settingsFrame([]) + settingsAckFrame
  for (const [index, request] of requests.entries()) {
    const streamId = index * 2 + 1
    const { fields, data, trailers } = request
    const own = fields.some(([name]) => name.startsWith(':')) ? fields : [...usual, ...fields]
    text += headersFrames(streamId, block(own), data === undefined && trailers === undefined)
    if (data !== undefined) {
      const flags = trailers === undefined ? frameFlags.endStream : 0
      text += frameHead(data.length, frameTypes.data, flags, streamId) + data
    }
    if (trailers !== undefined) text += headersFrames(streamId, block(trailers), true)
  }
  return bytesOf(text)
}

export interface Http2Answers {
  /** By stream: a status, or `reset N`. */
  readonly streams: ReadonlyMap<number, string>
  readonly goaway: number | undefined
  readonly problem: string | undefined
}

export function readHttp2(bytes: Buffer): Http2Answers {
  const streams = new Map<number, string>()
  let goaway: number | undefined
  let problem: string | undefined
  const decoder = new HpackDecoder()
  const reader = new FrameReader({
    onFrame(frame, payload) {
      if (frame.type === frameTypes.headers) {
        problem ??= decoder.decode(payload, {
          onField: (name: { text: string }, value: string) => {
            if (name.text === ':status') streams.set(frame.streamId, value)
          },
        })
      }
      if (frame.type === frameTypes.rstStream && !streams.has(frame.streamId)) {
        streams.set(frame.streamId, `reset ${payload.readUInt32BE(0)}`)
      }
      if (frame.type === frameTypes.goaway) goaway = payload.readUInt32BE(4)
      return true
    },
    onDataStart: () => true,
    onDataChunk: () => true,
    onDataEnd: () => true,
    onFrameError: (error) => {
      problem = error
    },
  })
  reader.feed(bytes)
  return { streams, goaway, problem }
}

/** What became of the request on stream 1. */
export function http2Outcome(bytes: Buffer): string {
  const { streams, goaway, problem } = readHttp2(bytes)
  if (problem !== undefined) return problem
  const first = streams.get(1)
  if (first !== undefined) return first
  return goaway === undefined ? '-' : `goaway ${goaway}`
}
