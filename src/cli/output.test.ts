/** What commands return, printed in each format. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { recordingTerminal } from '../../test/support/recording-terminal.ts'
import { renderOutput, type Output } from './output.ts'
import { createTerminal } from './terminal.ts'

const terminal = recordingTerminal()

const output: Output = {
  data: [{ name: 'a', count: 1 }],
  view: {
    kind: 'table',
    table: {
      columns: ['NAME', 'COUNT', 'WHY'],
      rows: [
        ['a', '1', ''],
        ['longer', '20', { text: 'bad\u001b[31m\nnews', colour: 'red' }],
      ],
      empty: 'nothing',
    },
  },
}

test('a table is aligned, has no blanks at the end, and no control characters', () => {
  assert.equal(
    renderOutput(output, 'table', terminal),
    ['NAME    COUNT  WHY', 'a       1', 'longer  20     bad\ufffd[31m news', ''].join('\n'),
  )
})

test('an empty table says so in words', () => {
  const view = {
    kind: 'table',
    table: { columns: ['NAME'], rows: [], empty: 'no meshes' },
  } as const
  assert.equal(renderOutput({ data: [], view }, 'table', terminal), 'no meshes\n')
})

test('JSON and YAML show the data', () => {
  assert.deepEqual(JSON.parse(renderOutput(output, 'json', terminal)), output.data)
  assert.equal(renderOutput(output, 'yaml', terminal), '- name: a\n  count: 1\n')
})

test('no colours when the output is not a terminal, and none with NO_COLOR', () => {
  const stream = (isTTY: boolean) =>
    ({ isTTY, columns: 80, on() {} }) as unknown as NodeJS.WriteStream
  const paint = (isTTY: boolean, env: Record<string, string>) =>
    createTerminal({ stdout: stream(isTTY), stderr: stream(isTTY), env }).colour('red', 'x')
  assert.equal(paint(false, {}), 'x')
  assert.equal(paint(true, { NO_COLOR: '1' }), 'x')
  assert.equal(paint(true, { TERM: 'dumb' }), 'x')
  assert.equal(paint(true, { TERM: 'xterm' }), '\u001b[31mx\u001b[39m')
})
