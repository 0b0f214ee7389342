/** Responses in literal bytes and what an HTTP/1.1 client must read in them. */
import type { Refusal } from '../../src/proxy/http1/refusal.ts'

export interface ResponseCase {
  readonly name: string
  readonly method?: string
  readonly upgrade?: string
  readonly sent: string
  /** Whether the upstream ends its direction after the bytes. */
  readonly ends?: boolean
  /**
   * The refusal, or what was read: informational statuses, then `status [body]`, then `reuse`, `close` (complete,
   * but the connection is spent), `more` (bytes came after it) or `incomplete`.
   */
  readonly expected: Refusal | readonly string[]
}

const ok = (fields: string, body = ''): string => `HTTP/1.1 200 OK\r\n${fields}\r\n${body}`
const chunked = (body: string): string => ok('Transfer-Encoding: chunked\r\n', body)

const statusLines: readonly ResponseCase[] = [
  {
    name: 'a body by length',
    sent: ok('Content-Length: 5\r\n', 'hello'),
    expected: ['200 [hello]', 'reuse'],
  },
  {
    name: 'no reason phrase',
    sent: 'HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n',
    expected: ['200 []', 'reuse'],
  },
  {
    name: 'no space after the status',
    sent: 'HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n',
    expected: ['200 []', 'reuse'],
  },
  {
    name: 'a reason with obs-text',
    sent: 'HTTP/1.1 200 caf\xe9\r\nContent-Length: 0\r\n\r\n',
    expected: ['200 []', 'reuse'],
  },
  {
    name: 'a status of one’s own',
    sent: 'HTTP/1.1 799 Odd\r\nContent-Length: 0\r\n\r\n',
    expected: ['799 []', 'reuse'],
  },
  {
    name: 'HTTP/1.0 closes',
    sent: 'HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n',
    expected: ['200 []', 'close'],
  },
  {
    name: 'HTTP/1.0 with keep-alive',
    sent: 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n',
    expected: ['200 []', 'reuse'],
  },
  { name: 'two digits', sent: 'HTTP/1.1 20 OK\r\n\r\n', expected: 'status-line' },
  { name: 'four digits', sent: 'HTTP/1.1 2000 OK\r\n\r\n', expected: 'status-line' },
  { name: 'a status below 100', sent: 'HTTP/1.1 099 OK\r\n\r\n', expected: 'status-line' },
  { name: 'a sign', sent: 'HTTP/1.1 +20 OK\r\n\r\n', expected: 'status-line' },
  { name: 'HTTP/1.2', sent: 'HTTP/1.2 200 OK\r\n\r\n', expected: 'status-line' },
  { name: 'HTTP/2', sent: 'HTTP/2 200\r\n\r\n', expected: 'status-line' },
  { name: 'two spaces', sent: 'HTTP/1.1  200 OK\r\n\r\n', expected: 'status-line' },
  {
    name: 'an empty line first',
    sent: `\r\n${ok('Content-Length: 0\r\n')}`,
    expected: 'status-line',
  },
  {
    name: 'a body without a head (HTTP/0.9)',
    sent: '<html>\r\n</html>\r\n',
    expected: 'status-line',
  },
  { name: 'NUL in the reason', sent: 'HTTP/1.1 200 O\0K\r\n\r\n', expected: 'status-line' },
  { name: 'a CR in the reason', sent: 'HTTP/1.1 200 O\rK\r\n\r\n', expected: 'status-line' },
  {
    name: 'a status line that ends in LF',
    sent: 'HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n',
    expected: 'line-ending',
  },
]

const fields: readonly ResponseCase[] = [
  { name: 'a space before the colon', sent: ok('X : v\r\n'), expected: 'header-name' },
  { name: 'obs-fold', sent: ok('X: a\r\n b\r\n'), expected: 'obs-fold' },
  { name: 'a control in a value', sent: ok('X: a\x01b\r\n'), expected: 'header-value' },
  { name: 'a bare CR in a value', sent: ok('X: a\rb\r\n'), expected: 'line-ending' },
  { name: 'a field that ends in LF', sent: ok('X: v\nY: w\r\n'), expected: 'line-ending' },
  { name: 'too many fields', sent: ok('X: v\r\n'.repeat(101)), expected: 'too-many-headers' },
  {
    name: 'a head beyond the limit',
    sent: ok(`X: ${'v'.repeat(9000)}\r\n`),
    expected: 'head-too-large',
  },
]

