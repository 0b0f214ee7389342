/** Splitting and expanding commands. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { MeshError } from '../../lib/mesh-error.ts'
import { parseCommand, splitCommand } from './command-line.ts'

for (const [line, words] of [
  ['a b  c', ['a', 'b', 'c']],
  [' a ', ['a']],
  ['', []],
  [`say 'two words'`, ['say', 'two words']],
  [`say "a \\"b\\" \\n"`, ['say', 'a "b" \\n']],
  [`a\\ b c\\'d`, ['a b', "c'd"]],
  [`--name="x y"z ''`, ['--name=x yz', '']],
  ['a | b > c * $HOME', ['a', '|', 'b', '>', 'c', '*', '$HOME']],
] as const) {
  test(`${JSON.stringify(line)} has ${words.length} words`, () => {
    assert.deepEqual(splitCommand(line), words)
  })
}

for (const line of [`a 'b`, `a "b`, 'a \\']) {
  test(`${JSON.stringify(line)} is refused, because a quote is open`, () => {
    assert.throws(
      () => splitCommand(line),
      (error) => error instanceof MeshError && error.code === 'MESH_COMMAND_FAILED',
    )
  })
}

test('variables are replaced after splitting, so that a blank in one makes no new word', () => {
  assert.deepEqual(parseCommand('run ${A} x${B}y', { A: 'two words', B: '' }), [
    'run',
    'two words',
    'xy',
  ])
  assert.deepEqual(parseCommand(['run', '$A', '${A}'], { A: '1' }), ['run', '$A', '1'])
})

test('a variable that is not set is refused by name', () => {
  assert.throws(() => parseCommand('run ${PROT}', { PORT: '1' }), /\$\{PROT\} is not set/)
})

test('an empty command is refused', () => {
  assert.throws(() => parseCommand('', {}), /the command is empty/)
  assert.throws(() => parseCommand([], {}), /the command is empty/)
})
