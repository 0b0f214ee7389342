/** Clusters of services that are resolved by DNS: which there are, how, and to which addresses; rows of Istio's own tests. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  nodeOf,
  readTranslationCase,
  type TranslationCase,
} from '../../test/support/translation-case.ts'
import {
  Cluster,
  Cluster_DiscoveryType,
  Cluster_DnsLookupFamily,
} from '../xds/proto/generated/envoy/config/cluster/v3/cluster.ts'
import { Any } from '../xds/proto/generated/google/protobuf/any.ts'
import { typeUrls, type ResourceView } from '../xds/resource-set.ts'
import { createTranslation } from './driver.ts'
import { translateAll } from './full.ts'

interface Row {
  readonly resolution?: 'dns' | 'dns-round-robin'
  /** Labels of the only endpoint. */
  readonly endpoint?: string
  readonly subset?: string
  readonly address?: string
}

function caseOf({ resolution = 'dns', endpoint = '', subset = '', address }: Row): TranslationCase {
  return readTranslationCase(`kind: Scene
client: { ${address === undefined ? '' : `address: "${address}"`} }
services:
- hostname: foo.test
  ports: [{ number: 80, name: http }]
  resolution: ${resolution}
  endpoints: [{ address: foo.test, port: 80, labels: { ${endpoint} } }]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: foo }
spec: { host: foo.test, subsets: [{ name: v1, labels: { ${subset} } }] }
`)
}

function clustersOf(row: Row): Cluster[] {
  const { input, node } = caseOf(row)
  return clustersIn(translateAll(input, node))
}

function clustersIn(view: ResourceView): Cluster[] {
  return [...view.resources(typeUrls.cluster).values()]
    .map(({ any }) => Cluster.decode(Any.decode(any).value))
    .filter(({ name }) => name.startsWith('outbound|'))
}

for (const [resolution, type] of [
  ['dns', Cluster_DiscoveryType.STRICT_DNS],
  ['dns-round-robin', Cluster_DiscoveryType.LOGICAL_DNS],
] as const) {
  for (const [title, endpoint, subset, hasSubset] of [
    ['without labels, of an endpoint without', '', '', true],
    ['without labels, of an endpoint with one', 'foo: bar', '', true],
    ['with the label of the endpoint', 'foo: bar', 'foo: bar', true],
    ['with another label', 'foo: bar', 'foo: other', false],
    ['with a label that the endpoint has not', '', 'foo: bar', false],
  ] as const) {
    test(`${resolution}: a subset ${title} has ${hasSubset ? 'a' : 'no'} cluster`, () => {
      const clusters = clustersOf({ resolution, endpoint, subset })
      assert.deepEqual(
        clusters.map(({ name }) => name),
        ['outbound|80||foo.test', ...(hasSubset ? ['outbound|80|v1|foo.test'] : [])],
      )
      for (const { clusterDiscoveryType: found } of clusters) {
        assert.deepEqual(found, { $case: 'type', value: type })
      }
    })
  }
}

for (const [address, family] of [
  ['127.0.0.1', Cluster_DnsLookupFamily.V4_ONLY],
  ['10.0.0.1', Cluster_DnsLookupFamily.V4_ONLY],
  ['::1', Cluster_DnsLookupFamily.V4_ONLY],
  ['2001:1::1', Cluster_DnsLookupFamily.V6_ONLY],
] as const) {
  test(`a client at ${address} resolves names to addresses that it can reach`, () => {
    const clusters = clustersOf({ address })
    assert.equal(clusters.length, 2)
    for (const { dnsLookupFamily } of clusters) assert.equal(dnsLookupFamily, family)
  })
}

test('clients of one namespace whose addresses differ in family share no clusters of names', () => {
  const translation = createTranslation({ input: caseOf({}).input })
  const families = ['10.0.0.1', '2001:1::1', '10.0.0.2'].map((address) => {
    const [first] = clustersIn(translation.viewOf(nodeOf({ address })))
    return first?.dnsLookupFamily
  })
  const { V4_ONLY: v4, V6_ONLY: v6 } = Cluster_DnsLookupFamily
  assert.deepEqual(families, [v4, v6, v4])
})
