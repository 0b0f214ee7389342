/** Fellows: whom a sidecar is told of, when it is told, and what they cost others. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { readTranslationCase } from '../../test/support/translation-case.ts'
import { ClusterLoadAssignment } from '../xds/proto/generated/envoy/config/endpoint/v3/endpoint.ts'
import { Any } from '../xds/proto/generated/google/protobuf/any.ts'
import { typeUrls, type ResourceView } from '../xds/resource-set.ts'
import { createTranslation } from './driver.ts'
import { localCluster } from './zone-aware.ts'

interface Caller {
  readonly locality?: string
  readonly labels?: string
  readonly endpoints: string
  /** Undefined: nothing routes by zone. */
  readonly zones?: string
  /** Undefined: it is of no service. */
  readonly meshPort?: number
}

function caseOf({
  locality = 'r/a',
  labels = '{}',
  endpoints,
  zones = '{}',
  meshPort = 20_000,
}: Caller) {
  return readTranslationCase(`
kind: Scene
client:
  workload: w1
  locality: ${locality}
  labels: ${labels}
  metadata: { MESH_PORTS: [ { name: http, servicePort: 80, appPort: 8080, meshPort: ${meshPort} } ] }
meshConfig: { zoneAwareLbSetting: ${zones} }
services:
- hostname: callers.default.svc.cluster.local
  ports: [ { number: 80, name: http } ]
  endpoints: ${endpoints}
- hostname: others.default.svc.cluster.local
  ports: [ { number: 80, name: http } ]
  endpoints: [ { address: 9.9.9.9, port: 80, locality: r/a } ]
`)
}

function fellowsIn(view: ResourceView): string[] {
  const resource = view.resources(typeUrls.endpoint).get(localCluster)
  assert.ok(resource !== undefined, 'a client that asks is always answered')
  const { endpoints } = ClusterLoadAssignment.decode(Any.decode(resource.any).value)
  return endpoints.flatMap(({ locality, lbEndpoints }) =>
    lbEndpoints.map(({ hostIdentifier }) => {
      const address =
        hostIdentifier?.$case === 'endpoint' ? hostIdentifier.value.address?.address : undefined
      assert.ok(address?.$case === 'socketAddress')
      return `${locality?.zone ?? ''} ${address.value.address}`
    }),
  )
}

const own = (rest: string) =>
  `[ { workload: w1, address: 1.1.1.1, port: 20000, locality: r/a, labels: { pod-template-hash: h1 } }, ${rest} ]`

const rows: readonly (readonly [title: string, caller: Caller, expected: readonly string[]])[] = [
  [
    'those of all zones of the region',
    { endpoints: own('{ workload: w2, address: 2.2.2.2, port: 20000, locality: r/b }') },
    ['a 1.1.1.1', 'b 2.2.2.2'],
  ],
  [
    'none of another region',
    { endpoints: own('{ workload: w2, address: 2.2.2.2, port: 20000, locality: q/a }') },
    ['a 1.1.1.1'],
  ],
  [
    'none that is unhealthy',
    {
      endpoints: own(
        '{ workload: w2, address: 2.2.2.2, port: 20000, locality: r/b, health: unhealthy }',
      ),
    },
    ['a 1.1.1.1'],
  ],
  [
    'those of the same rollout, where the client has a label of it',
    {
      labels: '{ pod-template-hash: h1 }',
      endpoints: own(
        '{ workload: w2, address: 2.2.2.2, port: 20000, locality: r/b, labels: { pod-template-hash: h2 } }, { workload: w3, address: 3.3.3.3, port: 20000, locality: r/b }',
      ),
    },
    ['a 1.1.1.1'],
  ],
  [
    'those of the same rollout of Argo',
    {
      labels: '{ rollouts-pod-template-hash: h2 }',
      endpoints: own(
        '{ workload: w2, address: 2.2.2.2, port: 20000, locality: r/b, labels: { rollouts-pod-template-hash: h2 } }',
      ),
    },
    ['b 2.2.2.2'],
  ],
  [
    'nobody for a workload of no service',
    { meshPort: 20_999, endpoints: own('{ workload: w2, address: 2.2.2.2, port: 20000 }') },
    [],
  ],
  [
    'nobody while nothing routes by zone',
    {
      zones: '{ enabled: false }',
      endpoints: own('{ workload: w2, address: 2.2.2.2, port: 20000, locality: r/b }'),
    },
    [],
  ],
]

for (const [title, caller, expected] of rows) {
  test(`fellows: ${title}`, () => {
    const { input, node } = caseOf(caller)
    assert.deepEqual(fellowsIn(createTranslation({ input }).viewOf(node)), expected)
  })
}

test('fellows follow the endpoints of the own service, and stay the same object with those of others', async () => {
  const one = caseOf({ endpoints: own('') })
  const two = caseOf({
    endpoints: own('{ workload: w2, address: 2.2.2.2, port: 20000, locality: r/b }'),
  })
  const translation = createTranslation({ input: one.input })
  const localOf = () => {
    const view = translation.viewOf(one.node)
    return {
      fellows: fellowsIn(view),
      resource: view.resources(typeUrls.endpoint).get(localCluster),
    }
  }
  const first = localOf()
  assert.deepEqual(first.fellows, ['a 1.1.1.1'])
  const { registry } = one.input
  const others = new Map([...registry.endpoints].filter(([key]) => !key.startsWith('others')))
  await translation.update({ ...one.input, registry: { ...registry, endpoints: others } })
  assert.equal(localOf().resource, first.resource)
  await translation.update({ ...one.input, registry: two.input.registry })
  assert.deepEqual(localOf().fellows, ['a 1.1.1.1', 'b 2.2.2.2'])
  await translation.update({
    ...one.input,
    registry: { ...registry, services: new Map(), endpoints: new Map() },
  })
  assert.deepEqual(localOf().fellows, [])
})
