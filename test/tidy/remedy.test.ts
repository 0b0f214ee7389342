/**
 * What is to be done is written in one way. What is wrong with a resource (Issue) is told as a sentence; what failed in the
 * world (MeshError) goes on behind `next:` in lower case and without an end.
 */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '../..')
const roomsOfIssues = new Set(['model', 'store', 'registry', 'translate'])
const literal = /remedy:\s*(['"`])((?:\\.|(?!\1)[^\\])+)\1(\s*\+)?/g

interface Remedy {
  readonly place: string
  readonly text: string
  readonly isError: boolean
  /** The text goes on in another literal. */
  readonly isPart: boolean
}

function remediesOf(path: string): readonly Remedy[] {
  const source = readFileSync(join(root, path), 'utf8')
  const [, room = ''] = path.split('/')
  return [...source.matchAll(literal)].map((match) => {
    const [, , text = '', more] = match
    const before = source.slice(0, match.index)
    // The nearest of the two that it can stand in.
    const isThrown = before.lastIndexOf('MeshError(') > before.lastIndexOf('code: ')
    return {
      place: `${path}:${before.split('\n').length}`,
      text,
      isError: !roomsOfIssues.has(room) || isThrown,
      isPart: more !== undefined,
    }
  })
}

const remedies = globSync('src/**/*.ts', { cwd: root })
  .filter((path) => !path.endsWith('.test.ts') && !path.includes('/generated/'))
  .flatMap(remediesOf)

test('remedies are found', () => {
  assert.ok(remedies.filter(({ isError }) => isError).length > 50)
  assert.ok(remedies.filter(({ isError }) => !isError).length > 100)
})

test('the remedy of an issue is a sentence', () => {
  const wrong = remedies.filter(
    ({ text, isError, isPart }) =>
      !isError && (/^\p{Ll}/u.test(text) || (!isPart && !/[.}]$/.test(text))),
  )
  assert.deepEqual(wrong, [])
})

test('the remedy of an error begins in lower case and has no full stop', () => {
  const wrong = remedies.filter(
    ({ text, isError }) => isError && (/^\p{Lu}\p{Ll}/u.test(text) || text.endsWith('.')),
  )
  assert.deepEqual(wrong, [])
})
