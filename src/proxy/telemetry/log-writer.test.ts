/** Lines reach the file in order, survive rotation and the end, and are dropped with a count when they cannot. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { eventually } from '../../../test/support/eventually.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { MeshError } from '../../lib/mesh-error.ts'
import { openLogWriter } from './log-writer.ts'

const folder = mkdtempSync(join(tmpdir(), 'tulle-log-'))
after(() => rmSync(folder, { recursive: true }))

let count = 0
function newPath(): string {
  count += 1
  return join(folder, `log-${count}`)
}

test('lines gather until the moment has passed', async () => {
  const path = newPath()
  const clock = new FakeClock()
  const writer = openLogWriter({ path, clock, flushIntervalMs: 100 })
  writer.write('one\n')
  writer.write('two é\n')
  assert.equal(readFileSync(path, 'utf8'), '')
  clock.advance(100)
  await eventually(() => readFileSync(path, 'utf8') === 'one\ntwo é\n')
  writer.close()
})

test('many lines leave before the moment has passed', async () => {
  const path = newPath()
  const writer = openLogWriter({ path, clock: new FakeClock() })
  const line = `${'x'.repeat(1023)}\n`
  for (let written = 0; written < 256; written += 1) writer.write(line)
  await eventually(() => readFileSync(path).length === 262_144)
  writer.close()
})

test('closing writes what is left', () => {
  const path = newPath()
  const writer = openLogWriter({ path, clock: new FakeClock() })
  writer.write('last\n')
  writer.close()
  writer.close()
  writer.write('after the end\n')
  assert.equal(readFileSync(path, 'utf8'), 'last\n')
})

test('lines past the ceiling are dropped and counted', () => {
  const path = newPath()
  const heard: string[] = []
  const onDropped = (lines: number, reason: string): void => void heard.push(`${lines} ${reason}`)
  const clock = new FakeClock()
  const writer = openLogWriter({ path, clock, pendingMaxBytes: 10, onDropped })
  writer.write('12345678\n')
  writer.write('too much\n')
  assert.equal(writer.dropped, 1)
  assert.deepEqual(heard, ['1 more lines come than can be written'])
  writer.close()
  assert.equal(readFileSync(path, 'utf8'), '12345678\n')
})

test('what comes while a write is under way follows it in order, also past a block', async () => {
  const path = newPath()
  const clock = new FakeClock()
  const writer = openLogWriter({ path, clock })
  const expected: string[] = []
  for (let written = 0; written < 900; written += 1) {
    // Two bytes a character, a line longer than a block among them.
    const line = `${written} ${'é'.repeat(written === 300 ? 150_000 : 500)}\n`
    expected.push(line)
    writer.write(line)
  }
  const whole = expected.join('')
  await eventually(() => {
    clock.advance(1000)
    return readFileSync(path).length >= Buffer.byteLength(whole)
  })
  assert.equal(readFileSync(path, 'utf8'), whole)
  assert.equal(writer.dropped, 0)
  writer.close()
})

test('after rotation lines go to the new file', async () => {
  const path = newPath()
  const clock = new FakeClock()
  const writer = openLogWriter({ path, clock, flushIntervalMs: 1 })
  writer.write('old\n')
  clock.advance(1)
  await eventually(() => readFileSync(path, 'utf8') === 'old\n')
  renameSync(path, `${path}.1`)
  writer.reopen()
  writer.write('new\n')
  writer.close()
  assert.equal(readFileSync(path, 'utf8'), 'new\n')
  assert.equal(readFileSync(`${path}.1`, 'utf8'), 'old\n')
})

test('a file that cannot be opened fails with the path and what to do', () => {
  const path = join(folder, 'no', 'such', 'folder')
  assert.throws(
    () => openLogWriter({ path, clock: new FakeClock() }),
    (error) =>
      error instanceof MeshError &&
      error.code === 'MESH_COMMAND_FAILED' &&
      error.message.includes(path) &&
      error.remedy !== undefined,
  )
})
