/** Lines of many processes in one log. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { recordingTerminal } from '../../../test/support/recording-terminal.ts'
import { createJsonLog, createTextLog, readableLine } from './process-log.ts'

test('for people each line has its process in front, aligned, and control characters do nothing', () => {
  const terminal = recordingTerminal()
  const log = createTextLog(terminal, ['a', 'longer'])
  log.line('a', 'hello\u001b[2J')
  log.line('longer', 'world')
  log.say('one\ntwo')
  log.event({ event: 'silent' })
  log.event({ event: 'spoken' }, 'three')
  assert.equal(
    terminal.out(),
    [
      'a      | hello\ufffd[2J',
      'longer | world',
      'tulle  | one',
      'tulle  | two',
      'tulle  | three',
      '',
    ].join('\n'),
  )
})

test('for programs each line is one object', () => {
  const terminal = recordingTerminal()
  const log = createJsonLog(terminal)
  log.line('a', 'x "y"')
  log.say('one\ntwo')
  log.event({ event: 'ready', api: 'http://h' }, 'not said')
  const lines = terminal.out().trimEnd().split('\n')
  assert.deepEqual(
    lines.map((line) => JSON.parse(line) as unknown),
    [
      { event: 'log', process: 'a', line: 'x "y"' },
      { event: 'message', message: 'one\ntwo' },
      { event: 'ready', api: 'http://h' },
    ],
  )
})

test('our own log lines are put into words, and others stay as they are', () => {
  const ours =
    '{"level":"warn","time":"2026-01-01","pid":1,"name":"x","cluster":"a b","n":2,"msg":"endpoint ejected"}'
  assert.equal(readableLine(ours), 'warn endpoint ejected cluster="a b" n=2')
  for (const line of ['{"level":"warn"', '{"level":3}', '{"a":1}', 'plain']) {
    assert.equal(readableLine(line), line)
  }
})
