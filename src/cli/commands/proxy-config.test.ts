/** The tables of `tulle proxy-config`, offline from a mesh file and from a live dump. Goldens in testdata. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'

import { runCli } from '../../../test/support/cli-context.ts'
import { assertGolden } from '../../../test/support/golden.ts'
import { recordingTerminal } from '../../../test/support/recording-terminal.ts'
import { renderTable } from '../output.ts'
import { parseConfigDump, parseHosts } from '../proxy-config/config-dump.ts'
import { endpointRows, endpointTable, listenerTable } from '../proxy-config/resource-table.ts'

const testdata = join(import.meta.dirname, '../testdata')
const mesh = join(import.meta.dirname, '../../../examples/my-go-service/mesh.yaml')

for (const [what, workload] of [
  ['listeners', 'load'],
  ['listeners', 'my-go-service-v2-1'],
  ['routes', 'load'],
  ['clusters', 'load'],
  ['endpoints', 'load'],
] as const) {
  test(`${what} of ${workload} in the example are as reviewed`, async () => {
    const run = await runCli(['proxy-config', what, workload, '-f', mesh])
    assert.equal(run.error, '')
    assertGolden(join(testdata, `proxy-config/${what}-${workload}.txt`), run.out)
  })
}

test('JSON has the resources in full, in the field names of Envoy', async () => {
  const run = await runCli(['proxy-config', 'all', 'load', '-f', mesh, '-o', 'json'])
  const all = JSON.parse(run.out) as Record<string, { name?: string; virtual_hosts?: unknown }[]>
  assert.deepEqual(Object.keys(all), [
    'bootstrap',
    'listeners',
    'routes',
    'clusters',
    'assignments',
  ])
  assert.ok(Array.isArray(all['routes']?.[0]?.virtual_hosts))
})

test('--host keeps what has the text in its name', async () => {
  const run = await runCli(['proxy-config', 'clusters', 'load', '-f', mesh, '--host', '|v2|'])
  assert.equal(run.out.split('\n').length, 3)
  assert.match(run.out, /\bv2\b/)
})

for (const [title, words, message] of [
  ['no workload', ['clusters', '-f', mesh], /which workload\?/],
  [
    'an unknown workload',
    ['clusters', 'x', '-f', mesh],
    /no workload x[^]*one of my-go-service-v1/,
  ],
  ['an unknown view', ['gizmos', 'load', '-f', mesh], /cannot show gizmos/],
  ['files without a mesh', ['clusters', 'x', '-f', join(mesh, '../config')], /no mesh file/],
] as const) {
  test(`${title} is misuse`, async () => {
    const run = await runCli(['proxy-config', ...words])
    assert.equal(run.exitCode, 2)
    assert.match(run.error, message)
  })
}

test('a live dump shows each endpoint as its sidecar sees it, ejection and reasons included', () => {
  const address = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } })
  const hosts = parseHosts({
    cluster_statuses: [
      {
        name: 'outbound|80|v1|a.default.svc.cluster.local',
        host_statuses: [
          {
            address: address(1),
            stats: [
              { name: 'rq_total', value: '7' },
              { name: 'rq_error', value: '2' },
            ],
            health_status: { eds_health_status: 'HEALTHY', failed_outlier_check: true },
            weight: 1,
          },
          { address: address(2), health_status: { eds_health_status: 'UNHEALTHY' }, weight: 3 },
          { address: { pipe: { path: '/run/x' } }, health_status: {}, weight: 1 },
        ],
      },
    ],
  })
  const rows = endpointRows({ ...parseConfigDump({}), hosts })
  assert.equal(
    renderTable(endpointTable(rows), recordingTerminal()),
    [
      'ENDPOINT     HEALTH     CLUSTER                                     WEIGHT  REQUESTS  ERRORS',
      '127.0.0.1:1  ejected    outbound|80|v1|a.default.svc.cluster.local  1       7         2',
      '127.0.0.1:2  unhealthy  outbound|80|v1|a.default.svc.cluster.local  3       0         0',
      '/run/x       healthy    outbound|80|v1|a.default.svc.cluster.local  1       0         0',
      '',
    ].join('\n'),
  )
})

test('listeners of a dump are the static ones and the dynamic ones, with why one is refused', () => {
  const listener = (name: string) => ({
    name,
    address: { socket_address: { address: '0.0.0.0', port_value: 80 } },
    filter_chains: [{ filters: [{ typed_config: { cluster: 'c' } }] }],
  })
  const resources = parseConfigDump({
    configs: [
      {
        '@type': 'type.googleapis.com/envoy.admin.v3.ListenersConfigDump',
        static_listeners: [{ listener: listener('static') }],
        dynamic_listeners: [
          { name: 'live', active_state: { listener: listener('live') } },
          {
            name: 'shut',
            active_state: { listener: listener('shut') },
            error_state: { details: 'in use' },
          },
          { name: 'refused', error_state: { details: 'no' } },
        ],
      },
    ],
  })
  assert.equal(
    renderTable(listenerTable(resources), recordingTerminal()),
    [
      'NAME     ADDRESS     DIRECTION    DOES',
      'static   0.0.0.0:80  unspecified  tcp: c',
      'live     0.0.0.0:80  unspecified  tcp: c',
      'shut     0.0.0.0:80  unspecified  tcp: c; refused: in use',
      'refused  -           -            refused: no',
      '',
    ].join('\n'),
  )
})

test('a cluster that serves while its next settings warm is shown, and one that has never served is not', () => {
  const dynamic = (name: string) => ({ cluster: { name, type: 'EDS' } })
  const dump = {
    configs: [
      {
        '@type': 'type.googleapis.com/envoy.admin.v3.ClustersConfigDump',
        dynamic_active_clusters: [dynamic('live')],
        dynamic_warming_clusters: [dynamic('turning'), dynamic('new')],
      },
    ],
  }
  const { clusters } = parseConfigDump(dump, new Set(['live', 'turning']))
  assert.deepEqual(
    clusters.map(({ name }) => name),
    ['live', 'turning'],
  )
})
