/** Injected faults: how long they last, and what a restart brings back. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { eventually } from '../../../test/support/eventually.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import type { FaultWish } from '../../api/fault.ts'
import { silentLog } from '../../lib/log.ts'
import { seededRandom } from '../../lib/random.ts'
import { openFaultStore, type FaultStore } from './fault-store.ts'
import { readWish } from './read-wish.ts'

const host = 'reviews.default.svc.cluster.local'
const wish: FaultWish = {
  host: 'reviews',
  namespace: 'default',
  delayMs: 2_000,
  percent: 50,
  forMs: 60_000,
}

class Scene implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'tulle-faults-'))
  readonly clock = new FakeClock()
  store: FaultStore = this.#open()

  #open(): FaultStore {
    return openFaultStore({
      stateFolder: join(this.folder, 'state'),
      clock: this.clock,
      random: seededRandom(1),
      log: silentLog,
    })
  }

  get file(): string {
    return join(this.folder, 'state', 'faults.json')
  }

  async restart(): Promise<void> {
    await this.store[Symbol.asyncDispose]()
    this.store = this.#open()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store[Symbol.asyncDispose]()
    rmSync(this.folder, { recursive: true })
  }
}

test('a fault is in force until its end, and its end is told', async () => {
  await using scene = new Scene()
  const { store, clock } = scene
  let changes = 0
  using _ = store.onChange(() => changes++)
  const added = await store.add(wish, host)
  assert.equal(Date.parse(added.endsAt) - Date.parse(added.createdAt), 60_000)
  assert.deepEqual(store.injected(), [
    {
      name: added.name,
      host,
      from: undefined,
      headers: {},
      fault: { delay: { fixedDelay: '2000ms', percentage: { value: 50 } } },
    },
  ])
  clock.advance(59_999)
  assert.equal(store.list().length, 1)
  clock.advance(1)
  await eventually(() => changes === 2, { deadlineMs: 2_000 })
  assert.deepEqual(store.injected(), [])
  assert.equal(clock.pendingTimers, 0)
})

test('a reset is kept over a restart, and is a 503 for who cannot reset', async () => {
  await using scene = new Scene()
  await scene.store.add({ ...wish, name: 'cut', delayMs: undefined, reset: true }, host)
  await scene.restart()
  const [fault] = scene.store.injected()
  assert.equal(fault?.isReset, true)
  assert.deepEqual(fault.fault, { abort: { httpStatus: 503, percentage: { value: 50 } } })
  assert.equal(scene.store.list()[0]?.reset, true)
})

test('a restart brings back what has not ended meanwhile', async () => {
  await using scene = new Scene()
  await scene.store.add({ ...wish, name: 'short' }, host)
  await scene.store.add({ ...wish, name: 'long', abort: 503, forMs: 120_000 }, host)
  const before = scene.store.list().find(({ name }) => name === 'long')
  await scene.store[Symbol.asyncDispose]()
  scene.clock.advance(60_000)
  await scene.restart()
  assert.deepEqual(scene.store.list(), [before])
  scene.clock.advance(60_000)
  await eventually(() => scene.store.list().length === 0, { deadlineMs: 2_000 })
})

test('a fault that stays is the same object when another comes or goes', async () => {
  await using scene = new Scene()
  await scene.store.add({ ...wish, name: 'a' }, host)
  const [first] = scene.store.injected()
  await scene.store.add({ ...wish, name: 'b' }, host)
  assert.deepEqual(
    scene.store.injected().map(({ name }) => name),
    ['b', 'a'],
  )
  assert.equal(scene.store.injected()[1], first)
  await scene.store.remove('b')
  assert.equal(scene.store.injected()[0], first)
})

test('a removed fault does not come back, and cannot be removed twice', async () => {
  await using scene = new Scene()
  await scene.store.add({ ...wish, name: 'a' }, host)
  await scene.store.remove('a')
  await scene.restart()
  assert.deepEqual(scene.store.list(), [])
  await assert.rejects(scene.store.remove('a'), { code: 'MESH_FAULT_REFUSED' })
})

test('a name is used once, and there is a ceiling', async () => {
  await using scene = new Scene()
  await scene.store.add({ ...wish, name: 'a' }, host)
  await assert.rejects(scene.store.add({ ...wish, name: 'a' }, host), {
    message: /there is a fault a already/,
  })
  for (let index = 1; index < 100; index += 1) await scene.store.add(wish, host)
  await assert.rejects(scene.store.add(wish, host), { message: /100 faults already/ })
})

test('a damaged file injects nothing', async () => {
  await using scene = new Scene()
  await scene.store.add({ ...wish, name: 'a' }, host)
  const good = readFileSync(scene.file, 'utf8')
  for (const damaged of ['', '{}', 'null', good.slice(0, -3), good.replace('50', '"x"')]) {
    writeFileSync(scene.file, damaged)
    await scene.restart()
    assert.deepEqual(scene.store.list(), [], damaged)
  }
})

for (const { fields, reason } of [
  { fields: { host: undefined }, reason: 'host: is missing' },
  { fields: { percent: 0 }, reason: 'percent: must be from 0.0001 to 100, got 0' },
  { fields: { percent: 100.1 }, reason: 'percent: must be from 0.0001 to 100, got 100.1' },
  { fields: { forMs: undefined }, reason: 'forMs: is missing' },
  { fields: { forMs: 86_400_001 }, reason: 'forMs: must be from 1 to 86400000, got 86400001' },
  { fields: { delayMs: '1s' }, reason: 'delayMs: must be from 1 to 3600000, got "1s"' },
  {
    fields: { abort: 600 },
    reason: 'abort: must be a status from 200 to 599 or the name of a gRPC status, got 600',
  },
  {
    fields: { abort: 'GONE' },
    reason: 'abort: must be a status from 200 to 599 or the name of a gRPC status, got "GONE"',
  },
  { fields: { delayMs: undefined }, reason: 'a fault delays, aborts or resets: say which' },
  { fields: { abort: 503, reset: true }, reason: 'a request is answered or reset, not both' },
  { fields: { reset: 1 }, reason: 'reset: must be true or false, got 1' },
  { fields: { headers: { 'a b': 'x' } }, reason: 'headers: "a b" is no name of a header' },
  {
    fields: { name: 'A' },
    reason: 'name: must be lower-case letters, digits and dashes, got "A"',
  },
  { fields: { delay: 5 }, reason: 'delay: is no field of a fault' },
]) {
  test(`a wish is refused: ${reason}`, () => {
    assert.throws(() => readWish({ ...wish, ...fields }), {
      code: 'MESH_FAULT_REFUSED',
      message: reason,
    })
  })
}
