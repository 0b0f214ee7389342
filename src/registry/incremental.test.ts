/** What the registry keeps up to date must be what it would compute from nothing, whatever happened before. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import * as fc from 'fast-check'

import { FakeClock } from '../../test/support/fake-clock.ts'
import { nodeOf, storedMap } from '../../test/support/registry-scene.ts'
import type { Resource } from '../model/resource.ts'
import { createMemoryRegistrationLog } from './registration-log.ts'
import { Registry } from './registry.ts'
import type { RegistryChange } from './registry.ts'
import type { RegistrySnapshot } from './service.ts'
import type { JoiningNode } from './workload-registry.ts'

function openRegistry(): Registry {
  return new Registry({ clock: new FakeClock(), registrations: createMemoryRegistrationLog() })
}

function resource(kind: string, name: string, spec: object): Resource {
  const position = { file: 'a.yaml', line: 1, column: 1 }
  const apiVersions: Record<string, string> = { Service: 'v1', Mesh: 'tulle.dev/v1alpha1' }
  return {
    apiVersion: apiVersions[kind] ?? 'networking.istio.io/v1',
    kind,
    metadata: {
      name,
      namespace: 'default',
      labels: {},
      annotations: {},
      creationTimestampMs: undefined,
    },
    spec,
    origin: { ...position, positionOf: () => position },
  }
}

const app = fc.constantFrom('a', 'b', 'c')
const version = fc.constantFrom('v1', 'v2')
const number = fc.constantFrom(80, 81)
const slot = fc.integer({ min: 0, max: 3 })
const selector = fc.oneof(
  app.map((value) => ({ app: value })),
  fc.record({ version, app }),
)
const host = fc.constantFrom('a', 'b').map((name) => `${name}.default.svc.cluster.local`)

const written = fc.oneof(
  fc
    .record({ n: fc.constantFrom('a', 'b'), selector, port: number })
    .map(({ n, selector, port }) =>
      resource('Service', n, { selector, ports: [{ port, name: 'http', targetPort: 8080 }] }),
    ),
  fc
    .record({
      n: slot,
      hosts: fc.uniqueArray(host, { minLength: 1 }),
      port: number,
      labels: selector,
      namespace: fc.constantFrom('default', 'default', 'other'),
      exportTo: fc.constantFrom([], [], ['.']),
    })
    .map(({ n, hosts, port, labels, namespace, exportTo }) => {
      const spec = {
        hosts,
        exportTo,
        resolution: 'STATIC',
        ports: [{ number: port, name: 'http', targetPort: 8080 }],
        ...(n === 0 ? { endpoints: [{ address: '10.9.9.9' }] } : { workloadSelector: { labels } }),
      }
      const made = resource('ServiceEntry', `entry-${n}`, spec)
      return { ...made, metadata: { ...made.metadata, namespace } }
    }),
  fc
    .record({ n: fc.constantFrom('a', 'b', 'e'), of: fc.constantFrom('a', 'b', 'd', 'e') })
    .map(({ n, of }) =>
      resource('Service', n, {
        type: 'ExternalName',
        externalName: `${of}.default.svc.cluster.local`,
      }),
    ),
  fc
    .record({ n: slot, labels: selector })
    .map(({ n, labels }) =>
      resource('WorkloadEntry', `vm-${n}`, { address: `10.0.0.${n}`, labels }),
    ),
  fc.record({ n: fc.constantFrom('a', 'c'), port: number }).map(({ n, port }) =>
    resource('Mesh', 'mesh', {
      services: [{ name: n, ports: [{ number: port, name: 'http' }] }],
    }),
  ),
)

const joining = fc
  .record({
    n: slot,
    labels: selector,
    service: fc.option(fc.constantFrom('a', 'd')),
    port: number,
  })
  .map(({ n, labels, service, port }) =>
    nodeOf(`w${n}`, {
      LABELS: labels,
      ...(service === null ? {} : { SERVICE: service }),
      MESH_PORTS: [{ name: 'http', servicePort: port, appPort: 8080, meshPort: 30_000 + n }],
    }),
  )

type Step =
  | { readonly do: 'write' | 'remove'; readonly resource: Resource }
  | { readonly do: 'join'; readonly node: JoiningNode; readonly isHealthy: boolean }

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constantFrom('write' as const, 'remove' as const), resource: written }),
  fc.record({ do: fc.constant('join' as const), node: joining, isHealthy: fc.boolean() }),
)

/** The order of a map's keys is history; everything else must be equal. */
function comparable(snapshot: RegistrySnapshot): unknown {
  const sorted = (map: ReadonlyMap<string, unknown>) =>
    [...map].sort(([a], [b]) => (a < b ? -1 : Number(a > b)))
  const { services, namesakes, endpoints, workloads } = snapshot
  return [services, namesakes, endpoints, workloads].map(sorted)
}

