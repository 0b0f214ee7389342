/** Where a mesh file says its trust domain. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { trustDomainOf } from './trust-domain.ts'

test("the mesh's own field goes first, then Istio's place for it, then the default", () => {
  const meshConfig = { trustDomain: 'b.example' }
  assert.equal(trustDomainOf({ trustDomain: 'a.example', meshConfig }), 'a.example')
  assert.equal(trustDomainOf({ meshConfig }), 'b.example')
  assert.equal(trustDomainOf({}), 'cluster.local')
  assert.equal(trustDomainOf(undefined), 'cluster.local')
})
