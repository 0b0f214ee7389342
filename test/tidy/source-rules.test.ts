/** Rules that every source file keeps: a header that says what it is, the house's words, no loose ends. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { listFiles, readText } from '../support/source-files.ts'

const sources = ['src', 'test', 'bench', 'examples', 'scripts'].flatMap((folder) => [
  ...listFiles(folder, '.ts'),
  ...listFiles(folder, '.mjs'),
])
const production = sources.filter((file) => file.startsWith('src/') && !file.endsWith('.test.ts'))

function findAll(files: readonly string[], pattern: RegExp): readonly string[] {
  return files.flatMap((file) =>
    readText(file)
      .split('\n')
      .flatMap((line, index) =>
        pattern.test(line) ? [`${file}:${String(index + 1)}: ${line.trim()}`] : [],
      ),
  )
}

test('every file opens with a header that says what it is', () => {
  const without = sources.filter((file) => {
    const text = readText(file).replace(/^#!.*\n/, '')
    return !text.startsWith('/**')
  })
  assert.deepEqual(without, [])
})

test('node:http is imported for its types alone: lib/node-http.ts has its values for less memory', () => {
  const imports = /^import (?!type\b)[^'"]*from 'node:http'$/m
  assert.deepEqual(
    production.filter((file) => imports.test(readText(file))),
    [],
  )
})

test('a promise for later names an issue, or is not there', () => {
  const self = 'test/tidy/source-rules.test.ts'
  const files = sources.filter((file) => file !== self)
  assert.deepEqual(findAll(files, /\b(FIXME|HACK|XXX)\b|\bTODO\b(?!\(#\d+\): )/), [])
})

test('no file is named after a technical kind', () => {
  const names = /(^|\/)(types|utils?|helpers?|common|misc|index)\.ts$/
  assert.deepEqual(
    production.filter((file) => names.test(file)),
    [],
  )
})

test('files and folders are kebab-case', () => {
  assert.deepEqual(
    sources.filter((file) => !/^[a-z0-9./-]+$/.test(file)),
    [],
  )
})

test('time, chance and the environment are arguments below the composition roots', () => {
  const exempt = /^src\/(bin|cli)\/|^src\/lib\/(clock|random)\.ts$/
  const files = production.filter((file) => !exempt.test(file))
  assert.deepEqual(
    findAll(files, /\bDate\.now\(|\bMath\.random\b|\bsetInterval\(|process\.env\b/),
    [],
  )
})

test('nothing sleeps in a test', () => {
  const files = sources.filter((file) => file.endsWith('.test.ts'))
  assert.deepEqual(findAll(files, /\bawait (sleep|delay)\(|timers\/promises/), [])
})

test('no empty catch goes without a reason', () => {
  assert.deepEqual(findAll(production, /catch\s*(\([^)]*\))?\s*\{\s*\}/), [])
})
