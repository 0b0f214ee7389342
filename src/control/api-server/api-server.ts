/**
 * The control plane's HTTP API in the shape of Kubernetes' API: discovery, lists, objects, watches, `Status`
 * errors; plus health, readiness and metrics.
 *
 * It listens on loopback and has no authentication, so it defends itself against web pages that a person on this
 * host has open: the Host header must name loopback (DNS rebinding), an Origin from elsewhere is refused, and a
 * body must be JSON by its content type, which no form can send. Bounds: bytes of a body, connections, watches.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { describeError, MeshError } from '../../lib/mesh-error.ts'
import { createServer } from '../../lib/node-http.ts'
import type { Store } from '../../store/source.ts'
import { discoveryDocument } from './discovery.ts'
import type { ObjectStore } from './object-store.ts'
import { readObjects, sendJson } from './read.ts'
import { parseListQuery, parseTarget, type ApiTarget } from './request.ts'
import { ApiError, failure } from './status.ts'
import { wantsTable } from './table.ts'
import { openWatch, type Watch } from './watch.ts'
import { writeObject, type WriteRequest } from './write.ts'

export interface ApiServerOptions {
  readonly host: string
  readonly port: number
  readonly objects: ObjectStore
  readonly store: Store | undefined
  /** Files and folders that a person edits, for refusals. */
  readonly paths: () => readonly string[]
  readonly version: string
  readonly metricsText: () => string
  /** Answers GET of what is no object of a collection; undefined: not its path. May throw ApiError. */
  readonly readOther?: (url: URL) => object | undefined
  /** Why it is not ready; empty when it is. */
  readonly notReady: () => string
  readonly clock: Clock
  readonly log: Log
}

export interface ApiServer extends AsyncDisposable {
  /** `http://127.0.0.1:15014` */
  readonly url: string
}

const bodyBytesMax = 3 << 20
const connectionsMax = 1_024
const watchesMax = 512

/** Rejections: MeshError MESH_LISTEN_FAILED. */
export async function openApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const handler = new ApiHandler(options)
  const server = createServer(
    { requestTimeout: 30_000, headersTimeout: 10_000 },
    (request, response) => {
      void handler.answer(request, response)
    },
  )
  server.maxConnections = connectionsMax
  await listen(server, options)
  // A server that listens on a port has an address object.
  const { port } = server.address() as AddressInfo
  const host = options.host.includes(':') ? `[${options.host}]` : options.host
  return {
    url: `http://${host}:${port}`,
    async [Symbol.asyncDispose]() {
      handler.close()
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

function listen(server: Server, { host, port }: ApiServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      reject(
        new MeshError('MESH_LISTEN_FAILED', `listen for the API on ${host}:${port}`, { cause }),
      )
    })
    server.listen(port, host, resolve)
  })
}

class ApiHandler {
  readonly #options: ApiServerOptions
  readonly #watches = new Set<Watch>()

  constructor(options: ApiServerOptions) {
    this.#options = options
  }

