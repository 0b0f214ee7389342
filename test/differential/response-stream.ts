/** What a client must read in the bytes that a proxy sent it: strict, and by nobody's parser but this one. */
import { hashOf } from './message.ts'

export interface ReadResponse {
  readonly status: number
  readonly bodyBytes: number
  readonly bodyHash: string
  readonly body: string
}

export interface ResponseStream {
  readonly responses: readonly ReadResponse[]
  /** Statuses in order, interim ones included. */
  readonly statuses: readonly number[]
  /** The last response is not there to its end. */
  readonly isCut: boolean
  /** What is no response, and yet was sent. */
  readonly problem?: string
}

/** `methods` are those of the requests, in order; `isClosed` says that nothing more will come. */
export function readResponses(
  bytes: Buffer,
  methods: readonly string[],
  isClosed: boolean,
): ResponseStream {
  const text = bytes.toString('latin1')
  const responses: ReadResponse[] = []
  const statuses: number[] = []
  let position = 0
  let isCut = false
  while (position < text.length && !isCut) {
    const head = readHead(text, position)
    if (typeof head === 'string') return { responses, statuses, isCut, problem: head }
    if (head === undefined) {
      isCut = true
      break
    }
    statuses.push(head.status)
    position = head.end
    if (head.status < 200 && head.status !== 101) continue
    const method = methods[responses.length]
    if (method === undefined) {
      return { responses, statuses, isCut, problem: 'a response to no request' }
    }
    const body = readBody(text, head, { method, isClosed })
    if (typeof body === 'string') return { responses, statuses, isCut, problem: body }
    if (body === undefined) {
      isCut = true
      break
    }
    position = body.end
    const octets = Buffer.from(body.text, 'latin1')
    responses.push({
      status: head.status,
      bodyBytes: octets.length,
      bodyHash: hashOf(octets),
      body: body.text,
    })
  }
  return { responses, statuses, isCut }
}

interface Head {
  readonly status: number
  readonly fields: readonly (readonly [string, string])[]
  readonly end: number
}

/** A string says what is wrong; undefined, that the head is not complete. */
function readHead(text: string, start: number): Head | string | undefined {
  const end = text.indexOf('\r\n\r\n', start)
  if (end === -1) return undefined
  const [first = '', ...lines] = text.slice(start, end).split('\r\n')
  const match = /^HTTP\/1\.[01] ([1-9]\d\d) [\t\x20-\x7e\x80-\xff]*$/.exec(first)
  if (match === null) return `no status line: ${JSON.stringify(first.slice(0, 60))}`
  const fields: (readonly [string, string])[] = []
  for (const line of lines) {
    const field = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*$/.exec(
      line,
    )
    if (field === null) return `no field: ${JSON.stringify(line.slice(0, 60))}`
    fields.push([(field[1] ?? '').toLowerCase(), field[2] ?? ''])
  }
  return { status: Number(match[1]), fields, end: end + 4 }
}

interface Body {
  readonly text: string
  readonly end: number
}

function readBody(
  text: string,
  head: Head,
  asked: { readonly method: string; readonly isClosed: boolean },
): Body | string | undefined {
  const values = (name: string) => head.fields.filter(([key]) => key === name).map(([, v]) => v)
  const lengths = values('content-length')
  const codings = values('transfer-encoding')
  if (lengths.length + codings.length > 1) return 'more than one framing of a response'
  const { end } = head
  if (hasNoBody(head.status, asked.method)) return { text: '', end }
  if (isTunnel(head.status, asked.method)) return { text: text.slice(end), end: text.length }
  if (codings.length === 1) return codings[0] === 'chunked' ? readChunks(text, end) : 'a coding'
  if (lengths.length === 0) {
    return asked.isClosed ? { text: text.slice(end), end: text.length } : undefined
  }
  if (!/^\d+$/.test(lengths[0] ?? '')) return 'a length that is no number'
  const length = Number(lengths[0])
  return text.length - end < length
    ? undefined
    : { text: text.slice(end, end + length), end: end + length }
}

function hasNoBody(status: number, method: string): boolean {
  return method === 'HEAD' || status === 204 || status === 304
}

function isTunnel(status: number, method: string): boolean {
  return status === 101 || (method === 'CONNECT' && status < 300)
}

function readChunks(text: string, start: number): Body | string | undefined {
  let body = ''
  let position = start
  for (;;) {
    const lineEnd = text.indexOf('\r\n', position)
    if (lineEnd === -1) return undefined
    const line = text.slice(position, lineEnd)
    if (!/^[0-9a-f]+$/.test(line)) return `no chunk size: ${JSON.stringify(line.slice(0, 60))}`
    const size = Number.parseInt(line, 16)
    position = lineEnd + 2
    if (size === 0) break
    if (text.length < position + size + 2) return undefined
    body += text.slice(position, position + size)
    if (text.slice(position + size, position + size + 2) !== '\r\n') return 'no end of a chunk'
    position += size + 2
  }
  // Trailer fields, up to the empty line.
  if (text.startsWith('\r\n', position)) return { text: body, end: position + 2 }
  const trailersEnd = text.indexOf('\r\n\r\n', position)
  return trailersEnd === -1 ? undefined : { text: body, end: trailersEnd + 4 }
}
