/** Reading Prometheus' text format, with its escapes and special values. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parsePrometheusText } from './prometheus-text.ts'

test('only the named samples are read, with their labels', () => {
  const text = [
    '# TYPE a counter',
    'a{x="1",y="two, {three}"} 4',
    'ab{x="1"} 5',
    'b 6 1700000000',
    'a 7',
    '',
  ].join('\n')
  assert.deepEqual(parsePrometheusText(text, new Set(['a', 'b'])), [
    { name: 'a', labels: { x: '1', y: 'two, {three}' }, value: 4 },
    { name: 'b', labels: {}, value: 6 },
    { name: 'a', labels: {}, value: 7 },
  ])
})

test('escapes in a label are undone', () => {
  const [sample] = parsePrometheusText('a{x="q\\"b\\\\n\\n"} 1', new Set(['a']))
  assert.equal(sample?.labels['x'], 'q"b\\n\n')
})

test('infinities are values and garbage is not', () => {
  const text = 'a{le="+Inf"} +Inf\na -Inf\na NaN\na{x="1" 2\na{x="1"}\na x\n'
  const values = parsePrometheusText(text, new Set(['a'])).map(({ value }) => value)
  assert.deepEqual(values, [Infinity, -Infinity])
})
