/** What a person may type for a kind, and where the API keeps it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { kindPath, objectPath } from './api-path.ts'

for (const [name, path] of [
  ['vs', '/apis/networking.istio.io/v1/namespaces/shop/virtualservices/a'],
  ['DestinationRule', '/apis/networking.istio.io/v1/namespaces/shop/destinationrules/a'],
  ['httproutes', '/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/a'],
  ['gatewayclass', '/apis/gateway.networking.k8s.io/v1/gatewayclasses/a'],
  ['svc', '/api/v1/namespaces/shop/services/a'],
  ['services.tulle.dev', '/apis/tulle.dev/v1alpha1/namespaces/shop/services/a'],
  ['workload', '/apis/tulle.dev/v1alpha1/namespaces/shop/workloads/a'],
  ['px', '/apis/tulle.dev/v1alpha1/namespaces/shop/proxies/a'],
  ['issues', '/apis/tulle.dev/v1alpha1/issues/a'],
] as const) {
  test(`${name} a of namespace shop is at ${path}`, () => {
    assert.equal(objectPath(kindPath(name), 'shop', 'a'), path)
  })
}

test('without a namespace a list is of all of them', () => {
  assert.equal(
    objectPath(kindPath('vs'), undefined),
    '/apis/networking.istio.io/v1/virtualservices',
  )
})

test('a name cannot leave its place in the path', () => {
  const kind = kindPath('svc')
  assert.equal(objectPath(kind, 'shop', 'a/../b'), '/api/v1/namespaces/shop/services/a%2F..%2Fb')
  assert.throws(() => objectPath(kind, '..', 'a'), /expected a name, got "\.\."/)
  assert.throws(() => objectPath(kind, 'shop', ''), /expected a name, got ""/)
})
