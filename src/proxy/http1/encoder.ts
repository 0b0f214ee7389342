/**
 * Heads as text for the wire. Framing headers are written from `bodyLength` alone: what a header list says
 * about lengths never frames a message that we send.
 */
import { spelledUpgrade, type RequestHead, type ResponseHead } from '../http/message.ts'

export interface ResponseFraming {
  /** Whether the client can read chunks: HTTP/1.1. */
  readonly isHttp11: boolean
  /** No body may follow whatever the head says: HEAD, 204, 304. */
  readonly hasNoBody: boolean
  /** What would follow is told all the same: in chunks, unless there is a length (as Envoy). */
  readonly isToHead: boolean
  readonly isLast: boolean
}

/** A request to an upstream, always HTTP/1.1; with its whole URL where the upstream wants it (RFC 9112 §3.2.2). */
export function encodeRequestHead(head: RequestHead, sendsUrl = false): string {
  const target = targetOf(head, sendsUrl)
  let text = `${head.method} ${target} HTTP/1.1\r\nhost: ${head.authority}\r\n`
  const { fields } = head.headers
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string // in bounds, as is the next one
    if (name !== 'content-length') text += line(name, fields[index + 1] as string)
  }
  if (head.method === 'CONNECT') return `${text}\r\n`
  if (head.upgrade !== undefined)
    return `${text}connection: upgrade\r\nupgrade: ${spelledUpgrade(head)}\r\n\r\n`
  if (head.bodyLength === 'until-end') return `${text}transfer-encoding: chunked\r\n\r\n`
  if (head.bodyLength !== 0 || needsLength(head)) {
    return `${text}content-length: ${head.bodyLength}\r\n\r\n`
  }
  return `${text}\r\n`
}

function targetOf(head: RequestHead, sendsUrl: boolean): string {
  if (head.method === 'CONNECT') return head.authority
  return sendsUrl ? `${head.scheme}://${head.authority}${head.path}` : head.path
}

/** RFC 9110 §8.6: methods that may carry content say so when they do not (Envoy `requestShouldHaveNoBody`). */
function needsLength(head: RequestHead): boolean {
  switch (head.method) {
    case 'GET':
    case 'HEAD':
    case 'DELETE':
    case 'TRACE':
      return head.headers.has('content-length')
    default:
      return true
  }
}

/** A response to a client. */
export function encodeResponseHead(head: ResponseHead, framing: ResponseFraming): string {
  let text = startLine(head.status, framing.isHttp11)
  const { fields } = head.headers
  const keepsLength = framing.hasNoBody && head.status !== 204
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string // in bounds, as is the next one
    if (name !== 'content-length' || keepsLength) text += line(name, fields[index + 1] as string)
  }
  text += framingLine(head, framing)
  if (framing.isLast) return `${text}connection: close\r\n\r\n`
  return framing.isHttp11 ? `${text}\r\n` : `${text}connection: keep-alive\r\n\r\n`
}

function framingLine(head: ResponseHead, framing: ResponseFraming): string {
  const inChunks = framing.isHttp11 ? 'transfer-encoding: chunked\r\n' : ''
  if (framing.isToHead) return isBodiless(head) ? '' : inChunks
  if (framing.hasNoBody) return ''
  return head.bodyLength === 'until-end' ? inChunks : `content-length: ${head.bodyLength}\r\n`
}

/** A response that has no body, or says how long it would be. */
function isBodiless({ status, headers }: ResponseHead): boolean {
  return status === 204 || status === 304 || headers.has('content-length')
}

/** 101, and the 2xx that accepts CONNECT: no framing at all. */
export function encodeTunnelHead(head: ResponseHead): string {
  let text = startLine(head.status, true)
  const { fields } = head.headers
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] as string // in bounds, as is the next one
    if (name !== 'content-length') text += line(name, fields[index + 1] as string)
  }
  return head.status === 101 ? `${text}connection: upgrade\r\n\r\n` : `${text}\r\n`
}

export function encodeInformationalHead(head: ResponseHead): string {
  let text = startLine(head.status, true)
  const { fields } = head.headers
  for (let index = 0; index < fields.length; index += 2)
    text += `${fields[index]}: ${fields[index + 1]}\r\n`
  return `${text}\r\n`
}

/** Trailer fields and the line that ends them, after the last chunk. */
export function encodeLastChunk(trailers: readonly string[] | undefined): string {
  if (trailers === undefined || trailers.length === 0) return '0\r\n\r\n'
  let text = '0\r\n'
  for (let index = 0; index < trailers.length; index += 2) {
    text += `${trailers[index]}: ${trailers[index + 1]}\r\n`
  }
  return `${text}\r\n`
}

/** Plain concatenation: a template would ask each part whether it is a string. */
function line(name: string, value: string): string {
  // oxlint-disable-next-line prefer-template
  return name + ': ' + value + '\r\n'
}

function startLine(status: number, isHttp11: boolean): string {
  const line = statusLines[status] ?? `HTTP/1.1 ${status} ${reasonPhrases[status] ?? 'Unknown'}\r\n`
  return isHttp11 ? line : line.replace('HTTP/1.1', 'HTTP/1.0')
}

const reasonPhrases: Readonly<Record<number, string>> = {
  100: 'Continue',
  101: 'Switching Protocols',
  102: 'Processing',
  103: 'Early Hints',
  104: 'Upload Resumption Supported',
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  203: 'Non-Authoritative Information',
  204: 'No Content',
  205: 'Reset Content',
  206: 'Partial Content',
  207: 'Multi-Status',
  208: 'Already Reported',
  226: 'IM Used',
  300: 'Multiple Choices',
  301: 'Moved Permanently',
  302: 'Found',
  303: 'See Other',
  304: 'Not Modified',
  305: 'Use Proxy',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  401: 'Unauthorized',
  402: 'Payment Required',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  407: 'Proxy Authentication Required',
  408: 'Request Timeout',
  409: 'Conflict',
  410: 'Gone',
  411: 'Length Required',
  412: 'Precondition Failed',
  413: 'Payload Too Large',
  414: 'URI Too Long',
  415: 'Unsupported Media Type',
  416: 'Range Not Satisfiable',
  417: 'Expectation Failed',
  418: "I'm a teapot",
  421: 'Misdirected Request',
  422: 'Unprocessable Entity',
  423: 'Locked',
  424: 'Failed Dependency',
  425: 'Too Early',
  426: 'Upgrade Required',
  428: 'Precondition Required',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  451: 'Unavailable For Legal Reasons',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
  506: 'Variant Also Negotiates',
  507: 'Insufficient Storage',
  508: 'Loop Detected',
  510: 'Not Extended',
  511: 'Network Authentication Required',
}

/** Sparse by status, made once. */
const statusLines: readonly (string | undefined)[] = Array.from({ length: 600 }, (_, status) =>
  reasonPhrases[status] === undefined
    ? undefined
    : `HTTP/1.1 ${status} ${reasonPhrases[status]}\r\n`,
)
