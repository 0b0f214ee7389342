/** What Envoy accepts is accepted, and what it refuses is refused; where we are stricter, the row says so. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { messageOf } from '../../../test/support/envoy-message.ts'
import { RouteConfiguration } from '../../xds/proto/generated/envoy/config/route/v3/route.ts'
import { typeUrls } from '../../xds/resource-set.ts'
import { compileRouteConfiguration } from './compile-route-configuration.ts'
import { verdictRows } from './testdata/verdicts.ts'

/** Why a table is refused, be it for its JSON; nothing where it is accepted. */
function reasonsAgainst(table: object): readonly string[] {
  try {
    const message = messageOf(typeUrls.route, RouteConfiguration, { name: 't', ...table })
    const result = compileRouteConfiguration(message)
    return result.ok ? [] : result.reasons
  } catch (error) {
    return [String(error)]
  }
}

for (const { name, verdict, table } of verdictRows) {
  test(`${name}: ${verdict}`, () => {
    const reasons = reasonsAgainst(table)
    assert.equal(reasons.length === 0, verdict === 'accepted', reasons.join('\n'))
  })
}

test('more additions than Envoy takes are refused', () => {
  const additions = (count: number) =>
    Array.from({ length: count }, (_, index) => ({ header: { key: `x-${index}`, value: 'v' } }))
  assert.deepEqual(reasonsAgainst({ request_headers_to_add: additions(1000) }), [])
  assert.deepEqual(reasonsAgainst({ request_headers_to_add: additions(1001) }), [
    'request_headers_to_add: value must contain no more than 1000 item(s)',
  ])
})

test('what an older copy of the messages did not know is refused over xDS too', () => {
  const table = { virtual_hosts: [{ name: 'h', domains: ['*'], request_body_buffer_limit: '8' }] }
  const bytes = RouteConfiguration.encode(
    messageOf(typeUrls.route, RouteConfiguration, table),
  ).finish()
  const result = compileRouteConfiguration(RouteConfiguration.decode(bytes))
  assert.deepEqual(result.ok ? [] : result.reasons, [
    'virtual_hosts[0].request_body_buffer_limit: not implemented yet; use per_request_buffer_limit_bytes (value 8)',
  ])
})
