/** The bootstrap of a workload's sidecar: Istio's node, and accepted by a real Envoy. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { findEnvoy, skipUnless } from '../../test/support/programs.ts'
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

test('without an identity there is no mark of mTLS, and nobody to ask for secrets', () => {
  const plain = { ...plan, identity: undefined }
  const bootstrap = createBootstrap({ plan: plain, addresses, relayAddress: '127.0.0.1:1' })
  assert.doesNotMatch(JSON.stringify(bootstrap), /tlsMode|sds-grpc/)
  assert.match(
    JSON.stringify(createBootstrap({ plan, addresses, relayAddress: '127.0.0.1:1' })),
    /sds-grpc/,
  )
})

const envoy = findEnvoy()
for (const relayAddress of ['127.0.0.1:20005', 'unix:/run/tulle/relay.sock']) {
  test(
    `Envoy accepts it with the relay at ${relayAddress}`,
    {
      skip: skipUnless(envoy, 'Envoy'),
    },
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'tulle-bootstrap-'))
      const path = join(folder, 'bootstrap.json')
      writeBootstrap(path, createBootstrap({ plan, addresses, relayAddress }))
      const run = promisify(execFile)
      const { stderr, stdout } = await run(envoy ?? '', ['--mode', 'validate', '-c', path])
      assert.match(`${stdout}${stderr}`, /configuration .* OK/i)
      rmSync(folder, { recursive: true, force: true })
    },
  )
}
