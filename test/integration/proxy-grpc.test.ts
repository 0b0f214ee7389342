/** gRPC between two sidecars over mutual TLS: the four kinds of calls, deadlines, and what is given up. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { ServiceError } from '@grpc/grpc-js'

import { eventually } from '../support/eventually.ts'
import { EchoClient, grpcStatus, startGrpcEcho, type GrpcEcho } from '../support/grpc-echo.ts'
import { inboundBootstrap, outboundBootstrap } from '../support/mtls-bootstrap.ts'
import { runEnvoy, runTulle, type RunningProxy } from '../support/mtls-scene.ts'
import { findEnvoy, skipUnless } from '../support/programs.ts'
import { createTestAuthority } from '../support/test-certificate.ts'
import { downstreamJson, upstreamJson } from '../support/transport-socket.ts'

const serverId = 'spiffe://cluster.local/ns/default/sa/server'
const clientId = 'spiffe://cluster.local/ns/default/sa/client'
const authority = await createTestAuthority('mesh')
const server = await authority.issue({ uris: [serverId] })
const client = await authority.issue({ uris: [clientId] })
const bundles = { 'cluster.local': authority.rootPem }
const inboundTls = downstreamJson({
  certificate: server,
  bundles,
  requires: true,
  alpn: ['h2', 'http/1.1'],
})
const outboundTls = upstreamJson({
  certificate: client,
  bundles,
  sans: [serverId],
  serverName: 'outbound_.80_._.server.default.svc.cluster.local',
  alpn: ['istio-h2', 'istio', 'h2'],
})

const http2Options = {
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
    '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
    explicit_http_config: { http2_protocol_options: {} },
  },
}

interface ClusterJson {
  typed_extension_protocol_options?: object
}

interface BootstrapJson {
  static_resources: { clusters: ClusterJson[] }
}

/** Every cluster of a bootstrap speaks HTTP/2. */
function overHttp2(bootstrap: string): string {
  const json = JSON.parse(bootstrap) as BootstrapJson
  for (const cluster of json.static_resources.clusters) {
    cluster.typed_extension_protocol_options = http2Options
  }
  return JSON.stringify(json)
}

type Run = (bootstrap: string) => Promise<RunningProxy>

interface Hop extends AsyncDisposable {
  readonly echo: GrpcEcho
  readonly inbound: RunningProxy
  readonly outbound: RunningProxy
  readonly client: EchoClient
}

async function startHop(near: Run, far: Run): Promise<Hop> {
  await using stack = new AsyncDisposableStack()
  const echo = stack.use(await startGrpcEcho())
  const inboundText = overHttp2(inboundBootstrap({ tls: inboundTls, appPort: echo.port }))
  const inbound = stack.use(await far(inboundText))
  const outboundText = overHttp2(outboundBootstrap({ tls: outboundTls, port: inbound.port }))
  const outbound = stack.use(await near(outboundText))
  const own = stack.use(new EchoClient(`127.0.0.1:${outbound.port}`))
  const owned = stack.move()
  return {
    echo,
    inbound,
    outbound,
    client: own,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

async function codeOf(call: Promise<unknown>): Promise<number> {
  try {
    await call
    return grpcStatus.OK
  } catch (error) {
    return (error as ServiceError).code
  }
}

const envoySkip = skipUnless(findEnvoy(), 'a real Envoy')
const pairs: readonly (readonly [name: string, near: Run, far: Run, skip: string | false])[] = [
  ['two sidecars of ours', runTulle, runTulle, false],
  ['a real Envoy in front of ours', runEnvoy, runTulle, envoySkip],
  ['ours in front of a real Envoy', runTulle, runEnvoy, envoySkip],
]

for (const [name, near, far, skip] of pairs) {
  test(`${name}: all kinds of calls pass, on one connection`, { skip }, async () => {
    await using hop = await startHop(near, far)
    assert.equal(await hop.client.unary('you'), 'hello you (kept)')
    const parts = await hop.client.download(1000)
    assert.equal(parts.length, 1000)
    assert.equal(parts[999], 'part 999')
    const megabyte = 'x'.repeat(1_000_000)
    assert.equal(await hop.client.upload([megabyte, megabyte, 'x']), '2000001')
    assert.deepEqual(await hop.client.chat(['a', 'b']), ['you said a', 'you said b'])
    const many = await Promise.all(Array.from({ length: 50 }, () => hop.client.unary('all')))
    assert.ok(many.every((answer) => answer === 'hello all (kept)'))
    assert.equal(await hop.inbound.stat('listener.127.0.0.1_0.ssl.handshake'), 1)
  })

  test(`${name}: a status of the application passes as it is`, { skip }, async () => {
    await using hop = await startHop(near, far)
    assert.equal(await codeOf(hop.client.unary('fail 5')), grpcStatus.NOT_FOUND)
    assert.equal(await codeOf(hop.client.unary('fail 13')), grpcStatus.INTERNAL)
  })

  test(`${name}: deadlines and cancellation reach the application`, { skip }, async () => {
    await using hop = await startHop(near, far)
    const deadline = Date.now() + 100
    assert.equal(await codeOf(hop.client.unary('hang', { deadline })), grpcStatus.DEADLINE_EXCEEDED)
    await eventually(() => hop.echo.cancelled.includes('unary'))
    const chat = hop.client.openChat()
    chat.write('hello')
    await new Promise((resolve) => chat.once('data', resolve))
    chat.cancel()
    await eventually(() => hop.echo.cancelled.includes('chat'))
  })
}

test('what the sidecar answers itself is a gRPC status', async () => {
  await using hop = await startHop(runTulle, runTulle)
  await hop.echo[Symbol.asyncDispose]()
  assert.equal(await codeOf(hop.client.unary('you')), grpcStatus.UNAVAILABLE)
})
