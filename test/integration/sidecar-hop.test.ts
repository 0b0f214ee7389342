/**
 * From sidecar to sidecar HTTP/1.1 travels as HTTP/2 streams. What clients and applications see must not tell: each
 * conversation is held over a hop of either version, and must be the same at both ends.
 */
import assert from 'node:assert/strict'
import {
  createServer,
  type IncomingMessage,
  request as httpRequest,
  type RequestOptions,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { after, before, suite, test } from 'node:test'

import { eventually } from '../support/eventually.ts'
import { runEnvoy, type RunningProxy } from '../support/mtls-scene.ts'
import { findEnvoy } from '../support/programs.ts'
import { type SidecarHop, startSidecarHop } from '../support/sidecar-hop.ts'

interface Conversation {
  readonly name: string
  readonly request: Omit<RequestOptions, 'headers'> & {
    readonly headers?: Readonly<Record<string, string | readonly string[]>>
  }
  /** Parts of the body; with `expect: 100-continue` they wait for it. */
  readonly body?: readonly string[]
  readonly trailers?: Record<string, string>
  /** The application; the request is whole when it is called, unless `isEarly`. */
  readonly answer: (response: ServerResponse, request: IncomingMessage) => void
  readonly isEarly?: boolean
  /** What must be at either end, among the rest. */
  readonly seen?: Partial<Seen>
  readonly received?: Partial<Received>
}

interface Seen {
  readonly line: string
  readonly headers: readonly string[]
  readonly body: string
  readonly trailers: readonly string[]
}

interface Received {
  readonly status: number
  readonly informational: readonly number[]
  readonly headers: readonly string[]
  readonly body: string
  readonly trailers: readonly string[]
  /** How it ended. */
  readonly end: 'whole' | 'cut'
}

/** What differs from one request to the next, whatever is between. */
const passing =
  /^(x-request-id|date|x-envoy-upstream-service-time|x-forwarded-client-cert|keep-alive|connection):/

/** `name: value`, sorted, so that an order that means nothing does not count. */
function lines(raw: readonly string[]): string[] {
  const found: string[] = []
  for (let index = 0; index < raw.length; index += 2) {
    found.push(`${raw[index]?.toLowerCase()}: ${raw[index + 1]}`)
  }
  return found.filter((line) => !passing.test(line)).sort()
}

/** An application that does as the conversation says that its path names. */
class Application {
  readonly seen = new Map<string, Seen>()
  readonly #server = createServer()
  readonly #conversations: ReadonlyMap<string, Conversation>

  constructor(conversations: ReadonlyMap<string, Conversation>) {
    this.#conversations = conversations
    this.#server.on('request', (request, response) => this.#onRequest(request, response))
    this.#server.on('checkContinue', (request, response) => {
      response.writeContinue()
      this.#onRequest(request, response)
    })
    this.#server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
      this.#keep(request, '')
      if (request.url === '/upgrade') {
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
            'Sec-WebSocket-Accept: accepted\r\n\r\nfirst,',
        )
        socket.pipe(socket)
      } else {
        socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno')
      }
    })
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return (this.#server.address() as AddressInfo).port
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const conversation = this.#conversations.get(String(request.headers['x-conversation']))
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      this.#keep(request, body)
      if (conversation?.isEarly !== true) conversation?.answer(response, request)
    })
    if (conversation?.isEarly === true) conversation.answer(response, request)
  }

  #keep(request: IncomingMessage, body: string): void {
    this.seen.set(String(request.headers['x-conversation']), {
      line: `${request.method} ${request.url} ${request.httpVersion}`,
      headers: lines(request.rawHeaders),
      body,
      trailers: lines(request.rawTrailers),
    })
  }
}

