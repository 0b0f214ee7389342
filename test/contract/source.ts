/** What every Source must do, whatever stands behind it. A test file runs this for each implementation. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Resource } from '../../src/model/resource.ts'
import { keyOf } from '../../src/store/identity.ts'
import type { Source, SourceSnapshot } from '../../src/store/source.ts'
import { eventually } from '../support/eventually.ts'

/** A source, and a hand on what stands behind it. */
export interface SourceScene extends AsyncDisposable {
  readonly source: Source
  /** Creates or replaces these, as one change. */
  write(resources: readonly Resource[]): Promise<void>
  remove(resource: Resource): Promise<void>
}

export function sampleResource(name: string, spec: Record<string, unknown> = {}): Resource {
  const position = { file: '', line: 0, column: 0 }
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: {
      name,
      namespace: 'default',
      labels: {},
      annotations: {},
      creationTimestampMs: undefined,
    },
    spec,
    origin: { ...position, positionOf: () => position },
  }
}

export function sourceContract(name: string, open: () => Promise<SourceScene>): void {
  const [first, second] = [sampleResource('first', { n: 1 }), sampleResource('second', { n: 1 })]
  const holds = (source: Source, resource: Resource) =>
    eventually(() => source.list().resources.get(keyOf(resource)))

  test(`${name}: what was written is listed by its key, with its content`, async () => {
    await using scene = await open()
    await scene.write([first, second])
    const stored = await holds(scene.source, first)
    assert.equal(stored.resource.metadata.name, 'first')
    assert.deepEqual(stored.resource.spec, { n: 1 })
    await holds(scene.source, second)
    assert.deepEqual(scene.source.list().issues, [])
    assert.equal(scene.source.list().stale.size, 0)
  })

  test(`${name}: list returns the same snapshot until something changes`, async () => {
    await using scene = await open()
    await scene.write([first])
    await holds(scene.source, first)
    assert.equal(scene.source.list(), scene.source.list())
  })

  test(`${name}: a change gives another revision to what changed and to nothing else`, async () => {
    await using scene = await open()
    await scene.write([first, second])
    await holds(scene.source, second)
    const before = scene.source.list()
    await scene.write([sampleResource('second', { n: 2 })])
    const after = await eventually(() => changed(scene.source, before))
    const revisionIn = (snapshot: SourceSnapshot, resource: Resource) =>
      snapshot.resources.get(keyOf(resource))?.revision
    assert.equal(revisionIn(after, first), revisionIn(before, first))
    assert.notEqual(revisionIn(after, second), revisionIn(before, second))
    assert.notEqual(after.revision, before.revision)
  })

  test(`${name}: an old snapshot is not touched by what happens later`, async () => {
    await using scene = await open()
    await scene.write([first])
    await holds(scene.source, first)
    const before = scene.source.list()
    await scene.write([second])
    await holds(scene.source, second)
    assert.equal(before.resources.size, 1)
  })

  test(`${name}: what was removed is no longer listed`, async () => {
    await using scene = await open()
    await scene.write([first, second])
    await holds(scene.source, second)
    await scene.remove(first)
    await eventually(() => !scene.source.list().resources.has(keyOf(first)))
    assert.ok(scene.source.list().resources.has(keyOf(second)))
  })

  test(`${name}: a watcher is called with the newest snapshot, never during watch`, async () => {
    await using scene = await open()
    const seen: SourceSnapshot[] = []
    using _subscription = scene.source.watch((snapshot) => seen.push(snapshot))
    assert.equal(seen.length, 0)
    await scene.write([first])
    await eventually(() => seen.at(-1)?.resources.has(keyOf(first)))
    assert.equal(seen.at(-1), scene.source.list())
  })

  test(`${name}: every watcher hears of a change, and none after it is disposed of`, async () => {
    await using scene = await open()
    const [kept, ended]: [SourceSnapshot[], SourceSnapshot[]] = [[], []]
    using _kept = scene.source.watch((snapshot) => kept.push(snapshot))
    const subscription = scene.source.watch((snapshot) => ended.push(snapshot))
    await scene.write([first])
    await eventually(() => kept.length > 0 && ended.length > 0)
    subscription[Symbol.dispose]()
    const endedCalls = ended.length
    await scene.write([second])
    await eventually(() => kept.at(-1)?.resources.has(keyOf(second)))
    assert.equal(ended.length, endedCalls)
  })

  test(`${name}: a watcher may dispose of itself while it is called`, async () => {
    await using scene = await open()
    let calls = 0
    const subscription = scene.source.watch(() => {
      calls += 1
      subscription[Symbol.dispose]()
    })
    await scene.write([first])
    await eventually(() => calls > 0)
    await scene.write([second])
    await holds(scene.source, second)
    assert.equal(calls, 1)
  })
}

function changed(source: Source, before: SourceSnapshot): SourceSnapshot | undefined {
  const snapshot = source.list()
  return snapshot === before ? undefined : snapshot
}
