/**
 * A writer that does its worst, and a reader that checks every snapshot it is shown. The writer brings four
 * resources in three files from one generation to the next: byte by byte, truncated first, renamed over, deleted
 * and made anew, moved to another name, in any order. A reader must see all four of one generation, always.
 */
import assert from 'node:assert/strict'
import { mkdtemp, open, rename, rm, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { eventually } from '../../../test/support/eventually.ts'
import { parseYaml } from '../../../test/support/parse-yaml.ts'
import { seededRandom } from '../../lib/random.ts'
import type { Random } from '../../lib/random.ts'
import type { SourceSnapshot } from '../source.ts'
import { openFileSource } from './file-source.ts'

const times = {
  debounceMs: 5,
  stableMs: 120,
  suspectMs: 250,
  missingMs: 300,
  holdMs: 5_000,
  emptyMs: 1_000,
}

const document = (name: string, generation: number) =>
  `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: ${name}\nspec:\n` +
  `  padding: ${'x'.repeat(40)}\n  generation: ${generation}\n  last: true\n`

const contents: readonly { name: string; write: (generation: number) => string }[] = [
  { name: 'one.yaml', write: (n) => document('a', n) },
  { name: 'two.yaml', write: (n) => `${document('b', n)}---\n${document('c', n)}` },
  { name: 'three.yaml', write: (n) => document('d', n) },
]

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve))

type Write = (path: string, text: string) => Promise<void>

const writes: Readonly<Record<string, Write>> = {
  async byteByByte(path, text) {
    await using file = await open(path, 'w')
    for (const byte of Buffer.from(text)) {
      await file.write(Buffer.of(byte))
      await nextTurn()
    }
  },
  async inPlaceWithoutTruncation(path, text) {
    await using file = await open(path, 'r+')
    for (let at = 0; at < text.length; at += 7) {
      await file.write(text.slice(at, at + 7), at)
      await nextTurn()
    }
    await file.truncate(text.length)
  },
  async renameOver(path, text) {
    await writeFile(`${path}.tmp`, text)
    await rename(`${path}.tmp`, path)
  },
  async deleteAndCreate(path, text) {
    await unlink(path)
    for (let turn = 0; turn < 20; turn += 1) await nextTurn()
    await writeFile(path, text)
  },
  async backupThenWrite(path, text) {
    await rename(path, `${path}~`)
    await writeFile(path, text.slice(0, 90))
    await nextTurn()
    await writeFile(path, text)
    await unlink(`${path}~`)
  },
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  return items
    .map((item) => ({ item, order: random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ item }) => item)
}

function generationsOf(snapshot: SourceSnapshot): unknown[] {
  return [...snapshot.resources.values()].map(({ resource }) => {
    // The writer wrote it so.
    const { generation, last } = resource.spec as { generation?: number; last?: boolean }
    return last === true ? generation : 'torn'
  })
}

for (const seed of [1, 2]) {
  test(`every snapshot is one generation, whole, whatever the writer does (seed ${seed})`, async () => {
    const random = seededRandom(seed)
    const folder = await mkdtemp(join(tmpdir(), 'tulle-torture-'))
    for (const { name, write } of contents) await writeFile(join(folder, name), write(0))
    await using source = await openFileSource({ paths: [folder], parse: parseYaml, times })
    const seen: unknown[][] = [generationsOf(source.list())]
    const troubles: unknown[] = []
    using _subscription = source.watch((snapshot) => {
      seen.push(generationsOf(snapshot))
      if (snapshot.issues.length + snapshot.stale.size > 0) troubles.push(...snapshot.issues)
    })

    for (let generation = 1; generation <= 8; generation += 1) {
      for (const { name, write } of shuffled(contents, random)) {
        const [method = writes['renameOver']] = shuffled(Object.values(writes), random)
        await method?.(join(folder, name), write(generation))
      }
      // Sometimes the next generation starts at once, on top of this one.
      if (random() < 0.5) await eventually(() => seen.at(-1)?.every((n) => n === generation))
    }
    await eventually(() => seen.at(-1)?.every((n) => n === 8))

    for (const generations of seen) {
      assert.equal(generations.length, 4)
      assert.equal(new Set(generations).size, 1, `saw ${String(generations)}`)
    }
    assert.deepEqual(troubles, [])
    await rm(folder, { recursive: true })
  })
}
