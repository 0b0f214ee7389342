/**
 * Two requests on one connection of a client, the first of which gets the answer of the case: whatever the upstream sent,
 * the second must get its own response, or an error of the proxy's; never a part of the first.
 */
import { request, Agent, type IncomingMessage } from 'node:http'

import type { ResponseCase } from './corpus.ts'
import { MemoryProxy, type Exchanged } from './memory-proxy.ts'
import { readResponses } from './response-stream.ts'
import type { WireDuplex } from './wire-duplex.ts'

export type UpstreamAnswer = Pick<ResponseCase, 'method' | 'ends'> & {
  readonly pieces: readonly Buffer[]
}

const second = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-Second: yes\r\n\r\nsecond'

/** A proxy whose upstream gives `current` to `/first`, and a plain response to everything else. */
export class AnsweringProxy {
  readonly #proxy: MemoryProxy
  readonly #state: { current: UpstreamAnswer }

  private constructor(proxy: MemoryProxy, state: { current: UpstreamAnswer }) {
    this.#proxy = proxy
    this.#state = state
  }

  static async open(): Promise<AnsweringProxy> {
    const state: { current: UpstreamAnswer } = { current: { pieces: [] } }
    const proxy = await MemoryProxy.open({ answer: (wire) => answer(wire, () => state.current) })
    return new AnsweringProxy(proxy, state)
  }

  /** Both requests in one go, as raw bytes. */
  async pipelined(upstream: UpstreamAnswer): Promise<Exchanged> {
    this.#state.current = upstream
    const first = `${upstream.method ?? 'GET'} /first HTTP/1.1\r\nHost: app.test\r\n\r\n`
    return await this.#proxy.exchange([
      Buffer.from(`${first}GET /second HTTP/1.1\r\nHost: app.test\r\n\r\n`),
    ])
  }

  /** One after the other, by Node's own client: on the same connection where it may. */
  async byNode(upstream: UpstreamAnswer): Promise<readonly string[]> {
    this.#state.current = upstream
    const clients: WireDuplex[] = []
    const agent = new MemoryAgent(() => {
      const client = this.#proxy.connect()
      clients.push(client)
      return client
    })
    const answers = []
    for (const [method, path] of [
      [upstream.method ?? 'GET', '/first'],
      ['GET', '/second'],
    ] as const) {
      const asked = ask(agent, method, path)
      await this.#proxy.settle()
      answers.push(asked.outcome())
    }
    agent.destroy()
    for (const client of clients) client.destroy()
    await this.#proxy.reset()
    return answers
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#proxy[Symbol.asyncDispose]()
  }
}

/** Node's agent over streams that are no sockets. */
class MemoryAgent extends Agent {
  readonly #connect: () => WireDuplex

  constructor(connect: () => WireDuplex) {
    super({ keepAlive: true, maxSockets: 1 })
    this.#connect = connect
  }

  override createConnection(): WireDuplex {
    return this.#connect()
  }

  override keepSocketAlive(): boolean {
    return true
  }

  override reuseSocket(): void {
    // There is nothing to wake.
  }
}

function ask(agent: Agent, method: string, path: string): { outcome: () => string } {
  let outcome = 'no answer'
  const sent = request({ agent, method, path, host: 'app.test' }, (response: IncomingMessage) => {
    let body = ''
    outcome = `${response.statusCode} without an end`
    response.on('data', (chunk: Buffer) => (body += chunk.toString('latin1')))
    response.on('end', () => (outcome = `${response.statusCode} [${body}]`))
    response.on('error', () => (outcome = `${response.statusCode} cut off`))
  })
  sent.on('error', (error: NodeJS.ErrnoException) => (outcome = `error ${error.code ?? ''}`))
  sent.end()
  return { outcome: () => outcome }
}

/** The upstream reads nothing but paths: what it is sent is checked elsewhere. */
function answer(connection: WireDuplex, current: () => UpstreamAnswer): void {
  connection.on('data', (chunk: Buffer) => {
    const text = chunk.toString('latin1')
    const match = /^[A-Z]+ (\/\S*) /.exec(text)
    if (match === null) return
    if (match[1] !== '/first') {
      connection.write(second)
      return
    }
    const { pieces, ends } = current()
    for (const piece of pieces) connection.write(piece)
    if (ends === true) connection.end()
  })
}

/** What the client reads, in words: `200 [hello], 200 [second]`. */
export function responsesText(
  { received, isClosed }: Pick<Exchanged, 'received' | 'isClosed'>,
  method: string,
): string {
  const stream = readResponses(received, [method, 'GET'], isClosed)
  if (stream.problem !== undefined) return stream.problem
  const interim = stream.statuses.filter((status) => status < 200).map(String)
  const parts = stream.responses.map(({ status, body }) => `${status} [${shortened(body)}]`)
  if (stream.isCut) parts.push(isClosed ? 'cut off' : 'waits')
  return [...interim, ...parts].join(', ') || '-'
}

function shortened(body: string): string {
  return body.length > 40 ? `${body.length} bytes` : body
}
