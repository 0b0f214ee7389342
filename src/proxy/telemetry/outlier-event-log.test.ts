/** Lines of the event log, as a real Envoy prints them; conformance/envoy-ejection compares those of failures in a row. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { fakeHost, smallSlots } from '../../../test/support/fake-host.ts'
import type { OutlierEvent } from '../resilience/outlier-detector.ts'
import { outlierEventLine } from './outlier-event-log.ts'

const host = fakeHost(smallSlots(), 80)
const place = { clusterName: 'c', nowMs: 1_234_567_890_000 }
const eject: OutlierEvent = {
  action: 'eject',
  host,
  reason: 'success_rate',
  enforced: true,
  ejections: 2,
  sinceLastMs: 30_999,
  rate: { host: 12.9, average: 90.5, threshold: 55.2 },
}

test('a judgement over an interval says what it compared, in whole numbers', () => {
  assert.equal(
    outlierEventLine(eject, place),
    '{"type":"SUCCESS_RATE","timestamp":"2009-02-13T23:31:30Z","secs_since_last_action":"30","cluster_name":"c","upstream_url":"10.0.0.1:80","action":"EJECT","num_ejections":2,"enforced":true,"eject_success_rate_event":{"host_success_rate":12,"cluster_average_success_rate":90,"cluster_success_rate_ejection_threshold":55}}\n',
  )
})

test('a share of failures is the host’s alone', () => {
  const line = outlierEventLine({ ...eject, reason: 'local_origin_failure_percentage' }, place)
  const event = JSON.parse(line)
  assert.equal(event.type, 'FAILURE_PERCENTAGE_LOCAL_ORIGIN')
  assert.deepEqual(event.eject_failure_percentage_event, { host_success_rate: 12 })
})
