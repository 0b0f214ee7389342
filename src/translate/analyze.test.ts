/** Issues between resources, with the places that the model's own parser gives. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { registryOf } from '../../test/support/translation-case.ts'
import type { Issue } from '../model/issue.ts'
import { parseText } from '../model/parse.ts'
import { resourceKey, type Resource } from '../model/resource.ts'
import { analyze } from './analyze.ts'
import { meshSettingsOf } from './input.ts'

const registry = registryOf([
  {
    hostname: 'reviews.default.svc.cluster.local',
    ports: [{ number: 9080, name: 'http' }],
    endpoints: [{ version: 'v1' }],
  },
  {
    hostname: 'shop.default.svc.cluster.local',
    ports: [
      { number: 80, name: 'http' },
      { number: 81, name: 'http-b' },
    ],
  },
  { hostname: '*.example.com', ports: [{ number: 80, name: 'http' }], resolution: 'none' },
])

function issuesOf(text: string): readonly Issue[] {
  const resources = new Map<string, Resource>()
  for (const { resource } of parseText(text, 'routes.yaml')) {
    assert.ok(resource !== undefined)
    resources.set(resourceKey('', resource.kind, resource.metadata), resource)
  }
  return analyze({ resources, registry, mesh: meshSettingsOf() })
}

function virtualServiceTo(destination: string): string {
  return `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts: [reviews]
  http:
  - route:
    - destination:
${destination}
`
}

test('an unknown host is an error at its own line', () => {
  const [issue] = issuesOf(virtualServiceTo('        host: nobody'))
  assert.ok(issue !== undefined)
  assert.equal(issue.code, 'IST0101')
  assert.equal(issue.severity, 'error')
  assert.equal(issue.file, 'routes.yaml')
  assert.equal(issue.line, 10)
  assert.equal(issue.path, 'spec.http[0].route[0].destination.host')
  assert.equal(issue.resource, 'VirtualService default/reviews')
  assert.match(issue.message, /"nobody\.default\.svc\.cluster\.local"/)
})

test('an unknown subset is an error at the line of the subset', () => {
  const [issue] = issuesOf(virtualServiceTo('        host: reviews\n        subset: v9'))
  assert.equal(issue?.code, 'IST0101')
  assert.equal(issue.line, 11)
  assert.match(issue.message, /host\+subset.*v9/)
})

test('a host that a wildcard entry covers is known', () => {
  assert.deepEqual(issuesOf(virtualServiceTo('        host: api.example.com')), [])
})

test('a service with several ports needs a port in the route', () => {
  const [issue] = issuesOf(virtualServiceTo('        host: shop'))
  assert.equal(issue?.code, 'IST0112')
  assert.match(issue.message, /80, 81/)
  assert.deepEqual(
    issuesOf(virtualServiceTo('        host: shop\n        port: { number: 80 }')),
    [],
  )
})

test('a rule for a service that does not exist is a warning', () => {
  const [issue] = issuesOf(`apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: nobody }
spec:
  host: nobody
  trafficPolicy: { loadBalancer: { simple: RANDOM } }
`)
  assert.equal(issue?.code, 'IST0174')
  assert.equal(issue.severity, 'warning')
  assert.equal(issue.line, 5)
})

test('VirtualServices in namespaces that do not see each other do not conflict', () => {
  const one = (namespace: string) => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews, namespace: ${namespace} }
spec:
  hosts: [reviews.default.svc.cluster.local]
  exportTo: ['.']
  http: [ { route: [ { destination: { host: reviews.default.svc.cluster.local } } ] } ]
`
  assert.deepEqual(issuesOf(`${one('a')}---\n${one('b')}`), [])
  const [issue] = issuesOf(`${one('a').replace("['.']", "['*']")}---\n${one('b')}`)
  assert.equal(issue?.code, 'IST0109')
})
