/** What `tulle check` finds, and that each finding says what to do. */
import assert from 'node:assert/strict'
import { chmodSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { FakeClock } from '../../../test/support/fake-clock.ts'
import { IdentityScene, type TestWorkload } from '../../../test/support/identity-scene.ts'
import { stubStream } from '../../../test/support/stub-stream.ts'
import { rootHashOf } from '../../identity/join-token.ts'
import type { TokenStatus } from '../../identity/token-store.ts'
import { verifyPeerChain } from '../../identity/trust-bundle.ts'
import { findFindings, type FindingFacts } from './findings.ts'

const day = 86_400_000
const clock = new FakeClock()

async function openScene(options: Parameters<typeof IdentityScene.open>[0] = {}) {
  const scene = await IdentityScene.open({ clock, ...options })
  const look = (facts: Partial<FindingFacts> = {}) =>
    findFindings({
      authority: scene.ca,
      tokens: [],
      clocks: [],
      streams: [],
      lastIssuedAtMs: undefined,
      openKeys: scene.ca.openKeys(),
      plaintextAddress: undefined,
      nowMs: clock.nowMs(),
      ...facts,
    }).findings.map(({ severity, subject, message, remedy }) => {
      assert.notEqual(remedy, '')
      return `${severity} ${subject}: ${message}`
    })
  const connect = ({ chain }: TestWorkload) => {
    const verdict = verifyPeerChain(chain, scene.ca.bundle, { nowMs: clock.nowMs() })
    assert.ok(verdict.ok)
    return stubStream('cart', verdict)
  }
  return { scene, look, connect }
}

test('nothing is found where nothing is wrong', async () => {
  const { scene, look, connect } = await openScene()
  await using _closed = scene
  assert.deepEqual(look({ streams: [connect(await scene.workload())] }), [])
})

test('the report says who is believed by whom', async () => {
  const { scene } = await openScene({ trustDomainAliases: ['old.example'] })
  await using _closed = scene
  const facts = { tokens: [], clocks: [], streams: [], lastIssuedAtMs: undefined, openKeys: [] }
  const report = findFindings({
    authority: scene.ca,
    ...facts,
    plaintextAddress: undefined,
    nowMs: clock.nowMs(),
  })
  const id = scene.ca.roots()[0]?.id
  assert.deepEqual(report.trust, [
    { trustDomain: 'cluster.local', roots: [id] },
    { trustDomain: 'old.example', roots: [id] },
  ])
})

test('a root that ends soon, one that has ended and one that signs nothing are found', async () => {
  const { scene, look } = await openScene({ rootLifetimeMs: 100 * day })
  await using _closed = scene
  const [root] = scene.ca.roots()
  const at = (days: number) => look({ nowMs: clock.nowMs() + days * day })
  assert.deepEqual(at(1), [])
  assert.match(at(50)[0] ?? '', new RegExp(`^warning root ${root?.id}: it ends in 50 days`))
  assert.match(at(101)[0] ?? '', /^error root .*: it ended on /)
  await scene.ca.addRoot()
  assert.match(look()[0] ?? '', /^info root .*: the mesh believes it, and it signs nothing/)
})

test('a workload whose certificate is not renewed, and one without any, are found', async () => {
  const { scene, look, connect } = await openScene()
  await using _closed = scene
  const stream = connect(await scene.workload())
  const after = (hours: number) =>
    look({ streams: [stream], nowMs: clock.nowMs() + hours * 3_600_000 })
  assert.deepEqual(after(15), [])
  assert.match(after(17)[0] ?? '', /^warning workload cart: its certificate ends in 25200 s/)
  assert.match(after(25)[0] ?? '', /^error workload cart: its certificate has ended/)
  const bare = look({ streams: [stubStream('cart', undefined)] })
  assert.deepEqual(bare, ['warning workload cart: it is connected without a certificate'])
})

test('a workload below a root that no longer signs is found', async () => {
  const { scene, look, connect } = await openScene()
  await using _closed = scene
  const stream = connect(await scene.workload())
  scene.ca.useRoot((await scene.ca.addRoot()).id)
  const found = look({ streams: [stream] }).find((text) => text.includes('workload'))
  assert.match(found ?? '', /^info workload cart: its certificate is below root/)
})

test('clocks that are apart are found, our own too', async () => {
  const { scene, look } = await openScene()
  await using _closed = scene
  const nowMs = clock.nowMs()
  const clocks = [
    { spiffeId: 'spiffe://a', aheadMs: 45_000, seenAtMs: nowMs },
    { spiffeId: 'spiffe://b', aheadMs: -20_000, seenAtMs: nowMs },
  ]
  assert.deepEqual(look({ clocks }), [
    "warning spiffe://a: its clock is 45 s ahead of the control plane's",
  ])
  assert.match(
    look({ lastIssuedAtMs: nowMs + day })[0] ?? '',
    /^error control plane: its clock was set back/,
  )
})

test('a token from before a change of the root is found', async () => {
  const { scene, look } = await openScene()
  await using _closed = scene
  const [root] = scene.ca.bundle.rootsOf('cluster.local')
  assert.ok(root)
  const token: TokenStatus = {
    id: 'abc',
    namespace: 'a',
    serviceAccount: 'b',
    group: undefined,
    state: 'valid',
    usesLeft: 1,
    usesMax: 1,
    createdAtMs: 0,
    expiresAtMs: clock.nowMs() + day,
    lastUsedAtMs: undefined,
    rootHashes: [rootHashOf(root)],
    madeBy: 'test',
  }
  assert.deepEqual(look({ tokens: [token] }), [])
  scene.ca.useRoot((await scene.ca.addRoot()).id)
  assert.equal(look({ tokens: [{ ...token, state: 'revoked' }] }).length, 1)
  assert.match(
    look({ tokens: [token] })[0] ?? '',
    /^warning token abc: it was made before the root changed/,
  )
})

test('keys that others can read, and xDS without TLS, are found', async () => {
  const { scene, look } = await openScene()
  await using _closed = scene
  const folder = join(scene.folder, 'ca', scene.ca.roots()[0]?.id ?? '')
  const name = readdirSync(folder).find((one) => one.includes('key')) ?? ''
  chmodSync(join(folder, name), 0o644)
  assert.match(look()[0] ?? '', /^error .*root-key.pem: others than its owner can read this key/)
  assert.ok(
    look({ plaintextAddress: '127.0.0.1:15010' }).some((text) => text.includes('without TLS')),
  )
})
