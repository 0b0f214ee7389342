/** What ServiceEntries and WorkloadEntries come to, one by one: the rows of Istio's own tests of their conversion, and more. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FakeClock } from '../../test/support/fake-clock.ts'
import { resourcesOf } from '../../test/support/registry-scene.ts'
import { createMemoryRegistrationLog } from './registration-log.ts'
import { openRegistry } from './registry.ts'
import type { RegistrySnapshot } from './service.ts'

async function snapshotOf(text: string): Promise<RegistrySnapshot> {
  const registrations = createMemoryRegistrationLog()
  const registry = await openRegistry({ clock: new FakeClock(), registrations })
  registry.setResources(resourcesOf(text))
  registry.flush()
  return registry.snapshot
}

const networking = 'apiVersion: networking.istio.io/v1'
const serviceEntry = (spec: string) =>
  `---\n${networking}\nkind: ServiceEntry\nmetadata: { name: entry }\nspec: ${spec}\n`
const workloadEntry = (spec: string) =>
  `---\n${networking}\nkind: WorkloadEntry\nmetadata: { name: vm }\nspec: ${spec}\n`

const selected: readonly [claim: string, spec: string, expected: readonly string[]][] = [
  ['plain', '{ address: 10.0.0.1, labels: { app: a } }', ['444 10.0.0.1:444', '445 10.0.0.1:445']],
  [
    'with a service account',
    '{ address: 10.0.0.1, labels: { app: a }, serviceAccount: b }',
    ['444 10.0.0.1:444 istio', '445 10.0.0.1:445 istio'],
  ],
  [
    'with a port of its own, by name',
    '{ address: 10.0.0.1, labels: { app: a }, ports: { http-445: 8080 } }',
    ['444 10.0.0.1:444', '445 10.0.0.1:8080'],
  ],
  [
    'with mTLS off, whatever its account',
    '{ address: 10.0.0.1, labels: { app: a, security.istio.io/tlsMode: disabled }, serviceAccount: b }',
    ['444 10.0.0.1:444', '445 10.0.0.1:445'],
  ],
  ['with a name, which STATIC cannot call', '{ address: a.test, labels: { app: a } }', []],
]
for (const [claim, spec, expected] of selected) {
  test(`a ServiceEntry selects a WorkloadEntry ${claim}`, async () => {
    const snapshot = await snapshotOf(
      serviceEntry(
        '{ hosts: [s.test], resolution: STATIC, workloadSelector: { labels: { app: a } }, ports: [{ number: 444, name: tcp-444, protocol: TCP }, { number: 445, name: http-445, protocol: HTTP }] }',
      ) + workloadEntry(spec),
    )
    const found = ['444', '445'].flatMap((port) =>
      (snapshot.endpoints.get(`s.test|${port}`) ?? []).map((endpoint) =>
        [port, `${endpoint.address}:${endpoint.port}`, endpoint.tlsMode].join(' ').trim(),
      ),
    )
    assert.deepEqual(found, expected)
  })
}

const tlsModes: readonly [string, 'istio' | undefined][] = [
  ['{ address: 10.0.0.1 }', undefined],
  ['{ address: 10.0.0.1, serviceAccount: a }', 'istio'],
  [
    '{ address: 10.0.0.1, serviceAccount: a, labels: { security.istio.io/tlsMode: disabled } }',
    undefined,
  ],
  ['{ address: 10.0.0.1, labels: { security.istio.io/tlsMode: istio } }', 'istio'],
]
for (const [endpoint, tlsMode] of tlsModes) {
  test(`an endpoint ${endpoint} has TLS mode ${tlsMode ?? 'none'}`, async () => {
    const snapshot = await snapshotOf(
      serviceEntry(
        `{ hosts: [a.test], resolution: STATIC, ports: [{ number: 80, name: http }], endpoints: [${endpoint}] }`,
      ),
    )
    assert.equal(snapshot.endpoints.get('a.test|80')?.[0]?.tlsMode, tlsMode)
  })
}

const resolutions: readonly {
  claim: string
  spec: string
  resolution: string
  expected: string[]
}[] = [
  {
    claim: 'STATIC: endpoints as written; a host name is left out; a socket has no port',
    spec: 'resolution: STATIC, endpoints: [{ address: 10.0.0.1, ports: { http: 8080 } }, { address: name.test }, { address: "unix:///run/x" }, { address: "::1" }]',
    resolution: 'static',
    expected: ['10.0.0.1:8080', 'unix:///run/x:0', '::1:80'],
  },
  {
    claim: 'DNS without endpoints: the host itself, at the target port',
    spec: 'resolution: DNS',
    resolution: 'dns',
    expected: ['a.test:80'],
  },
  {
    claim: 'DNS with endpoints: those names',
    spec: 'resolution: DNS, endpoints: [{ address: one.test }, { address: two.test }]',
    resolution: 'dns',
    expected: ['one.test:80', 'two.test:80'],
  },
  {
    claim: 'DNS_ROUND_ROBIN without endpoints: the host itself',
    spec: 'resolution: DNS_ROUND_ROBIN',
    resolution: 'dns-round-robin',
    expected: ['a.test:80'],
  },
  {
    claim: 'DNS with a selector that nobody has: no endpoints, and not the host itself',
    spec: 'resolution: DNS, workloadSelector: { labels: { app: none } }',
    resolution: 'dns',
    expected: [],
  },
  {
    claim: 'STATIC: a port is the endpoint’s own by its name, else the service’s',
    spec: 'resolution: STATIC, endpoints: [{ address: 10.0.0.1, ports: { other: 1080 } }, { address: 10.0.0.2, ports: { http: 7080 } }]',
    resolution: 'static',
    expected: ['10.0.0.1:80', '10.0.0.2:7080'],
  },
  { claim: 'NONE: no endpoints', spec: 'resolution: NONE', resolution: 'none', expected: [] },
  {
    claim: 'no resolution is NONE',
    spec: 'location: MESH_EXTERNAL',
    resolution: 'none',
    expected: [],
  },
  {
    claim: 'DYNAMIC_DNS: no endpoints',
    spec: 'resolution: DYNAMIC_DNS',
    resolution: 'dynamic-dns',
    expected: [],
  },
]
for (const { claim, spec, resolution, expected } of resolutions) {
  test(claim, async () => {
    const snapshot = await snapshotOf(
      serviceEntry(
        `{ hosts: [A.test], ports: [{ number: 80, name: http, protocol: HTTP }], ${spec} }`,
      ),
    )
    assert.equal(snapshot.services.get('a.test')?.resolution, resolution)
    assert.deepEqual(
      snapshot.endpoints.get('a.test|80')?.map(({ address, port }) => `${address}:${port}`),
      expected,
    )
  })
}
