/** What the mesh says for all sidecars, as it works in one: names in statistics, retries before the application, TLS. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect, type ConnectionOptions } from 'node:tls'

import { translateAll } from '../../src/translate/full.ts'
import { eventually } from '../support/eventually.ts'
import {
  httpGet,
  onAnyPort,
  openNamedUpstream,
  openSidecarScene,
  type SidecarScene,
} from '../support/sidecar-scene.ts'
import { createTestAuthority } from '../support/test-certificate.ts'
import { readTranslationCase } from '../support/translation-case.ts'

interface SceneText {
  readonly meshConfig: string
  readonly app: number
}

/** A workload that serves reviews and calls it. */
function reviews({ meshConfig, app }: SceneText): string {
  return `
kind: Scene
meshConfig: ${meshConfig}
client:
  workload: reviews-v1
  metadata:
    HTTP_PROXY_PORT: 30000
    MESH_PORTS: [ { name: http, servicePort: 9080, appPort: ${app}, meshPort: 21000 } ]
services:
- hostname: reviews.default.svc.cluster.local
  name: reviews
  ports: [ { number: 9080, name: http-web } ]
  endpoints: [ { address: 127.0.0.1, workload: reviews-v1, port: 21000 } ]
`
}

async function serve(scene: SidecarScene, text: string, listener: string): Promise<number> {
  const { input, node } = readTranslationCase(text)
  scene.source.setView(onAnyPort(translateAll(input, node)))
  return eventually(async () => (await scene.portOf(listener)) || undefined)
}

test('a cluster is called in statistics what the mesh says', async () => {
  await using app = await openNamedUpstream('reviews')
  await using scene = await openSidecarScene({ resources: {} })
  const meshConfig = '{ inboundClusterStatName: "in_%SERVICE%_%TARGET_PORT%" }'
  const text = reviews({ meshConfig, app: app.port })
  const port = await serve(scene, text, `inbound|${app.port}||`)
  assert.equal((await scene.get(port)).body, 'reviews')
  const name = `in_reviews.default_${app.port}`
  const { body } = await scene.admin(`/stats?filter=upstream_rq_200`)
  assert.match(body, new RegExp(`^cluster\\.${name}\\.upstream_rq_200: 1$`, 'm'))
  const metrics = await scene.admin('/stats/prometheus')
  assert.match(metrics.body, new RegExp(`envoy_cluster_upstream_rq_total\\{[^}]*="${name}"\\} 1`))
})

test('an outbound cluster has its name too', async () => {
  await using app = await openNamedUpstream('reviews')
  await using scene = await openSidecarScene({ resources: {} })
  const meshConfig = '{ outboundClusterStatName: "%SERVICE_FQDN%_%SERVICE_PORT_NAME%" }'
  const text = reviews({ meshConfig, app: app.port }).replace(
    'port: 21000 } ]\n',
    `port: ${app.port} } ]\n`,
  )
  const port = await serve(scene, text, 'http_proxy')
  const answer = await httpGet({
    port,
    path: 'http://reviews:9080/',
    headers: { host: 'reviews:9080' },
  })
  assert.equal(answer.body, 'reviews')
  const { body } = await scene.admin(`/stats?filter=upstream_rq_200`)
  assert.match(
    body,
    /^cluster\.reviews\.default\.svc\.cluster\.local_http-web\.upstream_rq_200: 1$/m,
  )
})

for (const [meshConfig, expected] of [
  ['{ defaultInboundHttpRetryPolicy: {} }', 1],
  ['{}', 3],
  ['{ defaultInboundHttpRetryPolicy: { attempts: 4, retryOn: reset, backoff: 1ms } }', 5],
] as const) {
  test(`with ${meshConfig} an application that breaks off is asked ${expected} times`, async () => {
    let connections = 0
    // Before anything of the request is read, so that it was surely not served.
    const server = createServer((socket) => {
      connections += 1
      socket.on('error', () => {})
      socket.resetAndDestroy()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    try {
      await using scene = await openSidecarScene({ resources: {} })
      const { port: app } = server.address() as AddressInfo // it listens on TCP
      const port = await serve(scene, reviews({ meshConfig, app }), `inbound|${app}||`)
      assert.equal((await scene.get(port)).status, 503)
      const { body } = await scene.admin('/stats?filter=inbound.*upstream_rq_retry$')
      assert.match(body, new RegExp(`upstream_rq_retry: ${expected - 1}\\b`))
      assert.ok(connections >= 1)
    } finally {
      server.close()
    }
  })
}

/** The suite, the version and the key exchange of a connection, or that there is none. */
function shake(options: ConnectionOptions): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', servername: 'app.test', ...options }, () => {
      const exchange = socket.getEphemeralKeyInfo()
      const curve = exchange !== null && 'name' in exchange ? exchange.name : ''
      resolve(`${socket.getProtocol() ?? ''} ${socket.getCipher().name} ${String(curve)}`)
      socket.destroy()
    })
    socket.on('error', () => resolve('refused'))
  })
}

