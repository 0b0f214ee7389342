/** The table of kinds: no name is taken twice, and people's names for kinds lead to them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { hostsOverlap, isHostSubset } from './host-match.ts'
import {
  findKind,
  findKindByName,
  findKindOf,
  kinds,
  kindsOfGroup,
  splitApiVersion,
} from './kinds.ts'
import { nearestName } from './schema/nearest.ts'

test('a kind is there once in its group, and so is each of its names', () => {
  for (const group of new Set(kinds.map((kind) => kind.group))) {
    const names = kindsOfGroup(group).flatMap((kind) => [
      kind.kind.toLowerCase(),
      kind.plural,
      ...kind.shortNames.filter((name) => name !== kind.singular),
    ])
    assert.deepEqual(names, [...new Set(names)])
  }
})

test('kinds are found by kind, plural, singular and short name, with or without their group', () => {
  for (const name of [
    'VirtualService',
    'virtualservices',
    'virtualservice',
    'vs',
    'VS',
    'vs.networking.istio.io',
  ]) {
    assert.equal(findKindByName(name)?.kind, 'VirtualService', name)
  }
  assert.equal(findKindByName('gateway')?.group, 'networking.istio.io')
  assert.equal(findKindByName('gtw')?.group, 'gateway.networking.k8s.io')
  assert.equal(
    findKindByName('gateways.gateway.networking.k8s.io')?.group,
    'gateway.networking.k8s.io',
  )
  assert.equal(findKindByName('svc')?.kind, 'Service')
  assert.equal(findKindByName('pods'), undefined)
})

test('versions are those that exist', () => {
  assert.equal(findKindOf('networking.istio.io/v1alpha3', 'VirtualService')?.supported, 'full')
  assert.equal(findKindOf('networking.istio.io/v1', 'EnvoyFilter'), undefined)
  assert.equal(findKindOf('v1', 'Service')?.group, '')
  assert.equal(findKind('', 'VirtualService'), undefined)
  assert.deepEqual(splitApiVersion('v1'), { group: '', version: 'v1' })
  assert.deepEqual(splitApiVersion('tulle.dev/v1alpha1'), {
    group: 'tulle.dev',
    version: 'v1alpha1',
  })
})

test('a misspelt name finds the nearest, a strange one none', () => {
  const known = ['weight', 'destination', 'headers', 'trafficPolicy']
  assert.equal(nearestName('weigth', known), 'weight')
  assert.equal(nearestName('Weight', known), 'weight')
  assert.equal(nearestName('header', known), 'headers')
  assert.equal(nearestName('traffic_policy', known), 'trafficPolicy')
  assert.equal(nearestName('traffic-policy', known), 'trafficPolicy')
  assert.equal(nearestName('zzz', known), undefined)
  assert.equal(nearestName('', known), undefined)
})

test('wildcard hosts overlap by their endings', () => {
  assert.equal(hostsOverlap('*.com', '*.a.com'), true)
  assert.equal(hostsOverlap('*.a.com', '*.com'), true)
  assert.equal(hostsOverlap('*.a.com', 'b.A.com'), true)
  assert.equal(hostsOverlap('a.com', '*.a.com'), false)
  assert.equal(hostsOverlap('*', 'anything'), true)
  assert.equal(hostsOverlap('a', 'b'), false)
  assert.equal(isHostSubset('a.b.com', '*.b.com'), true)
  assert.equal(isHostSubset('*.a.b.com', '*.b.com'), true)
  assert.equal(isHostSubset('*.b.com', '*.a.b.com'), false)
  assert.equal(isHostSubset('*.b.com', 'a.b.com'), false)
})
