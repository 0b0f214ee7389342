/**
 * Hands join tokens over to workloads on this host, on a socket that only the owner of the control plane's state may
 * use: whoever may read the authority's key may have a token. So a mesh on one machine needs none from the user.
 *
 * `POST /token` with whom to admit answers one token, good for one certificate and for a minute.
 */
import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, rmSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import type { TokenOptions } from '../identity/token-store.ts'
import type { Log } from '../lib/log.ts'
import { describeError, MeshError } from '../lib/mesh-error.ts'
import { createServer } from '../lib/node-http.ts'

export type HandOverGrant = Pick<
  TokenOptions,
  'namespace' | 'serviceAccount' | 'group' | 'ttlMs' | 'usesMax' | 'madeBy'
>

export interface HandOverOptions {
  /** `handOverSocket` of the control plane's state folder. */
  readonly path: string
  /** The text of a new token. */
  readonly createToken: (grant: HandOverGrant) => Promise<string>
  readonly log: Log
}

const tokenTtlMs = 60_000
const requestBytesMax = 4_096
/** The kernel's own limit is 108 bytes on Linux, 104 on macOS. */
const socketPathBytesMax = 100

/** Where the socket of a state folder is: below the system's temporary folder when its own path is too long. */
export function handOverSocket(stateFolder: string): string {
  const path = join(stateFolder, 'hand-over.sock')
  if (Buffer.byteLength(path) <= socketPathBytesMax) return path
  const digest = createHash('sha256').update(stateFolder).digest('hex').slice(0, 16)
  return join(tmpdir(), `tulle-${digest}`, 'hand-over.sock')
}

/** Rejections: MESH_LISTEN_FAILED. */
export async function openHandOver(options: HandOverOptions): Promise<AsyncDisposable> {
  const { path, log } = options
  const folder = dirname(path)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  // Nobody else may connect in the moment before the socket has its own rights.
  chmodSync(folder, 0o700)
  rmSync(path, { force: true })
  const server = createServer((request, response) => {
    void answer(request, response, options)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(new MeshError('MESH_LISTEN_FAILED', `listen on ${path}`, { cause }))
    })
    server.listen(path, resolve)
  })
  chmodSync(path, 0o600)
  log.debug({ path }, 'tokens are handed over to the owner')
  return {
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** The loop of one call: whatever goes wrong is its answer. */
async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { createToken, log }: HandOverOptions,
): Promise<void> {
  try {
    if (request.method !== 'POST' || request.url !== '/token') {
      response.writeHead(404).end('expected POST /token')
      return
    }
    const grant = parseWish(await readText(request))
    const token = await createToken({
      ...grant,
      ttlMs: tokenTtlMs,
      usesMax: 1,
      madeBy: 'hand-over',
    })
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ token }))
  } catch (error) {
    const reason = error instanceof MeshError ? error.message : 'internal error'
    log.warn({ error: describeError(error) }, 'no token was handed over')
    response.writeHead(error instanceof MeshError ? 400 : 500).end(reason)
  }
}

async function readText(request: IncomingMessage): Promise<string> {
  let text = ''
  request.setEncoding('utf8')
  for await (const chunk of request) {
    text += String(chunk)
    if (text.length > requestBytesMax) throw malformed()
  }
  return text
}

function parseWish(text: string): Pick<HandOverGrant, 'namespace' | 'serviceAccount' | 'group'> {
  let wish: Record<string, unknown>
  try {
    wish = Object(JSON.parse(text)) as Record<string, unknown>
  } catch {
    throw malformed()
  }
  const { namespace, serviceAccount, group } = wish
  if (typeof namespace !== 'string' || typeof serviceAccount !== 'string') throw malformed()
  if (group !== undefined && typeof group !== 'string') throw malformed()
  return { namespace, serviceAccount, group }
}

function malformed(): MeshError {
  return new MeshError('MESH_IDENTITY_REFUSED', 'expected {"namespace", "serviceAccount", "group"}')
}
