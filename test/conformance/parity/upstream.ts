/**
 * The upstreams of the parity test: HTTP/1.1 servers that say what they were asked, and misbehave when the path says so.
 * Behaviour depends on the request alone, apart from `/flaky`, which counts by the request's `x-case`.
 */
import { type Socket, createServer } from 'node:net'

export interface Upstream extends AsyncDisposable {
  readonly name: string
  readonly port: number
  /** Forgets what `/flaky` has counted. */
  reset(): void
}

interface Head {
  readonly method: string
  readonly path: string
  readonly headers: readonly (readonly [string, string])[]
  /** As they were spelt. */
  readonly names: readonly string[]
}

export async function openUpstream(name: string): Promise<Upstream> {
  const seen = new Map<string, number>()
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    serve(socket, (head, body) => answer({ name, seen, socket }, head, body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    name,
    port: typeof address === 'object' && address !== null ? address.port : 0,
    reset: () => seen.clear(),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

/** Reads one request after the other; bodies with a length or in chunks. */
function serve(socket: Socket, onRequest: (head: Head, body: string) => void): void {
  let buffer = ''
  socket.setEncoding('latin1')
  socket.on('data', (chunk: string) => {
    buffer += chunk
    for (;;) {
      const end = buffer.indexOf('\r\n\r\n')
      if (end < 0) return
      const head = parseHead(buffer.slice(0, end))
      const rest = readBody(head, buffer.slice(end + 4))
      if (rest === undefined) return
      buffer = rest.after
      onRequest(head, rest.body)
    }
  })
}

function parseHead(text: string): Head {
  const [first = '', ...lines] = text.split('\r\n')
  const [method = '', path = ''] = first.split(' ')
  const names = lines.map((line) => line.slice(0, line.indexOf(':'))).sort()
  const headers = lines.map((line) => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const
  })
  return { method, path, headers, names }
}

interface ReadBody {
  readonly body: string
  readonly after: string
}

function readBody(head: Head, text: string): ReadBody | undefined {
  const value = (name: string) => head.headers.find(([key]) => key === name)?.[1]
  if (value('transfer-encoding') === 'chunked') {
    let body = ''
    let position = 0
    for (;;) {
      const lineEnd = text.indexOf('\r\n', position)
      if (lineEnd < 0) return undefined
      const size = Number.parseInt(text.slice(position, lineEnd), 16)
      if (size === 0) {
        return afterLastChunk(text, lineEnd, body)
      }
      const end = lineEnd + 2 + size + 2
      if (text.length < end) return undefined
      body += text.slice(lineEnd + 2, lineEnd + 2 + size)
      position = end
    }
  }
  const length = Number(value('content-length') ?? 0)
  if (text.length < length) return undefined
  return { body: text.slice(0, length), after: text.slice(length) }
}

/** Trailer fields, which may come before the empty line, are told behind the body. */
function afterLastChunk(text: string, lineEnd: number, body: string): ReadBody | undefined {
  const last = text.indexOf('\r\n\r\n', lineEnd)
  if (last < 0) return undefined
  const trailers = text.slice(lineEnd + 2, last + 2)
  return { body: trailers === '' ? body : `${body}|${trailers}`, after: text.slice(last + 4) }
}

interface Scene {
  readonly name: string
  readonly seen: Map<string, number>
  readonly socket: Socket
}

interface Exchange {
  readonly head: Head
  readonly body: string
  /** The number that the path gives to the action. */
  readonly number: number
}

type Action = (scene: Scene, exchange: Exchange) => void

/** What `?do=` asks for. */
const actions: Readonly<Record<string, Action>> = {
  echo: (scene, exchange) => echo(scene, exchange, 200),
  status: (scene, exchange) => echo(scene, exchange, exchange.number),
  slow: (scene, exchange) => {
    setTimeout(() => echo(scene, exchange, 200), exchange.number).unref()
  },
  flaky: (scene, exchange) => {
    const key = exchange.head.headers.find(([name]) => name === 'x-case')?.[1] ?? ''
    const count = (scene.seen.get(key) ?? 0) + 1
    scene.seen.set(key, count)
    echo(scene, exchange, count <= exchange.number ? 503 : 200)
  },
  // Whatever the request wants, in base64.
  told: ({ socket }, { head }) => {
    const answer = head.headers.find(([name]) => name === 'x-answer')?.[1] ?? ''
    socket.write(Buffer.from(answer, 'base64'))
  },
  close: ({ socket }) => socket.end(),
  reset: ({ socket }) => socket.resetAndDestroy(),
  continue: (scene, exchange) => {
    scene.socket.write('HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n')
    echo(scene, exchange, 200)
  },
  'continue-body': (scene, exchange) => {
    scene.socket.write('HTTP/1.1 100 Continue\r\n\r\n')
    echo(scene, exchange, 200)
  },
  stall: sends('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this'),
  switch: sends(
    'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nx-switched: yes\r\n\r\n',
  ),
  'half-head': endsWith('HTTP/1.1 200 OK\r\nx-half: 1'),
  'half-reset': ({ socket }) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this')
    setTimeout(() => socket.resetAndDestroy(), 30).unref()
  },
  'bad-chunk': sends('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n'),
  grpc: ({ socket }, { number }) =>
    socket.write(
      `HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: ${number}\r\ncontent-length: 0\r\n\r\n`,
    ),
  bare: ({ socket }, { number }) => socket.write(`HTTP/1.1 ${number} X\r\n\r\n`),
  spelt: sends(
    'HTTP/1.1 200 OK\r\nX-UPPER-name: 1\r\nx-lower: 2\r\nX-Mixed-CASE: 3\r\nContent-LENGTH: 2\r\n\r\nok',
  ),
  many: sends(`HTTP/1.1 200 OK\r\na: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\ncontent-length: 0\r\n\r\n`),
  trailers: sends(
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-t: 1\r\n\r\n',
  ),
  'grpc-trailers': sends(
    'HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n5\r\n\0\0\0\0\0\r\n0\r\ngrpc-status: 5\r\ngrpc-message: not%20here\r\nx-t: 1\r\n\r\n',
  ),
  large: ({ socket }, { number }) =>
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${number}\r\n\r\n${'l'.repeat(number)}`),
  server: sends(
    'HTTP/1.1 200 OK\r\nserver: mine\r\nx-a: 1\r\nx-a: 2\r\ncontent-length: 2\r\n\r\nok',
  ),
  chunked: sends(
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n',
  ),
  garbage: endsWith('this is not HTTP\r\n\r\n'),
  huge: endsWith(`HTTP/1.1 200 OK\r\nx-huge: ${'h'.repeat(100_000)}\r\ncontent-length: 0\r\n\r\n`),
  half: endsWith('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this'),
  'until-close': endsWith('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nuntil the end'),
  'cl-te': endsWith(
    'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  ),
}

function answer(scene: Scene, head: Head, body: string): void {
  const url = new URL(head.path, 'http://upstream')
  const action = actions[url.searchParams.get('do') ?? 'echo'] ?? actions['echo']
  action?.(scene, { head, body, number: Number(url.searchParams.get('n') ?? 0) })
}

function sends(bytes: string): Action {
  return ({ socket }) => socket.write(bytes)
}

function endsWith(bytes: string): Action {
  return ({ socket }) => socket.end(bytes)
}

function echo(scene: Scene, exchange: Exchange, status: number): void {
  const { head, body } = exchange
  const json = JSON.stringify({
    upstream: scene.name,
    method: head.method,
    path: head.path,
    headers: head.headers,
    names: head.names,
    body: body.length > 200 ? `${body.length} bytes` : body,
  })
  const isBodiless = head.method === 'HEAD' || status === 204 || status === 304
  const length = status === 204 || status === 304 ? '' : `content-length: ${json.length}\r\n`
  scene.socket.write(
    `HTTP/1.1 ${status} Status\r\ncontent-type: application/json\r\n${length}x-upstream: ${scene.name}\r\n\r\n${isBodiless ? '' : json}`,
    'latin1',
  )
}
