/** When a change of one file is believed, and what stays in force when it is broken. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseYaml } from '../../../test/support/parse-yaml.ts'
import { LoadedFile } from './loaded-file.ts'

const times = { stableMs: 60, suspectMs: 300, missingMs: 500, emptyMs: 2_000 }

const document = (name: string, n = 1) =>
  `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: ${name}\nspec:\n  n: ${n}\n`

/** A file in which `text` is in force since before time 0. */
function loaded(text: string): LoadedFile {
  const file = new LoadedFile('a.yaml', parseYaml, times)
  file.observe({ kind: 'text', text }, 0)
  file.believe()
  return file
}

const names = (file: LoadedFile) =>
  [...file.resources.values()].map(({ resource }) => resource.metadata.name)

const settling: readonly { claim: string; text: string | undefined; settlesAfterMs: number }[] = [
  { claim: 'a changed value', text: document('a', 2), settlesAfterMs: 60 },
  {
    claim: 'one more document',
    text: `${document('a')}---\n${document('b')}`,
    settlesAfterMs: 60,
  },
  { claim: 'no newline at the end', text: document('a', 2).trimEnd(), settlesAfterMs: 300 },
  { claim: 'a beginning of what it was', text: 'apiVersion: x\n', settlesAfterMs: 300 },
  { claim: 'a syntax error', text: `${document('a')}  - [\n`, settlesAfterMs: 300 },
  { claim: 'a resource that went away', text: document('b'), settlesAfterMs: 300 },
  { claim: 'no file', text: undefined, settlesAfterMs: 500 },
  { claim: 'an empty file', text: '', settlesAfterMs: 2_000 },
  { claim: 'a file of blanks', text: '\n  \n', settlesAfterMs: 2_000 },
]

for (const { claim, text, settlesAfterMs } of settling) {
  test(`${claim} settles after ${settlesAfterMs} ms`, () => {
    const file = loaded(document('a'))
    file.observe(text === undefined ? { kind: 'missing' } : { kind: 'text', text }, 1_000)
    assert.equal(file.settlesAtMs, 1_000 + settlesAfterMs)
    assert.deepEqual(names(file), ['a'])
  })
}

test('a beginning of what it was is suspect even when nothing in it is wrong', () => {
  const file = loaded('apiVersion: v1\nkind: K\nmetadata:\n  name: a\nspec:\n  n: 1\n  m: 2\n')
  const text = 'apiVersion: v1\nkind: K\nmetadata:\n  name: a\nspec:\n  n: 1\n'
  file.observe({ kind: 'text', text }, 0)
  assert.equal(file.settlesAtMs, 300)
})

test('each change starts the wait anew, and the same content does not', () => {
  const file = loaded(document('a'))
  file.observe({ kind: 'text', text: document('a', 2) }, 10)
  file.observe({ kind: 'text', text: document('a', 3) }, 50)
  file.observe({ kind: 'text', text: document('a', 3) }, 90)
  assert.equal(file.settlesAtMs, 110)
})

test('a file that becomes again what is in force waits for nothing', () => {
  const file = loaded(document('a'))
  file.observe({ kind: 'text', text: '' }, 10)
  file.observe({ kind: 'text', text: document('a') }, 20)
  assert.equal(file.settlesAtMs, undefined)
})

test('a broken document keeps its last good version, marked stale; its neighbours move on', () => {
  const file = loaded(`${document('a')}---\n${document('b')}`)
  const text = `${document('a', 2)}---\n${document('b')}  broken: true\n`
  file.observe({ kind: 'text', text }, 0)
  file.believe()
  const specs = [...file.resources.values()].map(({ resource }) => resource.spec)
  assert.deepEqual(specs, [{ n: 2 }, { n: 1 }])
  assert.deepEqual([...file.stale], ['networking.istio.io/VirtualService/default/b'])
  assert.deepEqual(
    file.issues.map(({ file, line, resource }) => ({ file, line, resource })),
    [{ file: 'a.yaml', line: 8, resource: 'VirtualService default/b' }],
  )
})

