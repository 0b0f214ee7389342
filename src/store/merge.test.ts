/** Several sources as one, by the shared contract, and who owns what. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { sampleResource, sourceContract } from '../../test/contract/source.ts'
import { eventually } from '../../test/support/eventually.ts'
import { MeshError } from '../lib/mesh-error.ts'
import type { Resource } from '../model/resource.ts'
import { keyOf } from './identity.ts'
import { createMemoryStore } from './memory.ts'
import { guardOwned, mergeSources } from './merge.ts'

sourceContract('merged sources', async () => {
  const [first, second] = [createMemoryStore(), createMemoryStore()]
  const merged = mergeSources([first, second])
  return {
    source: merged,
    async write(resources) {
      for (const resource of resources) await second.put(resource)
    },
    remove: (resource) => second.delete(keyOf(resource)),
    async [Symbol.asyncDispose]() {
      merged[Symbol.dispose]()
    },
  }
})

function fromFile(resource: Resource, file: string, line: number): Resource {
  const position = { file, line, column: 1 }
  return { ...resource, origin: { ...position, positionOf: () => position } }
}

test('a key in both belongs to the first source, and the issue names both places', async () => {
  const [files, api] = [createMemoryStore({ name: 'config' }), createMemoryStore({ name: 'api' })]
  using merged = mergeSources([files, api])
  await api.put(sampleResource('a', { from: 'api' }))
  await files.put(fromFile(sampleResource('a', { from: 'file' }), 'config/a.yaml', 3))
  const key = keyOf(sampleResource('a'))
  await eventually(() => merged.list().issues.length === 1)
  assert.deepEqual(merged.list().resources.get(key)?.resource.spec, { from: 'file' })
  assert.equal(merged.ownerOf(key), files)
  const [issue] = merged.list().issues
  assert.equal(issue?.code, 'TUL0202')
  assert.match(issue.message, /config\/a\.yaml:3.*api/)
  await files.delete(key)
  await eventually(() => merged.list().issues.length === 0)
  assert.deepEqual(merged.list().resources.get(key)?.resource.spec, { from: 'api' })
})

test('a write to what a file owns is refused with file and line, before it reaches the store', async () => {
  const [files, api] = [createMemoryStore(), createMemoryStore()]
  await files.put(fromFile(sampleResource('a'), 'config/a.yaml', 3))
  const guarded = guardOwned(api, files)
  const isRefusal = (error: unknown) =>
    error instanceof MeshError &&
    error.code === 'MESH_STORE_OWNED_BY_FILE' &&
    error.message.includes('config/a.yaml:3')
  await assert.rejects(guarded.put(sampleResource('a')), isRefusal)
  await assert.rejects(guarded.delete(keyOf(sampleResource('a'))), isRefusal)
  assert.equal(api.list().resources.size, 0)
  await guarded.put(sampleResource('b'))
  assert.equal(guarded.list().resources.size, 1)
})
