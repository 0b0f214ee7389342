/**
 * The origin of the bench of hops, in a process of its own: `/bulk` is as many bytes as `?bytes=` says, a body to `/sink`
 * is read and counted, everything else is small.
 */
import { createServer, type ServerResponse } from 'node:http'

const chunk = Buffer.alloc(64 * 1024, 'x')
const small = 'x'.repeat(128)

function sendBulk(response: ServerResponse, bytes: number): void {
  let left = bytes
  const send = (): void => {
    while (left > 0) {
      const part = left < chunk.length ? chunk.subarray(0, left) : chunk
      left -= part.length
      if (!response.write(part)) return
    }
    response.end()
  }
  response.writeHead(200, { 'content-length': bytes })
  response.on('drain', send)
  send()
}

createServer({ keepAliveTimeout: 3_600_000 }, (request, response) => {
  const url = new URL(request.url ?? '/', 'http://origin')
  let read = 0
  request.on('data', (data: Buffer) => (read += data.length))
  if (url.pathname === '/bulk') sendBulk(response, Number(url.searchParams.get('bytes')))
  else if (url.pathname === '/sink') request.on('end', () => response.end(String(read)))
  else response.end(small)
}).listen(Number(process.argv[2]), '127.0.0.1')
