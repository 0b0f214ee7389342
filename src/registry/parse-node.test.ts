/** What joining sidecars may say of themselves, and every way in which they may not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { nodeLimits, parseNode } from './parse-node.ts'

const id = 'sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local'

test('everything that our agent sends is read', () => {
  const parsed = parseNode(id, {
    NAMESPACE: 'shop',
    WORKLOAD_NAME: 'web',
    SERVICE_ACCOUNT: 'web-account',
    LABELS: { app: 'web', 'example.com/tier': 'front', empty: '' },
    CLUSTER_ID: 'Kubernetes',
    MESH_ID: 'cluster.local',
    NETWORK: '',
    AUTO_REGISTER_GROUP: 'web',
    MESH_PORTS: [
      { name: 'http', servicePort: 80, appPort: 8080, meshPort: 30001 },
      { appPort: 9090, meshPort: 30002 },
    ],
    HTTP_PROXY_PORT: 15080,
    UPSTREAMS: [{ host: 'postgres', port: 5432, localPort: 30003 }],
    ADMIN_ADDRESS: '127.0.0.1:15000',
    BIND_ADDRESS: '127.0.0.1',
  })
  assert.ok(parsed.ok)
  assert.equal(parsed.value.address, '10.0.0.1')
  assert.equal(parsed.value.instance, 'web-1')
  assert.deepEqual(parsed.value.metadata, {
    namespace: 'shop',
    workloadName: 'web',
    serviceAccount: 'web-account',
    labels: { app: 'web', 'example.com/tier': 'front', empty: '' },
    clusterId: 'Kubernetes',
    meshId: 'cluster.local',
    network: '',
    autoRegisterGroup: 'web',
    meshPorts: [
      { name: 'http', servicePort: 80, appPort: 8080, meshPort: 30001 },
      { name: '', servicePort: undefined, appPort: 9090, meshPort: 30002 },
    ],
    service: undefined,
    httpProxyPort: 15080,
    upstreams: [{ host: 'postgres', port: 5432, localPort: 30003 }],
    adminAddress: '127.0.0.1:15000',
    bindAddress: '127.0.0.1',
  })
})

test('what Istio’s own agent leaves out has defaults, and its other keys are passed over', () => {
  const parsed = parseNode(id, {
    ISTIO_VERSION: '1.30.0',
    PROXY_CONFIG: { concurrency: 2 },
    PID: 7,
  })
  assert.ok(parsed.ok)
  const { metadata } = parsed.value
  assert.equal(metadata.namespace, 'shop')
  assert.equal(metadata.workloadName, 'web-1')
  assert.deepEqual(metadata.meshPorts, [])
  assert.equal(metadata.bindAddress, '0.0.0.0')
})

test('an auto-registered workload without a name has that of its group', () => {
  const parsed = parseNode(id, { AUTO_REGISTER_GROUP: 'web' })
  assert.ok(parsed.ok)
  assert.equal(parsed.value.metadata.workloadName, 'web')
})

test('a port may come as text, as environment variables do', () => {
  const parsed = parseNode(id, { MESH_PORTS: [{ appPort: '8080', meshPort: '30001' }] })
  assert.ok(parsed.ok)
  assert.equal(parsed.value.metadata.meshPorts[0]?.appPort, 8080)
})

const manyLabels = Object.fromEntries(
  Array.from({ length: nodeLimits.labelsMax + 1 }, (_, n) => [`l${n}`, '']),
)
const faults: readonly { claim: string; id?: string; metadata?: object; path: string }[] = [
  { claim: 'an id of another shape', id: 'web', path: 'node.id' },
  { claim: 'an id without an IP', id: 'sidecar~web~web-1.shop~d', path: 'node.id' },
  { claim: 'an id without a namespace', id: 'sidecar~10.0.0.1~web~d', path: 'node.id' },
  { claim: 'a gateway', id: 'router~10.0.0.1~web-1.shop~d', path: 'node.id' },
  { claim: 'an endless id', id: `${id}${'x'.repeat(600)}`, path: 'node.id' },
  {
    claim: 'a namespace that is not the id’s',
    metadata: { NAMESPACE: 'other' },
    path: 'node.metadata.NAMESPACE',
  },
  {
    claim: 'a number as name',
    metadata: { WORKLOAD_NAME: 7 },
    path: 'node.metadata.WORKLOAD_NAME',
  },
  { claim: 'labels that are a list', metadata: { LABELS: [] }, path: 'node.metadata.LABELS' },
  { claim: 'too many labels', metadata: { LABELS: manyLabels }, path: 'node.metadata.LABELS' },
  { claim: 'a label of a number', metadata: { LABELS: { a: 1 } }, path: 'node.metadata.LABELS[a]' },
  {
    claim: 'a label value that is too long',
    metadata: { LABELS: { a: 'x'.repeat(64) } },
    path: 'node.metadata.LABELS[a]',
  },
  {
    claim: 'a label key with a blank',
    metadata: { LABELS: { 'a b': '' } },
    path: 'node.metadata.LABELS[a b]',
  },
  {
    claim: 'ports that are no list',
    metadata: { MESH_PORTS: {} },
    path: 'node.metadata.MESH_PORTS',
  },
  {
    claim: 'a port that is no map',
    metadata: { MESH_PORTS: [1] },
    path: 'node.metadata.MESH_PORTS',
  },
  {
    claim: 'a port without mesh port',
    metadata: { MESH_PORTS: [{ appPort: 1 }] },
    path: 'node.metadata.MESH_PORTS[0].meshPort',
  },
  {
    claim: 'a port out of range',
    metadata: { MESH_PORTS: [{ appPort: 65_536, meshPort: 1 }] },
    path: 'node.metadata.MESH_PORTS[0].appPort',
  },
  {
    claim: 'one mesh port twice',
    metadata: {
      MESH_PORTS: [
        { appPort: 1, meshPort: 9 },
        { appPort: 2, meshPort: 9 },
      ],
    },
    path: 'node.metadata.MESH_PORTS[1].meshPort',
  },
  {
    claim: 'an upstream without host',
    metadata: { UPSTREAMS: [{ port: 1, localPort: 2 }] },
    path: 'node.metadata.UPSTREAMS[0].host',
  },
  {
    claim: 'a bind address that is a name',
    metadata: { BIND_ADDRESS: 'localhost' },
    path: 'node.metadata.BIND_ADDRESS',
  },
]
for (const { claim, id: writtenId = id, metadata = {}, path } of faults) {
  test(`${claim} is refused by name`, () => {
    const parsed = parseNode(writtenId, { ...metadata })
    assert.ok(!parsed.ok)
    assert.deepEqual(
      parsed.issues.map((issue) => [issue.code, issue.path]),
      [['TUL0303', path]],
    )
  })
}

test('all that is wrong is said at once', () => {
  const parsed = parseNode('web', { LABELS: 1, MESH_PORTS: 2, UPSTREAMS: 3 })
  assert.ok(!parsed.ok)
  assert.equal(parsed.issues.length, 4)
})

test('the machine that a sidecar names is a label, unless it has that label', () => {
  const labelsOf = (metadata: Record<string, unknown>) => {
    const parsed = parseNode(id, metadata)
    return parsed.ok ? parsed.value.metadata.labels : undefined
  }
  const label = 'kubernetes.io/hostname'
  assert.deepEqual(labelsOf({ NODE_NAME: 'alpha' }), { [label]: 'alpha' })
  assert.deepEqual(labelsOf({ NODE_NAME: 'alpha', LABELS: { [label]: 'beta' } }), {
    [label]: 'beta',
  })
  assert.deepEqual(labelsOf({ NODE_NAME: '' }), {})
})
