/** Log files of a sidecar are opened again one by one. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { eventually } from '../../../test/support/eventually.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { silentLog } from '../../lib/log.ts'
import { createSlots } from '../telemetry/shared-slots.ts'
import { StatsRegistry } from '../telemetry/stats-registry.ts'
import { LogFiles } from './log-files.ts'

const folder = mkdtempSync(join(tmpdir(), 'tulle-log-files-'))
after(() => rmSync(folder, { recursive: true }))

test('a file that cannot be opened again goes on into the old one, and the next is opened', () => {
  const stats = new StatsRegistry(createSlots())
  const files = new LogFiles(new FakeClock(), stats, silentLog)
  const folders = ['first', 'second'].map((name) => join(folder, name))
  for (const path of folders) mkdirSync(path)
  const [first, second] = folders.map((path) => files.use(join(path, 'log')))
  renameSync(join(folder, 'first'), join(folder, 'gone'))
  renameSync(join(folder, 'second', 'log'), join(folder, 'second', 'log.1'))
  files.reopen()
  first?.writer.write('one\n')
  second?.writer.write('two\n')
  files.close()
  assert.equal(readFileSync(join(folder, 'gone', 'log'), 'utf8'), 'one\n')
  assert.equal(readFileSync(join(folder, 'second', 'log'), 'utf8'), 'two\n')
  const failed = stats.list().find(({ name }) => name === 'access_log_file.reopen_failed')
  assert.equal(failed?.value(), 1)
})

const fullDisk = '/dev/full'
const skip = existsSync(fullDisk) ? false : `there is no ${fullDisk} here`

test(
  'lines that a full disk loses are counted, and said at once and every ten seconds',
  { skip },
  async () => {
    const stats = new StatsRegistry(createSlots())
    const clock = new FakeClock()
    const said: object[] = []
    const log = { ...silentLog, warn: (fields: object) => void said.push(fields) }
    const files = new LogFiles(clock, stats, log)
    const { writer } = files.use(fullDisk)
    const counted = (): number =>
      stats
        .list()
        .find(({ name }) => name === 'access_log_file.write_dropped')
        ?.value() ?? 0
    const lose = async (line: number): Promise<void> => {
      writer.write(`${line}\n`)
      clock.advance(250)
      await eventually(() => counted() === line)
    }
    const reason = 'ENOSPC: no space left on device, write'
    await lose(1)
    assert.deepEqual(said, [{ path: fullDisk, lines: 1, reason }])
    await lose(2)
    await lose(3)
    assert.equal(said.length, 1)
    clock.advance(10_000)
    assert.deepEqual(said.slice(1), [{ path: fullDisk, lines: 2, reason }])
    clock.advance(20_000)
    assert.equal(said.length, 2)
    files.close()
  },
)
