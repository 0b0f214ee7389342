/** What of a text may reach a terminal. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createTerminal, printable, printableColoured, type Colour } from './terminal.ts'

const stream = { isTTY: true, columns: 80, on: () => {}, write: () => true }
const streams = { stdout: stream, stderr: stream, env: {} }
const terminal = createTerminal(streams as unknown as Parameters<typeof createTerminal>[0])

test('colours of our own survive, and nothing else that steers', () => {
  const colours: Colour[] = ['red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'gray', 'bold']
  for (const colour of colours) {
    const text = terminal.colour(colour, 'x')
    assert.notEqual(text, 'x')
    assert.equal(printableColoured(text), text)
    assert.equal(printable(text).includes('\u001b'), false)
  }
  assert.equal(printableColoured('a\u001b[2Jb'), 'a\ufffd[2Jb')
  assert.equal(printableColoured('a\u001b[8mb'), 'a\ufffd[8mb')
  assert.equal(printable('a\u0007\u009b\rb\tc\n'), 'a\ufffd\ufffd\ufffdb\tc\n')
})