  close(): void {
    for (const watch of this.#watches) watch.close()
  }

  /** The connection's loop: whatever goes wrong is the answer to this one request. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => response.destroy())
    try {
      checkOrigin(request, this.#options.host)
      await this.#route(request, response)
    } catch (error) {
      this.#refuse(error, request, response)
    }
  }

  #refuse(error: unknown, request: IncomingMessage, response: ServerResponse): void {
    if (!(error instanceof ApiError)) {
      this.#options.log.error(
        { path: request.url, error: describeError(error) },
        'API request failed',
      )
    }
    const status =
      error instanceof ApiError ? error.status : failure('InternalError', describeError(error))
    if (response.headersSent) response.destroy()
    else sendJson(response, status.code, status)
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://localhost')
    const method = request.method ?? 'GET'
    const isRead = method === 'GET' || method === 'HEAD'
    if (isRead && this.#answerPlain(url.pathname, response)) return
    const target = parseTarget(url.pathname)
    if (target === undefined) {
      const document = isRead ? this.#documentAt(url) : undefined
      if (document === undefined) {
        throw new ApiError(
          'NotFound',
          `the server could not find the requested resource ${url.pathname}`,
        )
      }
      sendJson(response, 200, document)
      return
    }
    if (isRead) await this.#read(target, { url, request, response })
    else await this.#write(target, { url, request, response })
  }

  #documentAt(url: URL): unknown {
    return this.#options.readOther?.(url) ?? discoveryDocument(url.pathname, this.#discovery())
  }

  #discovery() {
    return { version: this.#options.version, isWritable: this.#options.store !== undefined }
  }

  #answerPlain(path: string, response: ServerResponse): boolean {
    switch (path) {
      case '/healthz':
      case '/livez':
        sendText(response, 200, 'ok')
        return true
      case '/readyz': {
        const reason = this.#options.notReady()
        sendText(response, reason === '' ? 200 : 503, reason === '' ? 'ok' : reason)
        return true
      }
      case '/metrics':
        sendText(response, 200, this.#options.metricsText())
        return true
      default:
        return false
    }
  }

  async #read(target: ApiTarget, { url, request, response }: Exchange): Promise<void> {
    const { objects, clock } = this.#options
    await objects.refresh(target.kind)
    const isTable = wantsTable(request.headers.accept ?? '')
    const query = url.searchParams
    if (!parseListQuery(query).isWatch) {
      sendJson(response, 200, readObjects(objects, { target, query, isTable }))
      return
    }
    if (this.#watches.size >= watchesMax) {
      throw new ApiError('TooManyRequests', `this server has its ${watchesMax} watches`)
    }
    if (target.name !== undefined) query.set('fieldSelector', `metadata.name=${target.name}`)
    const watch = openWatch(objects, { target, query, isTable }, { response, clock })
    this.#watches.add(watch)
    response.once('close', () => this.#watches.delete(watch))
  }

  async #write(target: ApiTarget, { url, request, response }: Exchange): Promise<void> {
    const { objects, store, paths } = this.#options
    const method = writeMethod(request.method)
    const body = await readBody(request, method)
    const isDryRun = url.searchParams.get('dryRun') === 'All'
    const context = { objects, store, paths: paths() }
    const answer = await writeObject(context, { method, target, body, isDryRun })
    sendJson(response, answer.code, answer.body)
  }
}

interface Exchange {
  readonly url: URL
  readonly request: IncomingMessage
  readonly response: ServerResponse
}

const loopbackNames = new Set(['localhost', '127.0.0.1', '::1', '[::1]'])

/** A page from elsewhere reaches us under its own host name, or says where it comes from. */
function checkOrigin(request: IncomingMessage, ownHost: string): void {
  const host = hostName(request.headers.host ?? '')
  if (!loopbackNames.has(host) && host !== ownHost) {
    throw new ApiError(
      'Forbidden',
      `the Host header must name this server's loopback address, got "${host}"`,
    )
  }
  const { origin } = request.headers
  if (origin === undefined) return
  const originHost = URL.canParse(origin) ? new URL(origin).hostname : ''
  if (!loopbackNames.has(originHost)) {
    throw new ApiError('Forbidden', `requests of web pages from "${origin}" are not answered`)
  }
}

function hostName(host: string): string {
  return host.replace(/:\d+$/, '').toLowerCase()
}

function writeMethod(method: string | undefined): WriteRequest['method'] {
  if (method === 'POST' || method === 'PUT' || method === 'PATCH' || method === 'DELETE')
    return method
  throw new ApiError('MethodNotAllowed', `method ${method ?? ''} is not supported`)
}

async function readBody(
  request: IncomingMessage,
  method: WriteRequest['method'],
): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  // A request's chunks are buffers, because no encoding is set.
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength
    if (bytes > bodyBytesMax) {
      throw new ApiError(
        'RequestEntityTooLarge',
        `the body must have at most ${bodyBytesMax} bytes`,
      )
    }
    chunks.push(chunk)
  }
  if (bytes === 0 && method === 'DELETE') return undefined
  checkContentType(request.headers['content-type'] ?? '', method)
  try {
    return JSON.parse(Buffer.concat(chunks).toString()) as unknown
  } catch (error) {
    throw new ApiError('BadRequest', `the body is not JSON: ${describeError(error)}`)
  }
}

function checkContentType(contentType: string, method: WriteRequest['method']): void {
  const type = (contentType.split(';')[0] ?? '').trim().toLowerCase()
  const accepted = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
  if (type === accepted) return
  throw new ApiError(
    'UnsupportedMediaType',
    `the body of a media type "${type}" is not implemented for ${method}: send ${accepted}`,
  )
}

function sendText(response: ServerResponse, code: number, text: string): void {
  response.writeHead(code, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
  response.end(text)
}
