/** Lines of the event log, field by field as Envoy 1.40 prints them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { fakeHost, smallSlots } from '../../../test/support/fake-host.ts'
import type { WireAddress } from '../wire/wire.ts'
import { type HealthEvent, healthEventLine } from './health-event-log.ts'

const nowMs = Date.parse('2009-02-13T23:31:31.234Z')

function line(event: HealthEvent, address?: WireAddress): unknown {
  const host = fakeHost(smallSlots(), 443)
  const place = { clusterName: 'fake_cluster', probe: 'http', nowMs } as const
  const text = healthEventLine(event, {
    ...place,
    host: address === undefined ? host : Object.assign(host, { address }),
  })
  assert.equal(text.endsWith('}\n'), true)
  return JSON.parse(text)
}

const rows: readonly (readonly [event: HealthEvent, field: string, value: object])[] = [
  [
    { kind: 'eject', failure: 'ACTIVE', status: 503 },
    'eject_unhealthy_event',
    { failure_type: 'ACTIVE', http_status_code: 503 },
  ],
  [{ kind: 'add-healthy', isFirst: false }, 'add_healthy_event', { first_check: false }],
  [
    { kind: 'failure', failure: 'NETWORK_TIMEOUT', isFirst: true, status: 0 },
    'health_check_failure_event',
    { failure_type: 'NETWORK_TIMEOUT', first_check: true, http_status_code: 0 },
  ],
  [{ kind: 'success' }, 'successful_health_check_event', {}],
  [{ kind: 'degraded' }, 'degraded_healthy_host', {}],
  [{ kind: 'no-longer-degraded' }, 'no_longer_degraded_host', {}],
]

for (const [event, field, value] of rows) {
  test(`an event "${event.kind}" is a line of its own`, () => {
    assert.deepEqual(line(event), {
      health_checker_type: 'HTTP',
      host: {
        socket_address: {
          protocol: 'TCP',
          address: '10.0.0.1',
          port_value: 443,
          resolver_name: '',
          ipv4_compat: false,
          network_namespace_filepath: '',
        },
      },
      cluster_name: 'fake_cluster',
      timestamp: '2009-02-13T23:31:31.234Z',
      locality: { region: '', zone: '', sub_zone: '' },
      [field]: value,
    })
  })
}

test('a host at a Unix socket, and one in this process, are named as such', () => {
  const hosts: readonly (readonly [address: WireAddress, host: object])[] = [
    [{ kind: 'unix', path: '/run/x' }, { pipe: { path: '/run/x', mode: 0 } }],
    [
      { kind: 'internal', listener: 'inner' },
      { envoy_internal_address: { server_listener_name: 'inner', endpoint_id: '' } },
    ],
  ]
  for (const [address, host] of hosts) {
    const found = line({ kind: 'success' }, address) as { readonly host: object }
    assert.deepEqual(found.host, host)
  }
})
