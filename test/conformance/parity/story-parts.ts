/** Small parts that many stories about connections share. */
import type { RawEnd, Serve } from './connection-ends.ts'

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
