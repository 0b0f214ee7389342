/** `envoy.filters.http.on_demand`: what its fields mean, and every value that is refused. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { messageOf } from '../../../test/support/envoy-message.ts'
import {
  OnDemand,
  PerRouteConfig,
} from '../../xds/proto/generated/envoy/extensions/filters/http/on_demand/v3/on_demand.ts'
import { compileOnDemand, compileOnDemandRoute } from './compile-on-demand.ts'

const name = (type: string): string => `envoy.extensions.filters.http.on_demand.v3.${type}`
const source = { ads: {}, resource_api_version: 'V3' }

function compiled(odcds: object | undefined, type: 'OnDemand' | 'PerRouteConfig' = 'OnDemand') {
  const codec = type === 'OnDemand' ? OnDemand : PerRouteConfig
  const message = messageOf<OnDemand>(name(type), codec, odcds === undefined ? {} : { odcds })
  const any = {
    typeUrl: `type.googleapis.com/${name(type)}`,
    value: Buffer.from(codec.encode(message).finish()),
  }
  const report = { path: 'typed_config', reasons: [] as string[] }
  const compile = type === 'OnDemand' ? compileOnDemand : compileOnDemandRoute
  return { settings: compile(any, report), reasons: report.reasons }
}

test('without odcds no cluster is fetched; with it a request waits 5 s, or as long as is said', () => {
  for (const type of ['OnDemand', 'PerRouteConfig'] as const) {
    assert.equal(compiled(undefined, type).settings?.clusterTimeoutMs, undefined)
    assert.equal(compiled({ source }, type).settings?.clusterTimeoutMs, 5_000)
    const short = compiled({ source, timeout: '0.25s' }, type)
    assert.equal(short.settings?.clusterTimeoutMs, 250)
    assert.deepEqual(short.reasons, [])
  }
})

const grpc = { api_type: 'DELTA_GRPC', grpc_services: [{ envoy_grpc: { cluster_name: 'x' } }] }

for (const [title, odcds, reason] of [
  ['no source', {}, 'typed_config.odcds.source: is required'],
  ['a source in a file', { source: { path: '/x' } }, 'odcds.source.path: configuration from files'],
  [
    'a source in a watched file',
    { source: { path_config_source: { path: '/x' } } },
    'odcds.source.path_config_source: configuration from files',
  ],
  [
    'a stream of its own',
    { source: { api_config_source: grpc } },
    'odcds.source.api_config_source: a stream of its own',
  ],
  ['a source of its own', { source: { self: {} } }, 'odcds.source.self: a config source'],
  [
    'an authority',
    { source: { ads: {}, authorities: [{ name: 'x' }] } },
    'odcds.source.authorities: xdstp',
  ],
  [
    'a locator',
    { source, resources_locator: 'xdstp://x/envoy.config.cluster.v3.Cluster/y' },
    'odcds.resources_locator: xdstp locators',
  ],
  ['a negative time', { source, timeout: '-1s' }, 'odcds.timeout:'],
] as const) {
  test(`${title} is refused`, () => {
    for (const type of ['OnDemand', 'PerRouteConfig'] as const) {
      const { reasons } = compiled(odcds, type)
      assert.ok(
        reasons.some((text) => text.includes(reason)),
        `${type}: ${reasons.join('; ')}`,
      )
    }
  })
}