test('what a sidecar serves to others has the suites, the curves and the version of the mesh', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-mesh-settings-'))
  try {
    const authority = await createTestAuthority()
    const leaf = await authority.issue({ dns: ['app.test'] })
    writeFileSync(join(folder, 'tls.crt'), leaf.chainPem)
    writeFileSync(join(folder, 'tls.key'), leaf.keyPem)
    await using app = await openNamedUpstream('application')
    const ingress = (meshConfig: string) => `
kind: Scene
meshConfig: ${meshConfig}
client:
  workload: app
  metadata: { MESH_PORTS: [ { name: https, servicePort: 443, appPort: 8443, meshPort: 30000 } ] }
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: app }
spec:
  ingress:
  - port: { number: 8443, protocol: HTTPS, name: https }
    defaultEndpoint: 127.0.0.1:${app.port}
    tls: { mode: SIMPLE, serverCertificate: ${folder}/tls.crt, privateKey: ${folder}/tls.key }
`
    const meet = async (meshConfig: string, options: ConnectionOptions): Promise<string> => {
      await using scene = await openSidecarScene({ resources: {} })
      const port = await serve(scene, ingress(meshConfig), 'inbound|8443||')
      const met = await shake({ port, ca: authority.rootPem, ...options })
      return met
    }
    const old = { maxVersion: 'TLSv1.2' } as const
    const suite = 'ECDHE-ECDSA-AES256-GCM-SHA384'
    const one = `{ tlsDefaults: { cipherSuites: [${suite}], ecdhCurves: [P-384, P-256] } }`
    assert.equal(await meet(one, old), `TLSv1.2 ${suite} secp384r1`)
    const another = { ...old, ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' }
    assert.equal(await meet(one, another), 'refused')
    assert.match(await meet('{}', another), /^TLSv1\.2 ECDHE-ECDSA-AES128-GCM-SHA256/)
    assert.equal(await meet(one, { ecdhCurve: 'X25519' }), 'refused')
    assert.equal(await meet('{ tlsDefaults: { minProtocolVersion: TLSV1_3 } }', old), 'refused')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

interface Seen {
  readonly rawHeaders: readonly string[]
}

/** What the application was asked, and what its caller got, by a sidecar on each side: here the same one. */
async function callWith(proxyHeaders: string) {
  const seen: Seen[] = []
  const app = createHttpServer((request, response) => {
    seen.push({ rawHeaders: request.rawHeaders })
    response.writeHead(200, { Server: 'the application', 'X-Its-Own': '1' }).end('ok')
  })
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve))
  try {
    await using scene = await openSidecarScene({ resources: {} })
    const { port: appPort } = app.address() as AddressInfo // it listens on TCP
    const text = reviews({
      meshConfig: `{ defaultConfig: { proxyHeaders: ${proxyHeaders} } }`,
      app: appPort,
    })
    const direct = text.replace('port: 21000 } ]\n', `port: ${appPort} } ]\n`)
    const withRule = `${direct}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [reviews]
  http:
  - rewrite: { authority: rewritten }
    route: [ { destination: { host: reviews } } ]
`
    const port = await serve(scene, withRule, 'http_proxy')
    const headers = { host: 'reviews:9080', 'X-Mixed-Case': '1' }
    const answer = await httpGet({ port, path: 'http://reviews:9080/', headers })
    assert.equal(answer.body, 'ok')
    const [first] = seen
    assert.ok(first)
    const sent = new Map<string, string>()
    for (let at = 0; at < first.rawHeaders.length; at += 2) {
      sent.set(first.rawHeaders[at] ?? '', first.rawHeaders[at + 1] ?? '')
    }
    return { sent, got: answer.headers }
  } finally {
    app.close()
    app.closeAllConnections()
  }
}

test('unless somebody says otherwise a sidecar adds its headers, in lower case', async () => {
  const { sent, got } = await callWith('{}')
  assert.equal(sent.get('x-envoy-attempt-count'), '1')
  assert.ok(sent.has('x-request-id'))
  assert.ok(sent.has('x-mixed-case'))
  assert.ok(!sent.has('x-forwarded-host'))
  assert.equal(got['server'], 'istio-envoy')
  assert.ok('x-envoy-upstream-service-time' in got)
})

test('each of them can be switched off', async () => {
  const off = '{ disabled: true }'
  const { sent, got } = await callWith(
    `{ attemptCount: ${off}, requestId: ${off}, server: ${off}, envoyDebugHeaders: ${off} }`,
  )
  assert.ok(!sent.has('x-envoy-attempt-count'))
  assert.ok(!sent.has('x-request-id'))
  assert.equal(got['server'], 'the application')
  assert.ok(!('x-envoy-upstream-service-time' in got))
})

test('a server has another name, a host that was rewritten is told, and names keep their case', async () => {
  const { sent, got } = await callWith(
    '{ server: { value: ours }, xForwardedHost: { enabled: true }, preserveHttp1HeaderCase: true }',
  )
  assert.equal(got['server'], 'ours')
  assert.equal(sent.get('x-forwarded-host'), 'reviews:9080')
  assert.ok(sent.has('X-Mixed-Case'))
})
