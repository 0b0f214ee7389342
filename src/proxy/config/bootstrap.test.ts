/** What a bootstrap file says, and where in it a mistake is. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { MeshError } from '../../lib/mesh-error.ts'
import { parseBootstrap } from './bootstrap.ts'

const ads = `
node: {id: node, cluster: c, metadata: {A: 1}}
admin: {address: {pipe: {path: /run/a.sock, mode: 0640}}}
dynamic_resources:
  ads_config:
    api_type: DELTA_GRPC
    grpc_services:
    - envoy_grpc: {cluster_name: xds-grpc, authority: me}
      initial_metadata: [{key: k, value: v}]
  cds_config: {ads: {}, initial_fetch_timeout: 3s}
static_resources:
  clusters:
  - name: xds-grpc
    http2_protocol_options: {}
    load_assignment: {cluster_name: xds-grpc, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: localhost, port_value: 15010}}}}]}]}
    type: STRICT_DNS
`

function messageOf(text: string): string {
  try {
    parseBootstrap({ text, file: 'b.yaml' })
  } catch (error) {
    assert.ok(error instanceof MeshError)
    assert.equal(error.code, 'MESH_BOOTSTRAP_INVALID')
    return error.message
  }
  return 'accepted'
}

test('a bootstrap names its ADS server by a static cluster', () => {
  const config = parseBootstrap({ text: ads, file: 'b.yaml' })
  assert.deepEqual(config.ads, {
    mode: 'delta',
    clusterName: 'xds-grpc',
    address: { kind: 'tcp', host: 'localhost', port: 15010 },
    authority: 'me',
    initialMetadata: [['k', 'v']],
  })
  assert.equal(config.cdsInitialFetchTimeoutMs, 3_000)
  assert.equal(config.ldsInitialFetchTimeoutMs, undefined)
  assert.deepEqual(config.admin, { address: { kind: 'unix', path: '/run/a.sock' }, mode: 0o640 })
  assert.deepEqual(config.node.metadata, { A: 1 })
})

test('the ADS server may be a Unix socket', () => {
  const text = ads
    .replace(/socket_address: \{[^}]+\}/, 'pipe: {path: /run/xds}')
    .replace('STRICT_DNS', 'STATIC')
  assert.deepEqual(parseBootstrap({ text, file: 'b' }).ads?.address, {
    kind: 'unix',
    path: '/run/xds',
  })
})

test('JSON is read as well as YAML', () => {
  const config = parseBootstrap({ text: '{"node": {"id": "x", "cluster": "y"}}', file: 'b.json' })
  assert.equal(config.node.id, 'x')
  assert.equal(config.admin, undefined)
})

test('a key that stands twice in JSON is refused with its place', () => {
  assert.match(messageOf('{"node": {"id": "x",\n "id": "y"}}'), /b\.yaml:2:2: .*unique/)
})

test('a mistake in JSON is named with its place', () => {
  assert.match(messageOf('{\n\t"node": {"id": 5}\n}'), /b\.yaml:2:\d+: node\.id: expected text/)
})

test('an admin socket is for its owner unless the file says otherwise', () => {
  const { admin } = parseBootstrap({ text: 'admin: {address: {pipe: {path: /a}}}', file: 'b' })
  assert.equal(admin?.mode, 0o600)
})

test('YAML is read as Envoy reads it: 1.1, but times of the day are text', () => {
  const { node } = parseBootstrap({
    text: 'node: {id: "a", cluster: 12:30, metadata: {B: yes, C: 2001-01-01}}',
    file: 'b',
  })
  assert.equal(node.cluster, '12:30')
  assert.deepEqual(node.metadata, { B: true, C: '2001-01-01' })
})

test('runtime keys that nothing reads are said', () => {
  const text =
    'layered_runtime: {layers: [{name: l, static_layer: {overload.global_downstream_max_connections: 5, a: {b: 1}}}]}'
  const config = parseBootstrap({ text, file: 'b' })
  assert.equal(config.runtime.connectionsMax, 5)
  assert.deepEqual(config.warnings, ['runtime key a.b has no effect'])
})

const mistakes: readonly (readonly [claim: string, text: string, message: RegExp])[] = [
  ['YAML that cannot be read', 'node: {id: "x"\nadmin: [', /^invalid bootstrap: b\.yaml:\d+:\d+: /],
  [
    'an unknown field',
    'node:\n  id: x\n  idd: y\n',
    /b\.yaml:3:8: node\.idd: unknown field in envoy\.config\.core\.v3\.Node/,
  ],
  ['a field of another type', 'node: {id: 5}', /b\.yaml:1:\d+: node\.id: /],
  [
    'a part that is not implemented',
    'node: {id: x}\ntracing: {}\n',
    /b\.yaml:2:\d+: tracing: exporting spans is not implemented yet/,
  ],
  [
    'an admin interface for everybody',
    'admin: {address: {socket_address: {address: 0.0.0.0, port_value: 1}}}',
    /admin\.address: must be a loopback address or a pipe, got 0\.0\.0\.0/,
  ],
  [
    'an unknown bootstrap extension',
    'bootstrap_extensions: [{name: w, typed_config: {"@type": type.googleapis.com/envoy.extensions.wasm.v3.WasmService}}]',
    /bootstrap_extensions\[0\]: w \(envoy\.extensions\.wasm\.v3\.WasmService\) is not implemented/,
  ],
  ['no node id where there is ADS', ads.replace('id: node, ', ''), /node\.id: is required by xDS/],
  ['REST', ads.replace('DELTA_GRPC', 'REST'), /ads_config\.api_type: must be GRPC or DELTA_GRPC/],
  [
    'an ADS cluster that is not there',
    ads.replace('cluster_name: xds-grpc, authority', 'cluster_name: other, authority'),
    /cluster_name: no static cluster named "other"/,
  ],
  [
    'CDS from ADS without ADS',
    'node: {id: x}\ndynamic_resources: {cds_config: {ads: {}}}',
    /cds_config: ads needs ads_config/,
  ],
  [
    'CDS from a file',
    'node: {id: x}\ndynamic_resources: {cds_config: {path: /x}}',
    /cds_config\.path: configuration from files is not implemented: use ads/,
  ],
]

for (const [claim, text, message] of mistakes) {
  test(`a bootstrap is refused for ${claim}`, () => assert.match(messageOf(text), message))
}

test('every mistake is named, each with its place', () => {
  const message = messageOf('tracing: {}\nstats_sinks: [{name: s}]\n')
  assert.match(message, /b\.yaml:1:\d+: tracing/)
  assert.match(message, /b\.yaml:2:\d+: stats_sinks/)
})
