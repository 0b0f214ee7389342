/** An endpoint of several addresses (LOGICAL_DNS), through a real listener: nothing is lost while one of them answers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { WireAddress } from '../../src/proxy/wire/wire.ts'
import { startHttp2Origin } from '../support/http2-scene.ts'
import { exchangeBytes, forwardTo, startOrigin, startScene } from '../support/proxy-scene.ts'

/** Nobody listens there. */
const nobody: WireAddress = { kind: 'ip', address: '127.0.0.1', port: 1 }
const request = 'GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n'

async function openScene(protocol: 'http1' | 'http2', others: readonly WireAddress[]) {
  const scene = await startScene({
    clusters: [{ name: 'a', addresses: [nobody], settings: { protocol } }],
    routes: [forwardTo('a')],
  })
  const [host] = scene.clusters.get('a')?.hosts ?? []
  assert.ok(host)
  Object.assign(host, { otherAddresses: others })
  return scene
}

for (const protocol of ['http1', 'http2'] as const) {
  test(`${protocol}: another address takes the request, and the log says which`, async () => {
    await using origin =
      protocol === 'http1'
        ? await startOrigin((_request, response) => void response.end('here'))
        : await startHttp2Origin((stream) => {
            stream.respond({ ':status': 200 })
            stream.end('here')
          })
    await using scene = await openScene(protocol, [nobody, origin.address])
    assert.match(await exchangeBytes(scene.port, request), /^HTTP\/1\.1 200 .*here/s)
    const { address } = origin
    assert.ok(address.kind === 'ip')
    const [record] = scene.records
    assert.equal(record?.upstreamRemoteAddress, `127.0.0.1:${address.port}`)
    assert.equal(record?.host?.addressText, '127.0.0.1:1')
    assert.equal(scene.clusters.get('a')?.stats.cxConnectFail.value(), 0)
  })
}

test('where none of them answers, the connection failed once', async () => {
  await using scene = await openScene('http1', [nobody])
  assert.match(await exchangeBytes(scene.port, request), /^HTTP\/1\.1 503 /)
  assert.equal(scene.clusters.get('a')?.stats.cxConnectFail.value(), 1)
})
