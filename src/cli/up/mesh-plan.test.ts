/** From a mesh file to what has to be run. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { MeshError } from '../../lib/mesh-error.ts'
import type { ProxyConfigSpec } from '../../model/istio/proxy-config.ts'
import type { MeshSpec, MeshWorkload } from '../../model/mesh/mesh.ts'
import type { ProxyConfig } from '../../model/mesh/proxy-config.ts'
import type { Resource } from '../../model/resource.ts'
import { planMesh } from './mesh-plan.ts'

const options = {
  mesh: 'm',
  namespace: 'default',
  folder: '/mesh',
  controlPlane: '127.0.0.1:15012',
  handOver: '/state/hand-over.sock',
  stateFolder: '/state',
  portFolder: '/ports',
  proxy: { kind: 'tulle', program: undefined },
} as const

function plan(spec: MeshSpec) {
  return planMesh({ ...options, spec })
}

function service(workload: Partial<MeshWorkload>): MeshSpec {
  const ports = [{ number: 80, name: 'http', protocol: 'HTTP' }, { number: 81 }]
  const workloads = [{ name: 's-v1', command: 'run', ...workload }]
  return { services: [{ name: 's', ports, workloads }] }
}

test('each replica is a workload of its own, named after the workload, in the service of the file', () => {
  const { services } = plan(service({ replicas: 2, labels: { version: 'v1' } }))
  assert.deepEqual(
    services.map(({ instance, workload, group, labels, stateFolder }) => ({
      instance,
      workload,
      group,
      labels,
      stateFolder,
    })),
    [1, 2].map((number) => ({
      instance: `s-v1-${number}`,
      workload: 's-v1',
      group: 's-v1',
      labels: { app: 's', version: 'v1' },
      stateFolder: `/state/default/s-v1-${number}`,
    })),
  )
})

test('the port of the file is that of the first service port; others are picked', () => {
  const [workload] = plan(service({ port: 9000 })).services
  assert.deepEqual(workload?.ports, [
    { name: 'http', servicePort: 80, appPort: 9000 },
    { name: 'port-81', servicePort: 81, appPort: 0 },
  ])
})

test('folders are relative to the mesh file and the environment names the instance', () => {
  const [workload] = plan(service({ cwd: './go', env: { A: '1' } })).services
  assert.equal(workload?.application.cwd, '/mesh/go')
  assert.deepEqual(workload?.application.env, { INSTANCE: 's-v1', A: '1' })
})

test('credentials are a folder beside the mesh file, and a workload may have one of its own', () => {
  const folderOf = (spec: MeshSpec) => plan(spec).services[0]?.credentials
  assert.equal(folderOf(service({})), undefined)
  assert.equal(folderOf({ ...service({}), credentials: './keys' }), '/mesh/keys')
  assert.equal(folderOf({ ...service({ credentials: '/own' }), credentials: './keys' }), '/own')
})

test('a build that several workloads share is run once', () => {
  const workloads = ['a', 'b'].map((name) => ({ name, command: 'x', build: ['make'], cwd: 'go' }))
  const { builds } = plan({
    services: [{ name: 's', workloads }],
    workloads: [{ name: 'c', command: 'x', build: ['make'] }],
  })
  assert.deepEqual(
    builds.map(({ cwd }) => cwd),
    ['/mesh/go', '/mesh'],
  )
})

test('a probe takes the defaults of WorkloadGroup, and zero means the default', () => {
  const [workload] = plan(
    service({
      probe: { httpGet: { path: '/ok', port: 0 }, periodSeconds: 0, failureThreshold: 5 },
    }),
  ).services
  assert.deepEqual(workload?.application.probe, {
    action: {
      kind: 'http',
      scheme: 'http',
      host: '127.0.0.1',
      port: undefined,
      path: '/ok',
      headers: [],
    },
    initialDelayMs: 0,
    timeoutMs: 1_000,
    periodMs: 10_000,
    successThreshold: 1,
    failureThreshold: 5,
  })
})

test('upstreams are host and port', () => {
  const { clients } = plan({
    workloads: [{ name: 'c', command: 'x', upstreams: ['db.data:5432'] }],
  })
  assert.deepEqual(clients[0]?.upstreams, [{ host: 'db.data', port: 5432 }])
})

for (const [title, spec, code, message] of [
  [
    'replicas with one fixed port are refused',
    service({ port: 9000, replicas: 2 }),
    'MESH_CONFIG_REJECTED',
    /s-v1: 2 replicas cannot share port 9000/,
  ],
  [
    'an upstream without a port is refused',
    { workloads: [{ name: 'c', command: 'x', upstreams: ['db'] }] },
    'MESH_CONFIG_REJECTED',
    /c: upstream "db" is not of the form host:port/,
  ],
  [
    'two workloads of one name are refused',
    {
      workloads: [
        { name: 'c', command: 'x' },
        { name: 'c', command: 'y' },
      ],
    },
    'MESH_CONFIG_REJECTED',
    /two workloads named default\/c/,
  ],
] as const) {
  test(title, () => {
    assert.throws(
      () => plan(spec),
      (error) => error instanceof MeshError && error.code === code && message.test(error.message),
    )
  })
}

test('a workload ends within three seconds unless the file gives it longer; the drain is Istio’s', () => {
  const end = (spec: MeshSpec) => plan(spec).services[0]?.termination
  assert.deepEqual(end(service({})), {
    deadlineMs: 3_000,
    drainMs: 1_000,
    zeroConnectionsMinMs: undefined,
  })
  const defaultConfig = { terminationDrainDuration: '20s', drainDuration: '10s' }
  const long: MeshSpec = {
    ...service({ terminationGracePeriodSeconds: 30 }),
    meshConfig: { defaultConfig },
  }
  assert.deepEqual(end(long), {
    deadlineMs: 30_000,
    drainMs: 20_000,
    zeroConnectionsMinMs: undefined,
  })
  assert.equal(plan(long).services[0]?.proxy.drainTimeMs, 10_000)
})

test('EXIT_ON_ZERO_ACTIVE_CONNECTIONS waits for the last connection, as long as there is time', () => {
  const proxyMetadata = { EXIT_ON_ZERO_ACTIVE_CONNECTIONS: 'true' } as const
  const spec = (more: object): MeshSpec => ({
    ...service({ terminationGracePeriodSeconds: 30 }),
    meshConfig: { defaultConfig: { proxyMetadata: { ...proxyMetadata, ...more } } },
  })
  const [standard] = plan(spec({})).services
  assert.deepEqual(standard?.termination, {
    deadlineMs: 30_000,
    drainMs: 30_000,
    zeroConnectionsMinMs: 5_000,
  })
  const [own] = plan(spec({ MINIMUM_DRAIN_DURATION: '2s' })).services
  assert.equal(own?.termination.zeroConnectionsMinMs, 2_000)
})

const rootPem = '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----'

test('a ProxyConfig says what its sidecar is: of the mesh, of resources, of the annotation', () => {
  const defaultConfig: ProxyConfig = {
    concurrency: 2,
    holdApplicationUntilProxyStarts: false,
    readinessProbe: { httpGet: { path: '/health' }, periodSeconds: 3 },
    proxyMetadata: { ISTIO_META_IDLE_TIMEOUT: '30s', OTHER: 'x' },
    proxyStatsMatcher: { inclusionPrefixes: ['cluster.'] },
    runtimeValues: { 'a.b': 'true' },
    caCertificatesPem: [rootPem],
    tracingServiceName: 'CANONICAL_NAME_AND_NAMESPACE',
    proxyHeaders: { requestId: { disabled: true } },
  }
  const annotations = {
    'proxy.istio.io/config':
      'concurrency: 0\nstatusPort: 15020\nproxyAdminPort: 15000\nproxyHeaders: {server: {value: x}}',
  }
  const spec: MeshSpec = { ...service({ annotations }), meshConfig: { defaultConfig } }
  const [workload] = plan(spec).services
  assert.ok(workload)
  const { proxy, application, identity } = workload
  assert.equal(application.isHeldUntilProxyStarts, false)
  assert.equal(application.probe?.periodMs, 3_000)
  assert.deepEqual(identity?.moreRootsPem, [rootPem])
  const { config, ...rest } = proxy
  assert.deepEqual(rest, {
    kind: 'tulle',
    program: undefined,
    drainTimeMs: 45_000,
    concurrency: 0,
    adminPort: 15_000,
    statusPort: 15_020,
    runtime: { 'a.b': 'true' },
    stats: { inclusion: { prefixes: ['cluster.'], suffixes: [], regexps: [] }, tags: [] },
    cluster: 's.default',
    metadata: { IDLE_TIMEOUT: '30s' },
    environment: { ISTIO_META_IDLE_TIMEOUT: '30s', OTHER: 'x' },
  })
  assert.deepEqual(config?.['proxyHeaders'], {
    requestId: { disabled: true },
    server: { value: 'x' },
  })
})

test('roots of the mesh and of a ProxyConfig are believed, those of another trust domain are not', () => {
  const spec: MeshSpec = {
    ...service({}),
    meshConfig: {
      trustDomainAliases: ['old.example'],
      caCertificates: [
        { pem: 'one' },
        { pem: 'two', trustDomains: ['other.example'] },
        { pem: 'three', trustDomains: ['old.example'] },
        { spiffeBundleUrl: 'https://a' },
      ],
      defaultConfig: { caCertificatesPem: ['four'] },
    },
  }
  assert.deepEqual(plan(spec).services[0]?.identity?.moreRootsPem, ['one', 'three', 'four'])
})

test('a workload’s own probe goes before that of its ProxyConfig', () => {
  const readinessProbe = { tcpSocket: {}, periodSeconds: 3 }
  const spec: MeshSpec = {
    ...service({ probe: { tcpSocket: {}, periodSeconds: 7 } }),
    meshConfig: { defaultConfig: { readinessProbe } },
  }
  assert.equal(plan(spec).services[0]?.application.probe?.periodMs, 7_000)
})

test('a resource that selects a workload goes before its annotations, they before the namespace’s', () => {
  const resource = (namespace: string, spec: ProxyConfigSpec) =>
    ({ kind: 'ProxyConfig', metadata: { namespace }, spec }) as Resource<ProxyConfigSpec>
  const forAll = [
    resource('istio-system', { concurrency: 1, environmentVariables: { ISTIO_META_A: 'root' } }),
    resource('default', { concurrency: 2 }),
  ]
  const selecting = resource('default', {
    selector: { matchLabels: { app: 's' } },
    concurrency: 4,
  })
  const annotated = service({ annotations: { 'proxy.istio.io/config': 'concurrency: 3' } })
  const threads = (spec: MeshSpec, proxyConfigs: readonly Resource<ProxyConfigSpec>[]) =>
    planMesh({ ...options, spec, proxyConfigs }).services[0]?.proxy.concurrency
  assert.equal(threads(service({}), []), undefined)
  assert.equal(threads(service({}), forAll.slice(0, 1)), 1)
  assert.equal(threads(service({}), forAll), 2)
  assert.equal(threads(annotated, forAll), 3)
  assert.equal(threads(annotated, [...forAll, selecting]), 4)
  const [workload] = planMesh({ ...options, spec: annotated, proxyConfigs: forAll }).services
  assert.deepEqual(workload?.proxy.metadata, { A: 'root' })
})
