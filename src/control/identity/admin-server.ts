/**
 * Tokens and roots, for the owner of the control plane's state: an HTTP server on a Unix socket in a folder that
 * nobody else may enter. Whoever may read the authority's key may have a token; so commands on this host need no
 * other proof, and a mesh on one machine needs no token from its user.
 *
 * A live socket is also the lock of the state folder: of two control planes the second one does not start.
 * Calls and answers: api/identity.ts. Bounds: bytes of a body, connections.
 */
import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, rmSync } from 'node:fs'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import type { Log } from '../../lib/log.ts'
import { describeError, MeshError } from '../../lib/mesh-error.ts'
import { createServer } from '../../lib/node-http.ts'
import { isListening } from '../../lib/unix-socket.ts'

export interface AdminRequest {
  /** `POST /roots/:id/use`, as the table of routes has it. */
  readonly id: string
  readonly query: URLSearchParams
  readonly body: unknown
}

/** Answers JSON. Rejections: MeshError; its message is the answer. */
export type AdminRoute = (request: AdminRequest) => unknown

export interface AdminServerOptions {
  /** `handOverSocket` of the control plane's state folder. */
  readonly path: string
  readonly routes: Readonly<Record<string, AdminRoute>>
  readonly log: Log
}

const bodyBytesMax = 65_536
const connectionsMax = 256
/** The kernel's own limit is 108 bytes on Linux, 104 on macOS. */
const socketPathBytesMax = 100

/** Where the socket of a state folder is: below the system's temporary folder when its own path is too long. */
export function handOverSocket(stateFolder: string): string {
  const path = join(stateFolder, 'hand-over.sock')
  if (Buffer.byteLength(path) <= socketPathBytesMax) return path
  const digest = createHash('sha256').update(stateFolder).digest('hex').slice(0, 16)
  return join(tmpdir(), `tulle-${digest}`, 'hand-over.sock')
}

/** Rejections: MESH_LISTEN_FAILED, also when another control plane has this state open. */
export async function openAdminServer(options: AdminServerOptions): Promise<AsyncDisposable> {
  const { path, log } = options
  const folder = dirname(path)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  // Nobody else may connect in the moment before the socket has its own rights.
  chmodSync(folder, 0o700)
  if (await isListening(path)) {
    throw new MeshError('MESH_LISTEN_FAILED', `another control plane uses ${folder}`, {
      remedy: 'end it, or give this one another --state-folder',
    })
  }
  rmSync(path, { force: true })
  const server = createServer((request, response) => {
    void answer(request, response, options)
  })
  server.maxConnections = connectionsMax
  await listen(server, path)
  chmodSync(path, 0o600)
  log.debug({ path }, 'tokens and roots are managed by the owner')
  return {
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      reject(new MeshError('MESH_LISTEN_FAILED', `listen on ${path}`, { cause }))
    })
    server.listen(path, resolve)
  })
}

/** The loop of one call: whatever goes wrong is its answer. */
async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { routes, log }: AdminServerOptions,
): Promise<void> {
  response.on('error', () => response.destroy())
  try {
    const url = new URL(request.url ?? '/', 'http://localhost')
    const found = findRoute(routes, request.method ?? '', url.pathname)
    if (found === undefined) {
      send(response, 404, { message: `unknown call ${request.method ?? ''} ${url.pathname}` })
      return
    }
    const { route, id } = found
    const body = await readBody(request)
    send(response, 200, (await route({ id, query: url.searchParams, body })) ?? {})
  } catch (error) {
    const isOurs = error instanceof MeshError
    log.warn({ call: request.url, error: describeError(error) }, 'a call of the owner failed')
    const refusal = isOurs
      ? { code: error.code, message: describeError(error), remedy: error.remedy }
      : { code: 'MESH_API_FAILED', message: 'internal error, see the log of the control plane' }
    send(response, isOurs ? 400 : 500, refusal)
  }
}

function findRoute(routes: AdminServerOptions['routes'], method: string, path: string) {
  for (const [pattern, route] of Object.entries(routes)) {
    const [wanted = '', template = ''] = pattern.split(' ')
    if (wanted !== method) continue
    const expected = template.split('/')
    const parts = path.split('/')
    const fits = expected.every((part, index) => part === ':id' || part === parts[index])
    if (!fits || expected.length !== parts.length) continue
    const at = expected.indexOf(':id')
    return { route, id: at < 0 ? '' : decodeURIComponent(parts[at] ?? '') }
  }
  return undefined
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  let text = ''
  request.setEncoding('utf8')
  for await (const chunk of request) {
    text += String(chunk)
    if (text.length > bodyBytesMax) {
      throw new MeshError('MESH_API_FAILED', `the body has more than ${bodyBytesMax} bytes`)
    }
  }
  if (text === '') return undefined
  try {
    return JSON.parse(text) as unknown
  } catch (cause) {
    throw new MeshError('MESH_API_FAILED', 'the body is not JSON', { cause })
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
