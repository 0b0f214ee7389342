/** Which texts are SPIFFE ids, and whom they name. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseSpiffeId, spiffeIdOf } from './spiffe-id.ts'

test("an id of Istio's shape names namespace and service account", () => {
  const parsed = parseSpiffeId('spiffe://cluster.local/ns/default/sa/my-app')
  assert.deepEqual(parsed?.workload, {
    trustDomain: 'cluster.local',
    namespace: 'default',
    serviceAccount: 'my-app',
  })
})

test('an id of another path is valid and names no namespace', () => {
  const parsed = parseSpiffeId('spiffe://example.org/spire/agent/x509pop/4f')
  assert.equal(parsed?.trustDomain, 'example.org')
  assert.equal(parsed?.workload, undefined)
})

const invalid = [
  '',
  'spiffe://',
  'spiffe://cluster.local',
  'spiffe://cluster.local/',
  'spiffe://cluster.local/ns/default/sa/',
  'spiffe://cluster.local//ns/default/sa/a',
  'spiffe://cluster.local/ns/../sa/a',
  'spiffe://cluster.local/ns/./sa/a',
  'SPIFFE://cluster.local/ns/default/sa/a',
  'spiffe://Cluster.local/ns/default/sa/a',
  'spiffe://cluster.local:8080/ns/default/sa/a',
  'spiffe://user@cluster.local/ns/default/sa/a',
  'spiffe://cluster.local/ns/default/sa/a?x=1',
  'spiffe://cluster.local/ns/default/sa/a#f',
  'spiffe://cluster.local/ns/default/sa/%61',
  'spiffe://cluster.local/ns/default/sa/a\0.evil',
  'spiffe://cluster.local/ns/default/sa/a\n',
  'spiffe://cluster.local/ns/default/sa/ä',
  'https://cluster.local/ns/default/sa/a',
  `spiffe://${'a'.repeat(256)}/ns/default/sa/a`,
  `spiffe://a/${'b'.repeat(2_048)}`,
]

for (const text of invalid) {
  test(`${JSON.stringify(text.slice(0, 60))} is no SPIFFE id`, () => {
    assert.equal(parseSpiffeId(text), undefined)
  })
}

test('an id is made of its parts, and of nothing that would change its meaning', () => {
  const identity = { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'cart' }
  assert.equal(spiffeIdOf(identity), 'spiffe://cluster.local/ns/shop/sa/cart')
  for (const namespace of ['', 'a/sa/root', '..', 'a b']) {
    assert.throws(() => spiffeIdOf({ ...identity, namespace }), { code: 'MESH_IDENTITY_INVALID' })
  }
})
