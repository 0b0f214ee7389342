/** A request in absolute form, as a client sends it that knows its proxy by `HTTP_PROXY`. */
import { request } from 'node:http'

export interface ThroughInit {
  readonly method?: string
  readonly body?: string
}

export function httpRequestThrough(
  proxyPort: number,
  host: string,
  { method = 'GET', body = '' }: ThroughInit = {},
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const path = `http://${host}/`
    const sent = request(
      { host: '127.0.0.1', port: proxyPort, method, path, headers: { host }, agent: false },
      (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => (text += chunk))
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }))
        response.on('error', reject)
      },
    )
    sent.on('error', reject)
    sent.end(body)
  })
}
