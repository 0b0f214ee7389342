/** Redirects that a route follows itself, on one HTTP/2 connection, and clients that leave while one is followed. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { type ClientHttp2Session, connect } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { after, before, suite, test } from 'node:test'

import {
  bootstrapText,
  cluster,
  httpManager,
  listener,
} from '../conformance/parity/bootstrap-parts.ts'
import { eventually } from '../support/eventually.ts'
import { type RunningProxy, runTulle } from '../support/mtls-scene.ts'

suite('redirects that are followed', () => {
  let server: Server
  let proxy: RunningProxy
  let session: ClientHttp2Session
  const hanging: ServerResponse[] = []
  before(async () => {
    server = createServer((request, response) => {
      const { url = '', headers } = request
      if (url.startsWith('/hang')) hanging.push(response)
      else if (url.startsWith('/end')) {
        let body = ''
        request.on('data', (chunk: Buffer) => (body += chunk.toString()))
        request.on('end', () =>
          response.end(`${url} ${body} ${String(headers['x-envoy-original-url'])}`),
        )
      } else {
        const to = url.replace('/start', headers['x-to']?.toString() ?? '/end')
        request.resume()
        response.writeHead(307, { location: `http://app.test${to}` }).end('moved')
      }
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    proxy = await runTulle(bootstrap((server.address() as AddressInfo).port))
    session = connect(`http://127.0.0.1:${proxy.port}`)
  })
  after(async () => {
    session.destroy()
    await proxy[Symbol.asyncDispose]()
    server.closeAllConnections()
    server.close()
  })

  const post = async (path: string, body: string): Promise<string> => {
    const stream = session.request({ ':path': path, ':method': 'POST' })
    stream.end(body)
    let text = ''
    for await (const chunk of stream) text += String(chunk)
    return text
  }

  test('requests side by side each get their own answer, with their bodies', async () => {
    const bodies = Array.from({ length: 100 }, (_, index) => `body ${index}`)
    const answers = await Promise.all(bodies.map((body, index) => post(`/start/${index}`, body)))
    const { port } = proxy
    assert.deepEqual(
      answers,
      bodies.map((body, index) => `/end/${index} ${body} http://127.0.0.1:${port}/start/${index}`),
    )
    assert.equal(await proxy.stat('cluster.app.upstream_internal_redirect_succeeded_total'), 100)
    assert.equal(await proxy.stat('http.main.downstream_rq_active'), 0)
  })

  test('a client that leaves while its redirect is followed ends it', async () => {
    const stream = session.request({ ':path': '/start/1', 'x-to': '/hang' })
    stream.on('error', () => {
      // It is given up.
    })
    stream.end()
    await eventually(() => hanging.length === 1)
    const closed = once(hanging[0] as ServerResponse, 'close')
    stream.close(8)
    await closed
    await eventually(async () => (await proxy.stat('http.main.downstream_rq_active')) === 0)
    assert.match(await post('/start/2', 'after'), /^\/end\/2 after /)
  })
})

function bootstrap(port: number): string {
  return bootstrapText({
    listeners: [
      listener('main', [
        httpManager({
          stat_prefix: 'main',
          route_config: {
            name: 'table',
            virtual_hosts: [
              {
                name: 'app',
                domains: ['*'],
                routes: [
                  {
                    match: { prefix: '/' },
                    route: {
                      cluster: 'app',
                      internal_redirect_policy: { redirect_response_codes: [307] },
                    },
                  },
                ],
              },
            ],
          },
        }),
      ]),
    ],
    clusters: [cluster('app', [port])],
  })
}
