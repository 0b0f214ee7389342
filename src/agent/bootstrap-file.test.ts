/** The bootstrap of a workload's sidecar: Istio's node, and accepted by a real Envoy. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { findEnvoy, skipUnless } from '../../test/support/programs.ts'
import { parseBootstrap } from '../proxy/config/bootstrap.ts'
import { createBootstrap, writeBootstrap } from './bootstrap-file.ts'
import type { WorkloadAddresses, WorkloadPlan } from './workload-plan.ts'

const plan: WorkloadPlan = {
  mesh: { name: 'm', trustDomain: 'cluster.local' },
  instance: 'reviews-v2-1',
  workload: 'reviews-v2',
  namespace: 'shop',
  serviceAccount: 'reviews',
  labels: { app: 'reviews', version: 'v2' },
  group: 'reviews-v2',
  service: undefined,
  ports: [{ name: 'http', servicePort: 9080, appPort: 0 }],
  upstreams: [],
  locality: 'eu/a/rack1',
  bindAddress: '127.0.0.1',
  controlPlane: '127.0.0.1:15012',
  identity: {
    trustDomainAliases: [],
    ttlMs: undefined,
    tokenFile: undefined,
    rootsFile: undefined,
    handOver: undefined,
  },
  stateFolder: '/state',
  isStateKept: true,
  portFolder: '/ports',
  proxy: { kind: 'tulle', program: undefined, drainTimeMs: 0 },
  termination: { deadlineMs: 0, drainMs: 0, zeroConnectionsMinMs: undefined },
  application: {
    command: 'true',
    isExpanded: false,
    cwd: '/',
    env: {},
    probe: undefined,
    restart: 'never',
    stopGraceMs: 0,
    isHeldUntilProxyStarts: true,
  },
}

const addresses: WorkloadAddresses = {
  admin: '127.0.0.1:20000',
  httpProxyPort: 20001,
  ports: [{ name: 'http', servicePort: 9080, appPort: 20002, meshPort: 20003 }],
  upstreams: [{ host: 'db', port: 5432, localPort: 20004 }],
}

test("the node is Istio's, with our ports in its metadata", () => {
  const { node } = createBootstrap({ plan, addresses, relayAddress: 'unix:/run/relay' })
  assert.deepEqual(node, {
    id: 'sidecar~127.0.0.1~reviews-v2-1.shop~shop.svc.cluster.local',
    cluster: 'reviews.shop',
    metadata: {
      NAMESPACE: 'shop',
      WORKLOAD_NAME: 'reviews-v2',
      NAME: 'reviews-v2-1',
      SERVICE_ACCOUNT: 'reviews',
      LABELS: { app: 'reviews', version: 'v2', 'security.istio.io/tlsMode': 'istio' },
      CLUSTER_ID: 'Kubernetes',
      MESH_ID: 'cluster.local',
      NETWORK: '',
      BIND_ADDRESS: '127.0.0.1',
      ADMIN_ADDRESS: '127.0.0.1:20000',
      HTTP_PROXY_PORT: 20001,
      ON_DEMAND: 'auto',
      MESH_PORTS: [{ name: 'http', servicePort: 9080, appPort: 20002, meshPort: 20003 }],
      UPSTREAMS: [{ host: 'db', port: 5432, localPort: 20004 }],
      AUTO_REGISTER_GROUP: 'reviews-v2',
    },
    locality: { region: 'eu', zone: 'a', sub_zone: 'rack1' },
  })
})

test('an ad-hoc workload names its service and has no group', () => {
  const adHoc = { ...plan, group: undefined, service: 'reviews' }
  const { node } = createBootstrap({ plan: adHoc, addresses, relayAddress: '127.0.0.1:1' })
  const { metadata } = node as { metadata: Record<string, unknown> }
  assert.equal(metadata['SERVICE'], 'reviews')
  assert.equal('AUTO_REGISTER_GROUP' in metadata, false)
})

test('without an identity there is no mark of mTLS; credentials can be asked for all the same', () => {
  const marks = [undefined, plan.identity].map((identity) => {
    const options = { plan: { ...plan, identity }, addresses, relayAddress: '127.0.0.1:1' }
    const text = JSON.stringify(createBootstrap(options))
    return [/tlsMode/.test(text), /sds-grpc/.test(text)]
  })
  assert.deepEqual(marks, [
    [false, true],
    [true, true],
  ])
})

const rich: WorkloadPlan = {
  ...plan,
  proxy: {
    ...plan.proxy,
    cluster: 'mine',
    config: { concurrency: 2 },
    metadata: { CLUSTER_ID: 'east', IDLE_TIMEOUT: '30s', NAMESPACE: 'not mine' },
    runtime: {
      'overload.global_downstream_max_connections': '1000',
      gone: '',
      'a.feature': 'true',
    },
    stats: {
      inclusion: { prefixes: ['http.inbound_{pod_ip}_'], suffixes: ['rq_time'], regexps: ['a.*b'] },
      tags: ['dlp.status'],
    },
  },
}

test('a ProxyConfig is in the metadata, the statistics and the runtime', () => {
  const bootstrap = createBootstrap({ plan: rich, addresses, relayAddress: '127.0.0.1:1' })
  const { cluster, metadata } = bootstrap['node'] as {
    cluster: string
    metadata: Record<string, unknown>
  }
  assert.equal(cluster, 'mine')
  assert.equal(metadata['CLUSTER_ID'], 'east')
  assert.equal(metadata['IDLE_TIMEOUT'], '30s')
  assert.equal(metadata['NAMESPACE'], 'shop', 'the agent knows better')
  assert.deepEqual(metadata['PROXY_CONFIG'], { concurrency: 2 })
  const { stats_matcher: matcher, stats_tags: tags } = bootstrap['stats_config'] as {
    stats_matcher: { inclusion_list: { patterns: unknown[] } }
    stats_tags: unknown
  }
  const { patterns } = matcher.inclusion_list
  assert.deepEqual(patterns.slice(0, 2), [
    { prefix: 'http.inbound_127.0.0.1_' },
    { prefix: 'reporter=' },
  ])
  assert.deepEqual(patterns.slice(-2), [
    { safe_regex: { regex: 'a.*b' } },
    { safe_regex: { regex: 'vhost\\..*\\.route\\..*' } },
  ])
  // What a drain waits for.
  assert.ok(patterns.some((pattern) => JSON.stringify(pattern).includes('downstream_rq_active')))
  assert.deepEqual(tags, [{ tag_name: 'dlp.status', regex: '(dlp\\.status=\\.=(.*?);\\.;)' }])
  assert.deepEqual(bootstrap['layered_runtime'], {
    layers: [
      {
        name: 'global config',
        static_layer: {
          'overload.global_downstream_max_connections': '1000',
          'a.feature': true,
        },
      },
      { name: 'admin', admin_layer: {} },
    ],
  })
})

test('our own sidecar reads it, and says which keys of the runtime it does not know', () => {
  const text = JSON.stringify(
    createBootstrap({ plan: rich, addresses, relayAddress: '127.0.0.1:1' }),
  )
  const { statsPolicy, warnings } = parseBootstrap({ text, file: 'bootstrap.json' })
  assert.equal(statsPolicy?.isShown('http.inbound_127.0.0.1_8080.rq_total'), true)
  assert.equal(statsPolicy?.isShown('cluster.a.upstream_cx_total'), false)
  assert.deepEqual(warnings, ['runtime key a.feature has no effect'])
})

const envoy = findEnvoy()
for (const [relayAddress, own] of [
  ['127.0.0.1:20005', plan],
  ['unix:/run/tulle/relay.sock', plan],
  ['127.0.0.1:20005', rich],
] as const) {
  test(
    `Envoy accepts it with the relay at ${relayAddress}${own === rich ? ', and a ProxyConfig' : ''}`,
    {
      skip: skipUnless(envoy, 'Envoy'),
    },
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'tulle-bootstrap-'))
      const path = join(folder, 'bootstrap.json')
      writeBootstrap(path, createBootstrap({ plan: own, addresses, relayAddress }))
      const run = promisify(execFile)
      const { stderr, stdout } = await run(envoy ?? '', ['--mode', 'validate', '-c', path])
      assert.match(`${stdout}${stderr}`, /configuration .* OK/i)
      rmSync(folder, { recursive: true, force: true })
    },
  )
}
