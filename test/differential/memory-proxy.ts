/**
 * The proxy with both of its ends inside the process: bytes in, and what the upstream got of them, read by Node's own
 * parsers (llhttp, nghttp2) as it arrived. No socket, so a case takes well under a millisecond and does not depend on how
 * a kernel cuts it up: a split is what the case says.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { performServerHandshake, type ServerHttp2Session } from 'node:http2'

import { defaultHttp2Options } from '../../src/proxy/http2/settings.ts'
import type { HttpConnectionManager } from '../../src/proxy/listener/listener-config.ts'
import { createHttp2Stats } from '../../src/proxy/telemetry/http2-stats.ts'
import type { RequestRecord } from '../../src/proxy/telemetry/request-record.ts'
import { createSlots } from '../../src/proxy/telemetry/shared-slots.ts'
import { StatsRegistry } from '../../src/proxy/telemetry/stats-registry.ts'
import { forwardTo, startScene, type Scene } from '../support/proxy-scene.ts'
import { hashOf, type ReadMessage } from './message.ts'
import { WireDuplex } from './wire-duplex.ts'

export interface MemoryProxyOptions {
  readonly manager?: Partial<HttpConnectionManager>
  /** As text, in place of one route to the cluster `origin` for everything. */
  readonly routes?: readonly string[]
  /** What the upstream speaks. */
  readonly upstream?: 'http1' | 'http2'
  /** In place of an origin that reads requests: bytes for each connection, whatever it is asked. */
  readonly answer?: (connection: WireDuplex) => void
}

export interface Exchanged {
  /** What the client got. */
  readonly received: Buffer
  readonly isClosed: boolean
  /** What each connection to the upstream carried. */
  readonly forwarded: readonly Buffer[]
  /** Messages that the origin read to their end, by connection. */
  readonly read: readonly (readonly ReadMessage[])[]
  /** Heads that the origin began to read, by connection; bodies are not looked at. */
  readonly begun: readonly (readonly ReadMessage[])[]
  /** Of each connection: its method is none to Node, which read nothing more. */
  readonly strange: readonly boolean[]
  /** What the origin could not read. */
  readonly errors: readonly string[]
  readonly records: readonly RequestRecord[]
}

/**
 * Of the origin: a request that is given up is cut off in the middle, and Node has a list of methods of its own, where any
 * token is one in HTTP/2.
 */
const harmless = new Set(['HPE_INVALID_EOF_STATE', 'HPE_INVALID_METHOD', 'ECONNRESET'])

/** Rounds of the event loop without a byte, after which nothing more will come by itself. */
const quietRounds = 8

export class MemoryProxy {
  readonly #scene: Scene
  readonly #options: MemoryProxyOptions
  readonly #server: Server
  #origins: Origin[] = []
  #errors: string[] = []
  #active = false

