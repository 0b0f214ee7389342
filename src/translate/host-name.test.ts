/** Istio's rules for host names. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  bySpecificity,
  isCoveredBy,
  isExportedTo,
  overlaps,
  resolveHost,
  shortNamesOf,
} from './host-name.ts'

test('only a name without a dot is short', () => {
  assert.equal(resolveHost('Reviews', 'prod'), 'reviews.prod.svc.cluster.local')
  for (const host of ['reviews.prod', '*', '*.example.com', '10.0.0.1', '2001:db8::1']) {
    assert.equal(resolveHost(host, 'prod'), host)
  }
})

test('a wildcard covers names and narrower wildcards, and not its own domain', () => {
  const cases: [string, string, boolean][] = [
    ['a.example.com', '*.example.com', true],
    ['a.b.example.com', '*.example.com', true],
    ['example.com', '*.example.com', false],
    ['*.b.example.com', '*.example.com', true],
    ['*.example.com', '*.b.example.com', false],
    ['*.example.com', '*.example.com', true],
    ['anything', '*', true],
    ['*', '*', true],
    ['a.example.com', 'a.example.com', true],
    ['*.example.com', 'a.example.com', false],
  ]
  for (const [host, pattern, expected] of cases) {
    assert.equal(isCoveredBy(host, pattern), expected, `${host} ${pattern}`)
  }
})

test('two wildcards overlap when one is below the other', () => {
  assert.ok(overlaps('*.example.com', '*.b.example.com'))
  assert.ok(overlaps('*.b.example.com', '*.example.com'))
  assert.ok(!overlaps('*.example.com', '*.example.org'))
  assert.ok(overlaps('a.example.com', '*.example.com'))
  assert.ok(!overlaps('a.example.com', 'b.example.com'))
})

test('exact names are more specific than wildcards, and long wildcards than short ones', () => {
  const hosts = ['*', '*.com', 'a.com', '*.example.com']
  assert.deepEqual(hosts.sort(bySpecificity), ['a.com', '*.example.com', '*.com', '*'])
})

test('the bare name of a service is for clients of its namespace', () => {
  const host = 'reviews.prod.svc.cluster.local'
  assert.deepEqual(shortNamesOf(host, 'prod'), ['reviews', 'reviews.prod.svc', 'reviews.prod'])
  assert.deepEqual(shortNamesOf(host, 'test'), ['reviews.prod.svc', 'reviews.prod'])
  assert.deepEqual(shortNamesOf('www.example.com', 'prod'), [])
  assert.deepEqual(shortNamesOf('a.b.prod.svc.cluster.local', 'prod'), [])
})

test('a dot exports to the own namespace, a name to that one, a tilde to nobody', () => {
  const inside = { own: 'prod', client: 'prod' }
  const outside = { own: 'prod', client: 'test' }
  assert.ok(isExportedTo(['.'], inside))
  assert.ok(!isExportedTo(['.'], outside))
  assert.ok(isExportedTo(['test'], outside))
  assert.ok(isExportedTo(['*'], outside))
  assert.ok(!isExportedTo(['~'], inside))
})
