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
  const headers = lines.map((line) => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const
  })
  return { method, path, headers }
}

function readBody(head: Head, text: string): { body: string; after: string } | undefined {
  const value = (name: string) => head.headers.find(([key]) => key === name)?.[1]
  if (value('transfer-encoding') === 'chunked') {
    let body = ''
    let position = 0
    for (;;) {
      const lineEnd = text.indexOf('\r\n', position)
      if (lineEnd < 0) return undefined
      const size = Number.parseInt(text.slice(position, lineEnd), 16)
      const end = lineEnd + 2 + size + 2
      if (text.length < end) return undefined
      if (size === 0) return { body, after: text.slice(end) }
      body += text.slice(lineEnd + 2, lineEnd + 2 + size)
      position = end
    }
  }
  const length = Number(value('content-length') ?? 0)
  if (text.length < length) return undefined
  return { body: text.slice(0, length), after: text.slice(length) }
}

interface Scene {
  readonly name: string
  readonly seen: Map<string, number>
  readonly socket: Socket
}

function answer(scene: Scene, head: Head, body: string): void {
  const { socket } = scene
  const url = new URL(head.path, 'http://upstream')
  const action = url.searchParams.get('do') ?? ''
  const argument = Number(url.searchParams.get('n') ?? 0)
  switch (action) {
    case '':
      return echo(scene, head, body, 200)
    case 'status':
      return echo(scene, head, body, argument)
    case 'slow':
      setTimeout(() => echo(scene, head, body, 200), argument).unref()
      return undefined
    case 'flaky':
      return flaky(scene, head, body, argument)
    case 'close':
      socket.end()
      return undefined
    case 'reset':
      socket.resetAndDestroy()
      return undefined
    case 'garbage':
      socket.end('this is not HTTP\r\n\r\n')
      return undefined
    case 'huge':
      socket.end(`HTTP/1.1 200 OK\r\nx-huge: ${'h'.repeat(100_000)}\r\ncontent-length: 0\r\n\r\n`)
      return undefined
    case 'half':
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this')
      return undefined
    case 'chunked':
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n')
      socket.write('5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n')
      return undefined
    case 'until-close':
      socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nuntil the end')
      return undefined
    case 'server':
      socket.write(
        'HTTP/1.1 200 OK\r\nserver: mine\r\nx-a: 1\r\nx-a: 2\r\ncontent-length: 2\r\n\r\nok',
      )
      return undefined
    case 'bare':
      socket.write(`HTTP/1.1 ${argument} X\r\n\r\n`)
      return undefined
    case 'cl-te':
      socket.end(
        'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
      )
      return undefined
    case 'continue':
      socket.write('HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n')
      return echo(scene, head, body, 200)
    default:
      return echo(scene, head, `unknown action ${action}`, 500)
  }
}

/** 503 for the first `times` requests of a case, then 200. */
function flaky(scene: Scene, head: Head, body: string, times: number): void {
  const key = head.headers.find(([name]) => name === 'x-case')?.[1] ?? ''
  const count = (scene.seen.get(key) ?? 0) + 1
  scene.seen.set(key, count)
  echo(scene, head, body, count <= times ? 503 : 200)
}

// The parts of an answer read better in a row than as an object.
// oxlint-disable-next-line max-params
function echo(scene: Scene, head: Head, body: string, status: number): void {
  const json = JSON.stringify({
    upstream: scene.name,
    method: head.method,
    path: head.path,
    headers: head.headers,
    body: body.length > 200 ? `${body.length} bytes` : body,
  })
  const isBodiless = head.method === 'HEAD' || status === 204 || status === 304
  const length = status === 204 || status === 304 ? '' : `content-length: ${json.length}\r\n`
  scene.socket.write(
    `HTTP/1.1 ${status} Status\r\ncontent-type: application/json\r\n${length}x-upstream: ${scene.name}\r\n\r\n${isBodiless ? '' : json}`,
    'latin1',
  )
}
