/** Whatever the text, parsing ends, throws nothing, and says where each issue is. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import * as fc from 'fast-check'

import { describe } from '../../test/support/issue-table.ts'
import { parseText, validate } from './parse.ts'

const folder = join(import.meta.dirname, 'testdata/accepted')
const samples = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'))

function checkText(text: string): void {
  const lines = text.split('\n')
  for (const document of parseText(text, 'fuzz.yaml')) {
    const hasError = document.issues.some(({ severity }) => severity === 'error')
    assert.ok(!(hasError && document.resource !== undefined), describe(document.issues))
    for (const { line, column, message, remedy } of document.issues) {
      assert.ok(
        line >= 1 && line <= lines.length,
        `line ${String(line)} of ${String(lines.length)}`,
      )
      assert.ok(column >= 1 && column <= (lines[line - 1] ?? '').length + 1)
      assert.notEqual(message, '')
      assert.notEqual(remedy, '')
    }
  }
}

test('any text is read without a throw', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 400 }), checkText), { numRuns: 500 })
})

const structure = [
  '---\n',
  '...\n',
  '%YAML 1.1\n',
  '- ',
  '  ',
  '\t',
  '\n',
  ': ',
  '{',
  '}',
  '[',
  ']',
  ',',
]
const words = [
  'apiVersion: v1\n',
  'kind: Service\n',
  'kind: List\n',
  'items:\n',
  'spec:',
  'hosts',
  '~',
]
const features = [
  '&a ',
  '*a',
  '<<: ',
  '? ',
  '!tag ',
  '!!map ',
  '|\n',
  '>-\n',
  '"',
  "'",
  '#',
  'null',
]
const odd = ['\uFEFF', '\r\n', '\0', '\u2028', '0x1f', '.inf']
const fragments = [structure, words, features, odd].flat()
const fragment = fc.nat(fragments.length - 1).map((index) => fragments[index] ?? '')

test('any pile of YAML is read without a throw', () => {
  const pile = fc.array(fragment, { maxLength: 40 }).map((parts) => parts.join(''))
  fc.assert(fc.property(pile, checkText), { numRuns: 2000 })
})

test('a resource with any part cut out or doubled is read without a throw', () => {
  const damaged = fc
    .tuple(fc.nat(samples.length - 1), fc.nat(), fc.nat(200), fragment)
    .map(([sample, start, length, middle]) => {
      const text = samples[sample] ?? ''
      const at = start % text.length
      return text.slice(Math.max(0, at - 1500), at) + middle + text.slice(at + length, at + 1500)
    })
  fc.assert(fc.property(damaged, checkText), { numRuns: 500 })
})

test('any JSON value is judged without a throw', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const spec = {
        apiVersion: 'networking.istio.io/v1',
        kind: 'VirtualService',
        metadata: { name: 'a' },
        spec: value,
      }
      assert.equal(validate(value).ok, false)
      assert.equal(validate(spec).ok, false)
      checkText(JSON.stringify(spec, null, 2))
    }),
    { numRuns: 300 },
  )
})
