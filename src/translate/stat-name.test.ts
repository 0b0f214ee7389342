/** Names in statistics: the rows of Istio's own tests, and those of ServiceEntries and of the workload's side. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { statName, type StatNameInput } from './stat-name.ts'

const port = { number: 7443, name: 'grpc-svc' }
const inDefault: StatNameInput = {
  service: { hostname: 'reviews.default.svc.cluster.local', name: 'reviews', namespace: 'default' },
  port,
}
const elsewhere: StatNameInput = {
  service: { hostname: 'reviews.one.svc.cluster.local', name: 'reviews', namespace: 'one' },
  port,
}
const entry: StatNameInput = {
  service: { hostname: 'api.example.com', name: 'api.example.com', namespace: 'default' },
  port,
}
const v1 = { subset: { name: 'v1' } }

for (const [pattern, input, expected] of [
  ['%SERVICE%', inDefault, 'reviews.default'],
  ['%SERVICE%', elsewhere, 'reviews.one'],
  ['%SERVICE%', entry, 'api.example.com'],
  ['%SERVICE%.%SERVICE_PORT%', elsewhere, 'reviews.one.7443'],
  ['%SERVICE_FQDN%', inDefault, 'reviews.default.svc.cluster.local'],
  ['%SERVICE%_%SERVICE_PORT%', inDefault, 'reviews.default_7443'],
  ['%SERVICE%_%SERVICE_PORT_NAME%', inDefault, 'reviews.default_grpc-svc'],
  ['%SERVICE%_%SERVICE_PORT_NAME%_%SERVICE_PORT%', inDefault, 'reviews.default_grpc-svc_7443'],
  [
    '%SERVICE_FQDN%%SUBSET_NAME%_%SERVICE_PORT_NAME%_%SERVICE_PORT%',
    inDefault,
    'reviews.default.svc.cluster.local_grpc-svc_7443',
  ],
  [
    '%SERVICE_FQDN%.%SUBSET_NAME%.%SERVICE_PORT_NAME%_%SERVICE_PORT%',
    { ...inDefault, ...v1 },
    'reviews.default.svc.cluster.local.v1.grpc-svc_7443',
  ],
  ['%SERVICE_FQDN%.%DUMMY%', inDefault, 'reviews.default.svc.cluster.local.%DUMMY%'],
  ['%SERVICE%_%TARGET_PORT%', { ...inDefault, targetPort: 8443 }, 'reviews.default_8443'],
  ['%SERVICE%_%TARGET_PORT%', inDefault, 'reviews.default_0'],
  ['', inDefault, undefined],
] as const) {
  test(`${pattern || 'no pattern'} of ${input.service.hostname} is ${expected ?? 'its own name'}`, () => {
    assert.equal(statName(pattern, input), expected)
  })
}
