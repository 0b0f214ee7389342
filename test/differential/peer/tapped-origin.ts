/** An origin behind real sockets that answers as the case says, and keeps what it was sent on each connection. */
import { createServer as createHttpServer, type IncomingMessage } from 'node:http'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { Duplex } from 'node:stream'

import { hashOf, type ReadMessage } from '../message.ts'

export interface TappedConnection {
  readonly received: () => Buffer
  /** What Node's parser read in it. */
  readonly messages: readonly ReadMessage[]
  readonly begun: readonly ReadMessage[]
}

export interface TappedOrigin extends AsyncDisposable {
  readonly port: number
  readonly connections: readonly TappedConnection[]
}

/** Reads requests by llhttp and answers each with `ok`. */
export async function openReadingOrigin(): Promise<TappedOrigin> {
  const http = createHttpServer()
  const byStream = new Map<object, Tap>()
  http.on('request', (request: IncomingMessage, response) => {
    const tap = byStream.get(request.socket)
    const { method = '', url = '', headers } = request
    const head = { method, target: url, host: headers.host ?? '', bodyBytes: -1 }
    tap?.begun.push(head)
    const body: Buffer[] = []
    request.on('data', (chunk: Buffer) => body.push(chunk))
    request.on('end', () => {
      const bytes = Buffer.concat(body)
      tap?.messages.push({ ...head, bodyBytes: bytes.length, bodyHash: hashOf(bytes) })
      response.end('ok')
    })
  })
  http.on('clientError', (_error, socket) => socket.destroy())
  const origin = await openOrigin((tap) => {
    byStream.set(tap.stream, tap)
    http.emit('connection', tap.stream)
  })
  return origin
}

interface Tap {
  readonly stream: Duplex
  readonly messages: ReadMessage[]
  readonly begun: ReadMessage[]
}

async function openOrigin(onConnection: (tap: Tap) => void): Promise<TappedOrigin> {
  const sockets = new Set<Socket>()
  const connections: TappedConnection[] = []
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    const chunks: Buffer[] = []
    const tap = { stream: tapOf(socket, chunks), messages: [], begun: [] }
    connections.push({ ...tap, received: () => Buffer.concat(chunks) })
    onConnection(tap)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port, // it listens on TCP
    connections,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function tapOf(socket: Socket, chunks: Buffer[]): Duplex {
  const stream = new Duplex({
    allowHalfOpen: true,
    read() {},
    write(chunk: Buffer, _encoding, done) {
      socket.write(chunk, () => done())
    },
    final(done) {
      socket.end(() => done())
    },
    destroy(error, done) {
      socket.destroy()
      done(error)
    },
  })
  stream.on('error', () => {})
  socket.on('error', () => stream.destroy())
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    stream.push(chunk)
  })
  socket.on('end', () => stream.push(null))
  socket.on('close', () => stream.destroy())
  return stream
}

/** Gives `sent` to `/first/<name>` and a plain response to everything else. */
export async function openAnsweringOrigin(
  answerTo: (name: string) => { readonly sent: Buffer; readonly ends: boolean } | undefined,
): Promise<TappedOrigin> {
  return await openOrigin(({ stream }) => {
    stream.on('data', (chunk: Buffer) => {
      const match = /^[A-Z]+ \/([a-z]+)\/(\S*) /.exec(chunk.toString('latin1'))
      const answer = match?.[1] === 'first' ? answerTo(match[2] ?? '') : undefined
      if (answer === undefined) {
        stream.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond')
        return
      }
      stream.write(answer.sent)
      if (answer.ends) stream.end()
    })
  })
}
