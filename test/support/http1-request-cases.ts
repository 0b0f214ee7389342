/** Requests in literal bytes and what an HTTP/1.1 server must read in them: the parser's table of truth. */
import type { Refusal } from '../../src/proxy/http1/refusal.ts'

export interface RequestCase {
  readonly name: string
  readonly sent: string
  /** The refusal, or each message as `METHOD path authority [body]`. */
  readonly expected: Refusal | readonly string[]
}

const get = (fields: string): string => `GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`
const post = (fields: string, body = ''): string =>
  `POST / HTTP/1.1\r\nHost: a\r\n${fields}\r\n${body}`
const chunked = (body: string): string => post('Transfer-Encoding: chunked\r\n', body)
const line = (text: string): string => `${text}\r\nHost: a\r\n\r\n`
const field = (name: string, sent: string, expected: RequestCase['expected']): RequestCase => ({
  name,
  sent: get(sent),
  expected,
})
const one = ['GET / a []']
const hello = ['POST / a [hello]']

const startLines: readonly RequestCase[] = [
  { name: 'a plain request', sent: line('GET / HTTP/1.1'), expected: one },
  {
    name: 'a path with a query',
    sent: line('GET /x?y=1&z HTTP/1.1'),
    expected: ['GET /x?y=1&z a []'],
  },
  {
    name: 'an empty line before the request',
    sent: `\r\n${line('GET / HTTP/1.1')}`,
    expected: one,
  },
  {
    name: 'two empty lines before the request',
    sent: `\r\n\r\n${line('GET / HTTP/1.1')}`,
    expected: one,
  },
  {
    name: 'a bare line feed before the request',
    sent: `\n${line('GET / HTTP/1.1')}`,
    expected: 'line-ending',
  },
  { name: 'a space before the method', sent: line(' GET / HTTP/1.1'), expected: 'request-line' },
  { name: 'no version (HTTP/0.9)', sent: 'GET /\r\n\r\n', expected: 'version-unsupported' },
  { name: 'a method alone', sent: 'GET\r\n\r\n', expected: 'request-line' },
  { name: 'two spaces before the target', sent: line('GET  / HTTP/1.1'), expected: 'target' },
  { name: 'two spaces before the version', sent: line('GET /  HTTP/1.1'), expected: 'target' },
  { name: 'a space inside the target', sent: line('GET /a b HTTP/1.1'), expected: 'target' },
  { name: 'a space after the version', sent: line('GET / HTTP/1.1 '), expected: 'version' },
  { name: 'a tab as separator', sent: line('GET\t/\tHTTP/1.1'), expected: 'request-line' },
  { name: 'a lower-case method', sent: line('get / HTTP/1.1'), expected: 'method' },
  { name: 'an unknown method', sent: line('BREW / HTTP/1.1'), expected: 'method' },
  { name: 'a method with a control octet', sent: line('G\x01T / HTTP/1.1'), expected: 'method' },
  { name: 'a method with a colon', sent: line('GET: / HTTP/1.1'), expected: 'method' },
  { name: 'HTTP/1.2', sent: line('GET / HTTP/1.2'), expected: 'version-unsupported' },
  { name: 'HTTP/2.0', sent: line('GET / HTTP/2.0'), expected: 'version-unsupported' },
  { name: 'HTTP/1.10', sent: line('GET / HTTP/1.10'), expected: 'version' },
  { name: 'HTTP/01.1', sent: line('GET / HTTP/01.1'), expected: 'version' },
  { name: 'a lower-case protocol name', sent: line('GET / http/1.1'), expected: 'version' },
  { name: 'another protocol name', sent: line('GET / ICY/1.1'), expected: 'version' },
  {
    name: 'the preface of HTTP/2',
    sent: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    expected: 'http2-preface',
  },
  { name: 'HTTP/1.0', sent: line('GET / HTTP/1.0'), expected: 'http10-not-accepted' },
  {
    name: 'the first bytes of TLS',
    sent: '\x16\x03\x01\x02\x00\x01\x00',
    expected: 'request-line',
  },
  {
    name: 'a request line that ends in LF',
    sent: 'GET / HTTP/1.1\nHost: a\r\n\r\n',
    expected: 'line-ending',
  },
  { name: 'a CR inside the request line', sent: line('GET /\r HTTP/1.1'), expected: 'target' },
  { name: 'NUL in the target', sent: line('GET /\0 HTTP/1.1'), expected: 'target' },
  { name: 'DEL in the target', sent: line('GET /\x7f HTTP/1.1'), expected: 'target' },
  { name: 'non-ASCII in the target', sent: line('GET /\xe9 HTTP/1.1'), expected: 'target' },
  {
    name: 'a fragment in the target, which the exchange refuses',
    sent: line('GET /a#b HTTP/1.1'),
    expected: ['GET /a#b a []'],
  },
  { name: 'a target without a slash', sent: line('GET a HTTP/1.1'), expected: 'target' },
  { name: 'absolute form', sent: line('GET http://b/x HTTP/1.1'), expected: ['GET /x b []'] },
  {
    name: 'absolute form wins over Host',
    sent: 'GET http://b:81/ HTTP/1.1\r\nHost: c\r\n\r\n',
    expected: ['GET / b:81 []'],
  },
  {
    name: 'absolute form without a path',
    sent: line('GET http://b HTTP/1.1'),
    expected: ['GET / b []'],
  },
  {
    name: 'absolute form with a query alone',
    sent: line('GET http://b?q HTTP/1.1'),
    expected: ['GET /?q b []'],
  },
  {
    name: 'absolute form in upper case',
    sent: line('GET HTTP://B/X HTTP/1.1'),
    expected: ['GET /X b []'],
  },
  { name: 'absolute form without a host', sent: line('GET http:/// HTTP/1.1'), expected: 'target' },
  {
    name: 'absolute form with user info',
    sent: line('GET http://u@b/ HTTP/1.1'),
    expected: 'target',
  },
  {
    name: 'absolute form of another scheme',
    sent: line('GET ftp://b/ HTTP/1.1'),
    expected: 'target',
  },
  {
    name: 'absolute form without Host',
    sent: 'GET http://b/ HTTP/1.1\r\n\r\n',
    expected: ['GET / b []'],
  },
  { name: 'asterisk form', sent: line('OPTIONS * HTTP/1.1'), expected: ['OPTIONS * a []'] },
  { name: 'asterisk form of GET', sent: line('GET * HTTP/1.1'), expected: 'target' },
  { name: 'CONNECT to a path', sent: line('CONNECT / HTTP/1.1'), expected: 'target' },
  { name: 'CONNECT without a port', sent: line('CONNECT a HTTP/1.1'), expected: 'target' },
  { name: 'authority form of GET', sent: line('GET a:80 HTTP/1.1'), expected: 'target' },
]

