/** What every Store must do beyond a Source: writes with compare-and-set. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { MeshError } from '../../src/lib/mesh-error.ts'
import type { MeshErrorCode } from '../../src/lib/mesh-error.ts'
import { keyOf } from '../../src/store/identity.ts'
import type { Store } from '../../src/store/source.ts'
import { sampleResource, sourceContract } from './source.ts'

export interface StoreScene extends AsyncDisposable {
  readonly store: Store
}

export function storeContract(name: string, open: () => Promise<StoreScene>): void {
  sourceContract(name, async () => {
    const scene = await open()
    return {
      source: scene.store,
      async write(resources) {
        for (const resource of resources) await scene.store.put(resource)
      },
      remove: (resource) => scene.store.delete(keyOf(resource)),
      [Symbol.asyncDispose]: async () => scene[Symbol.asyncDispose](),
    }
  })
  const first = sampleResource('first', { n: 1 })
  const key = keyOf(first)

  test(`${name}: put returns what list then holds`, async () => {
    await using scene = await open()
    const stored = await scene.store.put(first)
    assert.equal(scene.store.list().resources.get(key), stored)
  })

  test(`${name}: a put that expects absence fails when the object is there`, async () => {
    await using scene = await open()
    await scene.store.put(first, { expect: 'absent' })
    await rejectsWith(scene.store.put(first, { expect: 'absent' }), 'MESH_STORE_EXISTS')
  })

  test(`${name}: of two writers that read the same revision the second fails, and nothing is lost`, async () => {
    await using scene = await open()
    const { revision } = await scene.store.put(first)
    await scene.store.put(sampleResource('first', { n: 2 }), { expect: revision })
    const late = scene.store.put(sampleResource('first', { n: 3 }), { expect: revision })
    await rejectsWith(late, 'MESH_STORE_CONFLICT')
    assert.deepEqual(scene.store.list().resources.get(key)?.resource.spec, { n: 2 })
  })

  test(`${name}: of many writers at once exactly one wins`, async () => {
    await using scene = await open()
    const { revision } = await scene.store.put(first)
    const writes = Array.from({ length: 10 }, (_, n) =>
      scene.store.put(sampleResource('first', { n }), { expect: revision }),
    )
    const results = await Promise.allSettled(writes)
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
  })

  test(`${name}: a put or delete of what is not there says so`, async () => {
    await using scene = await open()
    await rejectsWith(scene.store.put(first, { expect: 'r1' }), 'MESH_STORE_NOT_FOUND')
    await rejectsWith(scene.store.delete(key), 'MESH_STORE_NOT_FOUND')
  })

  test(`${name}: a delete at an old revision fails and deletes nothing`, async () => {
    await using scene = await open()
    const { revision } = await scene.store.put(first)
    await scene.store.put(sampleResource('first', { n: 2 }))
    await rejectsWith(scene.store.delete(key, { expect: revision }), 'MESH_STORE_CONFLICT')
    assert.ok(scene.store.list().resources.has(key))
  })

  test(`${name}: a revision is never used again, not even after a delete`, async () => {
    await using scene = await open()
    const { revision } = await scene.store.put(first)
    await scene.store.delete(key, { expect: revision })
    const again = await scene.store.put(first, { expect: 'absent' })
    assert.notEqual(again.revision, revision)
  })
}

async function rejectsWith(promise: Promise<unknown>, code: MeshErrorCode): Promise<void> {
  await assert.rejects(promise, (error) => error instanceof MeshError && error.code === code)
}
