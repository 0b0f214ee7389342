/** Calls of gRPC-Web, as a browser makes them, to a real gRPC server: over HTTP/1.1 and HTTP/2, in bytes and in text. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as http1Request } from 'node:http'
import { connect } from 'node:http2'
import { after, before, suite, test } from 'node:test'

import {
  bootstrapText,
  cluster,
  httpManager,
  listener,
  router,
  typed,
} from '../conformance/parity/bootstrap-parts.ts'
import { type GrpcEcho, startGrpcEcho } from '../support/grpc-echo.ts'
import { type RunningProxy, runTulle } from '../support/mtls-scene.ts'

interface Called {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}

type Call = (headers: Record<string, string>, body: Buffer) => Promise<Called>

function frame(text: string): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(text.length, 1)
  return Buffer.concat([head, Buffer.from(text)])
}

const trailers = (lines: string): string => {
  const bytes = frame(lines)
  bytes[0] = 0x80
  return bytes.toString('latin1')
}

async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of stream) parts.push(part)
  return Buffer.concat(parts).toString('latin1')
}

/** Base64 of several parts, each padded at its end. */
function fromText(body: string): string {
  return body.replaceAll(/[^=]+={0,2}/g, (part) => Buffer.from(part, 'base64').toString('latin1'))
}

suite('a gRPC server for browsers', () => {
  let echo: GrpcEcho
  let proxy: RunningProxy
  before(async () => {
    echo = await startGrpcEcho()
    proxy = await runTulle(bootstrap(echo.port))
  })
  after(async () => {
    await proxy[Symbol.asyncDispose]()
    await echo[Symbol.asyncDispose]()
  })

  const overHttp1 =
    (path: string): Call =>
    async (headers, body) => {
      const request = http1Request({ port: proxy.port, path, method: 'POST', headers })
      request.end(body)
      const [response] = await once(request, 'response')
      return {
        status: response.statusCode,
        headers: response.headers,
        body: await textOf(response),
      }
    }

  const overHttp2 =
    (path: string): Call =>
    async (headers, body) => {
      const session = connect(`http://127.0.0.1:${proxy.port}`)
      const stream = session.request({ ':path': path, ':method': 'POST', ...headers })
      stream.end(body)
      const [answer] = await once(stream, 'response')
      const text = await textOf(stream)
      session.close()
      return { status: answer[':status'], headers: answer, body: text }
    }

  for (const [protocol, over] of [
    ['HTTP/1.1', overHttp1],
    ['HTTP/2', overHttp2],
  ] as const) {
    test(`a call in bytes over ${protocol} is answered with its trailers in the body`, async () => {
      const type = 'application/grpc-web+proto'
      const call = over('/echo.Echo/Unary')
      const { status, headers, body } = await call({ 'content-type': type }, frame('you'))
      assert.equal(status, 200)
      assert.equal(headers['content-type'], type)
      assert.ok(body.startsWith(frame('hello you').toString('latin1')))
      assert.match(body.slice(14), /^\u0080.*x-trailer:kept\r\n/s)
      assert.match(body.slice(14), /grpc-status:0\r\n/)
    })

    test(`a call in text over ${protocol} is answered in text`, async () => {
      const type = 'application/grpc-web-text'
      const sent = Buffer.from(frame('3').toString('base64'))
      const call = over('/echo.Echo/Download')
      const { headers, body } = await call({ 'content-type': type, accept: type }, sent)
      assert.equal(headers['content-type'], 'application/grpc-web-text+proto')
      const parts = [0, 1, 2].map((count) => frame(`part ${count}`).toString('latin1')).join('')
      const decoded = fromText(body)
      assert.ok(decoded.startsWith(parts))
      assert.match(decoded.slice(parts.length), /^\u0080.*grpc-status:0/s)
    })

    test(`a call that fails over ${protocol} tells its status`, async () => {
      const call = over('/echo.Echo/Unary')
      const type = 'application/grpc-web'
      const { status, headers, body } = await call({ 'content-type': type }, frame('fail 7'))
      assert.equal(status, 200)
      const inHead = headers['grpc-status'] === '7'
      assert.ok(inHead || body.includes(trailers('').slice(0, 1)))
      assert.ok(inHead || body.includes('grpc-status:7'))
    })

    test(`what is no base64 over ${protocol} is refused as a gRPC status`, async () => {
      const type = 'application/grpc-web-text'
      const call = over('/echo.Echo/Unary')
      const { status, headers, body } = await call({ 'content-type': type }, Buffer.from('****'))
      assert.equal(status, 400)
      assert.equal(headers['grpc-status'], '13')
      assert.equal(headers['grpc-message'], 'Bad gRPC-web request, invalid base64 data.')
      assert.equal(body, '')
    })
  }

  test('many messages at once are decoded and counted', async () => {
    const type = 'application/grpc-web-text+proto'
    const all = Array.from({ length: 1000 }, (_, index) => frame(`message ${index}`))
    const total = all.reduce((sum, { length }) => sum + length - 5, 0)
    const sent = Buffer.from(Buffer.concat(all).toString('base64'))
    const { body } = await overHttp1('/echo.Echo/Upload')({ 'content-type': type }, sent)
    assert.ok(body.startsWith(frame(String(total)).toString('latin1')))
    assert.equal(await proxy.stat('cluster.echo.grpc.request_message_count'), 1006)
  })

  test('calls are counted by their method', async () => {
    const name = 'cluster.echo.grpc-web.echo.Echo.Unary'
    assert.equal(await proxy.stat(`${name}.success`), 2)
    assert.equal(await proxy.stat(`${name}.7`), 2)
    assert.equal(await proxy.stat(`${name}.failure`), 2)
    assert.equal(await proxy.stat(`${name}.total`), 4)
  })
})

function bootstrap(port: number): string {
  const http2 = {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
      '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
      explicit_http_config: { http2_protocol_options: {} },
    },
  }
  return bootstrapText({
    listeners: [
      listener('main', [
        httpManager({
          stat_prefix: 'main',
          http_filters: [
            typed('envoy.filters.http.grpc_web', 'filters.http.grpc_web.v3.GrpcWeb'),
            typed('envoy.filters.http.grpc_stats', 'filters.http.grpc_stats.v3.FilterConfig'),
            router,
          ],
          route_config: {
            name: 'table',
            virtual_hosts: [
              {
                name: 'app',
                domains: ['*'],
                routes: [{ match: { prefix: '/' }, route: { cluster: 'echo' } }],
              },
            ],
          },
        }),
      ]),
    ],
    clusters: [cluster('echo', [port], { typed_extension_protocol_options: http2 })],
  })
}
