/** A flood of refusals is a few lines, and none is forgotten. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FakeClock } from '../../../test/support/fake-clock.ts'
import { silentLog, type LogFields } from '../../lib/log.ts'
import { RefusalLog } from './refusal-log.ts'

test('each reason has an allowance of its own, and what was left out is counted', () => {
  const clock = new FakeClock()
  const lines: LogFields[] = []
  const log = new RefusalLog(clock, { ...silentLog, warn: (fields) => lines.push(fields) })
  for (let count = 0; count < 100; count += 1) log.write({ reason: 'expired', message: 'm' }, {})
  log.write({ reason: 'unknown-ca', message: 'm' }, { peer: '1.2.3.4:5' })
  assert.equal(lines.length, 6)
  assert.deepEqual(lines[5], { reason: 'unknown-ca', detail: 'm', peer: '1.2.3.4:5' })
  clock.advance(10_000)
  log.write({ reason: 'expired', message: 'm' }, {})
  assert.equal(lines[6]?.['suppressed'], 95)
})
