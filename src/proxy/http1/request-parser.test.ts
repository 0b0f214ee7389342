/** What the request parser reads in literal bytes, and that no split of them changes it. */
import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { test } from 'node:test'

import * as fc from 'fast-check'

import { requestCases } from '../../../test/support/http1-request-cases.ts'
import type { RequestHead } from '../http/message.ts'
import { HeaderNames } from './header-names.ts'
import type { Refusal } from './refusal.ts'
import { RequestParser, type RequestParserOptions } from './request-parser.ts'

const options: Omit<RequestParserOptions, 'names'> = {
  limits: { headBytesMax: 8192, headersCountMax: 100 },
  acceptsHttp10: false,
  allowsAbsoluteUrl: true,
  allowsChunkedLength: false,
  allowsCustomMethods: false,
  keepsTrailers: true,
  underscores: 'allow',
  defaultHostHttp10: undefined,
}

interface Read {
  readonly messages: readonly string[]
  readonly refusal: Refusal | undefined
  readonly heads: readonly RequestHead[]
}

/** Feeds the pieces as a connection would: message after message. */
function read(pieces: readonly Buffer[], changes: Partial<RequestParserOptions> = {}): Read {
  const messages: string[] = []
  const heads: RequestHead[] = []
  let refusal: Refusal | undefined
  let body = ''
  const parser = new RequestParser(
    { ...options, ...changes, names: new HeaderNames() },
    {
      onRequestHead: (head) => {
        heads.push(head)
        body = ''
      },
      onBody: (chunk) => {
        body += Buffer.from(chunk).toString('latin1')
      },
      onBodyEnd: () => {
        const head = heads.at(-1)
        messages.push(`${head?.method} ${head?.path} ${head?.authority} [${body}]`)
      },
      onRefused: (reason) => {
        refusal = reason
      },
    },
  )
  for (const piece of pieces) {
    let position = 0
    while (position < piece.length && parser.state !== 'refused') {
      if (parser.state === 'ended') parser.next()
      if (parser.state === 'held') break
      position = parser.feed(piece, position)
    }
  }
  return { messages, refusal, heads }
}

const whole = (text: string): Buffer[] => [Buffer.from(text, 'latin1')]
const byteWise = (text: string): Buffer[] =>
  Array.from(Buffer.from(text, 'latin1'), (octet) => Buffer.of(octet))

for (const { name, sent, expected } of requestCases) {
  test(`request: ${name}`, () => {
    const bytes = Buffer.from(sent, 'latin1')
    const result = read([bytes])
    if (typeof expected === 'string') assert.equal(result.refusal, expected)
    else {
      // What follows a message that was cut short by its own framing may be refused.
      assert.deepEqual(result.messages, expected)
    }
    const splits = bytes.length > 2000 ? [1, 7, bytes.length >> 1, bytes.length - 1] : bytes.keys()
    for (const at of splits) {
      const parted = read([bytes.subarray(0, at), bytes.subarray(at)])
      assert.deepEqual(
        [parted.messages, parted.refusal],
        [result.messages, result.refusal],
        `split at ${at}`,
      )
    }
    const single = read(byteWise(sent))
    assert.deepEqual(
      [single.messages, single.refusal],
      [result.messages, result.refusal],
      'byte by byte',
    )
  })
}

function headOf(text: string, changes: Partial<RequestParserOptions> = {}): RequestHead {
  const [head] = read(whole(text), changes).heads
  assert.ok(head, 'a head was read')
  return head
}

test('hop-by-hop fields do not reach the exchange', () => {
  const head = headOf(
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: 5\r\n' +
      'Proxy-Connection: x\r\nTE: gzip\r\nUpgrade: h2c\r\nX-Kept: 1\r\n\r\n',
  )
  assert.deepEqual(head.headers.fields, ['x-kept', '1'])
  assert.equal(head.upgrade, undefined)
})

