/** docs/reference/statistics.md says which statistics the code makes. UPDATE_DOCS=1 rewrites it. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'

import { renderStatsReference } from '../../src/proxy/telemetry/stats-reference.ts'
import { StatsRegistry } from '../../src/proxy/telemetry/stats-registry.ts'
import { smallSlots } from '../support/fake-host.ts'

const page = new URL('../../docs/reference/statistics.md', import.meta.url)

test('the page of statistics is in step with the code', () => {
  const expected = renderStatsReference(new StatsRegistry(smallSlots()))
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(page, expected)
  assert.equal(readFileSync(page, 'utf8'), expected, 'run this test with UPDATE_DOCS=1')
})
