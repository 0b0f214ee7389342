/** Calls of the owner of a control plane's state, over its Unix socket. */
import { request } from 'node:http'

export interface OwnerAnswer {
  readonly status: number
  // oxlint-disable-next-line typescript/no-explicit-any -- answers are JSON of any shape
  readonly body: any
  readonly text: string
}

/** `POST /tokens` */
export function ownerCall(
  socketPath: string,
  target: string,
  body?: unknown,
): Promise<OwnerAnswer> {
  const [method = '', path = ''] = target.split(' ')
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, method, path, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, body: JSON.parse(text), text })
      })
    })
    call.on('error', reject)
    call.end(body === undefined ? '' : JSON.stringify(body))
  })
}