test('Connection cannot remove what proxies own', () => {
  const head = headOf(
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Envoy-Internal, Authorization, x-request-id, close\r\n' +
      'X-Envoy-Internal: true\r\nAuthorization: x\r\nX-Request-Id: y\r\n\r\n',
  )
  assert.equal(head.headers.size, 3)
  assert.equal(head.wantsClose, true)
})

test('TE: trailers is the one value of TE that is forwarded', () => {
  const several = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: gzip, Trailers\r\n\r\n'
  assert.equal(headOf(several).headers.get('te'), 'trailers')
  assert.equal(
    headOf('GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n').headers.get('te'),
    'trailers',
  )
})

test('an upgrade stops the parser until it is known what follows', () => {
  const text = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n'
  const result = read(whole(`${text}GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n`))
  assert.equal(result.heads.length, 1)
  assert.equal(result.heads[0]?.upgrade, 'websocket')
  assert.deepEqual(result.messages, [])
})

test('of an upgrade with a body the body is read, and the next request behind it', () => {
  const asking = 'POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
  const next = 'GET /next HTTP/1.1\r\nHost: a\r\n\r\n'
  for (const body of [
    'Content-Length: 5\r\n\r\nhello',
    'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  ]) {
    const { heads } = read(whole(`${asking}${body}${next}`))
    assert.deepEqual(
      heads.map(({ path, upgrade }) => [path, upgrade]),
      [
        ['/', undefined],
        ['/next', undefined],
      ],
    )
  }
  const empty = read(whole(`${asking}Content-Length: 0\r\n\r\n`))
  assert.equal(empty.heads[0]?.upgrade, 'websocket')
})

test('Upgrade without Connection: upgrade is no upgrade', () => {
  assert.equal(headOf('GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n').upgrade, undefined)
})

test('CONNECT carries bytes, not a body', () => {
  const result = read(whole('CONNECT A:443 HTTP/1.1\r\nHost: b\r\n\r\n'))
  assert.equal(result.heads[0]?.authority, 'a:443')
  assert.equal(result.heads[0]?.bodyLength, 'until-end')
  const withLength = read(whole('CONNECT a:443 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n'))
  assert.equal(withLength.refusal, 'connect-body')
})

test('HTTP/1.0 is read when it is accepted, and closes unless it says otherwise', () => {
  const changes = { acceptsHttp10: true, defaultHostHttp10: 'fallback' }
  const head = headOf('GET / HTTP/1.0\r\n\r\n', changes)
  assert.deepEqual([head.protocol, head.wantsClose, head.authority], ['HTTP/1.0', true, 'fallback'])
  assert.equal(
    headOf('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', changes).wantsClose,
    false,
  )
  const chunked = read(whole('POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n'), changes)
  assert.equal(chunked.refusal, 'transfer-encoding-http10')
})

test('length beside chunked is dropped where the listener allows both', () => {
  const head = headOf(
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    { allowsChunkedLength: true },
  )
  assert.equal(head.headers.has('content-length'), false)
  assert.equal(head.bodyLength, 'until-end')
})

test('names with an underscore are refused or dropped where the listener says so', () => {
  const text = 'GET / HTTP/1.1\r\nHost: a\r\nX_Y: 1\r\n\r\n'
  assert.equal(read(whole(text), { underscores: 'reject' }).refusal, 'header-underscore')
  assert.equal(headOf(text, { underscores: 'drop' }).headers.size, 0)
})

test('methods of one’s own pass where the listener allows them', () => {
  assert.equal(
    headOf('BREW / HTTP/1.1\r\nHost: a\r\n\r\n', { allowsCustomMethods: true }).method,
    'BREW',
  )
})

test('a slow sender of one endless header does not make the parser quadratic', () => {
  const parser = read(
    [
      Buffer.from('GET / HTTP/1.1\r\nHost: a\r\nX: '),
      ...Array.from({ length: 60_000 }, () => Buffer.of(0x61)),
    ],
    { limits: { headBytesMax: 61_440, headersCountMax: 100 } },
  )
  assert.equal(parser.refusal, undefined)
})

/** Node's own parser behind one server: the messages that it reads on a connection, or that it refuses. */
async function startLlhttp() {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    async read(bytes: Buffer): Promise<readonly string[] | undefined> {
      const seen: string[] = []
      let isRefused = false
      const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
        let body = ''
        request.setEncoding('latin1')
        request.on('data', (chunk: string) => (body += chunk))
        request.on('end', () => {
          seen.push(`${request.method} ${request.url} [${body}]`)
          response.end()
        })
      }
      const onClientError = (_error: Error, socket: Duplex): void => {
        isRefused = true
        socket.destroy()
      }
      server.on('request', onRequest)
      server.on('clientError', onClientError)
      const socket = connect(port, '127.0.0.1')
      await new Promise<void>((resolve) => {
        socket.on('error', () => resolve())
        socket.on('close', () => resolve())
        socket.resume()
        socket.end(bytes)
      })
      server.off('request', onRequest)
      server.off('clientError', onClientError)
      return isRefused ? undefined : seen
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** A whole request, framed in one of the ways that there are. */
const message = fc
  .record({
    path: fc.constantFrom('/', '/1', '/a?b=c'),
    body: fc.constantFrom('', 'hello', '0\r\n\r\n', 'GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n'),
    framing: fc.constantFrom('length', 'chunks', 'chunks with extensions', 'chunks and trailers'),
    field: fc.constantFrom('', 'X: v\r\n', 'X:v \t\r\n', 'Connection: close\r\n', 'Y: w\r\n'),
  })
  .map(({ path, body, framing, field }) => {
    const start = `POST ${path} HTTP/1.1\r\nHost: a\r\n${field}`
    if (framing === 'length') return `${start}Content-Length: ${body.length}\r\n\r\n${body}`
    const extension = framing === 'chunks with extensions' ? ';a=b' : ''
    const trailers = framing === 'chunks and trailers' ? 'T: u\r\n' : ''
    const chunk = body === '' ? '' : `${body.length.toString(16)}${extension}\r\n${body}\r\n`
    return `${start}Transfer-Encoding: chunked\r\n\r\n${chunk}0\r\n${trailers}\r\n`
  })

/** What smugglers put in. */
const spice = fc.constantFrom(
  '\r',
  '\n',
  '\r\n',
  ' ',
  '\t',
  '\0',
  '\x0b',
  ':',
  ';',
  ',',
  '+',
  '0',
  '-',
  '_',
  '\xff',
  'Content-Length: 3\r\n',
  'Content-Length: 0\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: identity\r\n',
  ' Content-Length: 3\r\n',
  '\nTransfer-Encoding: chunked',
  '0\r\n\r\n',
  '0\n\n',
  '5;x\nhello',
)

test('what we read as messages, node’s own parser reads as the same messages', async () => {
  await using llhttp = await startLlhttp()
  let compared = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(message, { minLength: 1, maxLength: 3 }),
      fc.option(fc.tuple(spice, fc.nat({ max: 300 })), { freq: 4 }),
      async (messages, added) => {
        let text = messages.join('')
        if (added !== null) {
          const [what, where] = added
          text = text.slice(0, where % text.length) + what + text.slice(where % text.length)
        }
        const bytes = Buffer.from(text, 'latin1')
        const ours = read([bytes])
        // What we refuse is nobody's request: there is nothing to compare.
        if (ours.refusal !== undefined) return
        const theirs = await llhttp.read(bytes)
        if (theirs === undefined) return
        compared += 1
        const last = ours.heads.findIndex((head) => head.wantsClose)
        const own = ours.messages.slice(0, last === -1 ? undefined : last + 1)
        assert.deepEqual(
          theirs,
          own.map((read) => read.replace(/ \S+ \[/, ' [')),
          JSON.stringify(text),
        )
      },
    ),
    { numRuns: 600, seed: 7 },
  )
  assert.ok(compared > 100, `only ${compared} texts were read by both`)
})
