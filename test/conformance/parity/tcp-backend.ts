/** A TCP server that says who it is: before all that it sends back, or at once. */
import { type AddressInfo, createServer, type Socket } from 'node:net'

export interface TcpBackend extends AsyncDisposable {
  readonly name: string
  readonly port: number
}

export async function openBackend(name: string, manner: 'echo' | 'greet'): Promise<TcpBackend> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    if (manner === 'greet') socket.write(`${name}: hello`)
    let isFirst = true
    socket.on('data', (chunk: Buffer) => {
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
