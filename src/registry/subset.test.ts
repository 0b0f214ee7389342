/** Labels, subsets and versions. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FakeClock } from '../../test/support/fake-clock.ts'
import { nodeOf } from '../../test/support/registry-scene.ts'
import { canonicalName, canonicalRevision, isSelectedBy, localityOf } from './label.ts'
import { createMemoryRegistrationLog } from './registration-log.ts'
import { Registry } from './registry.ts'
import { endpointsMatching, versionsOf } from './subset.ts'

const host = 'web.default.svc.cluster.local'

function openWeb(versions: readonly string[]) {
  const registry = new Registry({
    clock: new FakeClock(),
    registrations: createMemoryRegistrationLog(),
  })
  for (const [n, version] of versions.entries()) {
    const LABELS = version === '' ? {} : { version }
    const MESH_PORTS = [{ appPort: 80, meshPort: n + 1 }]
    registry.join(nodeOf(`w${n}`, { SERVICE: 'web', LABELS, MESH_PORTS }))
  }
  registry.flush()
  return registry.snapshot
}

test('the versions of a service are those of its endpoints, sorted, each once', () => {
  assert.deepEqual(versionsOf(openWeb(['v2', 'v1', '', 'v2']), host), ['v1', 'v2'])
  assert.deepEqual(versionsOf(openWeb([]), host), [])
})

test('endpoints of a subset have all of its labels; without labels it is all of them', () => {
  const endpoints = openWeb(['v1', 'v2', 'v1']).endpoints.get(`${host}|80`) ?? []
  assert.equal(endpointsMatching(endpoints, { version: 'v1' }).length, 2)
  assert.equal(endpointsMatching(endpoints, { version: 'v1', app: 'x' }).length, 0)
  assert.equal(endpointsMatching(endpoints, {}), endpoints)
  assert.equal(endpointsMatching(endpoints, { app: 'web' }), endpoints)
})

test('an empty selector selects nothing', () => {
  assert.equal(isSelectedBy({ a: 'b' }, {}), false)
  assert.equal(isSelectedBy({ a: 'b', c: 'd' }, { a: 'b' }), true)
  assert.equal(isSelectedBy({ a: 'b' }, { a: 'b', c: 'd' }), false)
})

test('canonical names follow Istio’s order of labels', () => {
  const [own, kubernetes] = ['service.istio.io/canonical-name', 'app.kubernetes.io/name']
  assert.equal(canonicalName({ app: 'c', [kubernetes]: 'b', [own]: 'a' }, 'w'), 'a')
  assert.equal(canonicalName({ app: 'c', [kubernetes]: 'b' }, 'w'), 'b')
  assert.equal(canonicalName({ app: 'c' }, 'w'), 'c')
  assert.equal(canonicalName({}, 'w'), 'w')
  const revision = 'service.istio.io/canonical-revision'
  assert.equal(canonicalRevision({ version: 'b', [revision]: 'a' }), 'a')
  assert.equal(canonicalRevision({ version: 'b', 'app.kubernetes.io/version': 'c' }), 'c')
  assert.equal(canonicalRevision({}), 'latest')
})

test('a locality in a label may stand with dots, and yields to the field', () => {
  assert.equal(localityOf(undefined, { 'istio-locality': 'eu.a.b' }), 'eu/a/b')
  assert.equal(localityOf('', { 'topology.istio.io/locality': 'eu/a.1' }), 'eu/a.1')
  assert.equal(localityOf('us/b', { 'istio-locality': 'eu.a.b' }), 'us/b')
})
