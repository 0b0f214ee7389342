/** Small parts that many stories about connections share. */
import { frameFlags, frameTypes } from '../../../src/proxy/http2/frame.ts'
import type { RawFrame } from '../../support/raw-http2.ts'
import type { RawEnd, Serve } from './connection-ends.ts'
import type { ConnectionStory } from './connection-story.ts'

const noBody: Readonly<Record<string, string | undefined>> = {}

/** A request without a body, unless `more` says that there is one. */
export function get(path: string, fields = noBody, method = 'GET'): string {
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${method} ${path} HTTP/1.1\r\nhost: app.test\r\n${lines.join('')}\r\n`
}

export function post(path: string, body: string, fields = noBody): string {
  return get(path, { 'content-length': String(body.length), ...fields }, 'POST') + body
}

/** The same in HTTP/1.0. */
export function old(request: string): string {
  return request.replace(' HTTP/1.1\r\n', ' HTTP/1.0\r\n')
}

/** The head of a body in chunks. */
export function chunked(path: string, fields = noBody): string {
  return get(path, { 'transfer-encoding': 'chunked', ...fields }, 'POST')
}

export function ok(body = 'ok', fields = ''): string {
  return `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n${fields}\r\n${body}`
}

/** Answers each request head with what `answer` says of its path. */
export function answering(answer: (path: string) => string): Serve {
  return async (connection) => {
    for (let count = 1; connection.peer === 'open'; count += 1) {
      await connection.until('\r\n\r\n', count)
      const head = connection.text.split('\r\n\r\n')[count - 1]
      if (connection.text.split('\r\n\r\n').length <= count) return
      const path = /[A-Z]+ (\S+) HTTP/.exec(head ?? '')?.[1] ?? ''
      connection.send(answer(path))
    }
  }
}

/** Answers once, when the request holds `part`. */
export function answerAt(part: string, bytes: string): Serve {
  return async (connection: RawEnd) => {
    await connection.until(part)
    connection.send(bytes)
  }
}

/** The same some time after it. */
export function answerLater(part: string, bytes: string, delayMs: number): Serve {
  return async (connection: RawEnd) => {
    await connection.until(part)
    setTimeout(() => connection.send(bytes), delayMs)
  }
}

/** Answers each request with its path. */
export const named = answering((path) => ok(path))

export const silent = answerAt('never', '')

/** A response that stands still in its middle. */
export const half = 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf'

/** Sends it, and waits until the proxy ends the connection. */
export function sendAndStay(text: string): ConnectionStory['play'] {
  return async ({ open }) => {
    const client = await open()
    client.send(text)
    await client.left()
  }
}

type FrameTest = (frame: Pick<RawFrame, 'type' | 'flags' | 'streamId'>) => boolean

/** The frame with which a stream comes to its end. */
export function endOf(stream: number): FrameTest {
  return ({ flags, streamId }) => streamId === stream && (flags & frameFlags.endStream) !== 0
}

/** The same, or a reset. */
export function overOf(stream: number): FrameTest {
  const isEnd = endOf(stream)
  return (frame) =>
    isEnd(frame) || (frame.streamId === stream && frame.type === frameTypes.rstStream)
}

export const requestFields = (
  path: string,
  more: readonly (readonly [string, string])[] = [],
  method = 'GET',
): readonly (readonly [string, string])[] => [
  [':method', method],
  [':scheme', 'http'],
  [':authority', 'app.test'],
  [':path', path],
  ...more,
]
