/** A client that speaks HTTP/2 frame by frame, for tests: what it sends is what the test says, valid or not. */
import { connect, type Socket } from 'node:net'

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

export type RawField = readonly [name: string, value: string]

export interface RawFrame {
  readonly type: number
  readonly flags: number
  readonly streamId: number
  readonly payload: Buffer
  /** Of HEADERS, decoded. */
  readonly fields: RawField[]
}

/** One connection. Everything that arrives is kept in `frames`, in order. */
export class RawClient {
  readonly socket: Socket
  readonly frames: RawFrame[] = []
  readonly encoder = new HpackEncoder()
  readonly #decoder = new HpackDecoder()
  readonly #waiters = new Set<() => void>()
  #data: Buffer[] = []
  isClosed = false

  constructor(port: number, acksSettings = true) {
    this.socket = connect({ port, host: '127.0.0.1' })
    this.socket.on('error', () => {
      // A connection that is cut is what many tests want; `isClosed` says so.
    })
    const current = { type: 0, flags: 0, streamId: 0 }
    const reader = new FrameReader({
      onFrame: (frame, payload) => {
        const fields: RawField[] = []
        if (frame.type === frameTypes.headers) {
          const sink = {
            onField: (name: { text: string }, value: string) =>
              void fields.push([name.text, value]),
          }
          this.#decoder.decode(payload, sink)
        }
        const isSettings =
          frame.type === frameTypes.settings && (frame.flags & frameFlags.ack) === 0
        if (isSettings && acksSettings) this.send(settingsAckFrame)
        this.#push({ ...frame, payload: Buffer.from(payload), fields })
        return true
      },
      onDataStart: (frame) => {
        Object.assign(current, frame)
        this.#data = []
        return true
      },
      onDataChunk: (chunk) => {
        this.#data.push(Buffer.from(chunk))
        return true
      },
      onDataEnd: () => {
        this.#push({ ...current, payload: Buffer.concat(this.#data), fields: [] })
        return true
      },
      onFrameError: (problem) => this.socket.destroy(new Error(problem)),
    })
    this.socket.on('data', (chunk: Buffer) => reader.feed(chunk))
    this.socket.on('close', () => {
      this.isClosed = true
      this.#wake()
    })
  }

  send(text: string): void {
    this.socket.write(text, 'latin1')
  }

  /** The preface and SETTINGS. */
  open(settings: readonly (readonly [number, number])[] = []): void {
    this.send(preface + settingsFrame(settings))
  }

  request(streamId: number, fields: readonly RawField[], isEnd = true): void {
    this.send(headersFrames(streamId, this.block(fields), isEnd))
  }

  block(fields: readonly RawField[]): string {
    this.encoder.begin()
    for (const [name, value] of fields) this.encoder.field(name, value)
    return this.encoder.end()
  }

  data(streamId: number, text: string, isEnd = false): void {
    const flags = isEnd ? frameFlags.endStream : 0
    this.send(frameHead(text.length, frameTypes.data, flags, streamId) + text)
  }

  /** The first frame that fits, now or later; undefined when the connection ends without one, or 5 s are over. */
  async frame(fits: (frame: RawFrame) => boolean): Promise<RawFrame | undefined> {
    const deadline = setTimeout(() => this.close(), 5_000)
    for (;;) {
      const found = this.frames.find(fits)
      if (found !== undefined || this.isClosed) {
        clearTimeout(deadline)
        return found
      }
      await new Promise<void>((resolve) => this.#waiters.add(resolve))
    }
  }

  async closed(): Promise<void> {
    while (!this.isClosed) await new Promise<void>((resolve) => this.#waiters.add(resolve))
  }

  close(): void {
    this.socket.destroy()
  }

  #push(frame: RawFrame): void {
    this.frames.push(frame)
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#waiters) wake()
    this.#waiters.clear()
  }
}

/** Requests one after the other on one connection; the response fields of each. */
export async function exchangeRaw(
  port: number,
  requests: readonly (readonly RawField[])[],
): Promise<RawField[][]> {
  const client = new RawClient(port)
  client.open()
  const answers: RawField[][] = []
  for (const [index, fields] of requests.entries()) {
    const streamId = index * 2 + 1
    client.request(streamId, [
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', '/'],
      [':authority', 'test'],
      ...fields,
    ])
    const answer = await client.frame(
      (frame) => frame.type === frameTypes.headers && frame.streamId === streamId,
    )
    answers.push(answer?.fields ?? [])
  }
  client.close()
  return answers
}
