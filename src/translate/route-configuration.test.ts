/** Bytes put together by hand are those of the codec. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { RouteConfiguration } from '../xds/proto/generated/envoy/config/route/v3/route.ts'
import { VirtualHost } from '../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import { Any } from '../xds/proto/generated/google/protobuf/any.ts'
import { typeUrls } from '../xds/resource-set.ts'
import { encodeRouteConfiguration, encodeVirtualHost } from './route-configuration.ts'

const host = (name: string, length = 0) =>
  VirtualHost.fromPartial({ name, domains: [name, 'x'.repeat(length)] })

test('a configuration of encoded virtual hosts decodes to what went in', () => {
  // Lengths on both sides of each step of a varint.
  const hosts = [0, 100, 127, 128, 16_383, 16_384, 300_000].map((length, index) =>
    host(`host-${index}`, length),
  )
  const encoded = encodeRouteConfiguration('http_proxy', hosts.map(encodeVirtualHost))
  const any = Any.decode(encoded.any)
  assert.equal(any.typeUrl, typeUrls.route)
  const decoded = RouteConfiguration.decode(any.value)
  assert.equal(decoded.name, 'http_proxy')
  assert.equal(decoded.validateClusters, false)
  assert.deepEqual(decoded.virtualHosts, hosts)
})

test('the version follows the content and the order', () => {
  const [one, two] = [encodeVirtualHost(host('one')), encodeVirtualHost(host('two'))]
  const version = (hosts: Parameters<typeof encodeRouteConfiguration>[1]) =>
    encodeRouteConfiguration('http_proxy', hosts).version
  assert.equal(version([one, two]), version([encodeVirtualHost(host('one')), two]))
  assert.notEqual(version([one, two]), version([two, one]))
  assert.notEqual(version([one]), version([one, two]))
  assert.notEqual(version([one]), version([encodeVirtualHost(host('one', 1))]))
})
