/** When a worker counts as one that serves, what is tried again, and which of two versions wins. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FakeClock } from '../../../test/support/fake-clock.ts'
import { silentLog } from '../../lib/log.ts'
import { typeUrls } from '../../xds/resource-set.ts'
import type { ApplyResult } from '../config/data-plane.ts'
import { type ResourceBatch, entryBytes, packBatch } from '../config/resource-batch.ts'
import { CatchUp } from './worker-catch-up.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const batchOf = (typeUrl: string, contents: Readonly<Record<string, string>>): ResourceBatch =>
  packBatch({
    typeUrl,
    resources: Object.entries(contents).map(([name, text]) => ({
      name,
      version: '1',
      value: Buffer.from(text),
    })),
    removed: [],
  })

function createScene() {
  const clock = new FakeClock()
  const errors: object[] = []
  /** What the worker has, by name; and what it refuses. */
  const has = new Map<string, string>()
  const scene = {
    clock,
    errors,
    has,
    asked: 0,
    refusals: 0,
    isWarm: true,
    refused: new Set<string>(),
    inForce: [] as ResourceBatch[],
    catchUp: undefined as unknown as CatchUp,
    /** Until nothing more happens without time going by. */
    async settle(): Promise<void> {
      for (let index = 0; index < 5; index += 1) await turn()
    },
  }
  const ask = async (batch: ResourceBatch): Promise<ApplyResult> => {
    scene.asked += 1
    await turn()
    const rejected = []
    for (const place of batch.entries) {
      const text = Buffer.from(entryBytes(batch, place)).toString()
      if (scene.refused.has(text)) rejected.push({ name: place.name, reason: 'no such folder' })
      else has.set(place.name, text)
    }
    return { rejected }
  }
  scene.catchUp = new CatchUp({
    thread: 1,
    clock,
    random: () => 0.999,
    log: { ...silentLog, error: (fields) => void errors.push(fields) },
    inForce: () => scene.inForce,
    ask,
    isWarm: async () => scene.isWarm,
    onChange: () => {},
    onRefused: () => {
      scene.refusals += 1
    },
  })
  return scene
}

const { listener, cluster, route } = typeUrls

test('a successor serves when it has been told everything and is warm', async () => {
  const scene = createScene()
  const { catchUp, clock } = scene
  assert.equal(catchUp.isServing, true)
  catchUp.lose()
  assert.equal(catchUp.isServing, false)
  scene.inForce = [batchOf(cluster, { a: '1' })]
  scene.isWarm = false
  await catchUp.replay()
  await scene.settle()
  assert.equal(catchUp.isServing, false)
  scene.isWarm = true
  clock.advance(50)
  await scene.settle()
  assert.equal(catchUp.isServing, true)
})

test('one that does not become warm serves after five seconds', async () => {
  const scene = createScene()
  scene.catchUp.lose()
  scene.isWarm = false
  await scene.catchUp.replay()
  for (let elapsedMs = 0; elapsedMs < 5_000; elapsedMs += 50) {
    await scene.settle()
    assert.equal(scene.catchUp.isServing, false)
    scene.clock.advance(50)
  }
  await scene.settle()
  assert.equal(scene.catchUp.isServing, true)
})

test('what it refuses is said once, counted each time, and tried again ever more rarely', async () => {
  const scene = createScene()
  const { catchUp, clock } = scene
  catchUp.lose()
  scene.inForce = [batchOf(cluster, { a: '1' }), batchOf(listener, { l: '1', m: 'bad' })]
  scene.refused.add('bad')
  await catchUp.replay()
  await scene.settle()
  assert.equal(catchUp.isServing, false)
  assert.deepEqual(catchUp.missing, ['m: no such folder'])
  const expected = [{ thread: 1, missing: 1, refused: ['m: no such folder'] }]
  assert.deepEqual(scene.errors, expected)
  let tries = 0
  for (let second = 0; second < 120; second += 1) {
    const before = scene.asked
    clock.advance(1_000)
    await scene.settle()
    tries += scene.asked - before
  }
  // 0.25 s, 0.75 s, 1.75 s … and from then on every 30 s; only what is missing is asked.
  assert.ok(tries >= 7 && tries <= 12, `${tries}`)
  assert.equal(scene.refusals, tries + 1)
  assert.deepEqual(scene.errors, expected)
  scene.refused.clear()
  clock.advance(30_000)
  await scene.settle()
  assert.equal(catchUp.isServing, true)
  assert.equal(scene.has.get('m'), 'bad')
})

test('what a listener refers to comes again with it', async () => {
  const scene = createScene()
  scene.catchUp.lose()
  scene.inForce = [
    batchOf(cluster, { a: '1' }),
    batchOf(listener, { l: 'bad' }),
    batchOf(route, { r: '1' }),
  ]
  scene.refused.add('bad')
  await scene.catchUp.replay()
  scene.has.clear()
  scene.refused.clear()
  scene.clock.advance(1_000)
  await scene.settle()
  assert.deepEqual([...scene.has.keys()], ['l', 'r'])
})

test('a retry brings what is in force when its turn comes, behind what was asked before', async () => {
  const scene = createScene()
  const { catchUp, clock, has } = scene
  catchUp.lose()
  scene.inForce = [batchOf(listener, { l: 'old' })]
  scene.refused.add('old')
  await catchUp.replay()
  scene.refused.clear()
  const newer = batchOf(listener, { l: 'new' })
  const applied = catchUp.inTurn(async () => {
    for (const place of newer.entries) has.set(place.name, 'new')
    scene.inForce = [newer]
    catchUp.settle(newer, { rejected: [] }, () => true)
  })
  clock.advance(1_000)
  await applied
  await scene.settle()
  assert.equal(has.get('l'), 'new')
  assert.equal(catchUp.isServing, true)
})

test('what has been removed meanwhile is not waited for', async () => {
  const scene = createScene()
  scene.catchUp.lose()
  scene.inForce = [batchOf(listener, { l: 'bad' })]
  scene.refused.add('bad')
  await scene.catchUp.replay()
  await scene.settle()
  scene.inForce = []
  scene.clock.advance(1_000)
  await scene.settle()
  assert.equal(scene.catchUp.isServing, true)
})

test('it lacks what others have taken, and not what they all refused', async () => {
  const scene = createScene()
  const batch = batchOf(listener, { l: '1', m: '1' })
  const rejected = [
    { name: 'l', reason: 'no' },
    { name: 'm', reason: 'no' },
  ]
  scene.catchUp.settle(batch, { rejected }, () => false)
  assert.equal(scene.catchUp.isServing, true)
  scene.catchUp.settle(batch, { rejected }, (name) => name === 'm')
  assert.deepEqual(scene.catchUp.missing, ['m: no'])
  scene.catchUp.settle(batchOf(listener, { m: '2' }), { rejected: [] }, () => true)
  assert.equal(scene.catchUp.isServing, true)
})
