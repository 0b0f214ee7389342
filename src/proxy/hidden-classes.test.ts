/** What is kept of the last request while there is none: one of each class, whatever came before. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { connect } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { queryObjects } from 'node:v8'

import { eventually } from '../../test/support/eventually.ts'
import { startHttp2Scene } from '../../test/support/http2-scene.ts'
import { exchangeBytes } from '../../test/support/proxy-scene.ts'
import { Answer } from './exchange-answer.ts'
import { Attempt } from './exchange-attempt.ts'
import { RequestBody } from './exchange-body.ts'
import { RetryState } from './exchange-retry.ts'
import { Exchange } from './exchange.ts'
import { HeaderList } from './http/header-list.ts'
import { ServerConnection } from './http1/server-connection.ts'
import { ServerStream } from './http2/server-stream.ts'

/** Those that a collection would keep. */
const alive = (constructor: unknown) =>
  queryObjects(constructor as Parameters<typeof queryObjects>[0]) as unknown as number

async function openScene() {
  const origin = createServer((_request, response) => response.end('hello'))
  await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve))
  const { port } = origin.address() as AddressInfo
  const scene = await startHttp2Scene({
    clusters: [{ name: 'origin', addresses: [{ kind: 'ip', address: '127.0.0.1', port }] }],
    routes: [
      '{ match: { prefix: / }, route: { cluster: origin, retry_policy: { retry_on: 5xx } } }',
    ],
  })
  return {
    scene,
    async [Symbol.asyncDispose]() {
      await scene[Symbol.asyncDispose]()
      origin.closeAllConnections()
      await new Promise((resolve) => origin.close(resolve))
    },
  }
}

test('of what a request is made of one stays when all are over, however many there were', async () => {
  await using opened = await openScene()
  const { scene } = opened
  for (let count = 1; count <= 5; count += 1) {
    const answer = await exchangeBytes(
      scene.port,
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    )
    assert.match(answer, /hello$/)
  }
  await eventually(() => scene.records.length === 5)
  for (const part of [Exchange, Attempt, Answer, RequestBody, RetryState, ServerConnection]) {
    await eventually(() => alive(part) === 1)
  }
  assert.ok(alive(HeaderList) > 0)
})

test('HTTP/1 and HTTP/2 have one each', async () => {
  await using opened = await openScene()
  const { scene } = opened
  await exchangeBytes(scene.port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  const session = connect(`http://127.0.0.1:${scene.port}`)
  for (let count = 1; count <= 3; count += 1) {
    const stream = session.request({ ':path': '/' })
    stream.resume()
    await new Promise((resolve) => stream.once('close', resolve))
  }
  await new Promise<void>((resolve) => session.close(resolve))
  await eventually(() => scene.records.length === 4)
  await eventually(() => alive(Exchange) === 2)
  await eventually(() => alive(ServerStream) === 1)
})
