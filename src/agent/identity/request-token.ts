/**
 * Asks the control plane on this host for a token, through a socket that only the owner of its state may use
 * (control/identity/admin-server.ts). So `tulle up`, and `tulle run` beside it, need none from the user.
 */
import { describeError, MeshError } from '../../lib/mesh-error.ts'
import { request } from '../../lib/node-http.ts'

/** Whom the token is to admit. */
export interface TokenWish {
  readonly namespace: string
  readonly serviceAccount: string
  readonly group: string | undefined
}

/** Rejections: MESH_CA_UNREACHABLE, MESH_IDENTITY_REFUSED. */
export type RequestToken = (socketPath: string, wish: TokenWish) => Promise<string>

const timeoutMs = 5_000
const answerBytesMax = 16_384

export const requestToken: RequestToken = async (socketPath, wish) => {
  const { status, text } = await post(socketPath, JSON.stringify(wish))
  // Written by our own control plane.
  const answer = status === 200 ? (JSON.parse(text) as { token?: string }) : {}
  if (answer.token !== undefined) return answer.token
  throw new MeshError('MESH_IDENTITY_REFUSED', `the control plane hands no token over: ${text}`)
}

function post(socketPath: string, body: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => {
      const message = `${socketPath} hands no token over: ${describeError(error)}`
      reject(
        new MeshError('MESH_CA_UNREACHABLE', message, {
          remedy: 'check that the mesh runs on this host, or join with --token-file',
        }),
      )
    }
    const call = request({
      socketPath,
      path: '/token',
      method: 'POST',
      agent: false,
      timeout: timeoutMs,
    })
    call.on('timeout', () => call.destroy(new Error(`no answer within ${timeoutMs} ms`)))
    call.on('error', fail)
    call.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
        if (text.length > answerBytesMax) call.destroy(new Error('the answer is too long'))
      })
      response.on('error', fail)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
    call.end(body)
  })
}
