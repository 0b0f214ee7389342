/**
 * Speaks to the control plane on this host as the owner of its state, over its Unix socket (api/identity.ts): tokens,
 * roots, checks. On another host these commands do not work, and say so.
 */
import { describeError, MeshError, meshErrorCodes } from '../lib/mesh-error.ts'
import { request } from '../lib/node-http.ts'
import type { CliContext, FlagValues } from './command.ts'
import { findMesh, tulleHome, type RunningMesh } from './home.ts'

export interface IdentityClient {
  readonly mesh: RunningMesh
  call<T>(target: string, body?: unknown): Promise<T>
}

/** Checking asks for nothing that takes long; making a root waits for the disk. */
const timeoutMs = 30_000
const answerBytesMax = 16 << 20

/** Of the mesh that the flag `--mesh` means. Rejections: MESH_CONTROL_PLANE_UNREACHABLE. */
export function identityClient(flags: FlagValues, context: CliContext): IdentityClient {
  const mesh = findMesh(tulleHome(context.env), flags.text('mesh'))
  const { handOver } = mesh.identity
  if (handOver === undefined) {
    throw new MeshError('MESH_CONTROL_PLANE_UNREACHABLE', `mesh ${mesh.name} has no authority here`)
  }
  return { mesh, call: <T>(target: string, body?: unknown) => call<T>(handOver, target, body) }
}

/** `target` is `POST /tokens`. Rejections: those of the control plane, and MESH_CONTROL_PLANE_UNREACHABLE. */
async function call<T>(socketPath: string, target: string, body: unknown): Promise<T> {
  const [method = '', path = ''] = target.split(' ')
  const text = body === undefined ? '' : JSON.stringify(body)
  const { status, answer } = await send({ socketPath, method, path, text })
  const parsed = parse(answer)
  if (status === 200) return parsed as T
  const { code, message, remedy } = parsed as Record<string, string | undefined>
  const known = meshErrorCodes.find((one) => one === code) ?? 'MESH_API_FAILED'
  throw new MeshError(known, message ?? `status ${status}`, remedy === undefined ? {} : { remedy })
}

interface Sent {
  readonly socketPath: string
  readonly method: string
  readonly path: string
  readonly text: string
}

function send({ socketPath, method, path, text }: Sent) {
  return new Promise<{ readonly status: number; readonly answer: string }>((resolve, reject) => {
    const fail = (cause: unknown) => {
      reject(
        new MeshError('MESH_CONTROL_PLANE_UNREACHABLE', `${socketPath} does not answer`, {
          cause,
          remedy: 'run this on the host of the control plane, as the user who started it',
        }),
      )
    }
    const sent = request({ socketPath, method, path, agent: false, timeout: timeoutMs })
    sent.on('timeout', () => sent.destroy(new Error(`no answer within ${timeoutMs} ms`)))
    sent.on('error', fail)
    sent.on('response', (response) => {
      let answer = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        answer += chunk
        if (answer.length > answerBytesMax) sent.destroy(new Error('the answer is too long'))
      })
      response.on('error', fail)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, answer }))
    })
    sent.end(text)
  })
}

function parse(answer: string): unknown {
  try {
    return JSON.parse(answer) as unknown
  } catch (error) {
    throw new MeshError('MESH_API_FAILED', `the answer is not JSON: ${describeError(error)}`)
  }
}