const hosts: readonly RequestCase[] = [
  { name: 'no Host', sent: 'GET / HTTP/1.1\r\n\r\n', expected: 'host-missing' },
  { name: 'an empty Host', sent: 'GET / HTTP/1.1\r\nHost:\r\n\r\n', expected: 'host-missing' },
  { name: 'a blank Host', sent: 'GET / HTTP/1.1\r\nHost:  \r\n\r\n', expected: 'host-missing' },
  { name: 'two Hosts', sent: get('Host: b\r\n'), expected: 'host-duplicate' },
  { name: 'two equal Hosts', sent: get('Host: a\r\n'), expected: 'host-duplicate' },
  {
    name: 'a Host in upper case',
    sent: 'GET / HTTP/1.1\r\nHOST: Shop.Example\r\n\r\n',
    expected: ['GET / shop.example []'],
  },
  {
    name: 'a Host with a port',
    sent: 'GET / HTTP/1.1\r\nHost: a:8080\r\n\r\n',
    expected: ['GET / a:8080 []'],
  },
  {
    name: 'an IPv6 Host',
    sent: 'GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n',
    expected: ['GET / [::1]:80 []'],
  },
  {
    name: 'a Host with a space',
    sent: 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n',
    expected: 'host-invalid',
  },
  {
    name: 'a Host with a slash',
    sent: 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n',
    expected: 'host-invalid',
  },
  {
    name: 'a Host with user info',
    sent: 'GET / HTTP/1.1\r\nHost: u@a\r\n\r\n',
    expected: 'host-invalid',
  },
  {
    name: 'a Host with a comma list',
    sent: 'GET / HTTP/1.1\r\nHost: a, b\r\n\r\n',
    expected: 'host-invalid',
  },
  {
    name: 'a Host with a bad port',
    sent: 'GET / HTTP/1.1\r\nHost: a:x\r\n\r\n',
    expected: 'host-invalid',
  },
  {
    name: 'a Host with a fragment',
    sent: 'GET / HTTP/1.1\r\nHost: a#b\r\n\r\n',
    expected: 'host-invalid',
  },
  {
    name: 'a Host with non-ASCII',
    sent: 'GET / HTTP/1.1\r\nHost: caf\xe9\r\n\r\n',
    expected: 'host-invalid',
  },
]

