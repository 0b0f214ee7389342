/** The store in memory, by the shared contract and its own rules. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { sampleResource } from '../../test/contract/source.ts'
import { storeContract } from '../../test/contract/store.ts'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { MeshError } from '../lib/mesh-error.ts'
import { keyOf } from './identity.ts'
import { createMemoryStore } from './memory.ts'

storeContract('memory store', async () => ({
  store: createMemoryStore(),
  async [Symbol.asyncDispose]() {},
}))

test('an object keeps the time of its first put as its age, and one that was written', async () => {
  const clock = new FakeClock(1_000)
  const store = createMemoryStore({ clock })
  await store.put(sampleResource('a'))
  clock.advance(500)
  const { resource } = await store.put(sampleResource('a', { n: 2 }))
  assert.equal(resource.metadata.creationTimestampMs, 1_000)
  const written = sampleResource('b')
  const metadata = { ...written.metadata, creationTimestampMs: 7 }
  const kept = await store.put({ ...written, metadata })
  assert.equal(kept.resource.metadata.creationTimestampMs, 7)
})

test('a put beyond the ceiling is refused by name; a replacement is not', async () => {
  const store = createMemoryStore({ resourcesMax: 1 })
  await store.put(sampleResource('a'))
  await store.put(sampleResource('a', { n: 2 }))
  await assert.rejects(
    store.put(sampleResource('b')),
    (error) => error instanceof MeshError && error.code === 'MESH_STORE_UNAVAILABLE',
  )
  await store.delete(keyOf(sampleResource('a')))
  await store.put(sampleResource('b'))
})
