/** From a mesh file to what has to be run. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { MeshError } from '../../lib/mesh-error.ts'
import type { MeshSpec, MeshWorkload } from '../../model/mesh/mesh.ts'
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
