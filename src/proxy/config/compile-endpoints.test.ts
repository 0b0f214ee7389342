/** What a ClusterLoadAssignment becomes, and why one is refused. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { envoyMessage } from '../../../test/support/envoy-message.ts'
import { type NameUse, compileEndpoints } from './compile-endpoints.ts'

function reasonsOf(text: string, names: NameUse = 'refuse'): readonly string[] {
  const result = compileEndpoints(envoyMessage.assignment(text), names)
  return result.ok ? [] : result.reasons
}

test('an endpoint may have more addresses, unless it is a name', () => {
  const text = (first: string): string =>
    `{cluster_name: c, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: ${first}, port_value: 1}}, additional_addresses: [{address: {socket_address: {address: '::1', port_value: 2}}}, {address: {pipe: {path: /run/x}}}]}}]}]}`
  const result = compileEndpoints(envoyMessage.assignment(text('10.0.0.1')), 'refuse')
  assert.ok(result.ok)
  assert.deepEqual(result.value.endpoints[0]?.otherAddresses, [
    { kind: 'ip', address: '::1', port: 2 },
    { kind: 'unix', path: '/run/x' },
  ])
  assert.match(
    reasonsOf(text('a.test'), 'resolve').join(),
    /additional_addresses\[0\]\.address: does not fit an address that is a name/,
  )
})

test('endpoints carry weight, health, locality and Istio’s metadata', () => {
  const result = compileEndpoints(
    envoyMessage.assignment(`
cluster_name: c
endpoints:
- locality: {region: r, zone: z}
  load_balancing_weight: 3
  lb_endpoints:
  - endpoint: {address: {socket_address: {address: 10.0.0.1, port_value: 80}}, hostname: h}
    health_status: DEGRADED
    load_balancing_weight: 4
    metadata:
      filter_metadata:
        istio: {workload: "w;ns;canonical;rev;cluster-1"}
        envoy.transport_socket_match: {tlsMode: istio}
  - endpoint: {address: {pipe: {path: /run/x}}}
  - endpoint: {address: {envoy_internal_address: {server_listener_name: inner}}}
    health_status: UNHEALTHY`),
    'refuse',
  )
  assert.ok(result.ok)
  const [first, second, third] = result.value.endpoints
  assert.deepEqual(first, {
    target: { kind: 'address', address: { kind: 'ip', address: '10.0.0.1', port: 80 } },
    hostname: 'h',
    weight: 4,
    health: 'degraded',
    healthStatus: 'DEGRADED',
    metadata: {
      workload: 'w',
      namespace: 'ns',
      canonicalName: 'canonical',
      canonicalRevision: 'rev',
      cluster: 'cluster-1',
      tlsMode: 'istio',
      socketMatch: { tlsMode: 'istio' },
      filterMetadata: {
        istio: { workload: 'w;ns;canonical;rev;cluster-1' },
        'envoy.transport_socket_match': { tlsMode: 'istio' },
      },
    },
    locality: { region: 'r', zone: 'z', subZone: '' },
    priority: 0,
    localityWeight: 3,
  })
  assert.deepEqual(second?.target, { kind: 'address', address: { kind: 'unix', path: '/run/x' } })
  assert.equal(second?.healthStatus, 'HEALTHY')
  assert.equal(third?.health, 'unhealthy')
})

test('a name is kept to be resolved, and becomes the host name', () => {
  const text =
    '{cluster_name: c, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: a.test, port_value: 80}}}}]}]}'
  const result = compileEndpoints(envoyMessage.assignment(text), 'resolve')
  assert.ok(result.ok)
  assert.deepEqual(result.value.endpoints[0]?.target, { kind: 'name', host: 'a.test', port: 80 })
  assert.equal(result.value.endpoints[0]?.hostname, 'a.test')
})

const one = (fields: string): string =>
  `{cluster_name: c, endpoints: [{lb_endpoints: [{${fields}}]}]}`
const address = 'endpoint: {address: {socket_address: {address: 10.0.0.1, port_value: 80}}}'

const refusals: readonly (readonly [claim: string, text: string, reason: RegExp])[] = [
  ['no cluster name', '{}', /^cluster_name: value length/],
  ['no endpoint', one(''), /lb_endpoints\[0\]: endpoint is required/],
  ['no address', one('endpoint: {}'), /endpoint\.address: address is required/],
  [
    'a weight of nothing',
    one(`${address}, load_balancing_weight: 0`),
    /load_balancing_weight: value must be/,
  ],
  [
    'UDP',
    one(
      'endpoint: {address: {socket_address: {protocol: UDP, address: 10.0.0.1, port_value: 80}}}',
    ),
    /protocol: UDP/,
  ],
  [
    'a port beyond the last',
    one('endpoint: {address: {socket_address: {address: 10.0.0.1, port_value: 70000}}}'),
    /port_value: value must be less than or equal to 65535, got 70000/,
  ],
  [
    'no port',
    one('endpoint: {address: {socket_address: {address: 10.0.0.1}}}'),
    /port_specifier: is required/,
  ],
  [
    'a health check’s port beyond the last',
    one(
      'endpoint: {address: {socket_address: {address: 10.0.0.1, port_value: 1}}, health_check_config: {port_value: 70000}}',
    ),
    /endpoint\.health_check_config\.port_value: value must be less than or equal to 65535, got 70000/,
  ],
  [
    'a health check’s address that is a name',
    one(
      'endpoint: {address: {socket_address: {address: 10.0.0.1, port_value: 1}}, health_check_config: {address: {socket_address: {address: a.test, port_value: 1}}}}',
    ),
    /health_check_config\.address\.socket_address\.address: malformed IP address: a\.test/,
  ],
  [
    'a health check’s port of a Unix socket',
    one('endpoint: {address: {pipe: {path: /run/x}}, health_check_config: {port_value: 80}}'),
    /health_check_config\.port_value: Invalid host configuration: non-zero port for non-IP address/,
  ],
  [
    'a health check’s port of a Unix socket that is checked elsewhere',
    one(
      'endpoint: {address: {pipe: {path: /run/x}}, health_check_config: {port_value: 80, address: {socket_address: {address: 10.0.0.1, port_value: 1}}}}',
    ),
    /health_check_config\.port_value: Invalid host configuration: non-zero port for non-IP address/,
  ],
  [
    'another address that is a name',
    one(
      'endpoint: {address: {socket_address: {address: 10.0.0.1, port_value: 1}}, additional_addresses: [{address: {socket_address: {address: a.test, port_value: 1}}}]}',
    ),
    /additional_addresses\[0\]\.address\.socket_address\.address: malformed IP address: a\.test/,
  ],
  [
    'another address that is missing',
    one(
      'endpoint: {address: {socket_address: {address: 10.0.0.1, port_value: 1}}, additional_addresses: [{}]}',
    ),
    /additional_addresses\[0\]\.address: address is required/,
  ],
  [
    'a priority beyond the last',
    `{cluster_name: c, endpoints: [{priority: 129, lb_endpoints: [{${address}}]}]}`,
    /endpoints\[0\]\.priority: value must be less than or equal to 128, got 129/,
  ],
  [
    'dropped overloads',
    '{cluster_name: c, policy: {drop_overloads: [{category: x}]}}',
    /policy\.drop_overloads: drop_overloads is not implemented yet/,
  ],
]

for (const [claim, text, reason] of refusals) {
  test(`an assignment is refused for ${claim}`, () => {
    const reasons = reasonsOf(text)
    assert.ok(
      reasons.some((found) => reason.test(found)),
      reasons.join('\n'),
    )
  })
}
