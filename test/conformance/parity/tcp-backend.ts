/** A TCP server that says who it is: before all that it sends back, or at once. */
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
