/** Which values of retry and time-out headers are refused where the router checks them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { headerList } from '../../../test/support/request-record.ts'
import { findBadHeader, strictHeaders } from './strict-header.ts'

for (const [name, good, bad] of [
  ['x-envoy-upstream-rq-timeout-ms', ['0', '+5', '18446744073709551615'], ['', '-1', '5.5', 'x']],
  ['x-envoy-upstream-rq-per-try-timeout-ms', ['200'], ['18446744073709551616', '1 2']],
  ['x-envoy-max-retries', ['2'], ['two']],
  ['x-envoy-retry-on', ['', '5xx', '5xx, reset'], ['cancelled', '5xx,bogus']],
  ['x-envoy-retry-grpc-on', ['cancelled,internal'], ['5xx']],
] as const) {
  test(`${name} is read strictly`, () => {
    for (const value of good) {
      assert.equal(findBadHeader(headerList({ [name]: value }), strictHeaders), undefined, value)
    }
    for (const value of bad) {
      const headers = headerList({ [name]: value })
      assert.deepEqual(findBadHeader(headers, strictHeaders), { name, value })
      assert.equal(findBadHeader(headers, []), undefined)
    }
  })
}