const framing: readonly ResponseCase[] = [
  {
    name: 'length and coding',
    sent: ok('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
    expected: 'content-length-and-transfer-encoding',
  },
  {
    name: 'two lengths',
    sent: ok('Content-Length: 5\r\nContent-Length: 5\r\n', 'hello'),
    expected: 'content-length-duplicate',
  },
  {
    name: 'a signed length',
    sent: ok('Content-Length: +5\r\n', 'hello'),
    expected: 'content-length',
  },
  { name: 'an empty length', sent: ok('Content-Length:\r\n'), expected: 'content-length' },
  {
    name: 'another coding',
    sent: ok('Transfer-Encoding: gzip\r\n'),
    expected: 'transfer-encoding-unsupported',
  },
  {
    name: 'gzip, chunked',
    sent: ok('Transfer-Encoding: gzip, chunked\r\n'),
    expected: 'transfer-encoding-unsupported',
  },
  {
    name: 'a coding from HTTP/1.0',
    sent: 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    expected: 'transfer-encoding-http10',
  },
  { name: 'chunks', sent: chunked('5\r\nhello\r\n0\r\n\r\n'), expected: ['200 [hello]', 'reuse'] },
  {
    name: 'chunks with a newline in an extension',
    sent: chunked('5;x\nhello\r\n0\r\n\r\n'),
    expected: 'chunk-extension',
  },
  { name: 'a bad chunk size', sent: chunked('5 \r\nhello\r\n0\r\n\r\n'), expected: 'chunk-size' },
  {
    name: 'chunks with trailers',
    sent: chunked('0\r\nX: v\r\n\r\n'),
    expected: ['200 []', 'reuse'],
  },
  {
    name: 'a body until the end',
    sent: ok('', 'hello'),
    ends: true,
    expected: ['200 [hello]', 'close'],
  },
  {
    name: 'a body until the end that has not come',
    sent: ok('', 'hello'),
    expected: ['200 [hello]', 'incomplete'],
  },
  {
    name: 'an end inside a body by length',
    sent: ok('Content-Length: 9\r\n', 'hello'),
    ends: true,
    expected: ['200 [hello]', 'incomplete'],
  },
  {
    name: 'an end inside chunks',
    sent: chunked('5\r\nhel'),
    ends: true,
    expected: ['200 [hel]', 'incomplete'],
  },
  {
    name: 'an end before the last chunk',
    sent: chunked('5\r\nhello\r\n'),
    ends: true,
    expected: ['200 [hello]', 'incomplete'],
  },
  {
    name: 'an end inside the head',
    sent: 'HTTP/1.1 200 OK\r\nX: v',
    ends: true,
    expected: ['incomplete'],
  },
  { name: 'an end before anything', sent: '', ends: true, expected: ['incomplete'] },
  {
    name: 'Connection: close',
    sent: ok('Connection: close\r\nContent-Length: 0\r\n'),
    expected: ['200 []', 'close'],
  },
  {
    name: 'bytes after a response',
    sent: ok('Content-Length: 2\r\n', 'hello'),
    expected: ['200 [he]', 'more'],
  },
  {
    name: 'a second response',
    sent: ok('Content-Length: 0\r\n') + ok('Content-Length: 0\r\n'),
    expected: ['200 []', 'more'],
  },
]

const statuses: readonly ResponseCase[] = [
  {
    name: 'HEAD has no body whatever its length says',
    method: 'HEAD',
    sent: ok('Content-Length: 5\r\n'),
    expected: ['200 []', 'reuse'],
  },
  {
    name: 'HEAD with a coding has no body',
    method: 'HEAD',
    sent: chunked(''),
    expected: ['200 []', 'reuse'],
  },
  {
    name: 'HEAD that is answered with a body',
    method: 'HEAD',
    sent: ok('Content-Length: 5\r\n', 'hello'),
    expected: ['200 []', 'more'],
  },
  {
    name: '204 has no body',
    sent: 'HTTP/1.1 204 No Content\r\n\r\n',
    expected: ['204 []', 'reuse'],
  },
  {
    name: '204 with a length',
    sent: 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n',
    expected: 'framing-not-allowed',
  },
  {
    name: '204 with a length of nothing',
    sent: 'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n',
    expected: ['204 []', 'reuse'],
  },
  {
    name: '204 in chunks',
    sent: 'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    expected: 'framing-not-allowed',
  },
  {
    name: 'an informational response with a length',
    sent: `HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n${ok('Content-Length: 0\r\n')}`,
    expected: 'framing-not-allowed',
  },
  {
    name: '304 with a length has no body',
    sent: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n',
    expected: ['304 []', 'reuse'],
  },
  {
    name: '100 before the response',
    sent: `HTTP/1.1 100 Continue\r\n\r\n${ok('Content-Length: 0\r\n')}`,
    expected: ['100', '200 []', 'reuse'],
  },
  {
    name: '103 with fields',
    sent: `HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${ok('Content-Length: 0\r\n')}`,
    expected: ['103', '200 []', 'reuse'],
  },
  {
    name: 'several informational responses',
    sent: `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n${ok('Content-Length: 0\r\n')}`,
    expected: ['100', '103', '200 []', 'reuse'],
  },
  {
    name: '101 that nobody asked for',
    sent: 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n',
    expected: 'status-101',
  },
  {
    name: '101 to an upgrade',
    upgrade: 'websocket',
    sent: 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x00',
    expected: ['101 [\x81\x00]', 'incomplete'],
  },
  {
    name: '101 without Upgrade',
    upgrade: 'websocket',
    sent: 'HTTP/1.1 101 Switching Protocols\r\n\r\n',
    expected: 'status-101',
  },
  {
    name: '200 to an upgrade is a plain response',
    upgrade: 'websocket',
    sent: ok('Content-Length: 2\r\n', 'no'),
    expected: ['200 [no]', 'reuse'],
  },
  {
    name: '200 to CONNECT opens a tunnel',
    method: 'CONNECT',
    sent: ok('', 'raw'),
    expected: ['200 [raw]', 'incomplete'],
  },
  {
    name: '403 to CONNECT is a plain response',
    method: 'CONNECT',
    sent: 'HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno',
    expected: ['403 [no]', 'reuse'],
  },
]

export const responseCases: readonly ResponseCase[] = [
  ...statusLines,
  ...fields,
  ...framing,
  ...statuses,
]
