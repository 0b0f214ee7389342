/** A folder that is edited while it is watched: the real file system, the real fs.watch, short settle times. */
import assert from 'node:assert/strict'
import {
  appendFile,
  mkdir,
  mkdtemp,
  rename,
  rm,
  symlink,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

import { sampleResource, sourceContract } from '../../../test/contract/source.ts'
import { eventually } from '../../../test/support/eventually.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { parseYaml } from '../../../test/support/parse-yaml.ts'
import type { Resource } from '../../model/resource.ts'
import { keyOf } from '../identity.ts'
import { openFileSource } from './file-source.ts'
import type { FileSource, FileSourceOptions } from './file-source.ts'
import { createDocumentParser } from './parse-documents.ts'

/** Short, so that the suite is; the order between them is the default's. */
const times = {
  debounceMs: 2,
  stableMs: 15,
  suspectMs: 60,
  missingMs: 80,
  holdMs: 120,
  emptyMs: 200,
  pollMs: 100,
}

interface Scene extends AsyncDisposable {
  readonly folder: string
  readonly source: FileSource
  at(name: string): string
  put(name: string, text: string): Promise<void>
  value(name: string): unknown
}

async function openScene(
  files: Readonly<Record<string, string>> = {},
  options: Partial<FileSourceOptions> = {},
): Promise<Scene> {
  const folder = await mkdtemp(join(tmpdir(), 'tulle-files-'))
  const at = (name: string) => join(folder, name)
  const put = async (name: string, text: string) => {
    await mkdir(dirname(at(name)), { recursive: true })
    await writeFile(at(name), text)
  }
  for (const [name, text] of Object.entries(files)) await put(name, text)
  const source = await openFileSource({ paths: [folder], parse: parseYaml, times, ...options })
  return {
    folder,
    source,
    at,
    put,
    value: (name) => specOf(source, name)?.['n'],
    async [Symbol.asyncDispose]() {
      await source[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function specOf(source: FileSource, name: string): Record<string, unknown> | undefined {
  const spec = source.list().resources.get(keyOf(sampleResource(name)))?.resource.spec
  // The test wrote it as a map.
  return spec as Record<string, unknown> | undefined
}

function text(name: string, n: number): string {
  return `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: ${name} }\nspec: { n: ${n} }\n`
}

sourceContract('watched files', async () => {
  const scene = await openScene()
  const write = (resource: Resource) =>
    scene.put(`${resource.metadata.name}.json`, `${JSON.stringify(resource)}\n`)
  return {
    source: scene.source,
    async write(resources) {
      for (const resource of resources) await write(resource)
    },
    remove: (resource) => unlink(scene.at(`${resource.metadata.name}.json`)),
    [Symbol.asyncDispose]: async () => scene[Symbol.asyncDispose](),
  }
})

test('what is there at the start is loaded when open resolves', async () => {
  await using scene = await openScene({ 'a.yaml': text('a', 1), 'sub/b.yml': text('b', 2) })
  assert.equal(scene.value('a'), 1)
  assert.equal(scene.value('b'), 2)
})

test('a file that is renamed over another takes effect', async () => {
  await using scene = await openScene({ 'a.yaml': text('a', 1) })
  await scene.put('.a.yaml.tmp', text('a', 2))
  await rename(scene.at('.a.yaml.tmp'), scene.at('a.yaml'))
  await eventually(() => scene.value('a') === 2)
})

test('a new folder is watched, and files in it at once or later are loaded', async () => {
  await using scene = await openScene({}, { times: { ...times, pollMs: 60_000 } })
  await scene.put('x/y/a.yaml', text('a', 1))
  await eventually(() => scene.value('a') === 1)
  await scene.put('x/y/b.yaml', text('b', 1))
  await eventually(() => scene.value('b') === 1)
})

test('a folder that is moved away and made anew is watched again', async () => {
  await using scene = await openScene(
    { 'sub/a.yaml': text('a', 1) },
    { times: { ...times, pollMs: 60_000 } },
  )
  await rename(scene.at('sub'), scene.at('.old'))
  await scene.put('sub/a.yaml', text('a', 2))
  await eventually(() => scene.value('a') === 2)
  await scene.put('sub/a.yaml', text('a', 3))
  await eventually(() => scene.value('a') === 3)
})

test('delete and create, truncate and write, and half a file never take a resource away', async () => {
  await using scene = await openScene({ 'a.yaml': text('a', 1) })
  const missed: string[] = []
  using _subscription = scene.source.watch(() => {
    if (scene.value('a') === undefined) missed.push(scene.source.list().revision)
  })
  await unlink(scene.at('a.yaml'))
  await scene.put('a.yaml', text('a', 2))
  await eventually(() => scene.value('a') === 2)
  await truncate(scene.at('a.yaml'), 0)
  await scene.put('a.yaml', text('a', 3))
  await eventually(() => scene.value('a') === 3)
  await scene.put('a.yaml', text('a', 4).slice(0, 40))
  const looks = scene.source.stats.looks
  await eventually(() => scene.source.stats.looks > looks)
  await appendFile(scene.at('a.yaml'), text('a', 4).slice(40))
  await eventually(() => scene.value('a') === 4)
  assert.deepEqual(missed, [])
  assert.deepEqual(scene.source.list().issues, [])
})

test('a file that stays empty, and one that stays away, lose their resources', async () => {
  await using scene = await openScene({ 'a.yaml': text('a', 1), 'b.yaml': text('b', 1) })
  await truncate(scene.at('a.yaml'), 0)
  await unlink(scene.at('b.yaml'))
  await eventually(() => scene.source.list().resources.size === 0)
})

test('a bad file is an issue with file and line, keeps its last good version, and hides no other', async () => {
  await using scene = await openScene({ 'a.yaml': text('a', 1), 'b.yaml': text('b', 1) })
  await scene.put('a.yaml', `${text('a', 2)}oops: [\n`)
  await scene.put('b.yaml', text('b', 2))
  await eventually(() => scene.value('b') === 2 && scene.source.list().issues.length === 1)
  const { issues, stale } = scene.source.list()
  assert.equal(scene.value('a'), 1)
  assert.deepEqual([...stale], [keyOf(sampleResource('a'))])
  assert.equal(issues[0]?.file, scene.at('a.yaml'))
  assert.ok(issues[0].line > 0)
  await scene.put('a.yaml', text('a', 3))
  await eventually(() => scene.value('a') === 3)
  assert.deepEqual(scene.source.list().issues, [])
  assert.equal(scene.source.list().stale.size, 0)
})

test('a file that is bad from the start is an issue, and loads when it is corrected', async () => {
  await using scene = await openScene({ 'a.yaml': 'a: [\n' })
  assert.equal(scene.source.list().issues.length, 1)
  await scene.put('a.yaml', text('a', 1))
  await eventually(() => scene.value('a') === 1 && scene.source.list().issues.length === 0)
})

test('a file that will not settle holds the others back for a while only', async () => {
  await using scene = await openScene({ 'a.yaml': text('a', 1), 'b.yaml': text('b', 1) })
  await scene.put('b.yaml', text('b', 2))
  let n = 0
  await eventually(async () => {
    n += 1
    await scene.put('a.yaml', `${text('a', n)}oops: [\n`)
    return scene.value('b') === 2
  })
  assert.equal(scene.value('a'), 1)
})

test('a key in two files belongs to the first in path order, and the issue names both', async () => {
  await using scene = await openScene({ 'b.yaml': text('a', 2), 'a.yaml': text('a', 1) })
  assert.equal(scene.value('a'), 1)
  const [issue] = scene.source.list().issues
  assert.equal(issue?.code, 'TUL0202')
  assert.ok(issue.message.includes(`${scene.at('a.yaml')}:1`))
  assert.ok(issue.message.includes(`${scene.at('b.yaml')}:1`))
  await unlink(scene.at('a.yaml'))
  await eventually(() => scene.value('a') === 2 && scene.source.list().issues.length === 0)
})

test('a file that is moved keeps its resources throughout', async () => {
  await using scene = await openScene({ 'a.yaml': text('a', 1) })
  const states: unknown[] = []
  using _subscription = scene.source.watch((snapshot) =>
    states.push([scene.value('a'), snapshot.issues.length]),
  )
  await rename(scene.at('a.yaml'), scene.at('z.yaml'))
  const origin = () =>
    scene.source.list().resources.get(keyOf(sampleResource('a')))?.resource.origin.file
  await eventually(() => origin() === scene.at('z.yaml'))
  assert.deepEqual(states, [[1, 0]])
})

const virtualService = (weight: string) => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: a
spec:
  hosts: [a]
  http:
  - route:
    - destination: { host: a, subset: v1 }
      weight: ${weight}
    - destination: { host: a, subset: v2 }
      weight: 10
`

const mistakes: readonly { claim: string; text: string; line: number }[] = [
  { claim: 'a weight below zero', text: virtualService('-1'), line: 10 },
  { claim: 'a weight that is text', text: virtualService('many'), line: 10 },
  {
    claim: 'a misspelt field',
    text: virtualService('90').replace('subset: v2', 'subst: v2'),
    line: 11,
  },
  { claim: 'a misspelt kind', text: virtualService('90').replace('Service', 'Servce'), line: 2 },
  {
    claim: 'a name that is none',
    text: virtualService('90').replace('name: a', 'name: A_'),
    line: 4,
  },
  { claim: 'a bracket left open', text: virtualService('[90'), line: 11 },
]
for (const { claim, text: mistake, line } of mistakes) {
  test(`${claim} in a VirtualService keeps the last good one and is named at its line`, async () => {
    const parse = createDocumentParser()
    const files = {
      'a.yaml': virtualService('90'),
      'b.yaml': virtualService('1').replace('e: a', 'e: b'),
    }
    await using scene = await openScene(files, { parse })
    await scene.put('a.yaml', mistake)
    await eventually(() => scene.source.list().stale.size === 1)
    const { resources, issues, stale } = scene.source.list()
    assert.equal(resources.size, 2)
    assert.deepEqual([...stale], [keyOf(sampleResource('a'))])
    const places = issues
      .filter(({ severity }) => severity === 'error')
      .map((issue) => [issue.file, issue.line])
    assert.deepEqual(places, [[scene.at('a.yaml'), line]])
  })
}

test('a file of thousands of documents lets others have their turn, and takes effect as one', async () => {
  const documents = (weight: number) =>
    Array.from(
      { length: 1_000 },
      (_, at) => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: route-${at} }
spec: { hosts: [h${at}.test], http: [{ timeout: ${weight}s, route: [{ destination: { host: a.test } }] }] }
`,
    ).join('---\n')
  await using scene = await openScene({ 'a.yaml': documents(1) }, { parse: createDocumentParser() })
  const seen = new Set<string>()
  let turns = 0
  using stop = new DisposableStack()
  let isDone = false
  stop.defer(() => (isDone = true))
  const look = () => {
    turns += 1
    const specs = [...scene.source.list().resources.values()].map(
      ({ resource }) => JSON.stringify(resource.spec).match(/"timeout":"(\d)s"/)?.[1],
    )
    seen.add([...new Set(specs)].join())
    if (!isDone) setImmediate(look)
  }
  await scene.put('a.yaml', documents(2))
  look()
  await eventually(() => seen.has('2'), { deadlineMs: 20_000 })
  assert.deepEqual([...seen], ['1', '2'])
  assert.ok(turns > 10, `${turns} turns`)
})

test('a folder that vanishes as a whole keeps the mesh, with an issue', async () => {
  await using scene = await openScene({ 'a.yaml': text('a', 1) })
  await rename(scene.folder, `${scene.folder}-away`)
  await eventually(() => scene.source.list().issues.some(({ code }) => code === 'TUL0201'))
  assert.equal(scene.value('a'), 1)
  await rename(`${scene.folder}-away`, scene.folder)
  await eventually(() => scene.source.list().issues.length === 0)
})

test('a root that appears later is loaded', async () => {
  await using scene = await openScene()
  const late = scene.at('later/config')
  await using source = await openFileSource({ paths: [late], parse: parseYaml, times })
  assert.equal(source.list().issues.length, 1)
  await scene.put('later/config/a.yaml', text('a', 1))
  await eventually(() => source.list().resources.size === 1 && source.list().issues.length === 0)
})

test('a link that appears is an issue and goes away with the link', async () => {
  await using scene = await openScene({ 'a.yaml': text('a', 1) })
  await symlink(scene.at('a.yaml'), scene.at('b.yaml'))
  await eventually(() => scene.source.list().issues.some(({ code }) => code === 'TUL0203'))
  await unlink(scene.at('b.yaml'))
  await eventually(() => scene.source.list().issues.length === 0)
})

test('a file that grows over the ceiling keeps its last good version', async () => {
  await using scene = await openScene({ 'a.yaml': text('a', 1) }, { limits: { fileBytesMax: 500 } })
  await appendFile(scene.at('a.yaml'), `# ${'x'.repeat(600)}\n`)
  await eventually(() => scene.source.list().issues.some(({ code }) => code === 'TUL0204'))
  assert.equal(scene.value('a'), 1)
  assert.equal(scene.source.list().stale.size, 1)
})

test('touching a file without changing it publishes nothing', async () => {
  await using scene = await openScene({ 'a.yaml': text('a', 1) })
  const before = scene.source.list()
  await scene.put('a.yaml', text('a', 1))
  const looks = scene.source.stats.looks
  await eventually(() => scene.source.stats.looks > looks + 2)
  assert.equal(scene.source.list(), before)
})

test('a closed source has no timer, no watch and no watcher left', async () => {
  const clock = new FakeClock()
  const scene = await openScene({ 'a.yaml': text('a', 1) }, { clock })
  assert.equal(clock.pendingTimers, 1)
  await scene[Symbol.asyncDispose]()
  assert.equal(clock.pendingTimers, 0)
  clock.advance(60_000)
  assert.equal(scene.source.stats.looks, 1)
})

test('the poll alone finds what fs.watch did not tell', async () => {
  const clock = new FakeClock()
  // Nothing but this test moves the clock, so a word from fs.watch can only set a timer.
  await using scene = await openScene({ 'a.yaml': text('a', 1) }, { clock })
  await scene.put('a.yaml', text('a', 2))
  await eventually(() => {
    clock.advance(times.pollMs)
    return scene.value('a') === 2
  })
})
