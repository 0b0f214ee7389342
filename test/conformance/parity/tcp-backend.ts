/** A TCP server that says who it is: before all that it sends back, or at once. */
import { createServer as createHttp1, type IncomingMessage, type ServerResponse } from 'node:http'
import {
  createServer as createHttp2,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from 'node:http2'
import { type AddressInfo, createServer, type Socket } from 'node:net'

export interface TcpBackend extends AsyncDisposable {
  readonly name: string
  readonly port: number
}

/** `tunnel` and `refuse` answer a CONNECT first, as an HTTP proxy does. */
type Manner = 'echo' | 'greet' | 'tunnel' | 'refuse'

export async function openBackend(name: string, manner: Manner): Promise<TcpBackend> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    if (manner === 'greet') socket.write(`${name}: hello`)
    let isFirst = true
    let awaited = manner === 'tunnel' || manner === 'refuse' ? '' : undefined
    socket.on('data', (chunk: Buffer) => {
      if (awaited !== undefined) {
        awaited += chunk.toString('latin1')
        if (!awaited.includes('\r\n\r\n')) return
        const status = manner === 'tunnel' ? '200 OK' : '403 Forbidden'
        const said = manner === 'tunnel' ? awaited.split('\r\n')[0] : ''
        socket.write(`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 ${status}\r\n\r\n${said} `)
        awaited = undefined
        return
      }
      if (isFirst) socket.write(`${name}: `)
      isFirst = false
      socket.write(chunk)
    })
    socket.on('end', () => socket.end(' bye'))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo // of a server on an IP address
  return {
    name,
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/**
 * An HTTP server whose exchanges are tunnels: it says how it was asked, echoes the body, and says goodbye at its end. The
 * path may ask for something else.
 */
export async function openHttpBackend(name: string, version: 1 | 2): Promise<TcpBackend> {
  const sockets = new Set<Socket>()
  const server = version === 1 ? createHttp1(answerTunnel) : createHttp2(answerTunnel)
  // Node gives a CONNECT over HTTP/2 no request.
  server.on('connect', (request: Http2ServerRequest, response: Http2ServerResponse) =>
    answerTunnel(request, response),
  )
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo // of a server on an IP address
  return {
    name,
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function answerTunnel(
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse | Http2ServerResponse,
): void {
  const { method = '', url = '', headers } = request
  request.on('error', () => {})
  response.on('error', () => {})
  const statuses: Readonly<Record<string, number>> = { '/refuse': 403, '/created': 201 }
  response.statusCode = statuses[url] ?? 200
  if (url === '/empty') {
    response.setHeader('content-length', '0')
    response.end()
    return
  }
  const write = (chunk: string | Buffer): void => {
    // Both kinds of responses take it; their types have no signature in common.
    ;(response as ServerResponse).write(chunk)
  }
  const framing = headers['transfer-encoding'] ?? headers['content-length'] ?? ''
  const host = headers.host ?? headers[':authority'] ?? ''
  write(`${method} ${method === 'CONNECT' ? '' : url} ${String(host)} ${framing}: `)
  request.on('data', write)
  request.on('end', () => response.end(' bye'))
}