/** What a change says must be what differs, and what does not differ must be shared. */
function checkChange({ previous, snapshot, ...said }: RegistryChange): void {
  const differing = [...said.hostnames].filter(
    (host) => previous.services.get(host) !== snapshot.services.get(host),
  )
  const ofSeveral = [
    ...new Set([...previous.namesakes.keys(), ...snapshot.namesakes.keys()]),
  ].filter((host) => previous.namesakes.get(host) !== snapshot.namesakes.get(host))
  assert.deepEqual(new Set([...differing, ...ofSeveral]), new Set(said.hostnames))
  const maps = [
    [previous.services, snapshot.services, new Set(differing)],
    [previous.namesakes, snapshot.namesakes, new Set(ofSeveral)],
    [previous.endpoints, snapshot.endpoints, said.endpointKeys],
    [previous.workloads, snapshot.workloads, said.workloadIds],
  ] as const
  for (const [before, after, changed] of maps) {
    for (const key of new Set([...before.keys(), ...after.keys()])) {
      const isSame = before.get(key) === after.get(key)
      assert.equal(isSame, !changed.has(key), key)
      if (!isSame)
        assert.notDeepEqual(before.get(key), after.get(key), `${key} is equal and not shared`)
    }
  }
}

test('any history of edits, joins and health gives what a full build gives', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const incremental = openRegistry()
      incremental.onChange(checkChange)
      const resources = new Map<string, Resource>()
      const nodes = new Map<string, { node: JoiningNode; isHealthy: boolean }>()
      for (const each of steps) {
        if (each.do === 'join') {
          nodes.set(each.node.id, each)
          joinAs(incremental, each)
        } else {
          const { kind, metadata } = each.resource
          if (each.do === 'write') resources.set(`${kind}/${metadata.name}`, each.resource)
          else resources.delete(`${kind}/${metadata.name}`)
          incremental.setResources(storedMap([...resources.values()]))
        }
        incremental.flush()
      }
      const full = openRegistry()
      for (const each of nodes.values()) joinAs(full, each)
      full.setResources(storedMap([...resources.values()]))
      full.flush()
      assert.deepEqual(comparable(incremental.snapshot), comparable(full.snapshot))
      const messages = (registry: Registry) =>
        registry
          .issues()
          .map((issue) => JSON.stringify(issue))
          .sort()
      assert.deepEqual(messages(incremental), messages(full))
    }),
    { numRuns: 200 },
  )
})

function joinAs(
  registry: Registry,
  { node, isHealthy }: { node: JoiningNode; isHealthy: boolean },
): void {
  const result = registry.join(node)
  assert.ok(result.ok)
  registry.reportHealth(result.value, isHealthy, 'down')
}

function meshOf(services: number): Resource {
  return resource('Mesh', 'mesh', {
    services: Array.from({ length: services }, (_, n) => ({
      name: `s${n}`,
      ports: [{ number: 80, name: 'http' }],
    })),
  })
}

test('with 1 000 services and 10 000 endpoints one joined workload costs milliseconds, not the world', () => {
  const registry = openRegistry()
  registry.setResources(storedMap([meshOf(1_000)]))
  const join = (n: number): void => {
    const node = nodeOf(`w${n}`, {
      LABELS: { app: `s${n % 1_000}`, version: 'v1' },
      MESH_PORTS: [{ servicePort: 80, appPort: 80, meshPort: 1 + (n % 60_000) }],
      address: `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`,
    })
    assert.ok(registry.join(node).ok)
  }
  for (let n = 0; n < 10_000; n += 1) join(n)
  registry.flush()
  assert.equal(registry.snapshot.endpoints.get('s7.default.svc.cluster.local|80')?.length, 10)

  const changes: RegistryChange[] = []
  registry.onChange((change) => changes.push(change))
  const times: number[] = []
  for (let n = 10_000; n < 10_020; n += 1) {
    const startedMs = performance.now()
    join(n)
    registry.flush()
    times.push(performance.now() - startedMs)
  }
  assert.equal(changes.length, 20)
  for (const { endpointKeys, hostnames } of changes) {
    assert.equal(endpointKeys.size, 1)
    assert.equal(hostnames.size, 0)
  }
  const median = times.sort((a, b) => a - b)[10] ?? Infinity
  // 1 to 2 ms on two cores with Node 26; the bound is coarse, for machines that are busy.
  assert.ok(median < 20, `${median} ms`)
})
