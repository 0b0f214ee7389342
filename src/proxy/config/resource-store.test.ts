/** What is kept of each resource, and what of an update reaches the data planes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FakeClock } from '../../../test/support/fake-clock.ts'
import { typeUrls } from '../../xds/resource-set.ts'
import type { ApplyResult, DataPlane } from './data-plane.ts'
import { type ResourceBatch, entryBytes } from './resource-batch.ts'
import { ResourceStore } from './resource-store.ts'

/** Remembers its batches, and refuses what holds the word `bad`. */
class RecordingPlane {
  readonly batches: ResourceBatch[] = []

  async apply(batch: ResourceBatch): Promise<ApplyResult> {
    this.batches.push(batch)
    const rejected = batch.entries
      .filter((place) => Buffer.from(entryBytes(batch, place)).includes('bad'))
      .map(({ name }) => ({ name, reason: `${name} is bad` }))
    return { rejected }
  }

  get sent(): readonly string[] {
    return this.batches.flatMap((batch) => [
      ...batch.entries.map(({ name }) => name),
      ...batch.removed.map((name) => `-${name}`),
    ])
  }
}

function createScene() {
  const clock = new FakeClock()
  const plane = new RecordingPlane()
  // Only `apply` is called by the store.
  const store = new ResourceStore(clock, [plane as unknown as DataPlane])
  return { clock, plane, store }
}

const typeUrl = typeUrls.cluster
const resource = (name: string, content: string, version = '1') => ({
  name,
  version,
  value: Buffer.from(content),
})

test('what has the same bytes is not sent again, whatever its version', async () => {
  const { plane, store } = createScene()
  const update = { typeUrl, resources: [resource('a', 'x')], removed: [] }
  await store.update(update, 'dynamic')
  await store.update({ ...update, resources: [resource('a', 'x', '2')] }, 'dynamic')
  assert.deepEqual(plane.sent, ['a'])
  assert.equal(store.list(typeUrl)[0]?.accepted?.version, '2')
})

test('the bytes cross in shared memory', async () => {
  const { plane, store } = createScene()
  await store.update(
    { typeUrl, resources: [resource('a', 'first'), resource('b', 'second')], removed: [] },
    'dynamic',
  )
  const [batch] = plane.batches
  assert.ok(batch)
  assert.ok(batch.bytes instanceof SharedArrayBuffer)
  const texts = batch.entries.map((place) => Buffer.from(entryBytes(batch, place)).toString())
  assert.deepEqual(texts, ['first', 'second'])
})

test('the last good version stays beside the one that was refused', async () => {
  const { clock, store } = createScene()
  await store.update({ typeUrl, resources: [resource('a', 'good')], removed: [] }, 'dynamic')
  clock.advance(1_000)
  const update = {
    typeUrl,
    resources: [resource('a', 'bad', '2'), resource('b', 'good', '2')],
    removed: [],
  }
  assert.deepEqual(await store.update(update, 'dynamic'), [{ name: 'a', reason: 'a is bad' }])
  const [a, b] = store.list(typeUrl)
  assert.equal(a?.accepted?.version, '1')
  assert.equal(a?.rejected?.version, '2')
  assert.equal(a?.rejected?.reason, 'a is bad')
  assert.equal(a?.rejected?.updatedMs, clock.nowMs())
  assert.equal(b?.accepted?.version, '2')
  assert.equal(b?.rejected, undefined)
})

test('the last good version that comes again ends the error', async () => {
  const { store } = createScene()
  const good = { typeUrl, resources: [resource('a', 'good')], removed: [] }
  await store.update(good, 'dynamic')
  await store.update({ ...good, resources: [resource('a', 'bad')] }, 'dynamic')
  await store.update(good, 'dynamic')
  assert.equal(store.list(typeUrl)[0]?.rejected, undefined)
})

test('what a state of the world leaves out is gone, but never what the bootstrap gave', async () => {
  const { plane, store } = createScene()
  await store.update({ typeUrl, resources: [resource('static', 's')], removed: [] }, 'static')
  await store.update(
    { typeUrl, resources: [resource('a', 'x'), resource('b', 'x')], removed: [] },
    'dynamic',
  )
  await store.update({ typeUrl, resources: [resource('b', 'x')], removed: 'absent' }, 'dynamic')
  assert.deepEqual(plane.sent, ['static', 'a', 'b', '-a'])
  await store.update(
    { typeUrl, resources: [resource('static', 'other')], removed: ['static'] },
    'dynamic',
  )
  assert.deepEqual(plane.sent, ['static', 'a', 'b', '-a'])
})

test('a name that comes twice in one response is refused', async () => {
  const { plane, store } = createScene()
  const update = { typeUrl, resources: [resource('a', 'x'), resource('a', 'y')], removed: [] }
  assert.equal((await store.update(update, 'dynamic')).length, 1)
  assert.deepEqual(plane.sent, [])
})

test('what nobody refers to is forgotten', async () => {
  const { store } = createScene()
  await store.update(
    { typeUrl, resources: [resource('a', 'x'), resource('b', 'x')], removed: [] },
    'dynamic',
  )
  store.keepOnly(typeUrl, ['b'])
  assert.deepEqual(
    store.list(typeUrl).map(({ name }) => name),
    ['b'],
  )
})