const fields: readonly RequestCase[] = [
  field('an empty value', 'X:\r\n', one),
  field('white space around a value', 'X: \t v \t\r\n', one),
  field('obs-text in a value', 'X: caf\xe9\r\n', one),
  field('a tab inside a value', 'X: a\tb\r\n', one),
  field('a space before the colon', 'X : v\r\n', 'header-name'),
  field('a tab before the colon', 'X\t: v\r\n', 'header-name'),
  field('a space inside a name', 'X Y: v\r\n', 'header-name'),
  field('no colon', 'X\r\n', 'header-name'),
  field('an empty name', ': v\r\n', 'header-name'),
  field('NUL in a name', 'X\0: v\r\n', 'header-name'),
  field('non-ASCII in a name', 'X\xe9: v\r\n', 'header-name'),
  field('a CR in a name', 'X\r: v\r\n', 'header-name'),
  field('a bracket in a name', 'X(): v\r\n', 'header-name'),
  field('NUL in a value', 'X: a\0b\r\n', 'header-value'),
  field('a bell in a value', 'X: a\x07b\r\n', 'header-value'),
  field('DEL in a value', 'X: a\x7fb\r\n', 'header-value'),
  field('an escape in a value', 'X: \x1b[0m\r\n', 'header-value'),
  field('a bare CR in a value', 'X: a\rb\r\n', 'line-ending'),
  field('a bare CR that hides a header', 'X: a\rTransfer-Encoding: chunked\r\n', 'line-ending'),
  field('a field that ends in LF', 'X: v\nY: w\r\n', 'line-ending'),
  field('a field that ends in CR CR LF', 'X: v\r\r\n', 'line-ending'),
  field('obs-fold with a space', 'X: a\r\n b\r\n', 'obs-fold'),
  field('obs-fold with a tab', 'X: a\r\n\tb\r\n', 'obs-fold'),
  {
    name: 'a fold before the first field',
    sent: 'GET / HTTP/1.1\r\n Host: a\r\n\r\n',
    expected: 'obs-fold',
  },
  {
    name: 'a head that ends in LF',
    sent: 'GET / HTTP/1.1\r\nHost: a\r\n\n',
    expected: 'line-ending',
  },
  field('a name that objects inherit', '__proto__: v\r\nconstructor: w\r\n', one),
  field('exactly the greatest number of fields', 'X: v\r\n'.repeat(99), one),
  field('one field too many', 'X: v\r\n'.repeat(100), 'too-many-headers'),
  field('a head as large as it may be', `X: ${'v'.repeat(8192 - 32)}\r\n`, one),
  field('a head one byte too large', `X: ${'v'.repeat(8192 - 31)}\r\n`, 'head-too-large'),
  {
    name: 'a target beyond the limit',
    sent: line(`GET /${'a'.repeat(8192)} HTTP/1.1`),
    expected: 'target-too-large',
  },
]

