/** What is worked out about sets of resources, and shared. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { testResource } from '../../../test/support/ads-source.ts'
import { typeUrls, type EncodedResource, type LayeredResources } from '../resource-set.ts'
import { NameSets } from './name-sets.ts'
import { noResources, ResourceDiffs } from './resource-diff.ts'

function setOf(contents: Readonly<Record<string, string>>): Map<string, EncodedResource> {
  return new Map(
    Object.entries(contents).map(([name, content]) => [
      name,
      testResource(typeUrls.cluster, name, content),
    ]),
  )
}

class Layers extends Map<string, EncodedResource> implements LayeredResources {
  readonly shared: ReadonlyMap<string, EncodedResource>
  readonly own: ReadonlyMap<string, EncodedResource>

  constructor(
    shared: ReadonlyMap<string, EncodedResource>,
    own: ReadonlyMap<string, EncodedResource>,
  ) {
    super([...shared, ...own])
    this.shared = shared
    this.own = own
  }
}

describe('resource diffs', () => {
  test('a diff has what is new, what changed and what is gone', () => {
    const diffs = new ResourceDiffs()
    const from = setOf({ a: '1', b: '1', c: '1' })
    const to = setOf({ b: '1', c: '2', d: '1' })
    const { changed, removed } = diffs.between(from, to)
    assert.deepEqual([changed.map(({ name }) => name), removed], [['c', 'd'], ['a']])
    assert.equal(diffs.between(from, to), diffs.between(from, to))
    assert.deepEqual(diffs.between(to, to), { changed: [], removed: [] })
  })

  test('equal contents have equal versions in any order, and others do not', () => {
    const diffs = new ResourceDiffs()
    const version = diffs.versionOf(setOf({ a: '1', b: '2' }))
    assert.equal(new ResourceDiffs().versionOf(setOf({ b: '2', a: '1' })), version)
    for (const other of [{ a: '1' }, { a: '2', b: '1' }, { a: '1', c: '2' }]) {
      assert.notEqual(diffs.versionOf(setOf(other)), version)
    }
    assert.notEqual(diffs.versionOf(noResources), '')
  })

  test('clients with the same shared part share its diff', () => {
    const diffs = new ResourceDiffs()
    const [before, after] = [setOf({ a: '1' }), setOf({ a: '2' })]
    const [one, two] = [setOf({ x: '1' }), setOf({ y: '1' })]
    const first = diffs.between(new Layers(before, one), new Layers(after, one))
    const second = diffs.between(new Layers(before, two), new Layers(after, two))
    assert.equal(first, second)
    assert.deepEqual(
      first.changed.map(({ name }) => name),
      ['a'],
    )
  })

  test('a client whose own part changes gets that too', () => {
    const diffs = new ResourceDiffs()
    const shared = setOf({ a: '1' })
    const from = new Layers(shared, setOf({ x: '1', z: '1' }))
    const to = new Layers(shared, setOf({ x: '2' }))
    const { changed, removed } = diffs.between(from, to)
    assert.deepEqual([changed.map(({ name }) => name), removed], [['x'], ['z']])
  })
})

describe('name sets', () => {
  test('equal large sets are held once, others are not mixed up', () => {
    const sets = new NameSets()
    const names = Array.from({ length: 100 }, (_, at) => `name-${at}`)
    const first = sets.share(new Set(names))
    assert.equal(sets.share(new Set(names)), first)
    const other = new Set([...names.slice(0, 99), 'another'])
    assert.equal(sets.share(other), other)
  })
})
