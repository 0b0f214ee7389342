/** gRPC between two sidecars over mutual TLS: the four kinds of calls, deadlines, and what is given up. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { ServiceError } from '@grpc/grpc-js'

import { eventually } from '../support/eventually.ts'
import { EchoClient, grpcStatus, startGrpcEcho, type GrpcEcho } from '../support/grpc-echo.ts'
import { runEnvoy, runTulle, type RunningProxy } from '../support/mtls-scene.ts'
import { findEnvoy, skipUnless } from '../support/programs.ts'
import { type RunProxy, startSidecarHop } from '../support/sidecar-hop.ts'

interface Hop extends AsyncDisposable {
  readonly echo: GrpcEcho
  readonly inbound: RunningProxy
  readonly client: EchoClient
}

async function startHop(near: RunProxy, far: RunProxy): Promise<Hop> {
  await using stack = new AsyncDisposableStack()
  const echo = stack.use(await startGrpcEcho())
  const hop = stack.use(
    await startSidecarHop({ appPort: echo.port, near, far, application: 'http2' }),
  )
  const own = stack.use(new EchoClient(`127.0.0.1:${hop.port}`))
  const owned = stack.move()
  return {
    echo,
    inbound: hop.far,
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
const pairs: readonly (readonly [
  name: string,
  near: RunProxy,
  far: RunProxy,
  skip: string | false,
])[] = [
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
