/** Roots change when those who are connected are ready, and not before. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { eventually } from '../../../test/support/eventually.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { IdentityScene, type TestWorkload } from '../../../test/support/identity-scene.ts'
import { stubStream } from '../../../test/support/stub-stream.ts'
import { verifyPeerChain } from '../../identity/trust-bundle.ts'
import type { StreamStatus } from '../../xds/server/stream-status.ts'
import { dropRoot, useRoot } from './root-change.ts'

/** A connection with the certificate that its workload holds. */
function connection(scene: IdentityScene, name: string, { chain }: TestWorkload): StreamStatus {
  const verdict = verifyPeerChain(chain, scene.ca.bundle, { nowMs: Date.now() })
  assert.ok(verdict.ok)
  return stubStream(name, verdict)
}

async function openScene() {
  const clock = new FakeClock(Date.now())
  const scene = await IdentityScene.open({ clock })
  const streams: StreamStatus[] = []
  return { clock, scene, streams, options: { authority: scene.ca, streams: () => streams, clock } }
}

/** The clock runs while the change waits. */
async function settle(clock: FakeClock, change: Promise<unknown>): Promise<string> {
  let result: string | undefined
  const watched = change.then(
    () => (result = 'done'),
    (error: unknown) => (result = (error as Error).message),
  )
  await eventually(() => {
    clock.advance(100)
    return result !== undefined
  })
  return watched
}

test('a root is used when everybody has renewed since it was added, and not before', async () => {
  const { clock, scene, streams, options } = await openScene()
  await using _closed = scene
  streams.push(connection(scene, 'a', await scene.workload()))
  clock.advance(60_000)
  const { id } = await scene.ca.addRoot()
  const early = await settle(clock, useRoot(options, id, false))
  assert.match(early, /not ready: a may not believe root/)
  assert.equal(scene.ca.roots()[0]?.id === id, false)
  streams[0] = connection(scene, 'a', await scene.workload())
  await settle(clock, useRoot(options, id, false))
  assert.equal(scene.ca.roots()[0]?.id, id)
})

test('a root is dropped when nobody who is connected has a certificate below it', async () => {
  const { clock, scene, streams, options } = await openScene()
  await using _closed = scene
  const [old] = scene.ca.roots()
  assert.ok(old)
  scene.ca.useRoot((await scene.ca.addRoot()).id)
  streams.push(connection(scene, 'a', await scene.workload()))
  await settle(clock, dropRoot(options, old.id, false))
  assert.equal(scene.ca.roots().length, 1)
})

test('a drop waits for a workload that renews meanwhile', async () => {
  const { clock, scene, streams, options } = await openScene()
  await using _closed = scene
  const [old] = scene.ca.roots()
  assert.ok(old)
  streams.push(connection(scene, 'a', await scene.workload()))
  scene.ca.useRoot((await scene.ca.addRoot()).id)
  const dropped = dropRoot(options, old.id, false)
  clock.advance(1_000)
  assert.equal(scene.ca.roots().length, 2)
  streams[0] = connection(scene, 'a', await scene.workload())
  await settle(clock, dropped)
  assert.equal(scene.ca.roots().length, 1)
})

test('who forces it waits for nobody; the root that signs stays all the same', async () => {
  const { scene, streams, options } = await openScene()
  await using _closed = scene
  const [old] = scene.ca.roots()
  assert.ok(old)
  streams.push(connection(scene, 'a', await scene.workload()))
  await assert.rejects(dropRoot(options, old.id, true), { code: 'MESH_IDENTITY_REFUSED' })
  scene.ca.useRoot((await scene.ca.addRoot()).id)
  await dropRoot(options, old.id, true)
  assert.equal(scene.ca.roots().length, 1)
  await assert.rejects(useRoot(options, '', true), /no root has an id/)
})
