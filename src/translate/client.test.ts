/** What a client says of itself, and which of it makes a difference. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { nodeOf, registryOf } from '../../test/support/translation-case.ts'
import { clientOf, withRegisteredLabels } from './client.ts'
import { translateAll } from './full.ts'
import { meshSettingsOf } from './input.ts'
import { proxyHeadersOf, sharedHeadersOf } from './proxy-header.ts'
import { scopeOf } from './scope.ts'
import { buildWorld } from './world.ts'

const node = nodeOf({ workload: 'web', namespace: 'prod' })

test('what the metadata leave out comes from the node id', () => {
  const client = clientOf({ ...node, metadata: {} })
  assert.equal(client.namespace, 'prod')
  assert.equal(client.workload, 'web')
  assert.equal(client.address, '127.0.0.1')
})

test('metadata of the wrong shape count as absent', () => {
  const client = clientOf({
    ...node,
    metadata: {
      NAMESPACE: 7,
      LABELS: ['a'],
      MESH_PORTS: [{ appPort: 'x', meshPort: 1 }, 'y', { appPort: 70_000, meshPort: 1 }],
      UPSTREAMS: { host: 'a' },
      HTTP_PROXY_PORT: '15080',
    },
  })
  assert.equal(client.namespace, 'prod')
  assert.deepEqual(client.labels, {})
  assert.deepEqual(client.meshPorts, [])
  assert.deepEqual(client.upstreams, [])
  assert.equal(client.httpProxyPort, 15_080)
})

test('the headers of the mesh count for a ProxyConfig that says nothing of them', () => {
  const mesh = meshSettingsOf({
    defaultConfig: { proxyHeaders: { attemptCount: { disabled: true } } },
  })
  const headersOf = (config: object) => {
    const client = clientOf({ ...node, metadata: { PROXY_CONFIG: config } })
    return sharedHeadersOf(proxyHeadersOf(client, mesh))
  }
  assert.equal(headersOf({ concurrency: 2 }).countsAttempts, false)
  assert.equal(headersOf({ proxyHeaders: {} }).countsAttempts, true)
  assert.equal(headersOf({ proxyHeaders: [] }).countsAttempts, false)
})

test('a node id that is none at all is a client without anything of its own', () => {
  const input = { resources: new Map(), registry: registryOf([]), mesh: meshSettingsOf() }
  const view = translateAll(input, { ...node, id: 'x', metadata: {} })
  assert.equal(clientOf({ ...node, id: 'x', metadata: {} }).namespace, 'default')
  assert.equal(view.resources('none').size, 0)
})

test('labels of the WorkloadGroup count like the own ones, which win', () => {
  const client = clientOf(nodeOf({ workload: 'web', labels: { app: 'web' } }))
  const registry = registryOf([])
  const workload = {
    id: client.id,
    name: 'web',
    namespace: 'default',
    serviceAccount: '',
    address: '127.0.0.1',
    labels: { app: 'other', team: 'shop' },
    ports: [],
    health: 'healthy' as const,
    healthMessage: '',
    presence: 'connected' as const,
    locality: '',
    network: '',
    cluster: '',
    weight: 0,
  }
  const known = { ...registry, workloads: new Map([[client.id, workload]]) }
  assert.deepEqual(withRegisteredLabels(client, known).labels, { app: 'web', team: 'shop' })
  assert.equal(withRegisteredLabels(client, registry), client)
})

test('a client is where its node says, or its labels, or the registry', () => {
  const localityOf = (scene: Parameters<typeof nodeOf>[0]) => clientOf(nodeOf(scene)).locality
  assert.equal(localityOf({ locality: 'r/z', labels: { 'istio-locality': 'x.y' } }), 'r/z')
  assert.equal(localityOf({ labels: { 'istio-locality': 'x.y.z' } }), 'x/y/z')
  assert.equal(localityOf({}), '')
})

test('labels that nothing asks for make no scope class of their own', () => {
  const input = { resources: new Map(), registry: registryOf([]), mesh: meshSettingsOf() }
  const { selectors } = buildWorld(input)
  const keys = ['a', 'b'].map(
    (app) =>
      scopeOf(clientOf(nodeOf({ labels: { app } })), { input, selectors, placeLabels: [] }).key,
  )
  assert.equal(keys[0], keys[1])
})
