/** `loadBalancer.simple: PASSTHROUGH`: a request goes to the address that it names, and not to the service's endpoints. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { translateAll } from '../../src/translate/full.ts'
import { eventually } from '../support/eventually.ts'
import { exchangeBytes } from '../support/proxy-scene.ts'
import { onAnyPort, openNamedUpstream, openSidecarScene } from '../support/sidecar-scene.ts'
import { readTranslationCase } from '../support/translation-case.ts'

function sceneOf(ports: { readonly named: number; readonly endpoint: number }, policy: string) {
  return readTranslationCase(`
kind: Scene
services:
- hostname: dialled.example.com
  ports: [ { number: ${ports.named}, name: http } ]
  addresses: [ 127.0.0.1 ]
  isMeshExternal: true
  endpoints: [ { address: 127.0.0.1, port: ${ports.endpoint} } ]
- hostname: bytes.example.com
  ports: [ { number: 5432, name: tcp, protocol: tcp } ]
  isMeshExternal: true
  endpoints: [ { address: 127.0.0.1, port: ${ports.endpoint} } ]
client:
  metadata:
    HTTP_PROXY_PORT: '15080'
    UPSTREAMS: [ { host: bytes.example.com, port: 5432, localPort: 15432 } ]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: dialled }
spec: { host: dialled.example.com, trafficPolicy: { loadBalancer: { simple: ${policy} } } }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: bytes }
spec: { host: bytes.example.com, trafficPolicy: { loadBalancer: { simple: ${policy} } } }
`)
}

for (const [policy, expected] of [
  ['PASSTHROUGH', 'named'],
  ['ROUND_ROBIN', 'endpoint'],
] as const) {
  test(`with ${policy} a request for an address goes to the ${expected}`, async () => {
    await using named = await openNamedUpstream('named')
    await using endpoint = await openNamedUpstream('endpoint')
    await using scene = await openSidecarScene({ resources: {} })
    const { input, node } = sceneOf({ named: named.port, endpoint: endpoint.port }, policy)
    scene.source.setView(onAnyPort(translateAll(input, node)))
    const port = await eventually(async () => (await scene.portOf('http_proxy')) || undefined)
    const head = `GET http://127.0.0.1:${named.port}/ HTTP/1.1\r\nHost: 127.0.0.1:${named.port}`
    const answer = await eventually(async () => {
      const text = await exchangeBytes(port, `${head}\r\nConnection: close\r\n\r\n`)
      return text.startsWith('HTTP/1.1 200 ') && text
    })
    assert.ok(answer.includes(expected), answer)
    const local = await eventually(async () => (await scene.portOf('127.0.0.1_15432')) || undefined)
    const bytes = await exchangeBytes(
      local,
      'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    )
    assert.equal(bytes.includes('endpoint'), expected === 'endpoint', 'a local port names nobody')
  })
}
