/** A text as a source: standard input. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createDocumentParser } from './parse-documents.ts'
import { createTextSource } from './text-source.ts'

const service = (name: string) =>
  `apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: ${name}}\n` +
  `spec: {hosts: [${name}.example], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}\n`

test('the documents of a text are resources, and what is wrong in it has its line', () => {
  const text = `${service('a')}---\n${service('b')}---\n${service('a')}---\nkind: [\n`
  const source = createTextSource({ name: '-', text }, createDocumentParser('shop'))
  const { resources, issues } = source.list()
  const names = [...resources.values()].map(({ resource }) => resource.metadata)
  assert.deepEqual(
    names.map(({ namespace, name }) => `${namespace}/${name}`),
    ['shop/a', 'shop/b'],
  )
  assert.deepEqual(
    issues.map(({ file, line, severity }) => [file, line, severity]),
    [
      ['-', 16, 'error'],
      ['-', 11, 'error'],
    ],
  )
})