const connections: readonly RequestCase[] = [
  field(
    'Connection names where the request came from',
    'Connection: X-Forwarded-For\r\n',
    'connection',
  ),
  field('Connection names a pseudo field', 'Connection: close, :path\r\n', 'connection'),
  field('Connection names nine things', 'Connection: a,b,c,d,e,f,g,h,i\r\n', one),
  field('Connection names ten things', 'Connection: a,b,c,d,e,f,g,h,i,j\r\n', 'connection'),
  field('Connection names itself', 'Connection: connection, close\r\n', one),
]

const lengths: readonly RequestCase[] = [
  { name: 'a body by length', sent: post('Content-Length: 5\r\n', 'hello'), expected: hello },
  { name: 'a length of zero', sent: post('Content-Length: 0\r\n'), expected: ['POST / a []'] },
  {
    name: 'a length with leading zeros',
    sent: post('Content-Length: 005\r\n', 'hello'),
    expected: hello,
  },
  { name: 'no length and no coding', sent: post(''), expected: ['POST / a []'] },
  { name: 'an empty length', sent: post('Content-Length:\r\n'), expected: 'content-length' },
  {
    name: 'a plus sign',
    sent: post('Content-Length: +5\r\n', 'hello'),
    expected: 'content-length',
  },
  {
    name: 'a minus sign',
    sent: post('Content-Length: -5\r\n', 'hello'),
    expected: 'content-length',
  },
  {
    name: 'a hexadecimal length',
    sent: post('Content-Length: 0x5\r\n', 'hello'),
    expected: 'content-length',
  },
  {
    name: 'a fraction',
    sent: post('Content-Length: 5.0\r\n', 'hello'),
    expected: 'content-length',
  },
  {
    name: 'a space inside a length',
    sent: post('Content-Length: 5 5\r\n', 'hello'),
    expected: 'content-length',
  },
  {
    name: 'a list of equal lengths',
    sent: post('Content-Length: 5, 5\r\n', 'hello'),
    expected: 'content-length',
  },
  {
    name: 'a length beyond 2^53',
    sent: post('Content-Length: 99999999999999999999\r\n'),
    expected: 'content-length',
  },
  {
    name: 'a length that wraps 64 bits',
    sent: post('Content-Length: 18446744073709551621\r\n', 'hello'),
    expected: 'content-length',
  },
  {
    name: 'two equal lengths',
    sent: post('Content-Length: 5\r\nContent-Length: 5\r\n', 'hello'),
    expected: 'content-length-duplicate',
  },
  {
    name: 'two different lengths',
    sent: post('Content-Length: 5\r\nContent-Length: 6\r\n', 'hello'),
    expected: 'content-length-duplicate',
  },
  {
    name: 'a length hidden by an underscore',
    sent: post('Content_Length: 5\r\n'),
    expected: ['POST / a []'],
  },
  {
    name: 'length and coding',
    sent: post('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
    expected: 'content-length-and-transfer-encoding',
  },
  {
    name: 'coding and length',
    sent: post('Transfer-Encoding: chunked\r\nContent-Length: 5\r\n', '0\r\n\r\n'),
    expected: 'content-length-and-transfer-encoding',
  },
  {
    name: 'a length and a coding that nobody knows',
    sent: post('Transfer-Encoding: identity\r\nContent-Length: 5\r\n', 'hello'),
    expected: 'content-length-and-transfer-encoding',
  },
  {
    name: 'a length of zero and a coding',
    sent: post('Content-Length: 0\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
    expected: 'content-length-and-transfer-encoding',
  },
]

const codings: readonly RequestCase[] = [
  {
    name: 'a coding in upper case',
    sent: post('Transfer-Encoding: CHUNKED\r\n', '0\r\n\r\n'),
    expected: ['POST / a []'],
  },
  {
    name: 'another coding',
    sent: post('Transfer-Encoding: gzip\r\n'),
    expected: 'transfer-encoding-unsupported',
  },
  {
    name: 'identity',
    sent: post('Transfer-Encoding: identity\r\n'),
    expected: 'transfer-encoding-unsupported',
  },
  {
    name: 'a coding before chunked',
    sent: post('Transfer-Encoding: gzip, chunked\r\n'),
    expected: 'transfer-encoding-unsupported',
  },
  {
    name: 'chunked before a coding',
    sent: post('Transfer-Encoding: chunked, gzip\r\n'),
    expected: 'transfer-encoding-unsupported',
  },
  {
    name: 'chunked twice',
    sent: post('Transfer-Encoding: chunked, chunked\r\n'),
    expected: 'transfer-encoding-unsupported',
  },
  {
    name: 'chunked with a parameter',
    sent: post('Transfer-Encoding: chunked;a=b\r\n'),
    expected: 'transfer-encoding-unsupported',
  },
  {
    name: 'a coding that ends in chunked',
    sent: post('Transfer-Encoding: xchunked\r\n'),
    expected: 'transfer-encoding-unsupported',
  },
  { name: 'an empty coding', sent: post('Transfer-Encoding:\r\n'), expected: 'transfer-encoding' },
  {
    name: 'a comma before chunked',
    sent: post('Transfer-Encoding: , chunked\r\n'),
    expected: 'transfer-encoding',
  },
  {
    name: 'a comma after chunked',
    sent: post('Transfer-Encoding: chunked,\r\n'),
    expected: 'transfer-encoding',
  },
  {
    name: 'a quoted coding',
    sent: post('Transfer-Encoding: "chunked"\r\n'),
    expected: 'transfer-encoding',
  },
  {
    name: 'a vertical tab before chunked',
    sent: post('Transfer-Encoding: \x0bchunked\r\n'),
    expected: 'header-value',
  },
  {
    name: 'two coding fields',
    sent: post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n'),
    expected: 'transfer-encoding',
  },
  {
    name: 'identity beside chunked',
    sent: post('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n'),
    expected: 'transfer-encoding',
  },
]

const chunks: readonly RequestCase[] = [
  { name: 'one chunk', sent: chunked('5\r\nhello\r\n0\r\n\r\n'), expected: hello },
  { name: 'several chunks', sent: chunked('2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n'), expected: hello },
  {
    name: 'upper-case hexadecimal',
    sent: chunked(`A\r\n0123456789\r\n0\r\n\r\n`),
    expected: ['POST / a [0123456789]'],
  },
  { name: 'leading zeros', sent: chunked('005\r\nhello\r\n000\r\n\r\n'), expected: hello },
  {
    name: 'data that looks like a chunk',
    sent: chunked('5\r\n0\r\n\r\n\r\n0\r\n\r\n'),
    expected: ['POST / a [0\r\n\r\n]'],
  },
  { name: 'an extension', sent: chunked('5;name=value\r\nhello\r\n0;x\r\n\r\n'), expected: hello },
  { name: 'a quoted extension', sent: chunked('5;a="b;c"\r\nhello\r\n0\r\n\r\n'), expected: hello },
  { name: 'trailers', sent: chunked('5\r\nhello\r\n0\r\nX: v\r\n\r\n'), expected: hello },
  { name: 'an empty size', sent: chunked('\r\nhello\r\n0\r\n\r\n'), expected: 'chunk-size' },
  { name: 'a signed size', sent: chunked('+5\r\nhello\r\n0\r\n\r\n'), expected: 'chunk-size' },
  { name: 'a negative size', sent: chunked('-5\r\nhello\r\n0\r\n\r\n'), expected: 'chunk-size' },
  { name: 'a size with 0x', sent: chunked('0x5\r\nhello\r\n0\r\n\r\n'), expected: 'chunk-size' },
  {
    name: 'a size that is no number',
    sent: chunked('g\r\nhello\r\n0\r\n\r\n'),
    expected: 'chunk-size',
  },
  {
    name: 'a space before a size',
    sent: chunked(' 5\r\nhello\r\n0\r\n\r\n'),
    expected: 'chunk-size',
  },
  {
    name: 'a space after a size',
    sent: chunked('5 \r\nhello\r\n0\r\n\r\n'),
    expected: 'chunk-size',
  },
  {
    name: 'an underscore in a size',
    sent: chunked('1_0\r\nhello\r\n0\r\n\r\n'),
    expected: 'chunk-size',
  },
  { name: 'a size beyond 2^52', sent: chunked('ffffffffffffff\r\n'), expected: 'chunk-size' },
  {
    name: 'a size that wraps 64 bits',
    sent: chunked('10000000000000005\r\nhello\r\n0\r\n\r\n'),
    expected: 'chunk-size',
  },
  { name: 'LF after a size', sent: chunked('5\nhello\r\n0\r\n\r\n'), expected: 'chunk-size' },
  {
    name: 'LF after an extension',
    sent: chunked('5;x\nhello\r\n0\r\n\r\n'),
    expected: 'chunk-extension',
  },
  {
    name: 'a bare CR in an extension',
    sent: chunked('5;x\rhello\r\n0\r\n\r\n'),
    expected: 'chunk-ending',
  },
  {
    name: 'NUL in an extension',
    sent: chunked('5;\0\r\nhello\r\n0\r\n\r\n'),
    expected: 'chunk-extension',
  },
  {
    name: 'extensions beyond the limit',
    sent: chunked(`5;${'x'.repeat(5000)}\r\nhello\r\n0\r\n\r\n`),
    expected: 'chunk-extension',
  },
  { name: 'LF after data', sent: chunked('5\r\nhello\n0\r\n\r\n'), expected: 'chunk-ending' },
  {
    name: 'no line end after data',
    sent: chunked('5\r\nhello0\r\n\r\n'),
    expected: 'chunk-ending',
  },
  {
    name: 'data longer than its size',
    sent: chunked('4\r\nhello\r\n0\r\n\r\n'),
    expected: 'chunk-ending',
  },
  { name: 'CR X after data', sent: chunked('5\r\nhello\rX0\r\n\r\n'), expected: 'chunk-ending' },
  {
    name: 'a trailer with a space before its colon',
    sent: chunked('0\r\nX : v\r\n\r\n'),
    expected: 'header-name',
  },
  { name: 'a folded trailer', sent: chunked('0\r\nX: v\r\n w\r\n\r\n'), expected: 'obs-fold' },
  { name: 'a trailer that ends in LF', sent: chunked('0\r\nX: v\n\r\n'), expected: 'line-ending' },
  {
    name: 'trailers beyond the limit',
    sent: chunked(`0\r\nX: ${'v'.repeat(9000)}\r\n\r\n`),
    expected: 'trailers-too-large',
  },
]

const sequences: readonly RequestCase[] = [
  {
    name: 'two requests in one go',
    sent: get('') + get(''),
    expected: ['GET / a []', 'GET / a []'],
  },
  {
    name: 'a request behind a body',
    sent: post('Content-Length: 5\r\n', 'hello') + get(''),
    expected: ['POST / a [hello]', 'GET / a []'],
  },
  {
    name: 'a request behind chunks',
    sent: chunked('5\r\nhello\r\n0\r\n\r\n') + get(''),
    expected: ['POST / a [hello]', 'GET / a []'],
  },
  {
    name: 'a request behind trailers',
    sent: chunked('0\r\nX: v\r\n\r\n') + get(''),
    expected: ['POST / a []', 'GET / a []'],
  },
  {
    name: 'an empty line between requests',
    sent: `${post('Content-Length: 5\r\n', 'hello')}\r\n${get('')}`,
    expected: ['POST / a [hello]', 'GET / a []'],
  },
  {
    name: 'a GET with a body',
    sent: get('Content-Length: 3\r\n') + 'abc' + get(''),
    expected: ['GET / a [abc]', 'GET / a []'],
  },
  {
    name: 'a body longer than its length',
    sent: post('Content-Length: 4\r\n', 'hello'),
    expected: ['POST / a [hell]'],
  },
  {
    name: 'a good request, then a bad one',
    sent: get('') + line('get / HTTP/1.1'),
    expected: 'method',
  },
  {
    name: 'a hidden request in a length conflict',
    sent: `${post('Content-Length: 6\r\nContent-Length: 0\r\n', '0\r\n\r\nG')}${get('')}`,
    expected: 'content-length-duplicate',
  },
]

export const requestCases: readonly RequestCase[] = [
  ...startLines,
  ...hosts,
  ...fields,
  ...connections,
  ...lengths,
  ...codings,
  ...chunks,
  ...sequences,
]
