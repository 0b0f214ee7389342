/** HTTP/2 in stories about connections: an origin on Node's own codec, and what a client's frames say. */
import {
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo } from 'node:net'

import { frameTypes } from '../../../src/proxy/http2/frame.ts'
import type { RawClient, RawFrame } from '../../support/raw-http2.ts'
import { maskedField } from './connection-text.ts'

export type ServeStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void

/** What happened on it is kept as lines. */
export class Http2Origin implements AsyncDisposable {
  readonly #server = createServer()
  readonly #sessions = new Set<ServerHttp2Session>()
  lines: string[] = []
  serve: ServeStream = answerEmpty

  constructor() {
    this.#server.on('session', (session) => void this.#sessions.add(session))
    this.#server.on('sessionError', () => {
      // Cut by a story.
    })
    this.#server.on('stream', (stream, headers) =>
      this.#onStream(stream as ServerHttp2Stream, headers),
    )
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return (this.#server.address() as AddressInfo).port
  }

  clear(): void {
    for (const session of this.#sessions) session.destroy()
    this.#sessions.clear()
    this.lines = []
    this.serve = answerEmpty
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.clear()
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve())
    })
  }

  #onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const note = (line: string): void => void this.lines.push(line)
    note(`head ${fieldText(headers)}`)
    let body = ''
    stream.on('data', (chunk: Buffer) => {
      body += chunk.toString()
    })
    stream.on('trailers', (trailers) => note(`trailers ${fieldText(trailers)}`))
    stream.on('end', () => note(`body ${body}`))
    stream.on('aborted', () => note(`aborted after ${body}`))
    stream.on('error', () => {
      // Reset by a story.
    })
    stream.on('close', () => note(`closed with ${stream.rstCode}`))
    this.serve(stream, headers)
  }
}

function fieldText(headers: IncomingHttpHeaders): string {
  return Object.entries(headers)
    .map(([name, value]) => maskedField(name, String(value)))
    .sort()
    .join(', ')
}

/** What a client got; settings, window updates and pings are the codec's own affair. */
export function framesText(client: RawClient): readonly string[] {
  const lines = client.frames.flatMap(lineOf)
  const merged: string[] = []
  for (const line of lines) {
    const last = merged.at(-1)
    const isMore = line.startsWith('data ') && last?.startsWith(line.slice(0, 7)) === true
    if (isMore && last !== undefined) merged[merged.length - 1] = last + line.slice(7)
    else merged.push(line)
  }
  return [...merged, client.isClosed ? 'closed' : 'open']
}

function lineOf({ type, flags, streamId, payload, fields }: RawFrame): readonly string[] {
  const end = (flags & 1) === 1 ? [`end ${streamId}`] : []
  switch (type) {
    case frameTypes.headers: {
      const text = fields.map(([name, value]) => maskedField(name, value)).sort()
      return [`head ${streamId} ${text.join(', ')}`, ...end]
    }
    case frameTypes.data:
      return payload.length === 0 ? end : [`data ${streamId} ${payload.toString()}`, ...end]
    case frameTypes.rstStream:
      return [`reset ${streamId} ${payload.readUInt32BE(0)}`]
    case frameTypes.goaway:
      return [`goaway ${payload.readUInt32BE(0)} ${payload.readUInt32BE(4)}`]
    default:
      return []
  }
}

function answerEmpty(stream: ServerHttp2Stream): void {
  stream.respond({ ':status': 200 }, { endStream: true })
}
