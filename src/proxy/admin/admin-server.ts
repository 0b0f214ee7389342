/**
 * The admin interface: HTTP on a loopback address or a Unix socket, with the pages and the answers of Envoy's.
 *
 * It is for people and tools on this machine. A page that changes something answers POST only, so that no link or image
 * can trigger it; the Host header must name this machine, so that no web page whose name was pointed here can read it
 * (DNS rebinding). Bodies are never read. A Unix socket gets mode 0600.
 */
import { chmod, unlink } from 'node:fs/promises'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'

import type { Log } from '../../lib/log.ts'
import { MeshError, describeError } from '../../lib/mesh-error.ts'
import { createServer } from '../../lib/node-http.ts'
import type { AdminAddress } from '../config/bootstrap.ts'
import { closeHandedOver } from '../listener/listen.ts'
import { descriptorOf } from '../worker/duplicate-descriptor.ts'
import type { AdminPage, AdminReply } from './admin-page.ts'
import { textReply } from './admin-page.ts'
import { helpText } from './help-page.ts'

export interface AdminServerOptions {
  readonly address: AdminAddress
  readonly pages: readonly AdminPage[]
  readonly log: Log
  /** The socket of a sidecar that this one has taken over from. */
  readonly adopt?: { readonly fd: number } | undefined
}

export interface AdminServer extends AsyncDisposable {
  /** `127.0.0.1:15000` or `unix:/path`. */
  readonly address: string
  /** Of the socket that it listens on. */
  readonly descriptor: number | undefined
  /** Another process answers in its place; what is being answered here, still is. */
  release(): void
  close(): Promise<void>
}

/** Requests at the same time; more are answered 503. */
const requestsMax = 64

export async function openAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const { log } = options
  const pages = new Map(options.pages.map((page) => [page.path, page]))
  let active = 0
  const server = createServer((request, response) => {
    active += 1
    response.on('close', () => {
      active -= 1
    })
    const reply = active > requestsMax ? busy : answer(pages, request)
    Promise.resolve(reply).then(
      (done) => send(response, done),
      (error: unknown) => {
        log.error({ url: request.url, error: describeError(error) }, 'admin page failed')
        send(response, textReply(`${describeError(error)}\n`, 500))
      },
    )
  })
  server.on('clientError', (_error, socket) => socket.destroy())
  const address = await listen(server, options)
  const close = (): Promise<void> => closeServer(server)
  return {
    address,
    get descriptor() {
      return server.listening ? descriptorOf(server) : undefined
    },
    release() {
      if (server.listening) closeHandedOver(server)
      server.closeIdleConnections()
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

const busy = textReply('too many requests to the admin interface\n', 503)

async function answer(
  pages: ReadonlyMap<string, AdminPage>,
  request: IncomingMessage,
): Promise<AdminReply> {
  if (!isHostLocal(request.headers.host)) {
    return textReply('the Host header must be a loopback address or localhost\n', 403)
  }
  const url = URL.parse(request.url ?? '/', 'http://admin')
  const page = url === null ? undefined : pages.get(url.pathname)
  if (url === null || page === undefined) {
    return textReply(`invalid path. ${helpText([...pages.values()])}`, 404)
  }
  const method = request.method ?? 'GET'
  if (page.mutates && method !== 'POST') {
    return textReply(`Method ${method} not allowed, POST required.`, 405)
  }
  if (!['GET', 'HEAD', 'POST'].includes(method)) {
    return textReply(`Method ${method} not allowed.`, 405)
  }
  return page.run(url.searchParams)
}

function send(response: ServerResponse, reply: AdminReply): void {
  response.writeHead(reply.status, {
    'content-type': reply.contentType,
    'cache-control': 'no-cache, max-age=0',
    'x-content-type-options': 'nosniff',
  })
  response.end(reply.body)
}

const localHost = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/i

/** Absent is fine: HTTP/1.0 and clients of a Unix socket; browsers always send it. */
export function isHostLocal(host: string | undefined): boolean {
  return host === undefined || host === '' || localHost.test(host)
}

async function listen(
  server: Server,
  { address: admin, adopt }: Pick<AdminServerOptions, 'address' | 'adopt'>,
): Promise<string> {
  const { address, mode } = admin
  if (address.kind === 'internal') {
    throw new MeshError('MESH_LISTEN_FAILED', 'the admin interface cannot be an internal listener')
  }
  const where = address.kind === 'ip' ? `${address.address}:${address.port}` : address.path
  // A socket file that a killed process left behind would refuse the bind.
  if (address.kind === 'unix' && adopt === undefined) {
    await unlink(address.path).catch(() => undefined)
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const message = `listen for the admin interface on ${where}`
      reject(new MeshError('MESH_LISTEN_FAILED', message, { cause }))
    })
    if (adopt !== undefined) server.listen(adopt, resolve)
    else if (address.kind === 'ip') server.listen(address.port, address.address, resolve)
    else server.listen(address.path, resolve)
  })
  if (address.kind === 'unix') {
    await chmod(address.path, mode)
    return `unix:${address.path}`
  }
  const bound = server.address()
  const port = typeof bound === 'object' && bound !== null ? bound.port : address.port
  const host = address.address.includes(':') ? `[${address.address}]` : address.address
  return `${host}:${port}`
}

async function closeServer(server: Server): Promise<void> {
  server.closeAllConnections()
  if (!server.listening) return
  await new Promise<void>((resolve) => server.close(() => resolve()))
}
