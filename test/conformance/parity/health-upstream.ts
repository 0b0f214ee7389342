/** An endpoint that answers check after check as a story tells it. */
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2'
import { type Server, type Socket, createServer } from 'node:net'

import type { HealthStory } from './health-stories.ts'

export interface HealthUpstream extends AsyncDisposable {
  readonly port: number
  /** What the first check asked: its head, or its headers and message. */
  asked(): string
}

export async function openHealthUpstream(story: HealthStory): Promise<HealthUpstream> {
  const sockets = new Set<Socket>()
  let checks = 0
  let first = ''
  const next = (asked: string): string => {
    if (checks === 0) first = asked
    const answer = story.answers[checks] ?? story.answers.at(-1) ?? 'silent'
    checks += 1
    return answer
  }
  const server = story.speaks === 'grpc' ? grpcServer(next) : byteServer(story, next)
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    asked: () => first,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

const going =
  'HTTP/1.1 200 X\r\nx-envoy-immediate-health-check-fail: true\r\ncontent-length: 0\r\n\r\n'

function byteServer(story: HealthStory, next: (asked: string) => string): Server {
  return createServer((socket) => {
    let buffer = ''
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => {
      buffer += chunk
      if (story.speaks !== 'bytes' && !buffer.endsWith('\r\n\r\n')) return
      const isCheck = story.speaks === 'bytes' || buffer.includes(' /healthz ')
      const answer = isCheck ? next(buffer) : going
      buffer = ''
      if (answer === 'close') socket.destroy()
      else if (answer !== 'silent') socket.write(answer, 'latin1')
    })
  })
}

function grpcServer(next: (asked: string) => string): Server {
  const server = createHttp2Server()
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => {})
    const body: Buffer[] = []
    stream.on('data', (chunk: Buffer) => body.push(chunk))
    stream.on('end', () => {
      const { ':authority': authority, ':path': path } = headers
      const named = ['content-type', 'te', 'user-agent', 'grpc-timeout'].map(
        (name) => `${name}=${String(headers[name])}`,
      )
      const message = Buffer.concat(body).toString('hex')
      answerGrpc(stream, next([authority, path, ...named, message].join(' ')))
    })
  })
  return server
}

function answerGrpc(stream: ServerHttp2Stream, answer: string): void {
  const grpc = { ':status': 200, 'content-type': 'application/grpc' }
  switch (answer) {
    case 'silent':
      return
    case 'unimplemented':
      stream.respond({ ...grpc, 'grpc-status': '12' }, { endStream: true })
      return
    case 'not-grpc':
      stream.respond({ ':status': 200, 'content-type': 'text/plain' })
      stream.end('hello')
      return
    case '503':
      stream.respond({ ':status': 503 }, { endStream: true })
      return
    default:
      stream.respond(grpc, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
      stream.end(Buffer.from([0, 0, 0, 0, 2, 8, answer === 'serving' ? 1 : 2]))
  }
}