for (const { claim, text, said } of [
  {
    claim: 'a resource that is broken',
    text: `${document('a')}---\n${document('b')}  broken: true\n`,
    said: /; the last good version of this VirtualService stays in force$/,
  },
  {
    claim: 'a text that is no YAML',
    text: 'a: [\n',
    said: /; the last good version of what this file declared stays in force$/,
  },
]) {
  test(`the error of ${claim} says what stays in force`, () => {
    const file = loaded(`${document('a')}---\n${document('b')}`)
    file.observe({ kind: 'text', text }, 0)
    file.believe()
    assert.match(file.issues[0]?.message ?? '', said)
  })
}

test('the error of a file that was bad from the start speaks of nothing that stays', () => {
  const file = loaded(`${document('b')}  broken: true\n`)
  assert.equal(file.issues.length, 1)
  assert.equal(file.issues[0]?.message.includes('in force'), false)
})

test('a document that was taken out goes, though another in the file is broken', () => {
  const file = loaded(`${document('a')}---\n${document('b')}`)
  file.observe({ kind: 'text', text: `${document('b')}  broken: true\n` }, 0)
  file.believe()
  assert.deepEqual(names(file), ['b'])
})

test('a text that is no YAML keeps everything that the file held', () => {
  const file = loaded(`${document('a')}---\n${document('b')}`)
  file.observe({ kind: 'text', text: 'a: [\n' }, 0)
  file.believe()
  assert.deepEqual(names(file), ['a', 'b'])
  assert.equal(file.stale.size, 2)
})

test('what is stale is fresh again when the file is good again', () => {
  const file = loaded(document('a'))
  file.observe({ kind: 'text', text: 'a: [\n' }, 0)
  file.believe()
  file.observe({ kind: 'text', text: document('a') }, 0)
  file.believe()
  assert.equal(file.stale.size, 0)
  assert.deepEqual(file.issues, [])
})

test('an empty file that is believed takes its resources out', () => {
  const file = loaded(document('a'))
  file.observe({ kind: 'text', text: '' }, 0)
  file.believe()
  assert.deepEqual(names(file), [])
  assert.equal(file.isGone, false)
})

test('a file that is gone and believed so can be forgotten', () => {
  const file = loaded(document('a'))
  file.observe({ kind: 'missing' }, 0)
  assert.equal(file.isGone, false)
  file.believe()
  assert.equal(file.isGone, true)
})

test('a comment above a resource moves its line and keeps its revision', () => {
  const file = loaded(document('a'))
  const [before] = file.resources.values()
  file.observe({ kind: 'text', text: `# new\n${document('a')}` }, 0)
  file.believe()
  const [after] = file.resources.values()
  assert.equal(after?.revision, before?.revision)
  assert.equal(after?.resource.origin.line, 2)
})

test('one resource twice in a file is an issue with both lines, and the first is in force', () => {
  const file = loaded(`${document('a', 1)}---\n${document('a', 2)}`)
  assert.deepEqual(
    [...file.resources.values()].map(({ resource }) => resource.spec),
    [{ n: 1 }],
  )
  assert.match(file.issues[0]?.message ?? '', /a\.yaml:1 and again in a\.yaml:8/)
})

test('a parser that throws is an issue, and the last good version stays', () => {
  let isFailing = false
  const parse = (text: string, path: string) => {
    if (isFailing) throw new Error('deep inside')
    return parseYaml(text, path)
  }
  const file = new LoadedFile('a.yaml', parse, times)
  file.observe({ kind: 'text', text: document('a') }, 0)
  file.believe()
  isFailing = true
  file.observe({ kind: 'text', text: document('a', 2) }, 0)
  file.believe()
  assert.deepEqual(names(file), ['a'])
  assert.match(file.issues[0]?.message ?? '', /deep inside/)
})