  private constructor(scene: Scene, options: MemoryProxyOptions) {
    this.#scene = scene
    this.#options = options
    this.#server = createServer((request, response) => this.#onRequest(request, response))
    this.#server.keepAliveTimeout = 0
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      const origin = this.#origins.find(({ connection }) => connection === (socket as object))
      if (origin !== undefined && error.code === 'HPE_INVALID_METHOD') origin.isStrange = true
      if (!harmless.has(error.code ?? '')) {
        this.#errors.push(`${error.message} (${error.code ?? 'no code'})`)
      }
      socket.destroy()
    })
    for (const event of ['checkContinue', 'checkExpectation'] as const) {
      this.#server.on(event, (request, response) => this.#onRequest(request, response))
    }
    // An upgrade or CONNECT that reaches the origin is a message as well.
    this.#server.on('connect', (request, socket) => {
      this.#originOf(request)?.begun.push(headOf(request))
      this.#note(request, Buffer.alloc(0))
      socket.destroy()
    })
    scene.runtime.internalListeners.register('origin', (wire) => this.#accept(wire))
  }

  static async open(options: MemoryProxyOptions = {}): Promise<MemoryProxy> {
    const registry = new StatsRegistry(createSlots())
    const scene = await startScene({
      clusters: [
        {
          name: 'origin',
          addresses: [{ kind: 'internal', listener: 'origin' }],
          settings: options.upstream === 'http2' ? { protocol: 'http2' } : {},
        },
      ],
      routes: options.routes ?? [forwardTo('origin', 'timeout: 0s')],
      listener: { address: { kind: 'internal', listener: 'front' } },
      manager: {
        http2: { codec: 'auto', options: defaultHttp2Options, stats: createHttp2Stats(registry) },
        ...options.manager,
      },
    })
    return new MemoryProxy(scene, options)
  }

  /** A client's connection, for a client of one's own. */
  connect(): WireDuplex {
    const wire = this.#scene.runtime.internalListeners.open('front')
    if (wire === undefined) throw new Error('the proxy has no listener')
    return new WireDuplex(wire, () => this.#touch())
  }

  /** Sends the pieces, each in a round of its own, and waits until nothing more happens. */
  async exchange(pieces: readonly Buffer[]): Promise<Exchanged> {
    this.#forget()
    const client = this.connect()
    client.resume()
    for (const piece of pieces) {
      if (client.destroyed) break
      client.write(piece)
      await nextRound()
    }
    await this.settle()
    const outcome = this.outcome([client])
    client.destroy()
    for (const { connection } of this.#origins) connection.destroy()
    await this.settle()
    // What was still under way is recorded when it breaks off.
    return { ...outcome, records: [...this.#scene.records] }
  }

  /** What has happened since the last `exchange` or `reset`. */
  outcome(clients: readonly WireDuplex[]): Exchanged {
    return {
      received: Buffer.concat(clients.map((client) => client.received)),
      isClosed: clients.every((client) => client.isEnded),
      forwarded: this.#origins.map(({ connection }) => connection.received),
      read: this.#origins.map(({ messages }) => [...messages]),
      begun: this.#origins.map(({ begun }) => [...begun]),
      strange: this.#origins.map(({ isStrange }) => isStrange),
      errors: [...this.#errors],
      records: [...this.#scene.records],
    }
  }

  async reset(): Promise<void> {
    for (const { connection } of this.#origins) connection.destroy()
    await this.settle()
    this.#forget()
  }

  /** Until no byte has moved for a while; a case that never comes to rest is a bug of its own. */
  async settle(): Promise<void> {
    let quiet = 0
    for (let round = 0; quiet < quietRounds; round += 1) {
      if (round > 20_000) throw new Error('the proxy does not come to rest')
      this.#active = false
      await nextRound()
      quiet = this.wasActive() ? 0 : quiet + 1
    }
  }

  private wasActive(): boolean {
    return this.#active
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { connection } of this.#origins) connection.destroy()
    await this.settle()
    await this.#scene[Symbol.asyncDispose]()
    this.#server.close()
  }

  #touch(): void {
    this.#active = true
  }

  #forget(): void {
    this.#origins = []
    this.#errors = []
    this.#scene.records.length = 0
  }

  #accept(wire: ConstructorParameters<typeof WireDuplex>[0]): void {
    const connection = new WireDuplex(wire, () => this.#touch())
    const origin: Origin = { connection, messages: [], begun: [], isStrange: false }
    this.#origins.push(origin)
    if (this.#options.answer !== undefined) this.#options.answer(connection)
    else if (this.#options.upstream === 'http2') this.#acceptHttp2(origin)
    else this.#server.emit('connection', connection)
  }

  #acceptHttp2(origin: Origin): void {
    const session: ServerHttp2Session = performServerHandshake(origin.connection)
    session.on('error', (error: Error) => this.#errors.push(error.message))
    session.on('stream', (stream, headers) => {
      const head = {
        method: String(headers[':method']),
        target: String(headers[':path'] ?? headers[':authority']),
        host: String(headers[':authority']),
        bodyBytes: -1,
      }
      origin.begun.push(head)
      const body: Buffer[] = []
      stream.on('error', () => {
        // A stream that is cut is the case's own end.
      })
      stream.on('data', (chunk: Buffer) => body.push(chunk))
      stream.on('end', () => {
        // A stream that was reset ends too.
        if (stream.rstCode !== 0 || stream.aborted) return
        const bytes = Buffer.concat(body)
        origin.messages.push({ ...head, bodyBytes: bytes.length, bodyHash: hashOf(bytes) })
        if (!stream.destroyed) stream.respond({ ':status': 200 })
        // Node has ended the stream of a HEAD request itself.
        if (stream.writable) stream.end('ok')
        this.#touch()
      })
    })
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const body: Buffer[] = []
    this.#originOf(request)?.begun.push(headOf(request))
    request.on('data', (chunk: Buffer) => body.push(chunk))
    request.on('end', () => {
      this.#note(request, Buffer.concat(body))
      response.sendDate = false
      response.end('ok')
      this.#touch()
    })
  }

  #note(request: IncomingMessage, body: Buffer): void {
    const read = { ...headOf(request), bodyBytes: body.length, bodyHash: hashOf(body) }
    this.#originOf(request)?.messages.push(read)
  }

  #originOf(request: IncomingMessage): Origin | undefined {
    return this.#origins.find(({ connection }) => connection === (request.socket as object))
  }
}

function headOf(request: IncomingMessage): ReadMessage {
  const { method = '', url = '', headers } = request
  return { method, target: url, host: headers.host ?? '', bodyBytes: -1 }
}

interface Origin {
  readonly connection: WireDuplex
  readonly messages: ReadMessage[]
  readonly begun: ReadMessage[]
  isStrange: boolean
}

function nextRound(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