function hold(port: number, conversation: Conversation): Promise<Received> {
  const { name, request, body = [], trailers } = conversation
  return new Promise((resolve, reject) => {
    const headers = { host: 'shop', 'x-conversation': name, ...request.headers }
    const sent = httpRequest({ host: '127.0.0.1', port, agent: false, ...request, headers })
    const informational: number[] = []
    sent.on('information', ({ statusCode }) => informational.push(statusCode))
    sent.on('continue', () => send())
    sent.on('error', reject)
    sent.on('response', (response) => {
      let text = ''
      const finish = (end: Received['end']): void =>
        resolve({
          status: response.statusCode ?? 0,
          informational,
          headers: lines(response.rawHeaders),
          body: text,
          trailers: lines(response.rawTrailers),
          end,
        })
      response.on('data', (chunk: Buffer) => (text += chunk.toString()))
      response.on('end', () => finish('whole'))
      response.on('error', () => finish('cut'))
    })
    const send = (): void => {
      for (const part of body) sent.write(part)
      if (trailers !== undefined) sent.addTrailers(trailers)
      sent.end()
    }
    if (request.headers !== undefined && 'expect' in request.headers) sent.flushHeaders()
    else send()
  })
}

const post = { method: 'POST' }

const conversations: readonly Conversation[] = [
  {
    name: 'a name with a port and a path with a query',
    request: { path: '/a/b?c=d&e', headers: { host: 'Shop.Example:8080' } },
    answer: (response) => response.end('hello'),
    seen: { line: 'GET /a/b?c=d&e 1.1' },
  },
  {
    name: 'headers that repeat, cookies, and those of one hop only',
    request: {
      headers: {
        cookie: 'a=1; b=2; c=3',
        'x-twice': ['one', 'two'],
        'x-empty': '',
        'keep-alive': 'timeout=5',
        te: 'trailers',
      },
    },
    answer: (response) => {
      response.setHeader('set-cookie', ['a=1; Path=/', 'b=2'])
      response.setHeader('x-own', 'kept')
      response.end()
    },
  },
  {
    name: 'a body of known length',
    request: { ...post, headers: { 'content-length': '5' } },
    body: ['hello'],
    answer: (response) => {
      response.setHeader('content-length', '3')
      response.end('you')
    },
    seen: { body: 'hello' },
    received: { body: 'you' },
  },
  {
    name: 'a chunked body with trailers both ways',
    request: { ...post, headers: { trailer: 'x-sum', te: 'trailers' } },
    body: ['one', 'two'],
    trailers: { 'x-sum': '6' },
    answer: (response) => {
      response.setHeader('trailer', 'x-back')
      response.write('three')
      response.addTrailers({ 'x-back': '5' })
      response.end()
    },
    seen: { body: 'onetwo', trailers: ['x-sum: 6'] },
    received: { body: 'three', trailers: ['x-back: 5'] },
  },
  {
    name: 'a body that waits for 100 Continue',
    request: { ...post, headers: { expect: '100-continue', 'content-length': '5' } },
    body: ['hello'],
    answer: (response) => response.end('done'),
    seen: { body: 'hello' },
    received: { informational: [100], body: 'done' },
  },
  {
    name: 'early hints',
    request: {},
    answer: (response) => {
      response.writeEarlyHints({ link: '</style.css>; rel=preload' })
      response.end('page')
    },
    received: { informational: [103], body: 'page' },
  },
  {
    name: 'HEAD with a length',
    request: { method: 'HEAD' },
    answer: (response) => {
      response.setHeader('content-length', '1234')
      response.end()
    },
    received: { body: '', headers: ['content-length: 1234', 'server: envoy'] },
  },
  {
    name: '204',
    request: { method: 'DELETE' },
    answer: (response) => response.writeHead(204).end(),
    received: { status: 204, body: '' },
  },
  {
    name: '304 with the length of what is not sent',
    request: {},
    answer: (response) => response.writeHead(304, { 'content-length': '10', etag: '"a"' }).end(),
    received: { status: 304, body: '' },
  },
  {
    name: 'a method of nobody',
    request: { method: 'PURGE' },
    answer: (response) => response.end('gone'),
    seen: { line: 'PURGE / 1.1' },
  },
  {
    name: 'an answer before the body is whole',
    request: { ...post, headers: { 'content-length': '5' } },
    body: ['hello'],
    isEarly: true,
    answer: (response) => {
      response.statusCode = 413
      response.end('too much')
    },
    received: { status: 413, body: 'too much' },
  },
  {
    name: 'an answer that breaks off',
    request: {},
    answer: (response) => {
      response.writeHead(200)
      response.write('half', () => response.destroy())
    },
    received: { status: 200, body: 'half', end: 'cut' },
  },
  {
    name: 'an upgrade that is refused',
    request: {
      path: '/refused',
      headers: { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-key': 'a2V5' },
    },
    answer: () => {},
    received: { status: 403, body: 'no' },
  },
]

type Between = 'http1' | 'http2' | 'from Envoy' | 'to Envoy'

const setups: Readonly<Record<Between, Partial<Parameters<typeof startSidecarHop>[0]>>> = {
  http1: { between: 'http1' },
  http2: { between: 'http2' },
  'from Envoy': { between: 'http2', near: runEnvoy },
  'to Envoy': { between: 'http2', far: runEnvoy },
}
const betweens: readonly Between[] =
  findEnvoy() === undefined ? ['http1', 'http2'] : ['http1', 'http2', 'from Envoy', 'to Envoy']

suite('what a hop of HTTP/2 carries', () => {
  const byName = new Map(conversations.map((one) => [one.name, one]))
  const application = new Application(byName)
  const hops = new Map<Between, SidecarHop<RunningProxy>>()
  before(async () => {
    const appPort = await application.listen()
    for (const one of betweens) hops.set(one, await startSidecarHop({ appPort, ...setups[one] }))
  })
  after(async () => {
    for (const hop of hops.values()) await hop[Symbol.asyncDispose]()
    await application.close()
  })
  const portOf = (between: Between): number => hops.get(between)?.port ?? 0

  for (const conversation of conversations) {
    test(conversation.name, async () => {
      const { name } = conversation
      const over = async (between: Between) => {
        application.seen.delete(name)
        const received = await hold(portOf(between), conversation)
        // An early answer may come before the application has read the rest.
        const seen = await eventually(() => application.seen.get(name))
        return { received, seen }
      }
      const old = await over('http1')
      for (const between of betweens) assert.deepEqual(await over(between), old, between)
      assert.partialDeepStrictEqual(old.seen, conversation.seen ?? {})
      assert.partialDeepStrictEqual(old.received, conversation.received ?? {})
    })
  }

  test('a WebSocket', async () => {
    const talk = (between: Between) =>
      new Promise<unknown>((resolve, reject) => {
        const sent = httpRequest({
          host: '127.0.0.1',
          port: portOf(between),
          path: '/upgrade',
          headers: {
            host: 'shop',
            'x-conversation': 'websocket',
            connection: 'Upgrade',
            upgrade: 'websocket',
            'sec-websocket-version': '13',
            'sec-websocket-key': 'a2V5',
            'sec-websocket-protocol': 'chat',
          },
        })
        sent.on('error', reject)
        sent.on('response', ({ statusCode }) => reject(new Error(`status ${statusCode}`)))
        sent.on('upgrade', (response, socket, head) => {
          let text = head.toString()
          const read = (chunk: Buffer): void => {
            text += chunk.toString()
            if (!text.endsWith('pong')) return
            socket.destroy()
            resolve({
              status: response.statusCode,
              headers: lines(response.rawHeaders),
              text,
              seen: application.seen.get('websocket'),
            })
          }
          socket.on('data', read)
          socket.write('ping,')
          setImmediate(() => socket.write('pong'))
        })
        sent.end()
      })
    const old = await talk('http1')
    for (const between of betweens) assert.deepEqual(await talk(between), old, between)
    assert.partialDeepStrictEqual(old, { status: 101, text: 'first,ping,pong' })
  })

  test('all of them shared one connection, and the application was asked in HTTP/1.1', async () => {
    const hop = hops.get('http2')
    assert.equal(await hop?.near.stat('cluster.out.upstream_cx_http2_total'), 1)
    assert.equal(await hop?.far.stat('cluster.app.upstream_cx_http2_total'), 0)
  })
})
