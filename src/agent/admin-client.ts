/**
 * Asks a sidecar's admin interface, our own or Envoy's: both answer the same paths.
 *
 * The address is `127.0.0.1:15000` or `unix:/path`.
 */
import { describeError, MeshError } from '../lib/mesh-error.ts'
import { request } from '../lib/node-http.ts'

export interface AdminAnswer {
  readonly status: number
  readonly text: string
}

export interface AdminRequest {
  readonly address: string
  readonly path: string
  /** GET unless said otherwise; what changes something is POST. */
  readonly method?: 'GET' | 'POST'
  readonly timeoutMs?: number
}

/** An admin answer beyond this is refused; a config dump of 1 000 services is about 30 MB. */
const answerBytesMax = 256 * 1024 * 1024

/** Rejects with MESH_API_FAILED when nobody answers there. */
export function askAdmin(options: AdminRequest): Promise<AdminAnswer> {
  const { address, path, method = 'GET', timeoutMs = 5_000 } = options
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => {
      const what = `${method} ${path} of the sidecar at ${address}: ${describeError(error)}`
      reject(new MeshError('MESH_API_FAILED', what, { remedy: 'check that the workload runs' }))
    }
    const signal = AbortSignal.timeout(timeoutMs)
    const sent = request({ ...target(address), path, method, agent: false, signal }, (response) => {
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > answerBytesMax) response.destroy(new Error('the answer is too long'))
        else chunks.push(chunk)
      })
      response.on('error', fail)
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() })
      })
    })
    sent.on('error', fail)
    sent.end()
  })
}

function target(address: string): { socketPath: string } | { host: string; port: number } {
  if (address.startsWith('unix:')) return { socketPath: address.slice('unix:'.length) }
  const colon = address.lastIndexOf(':')
  return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) }
}
