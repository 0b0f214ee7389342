/** The two ends of a story about connections: a client and an origin that speak in bytes, and remember what they got. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** How the peer left: `open` as long as it has not. */
export type PeerEnd = 'open' | 'end' | 'reset'

/** Longest wait for something that never comes. */
const deadlineMs = 2_500

/** One connection, seen from one side. */
export class RawEnd {
  readonly socket: Socket
  text = ''
  peer: PeerEnd = 'open'
  readonly #waiters = new Set<() => void>()

  constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => {
      this.text += chunk.toString('latin1')
      this.#wake()
    })
    socket.on('end', () => {
      if (this.peer === 'open') this.peer = 'end'
      this.#wake()
    })
    socket.on('error', () => {
      this.peer = 'reset'
      this.#wake()
    })
    socket.on('close', () => this.#wake())
  }

  send(bytes: string): void {
    this.socket.write(bytes, 'latin1')
  }

  /** FIN: nothing more comes from here. */
  end(): void {
    this.socket.end()
  }

  reset(): void {
    this.socket.resetAndDestroy()
  }

  /** Until `part` stands in what came, the peer has left, or it takes too long. */
  async until(part: string, times = 1): Promise<void> {
    await this.#wait(() => this.text.split(part).length > times || this.peer !== 'open')
  }

  /** Until the peer leaves. */
  async left(): Promise<void> {
    await this.#wait(() => this.peer !== 'open')
  }

  async #wait(isDone: () => boolean): Promise<void> {
    const endMs = performance.now() + deadlineMs
    const timer = setTimeout(() => this.#wake(), deadlineMs + 1)
    while (!isDone() && performance.now() < endMs)
      await new Promise<void>((resolve) => this.#waiters.add(resolve))
    clearTimeout(timer)
  }

  #wake(): void {
    for (const wake of this.#waiters) wake()
    this.#waiters.clear()
  }
}

export async function openClient(port: number): Promise<RawEnd> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const end = new RawEnd(socket)
  await new Promise<void>((resolve) => {
    socket.once('connect', resolve)
    socket.once('error', () => resolve())
  })
  return end
}

/** What an origin does with a connection. */
export type Serve = (connection: RawEnd, index: number) => void | Promise<void>

export class RawOrigin implements AsyncDisposable {
  readonly #server = createServer({ allowHalfOpen: true }, (socket) => {
    const end = new RawEnd(socket)
    this.connections.push(end)
    void this.serve(end, this.connections.length - 1)
  })
  connections: RawEnd[] = []
  serve: Serve = () => undefined

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return (this.#server.address() as AddressInfo).port
  }

  /** Ends what is open, and forgets it. */
  clear(): void {
    for (const { socket } of this.connections) socket.destroy()
    this.connections = []
    this.serve = () => undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.clear()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
