/** Secrets that come, change and are missed; and when connections of an older certificate retire. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'

import { FakeClock } from '../../../test/support/fake-clock.ts'
import { type TestLeaf, createTestAuthority } from '../../../test/support/test-certificate.ts'
import { createTlsScope } from '../../../test/support/tls-scope.ts'
import { certificateJson, validationJson } from '../../../test/support/transport-socket.ts'
import { MessageJson } from '../../xds/json.ts'
import { Secret } from '../../xds/proto/generated/envoy/extensions/transport_sockets/tls/v3/secret.ts'
import { typeUrls } from '../../xds/resource-set.ts'
import { compileSecret } from '../config/compile-secret.ts'
import { LiveTls, peerOfConnection } from './live-tls.ts'
import type { SecretContent } from './secret-store.ts'
import type { SecretRef, TlsPlan } from './tls-plan.ts'

const clientId = 'spiffe://cluster.local/ns/default/sa/client'
const authority = await createTestAuthority('first')
const next = await createTestAuthority('second')
const json = new MessageJson()

function secret(content: object): SecretContent {
  const result = compileSecret(json.parse(typeUrls.secret, Secret, { name: 's', ...content }))
  assert.ok(result.ok)
  return result.value
}

const pairOf = (leaf: TestLeaf): SecretContent => secret({ tls_certificate: certificateJson(leaf) })
const bundleOf = (...roots: readonly { readonly rootPem: string }[]): SecretContent =>
  secret({
    validation_context: validationJson({
      certificate: undefined,
      bundles: { 'cluster.local': roots.map(({ rootPem }) => rootPem).join('') },
    }),
  })

const ref = (name: string, fetchTimeoutMs: number): SecretRef => ({
  name,
  origin: { kind: 'ads' },
  fetchTimeoutMs,
})

function planOf(fetchTimeoutMs: number): TlsPlan & { readonly resumes: boolean } {
  return {
    certificates: [{ kind: 'secret', ref: ref('default', fetchTimeoutMs) }],
    validation: { base: undefined, ref: ref('ROOTCA', fetchTimeoutMs) },
    alpn: [],
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    ciphers: undefined,
    curves: undefined,
    signatures: undefined,
    key: 'k',
    resumes: true,
  }
}

function openScene(fetchTimeoutMs = 0) {
  // Certificates of the test are valid by the machine's clock.
  const clock = new FakeClock(Date.now())
  const scope = createTlsScope(clock)
  let ready = 0
  const plan = planOf(fetchTimeoutMs)
  const live = new LiveTls({ plan, side: 'server', scope, onReady: () => (ready += 1) })
  return { clock, scope, live, ready: () => ready }
}

async function leafFor(livesMs = 3_600_000): Promise<TestLeaf> {
  return await authority.issue({ uris: [clientId], notAfterMs: Date.now() + livesMs })
}

test('a context is ready when all its secrets are there, and says so once', async () => {
  const { live, scope, ready } = openScene()
  assert.deepEqual(
    scope.secrets.wanted.map(({ name }) => name),
    ['default', 'ROOTCA'],
  )
  scope.secrets.set('default', pairOf(await leafFor()))
  assert.equal(live.isReady, false)
  assert.equal(live.current, undefined)
  scope.secrets.set('ROOTCA', bundleOf(authority))
  scope.secrets.set('ROOTCA', bundleOf(authority))
  assert.equal(ready(), 1)
  assert.ok(live.current)
  live.close()
  assert.deepEqual(scope.secrets.wanted, [])
})

test('a secret that does not come in time is no longer waited for, and nothing is served without it', () => {
  const { live, clock, ready } = openScene(15_000)
  clock.advance(14_999)
  assert.equal(ready(), 0)
  clock.advance(1)
  assert.equal(ready(), 1)
  assert.equal(live.current, undefined)
})

test('contexts of the same secrets share what OpenSSL makes of them', async () => {
  const { live, scope } = openScene()
  const other = new LiveTls({ plan: planOf(0), side: 'server', scope, onReady() {} })
  scope.secrets.set('default', pairOf(await leafFor()))
  scope.secrets.set('ROOTCA', bundleOf(authority))
  assert.equal(live.current?.shared, other.current?.shared)
})

test('a connection of an older certificate retires within half of what that one had left', async () => {
  const { live, scope, clock } = openScene()
  scope.secrets.set('default', pairOf(await leafFor(20_000)))
  scope.secrets.set('ROOTCA', bundleOf(authority))
  const state = live.current
  assert.ok(state)
  const leaf = await leafFor()
  const [certificate, intermediate] = leaf.chainPem
    .split(/(?<=-----END CERTIFICATE-----)\s+/)
    .filter((block) => block !== '')
    .map((block) => new X509Certificate(block))
  assert.ok(certificate && intermediate)
  const chain = { leaf: certificate, others: [intermediate] }
  const peer = peerOfConnection(chain, [], () => 0.5)
  assert.equal(live.retireAtMs(state, peer), Infinity)
  scope.secrets.set('default', pairOf(await leafFor()))
  const dueMs = live.retireAtMs(state, peer) - clock.monotonicMs()
  assert.ok(dueMs > 4_000 && dueMs <= 5_000, `half of half of 20 s, got ${dueMs}`)
  // The second rotation gives no other stay.
  clock.advance(1_000)
  scope.secrets.set('default', pairOf(await leafFor()))
  assert.ok(live.retireAtMs(state, peer) - clock.monotonicMs() <= dueMs - 1_000)
  // And a peer whom the new roots refuse has none.
  scope.secrets.set('ROOTCA', bundleOf(next))
  assert.equal(live.retireAtMs(state, peer), 0)
})
