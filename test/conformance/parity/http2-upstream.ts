/** Upstreams that say in their answer what they were asked, in each version of HTTP; the path says how they answer. */
import { createServer } from 'node:http'
import {
  createServer as createHttp2Server,
  constants,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'

export interface Http2Upstreams extends AsyncDisposable {
  readonly http1: number
  readonly http2: number
}

export async function openHttp2Upstreams(): Promise<Http2Upstreams> {
  const one = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString()
      response.setHeader('content-type', 'application/json')
      response.end(seen(request.method ?? '', request.url ?? '', { ...request.headers, body }))
    })
  })
  const upgraded = new Set<Duplex>()
  one.on('upgrade', (_request, socket) => {
    upgraded.add(socket)
    socket.on('error', () => {
      // Cut by a case.
    })
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
    )
    socket.write('hi')
  })
  const two = createHttp2Server()
  let attempts = 0
  const sessions = new Set<ServerHttp2Session>()
  two.on('session', (session) => void sessions.add(session))
  two.on('sessionError', () => {
    // Cut by a case.
  })
  two.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => {
      // Reset by a case.
    })
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    const path = String(headers[':path'])
    if (path.includes('/refuse')) stream.close(constants.NGHTTP2_REFUSED_STREAM)
    else if (path.includes('/reset')) stream.close(constants.NGHTTP2_INTERNAL_ERROR)
    else if (path.includes('/half')) {
      stream.respond({ ':status': 200 })
      stream.write('half', () => stream.close(constants.NGHTTP2_INTERNAL_ERROR))
    } else if (path.includes('/unavailable')) {
      attempts += 1
      const status = attempts % 2 === 1 ? '14' : '0'
      const fields = { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': status }
      stream.respond(fields, { endStream: true })
    } else if (path.includes('/early')) {
      stream.respond({ ':status': 403 }, { endStream: true })
    } else if (!path.includes('/hang')) {
      stream.on('end', () => {
        const body = Buffer.concat(chunks).toString()
        stream.respond({ ':status': 200 }, { waitForTrailers: true })
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'x-t': '1' }))
        const { [':method']: method, [':path']: target, ...rest } = headers
        stream.end(seen(String(method), String(target), { ...rest, body }))
      })
    }
  })
  await new Promise<void>((resolve) => one.listen(0, '127.0.0.1', resolve))
  await new Promise<void>((resolve) => two.listen(0, '127.0.0.1', resolve))
  return {
    http1: (one.address() as AddressInfo).port,
    http2: (two.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      one.closeAllConnections()
      for (const socket of upgraded) socket.destroy()
      await new Promise((resolve) => one.close(resolve))
      for (const session of sessions) session.destroy()
      await new Promise((resolve) => {
        two.close(resolve)
      })
    },
  }
}

function seen(method: string, path: string, fields: object): string {
  const sorted = Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify({ method, path, ...Object.fromEntries(sorted) })
}
