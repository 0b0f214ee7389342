/** Ports of loopback on which nobody listens. */
import { createServer } from 'node:net'

/** One that the system gives to nobody by itself, so that it stays free until it is listened on. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 9_000)
    if (await isFree(port)) return port
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer().listen(port, '127.0.0.1')
    server.once('listening', () => server.close(() => resolve(true)))
    server.once('error', () => resolve(false))
  })
}
