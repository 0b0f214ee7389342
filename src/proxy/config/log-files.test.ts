/** Log files of a sidecar are opened again one by one. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

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
