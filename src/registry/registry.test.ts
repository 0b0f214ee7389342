/** Services and endpoints as they come out of resources and joining workloads. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FakeClock } from '../../test/support/fake-clock.ts'
import { nodeOf, resourcesOf } from '../../test/support/registry-scene.ts'
import type { Issue } from '../model/issue.ts'
import { createMemoryRegistrationLog } from './registration-log.ts'
import { openRegistry } from './registry.ts'
import type { Registry, RegistryChange } from './registry.ts'
import { endpointKey, servicesOf } from './service.ts'
import type { JoiningNode, Membership } from './workload-registry.ts'

interface Scene {
  readonly registry: Registry
  readonly clock: FakeClock
  join(node: JoiningNode): Membership
  /** `address:port` of each endpoint. */
  addresses(key: string): string[]
  codes(): string[]
  issue(code: string): Issue
}

async function openScene(text = ''): Promise<Scene> {
  const clock = new FakeClock()
  const registrations = createMemoryRegistrationLog()
  const registry = await openRegistry({ clock, registrations })
  registry.setResources(resourcesOf(text))
  registry.flush()
  return {
    registry,
    clock,
    join(node) {
      const result = registry.join(node)
      assert.ok(result.ok, JSON.stringify(result))
      registry.flush()
      return result.value
    },
    addresses: (key) =>
      (registry.snapshot.endpoints.get(key) ?? []).map(({ address, port }) => `${address}:${port}`),
    codes: () => registry.issues().map(({ code }) => code),
    issue(code) {
      const found = registry.issues().find((issue) => issue.code === code)
      assert.ok(found, `no ${code} in ${JSON.stringify(registry.issues())}`)
      return found
    },
  }
}

const host = (name: string) => `${name}.default.svc.cluster.local`

const mesh = `
apiVersion: tulle.dev/v1alpha1
kind: Mesh
metadata: { name: shop }
spec:
  services:
  - name: web
    ports: [{ number: 80, name: http, targetPort: 8080 }]
    workloads:
    - { name: web-v1, labels: { version: v1 }, command: x }
    - { name: web-v2, labels: { version: v2 }, command: x, serviceAccount: special, probe: { tcpSocket: { port: 1 } } }
`
const meshPort = (servicePort: number, meshPort: number) => ({
  MESH_PORTS: [{ name: 'http', servicePort, appPort: 41_000, meshPort }],
})

test('a service of the mesh file has the workloads of its name, at their mesh ports', async () => {
  const scene = await openScene(mesh)
  scene.join(nodeOf('web-v1', { AUTO_REGISTER_GROUP: 'web-v1', ...meshPort(80, 30_001) }))
  const v2 = nodeOf('web-v2', { AUTO_REGISTER_GROUP: 'web-v2', ...meshPort(80, 30_002) })
  const membership = scene.join(v2)
  const service = scene.registry.snapshot.services.get(host('web'))
  assert.deepEqual(service?.ports, [
    { number: 80, name: 'http', protocol: 'http', targetPort: 8080 },
  ])
  assert.deepEqual(scene.addresses(`${host('web')}|80`), ['127.0.0.1:30001', '127.0.0.1:30002'])
  const [first, second] = scene.registry.snapshot.endpoints.get(`${host('web')}|80`) ?? []
  assert.equal(first?.canonicalName, 'web')
  assert.equal(first.canonicalRevision, 'v1')
  assert.equal(second?.serviceAccount, 'special')
  assert.equal(second.health, 'unhealthy')
  scene.registry.reportHealth(membership, true)
  scene.registry.flush()
  assert.equal(scene.registry.snapshot.endpoints.get(`${host('web')}|80`)?.[1]?.health, 'healthy')
})

test('a group that is neither a resource nor in the mesh file is refused', async () => {
  const scene = await openScene(mesh)
  const result = scene.registry.join(nodeOf('x', { AUTO_REGISTER_GROUP: 'web-v3' }))
  assert.equal(result.ok, false)
})

test('the mesh file’s grace period is the one that counts', async () => {
  const scene = await openScene(`${mesh}  meshConfig: { workloadGracePeriod: 3s }\n`)
  const membership = scene.join(
    nodeOf('web-v1', { AUTO_REGISTER_GROUP: 'web-v1', ...meshPort(80, 1) }),
  )
  scene.registry.leave(membership)
  scene.clock.advance(2_999)
  scene.registry.flush()
  assert.equal(scene.addresses(`${host('web')}|80`).length, 1)
  scene.clock.advance(1)
  scene.registry.flush()
  assert.equal(scene.addresses(`${host('web')}|80`).length, 0)
})

test('an ad-hoc service is declared by its workloads, HTTP, and is gone with the last', async () => {
  const scene = await openScene()
  const membership = scene.join(nodeOf('run', { SERVICE: 'tool', ...meshPort(9090, 30_001) }))
  const service = scene.registry.snapshot.services.get(host('tool'))
  assert.equal(service?.name, 'tool')
  assert.deepEqual(service.ports, [
    { number: 9090, name: 'http', protocol: 'http', targetPort: 41_000 },
  ])
  assert.deepEqual(scene.addresses(`${host('tool')}|9090`), ['127.0.0.1:30001'])
  scene.registry.leave(membership)
  scene.clock.advance(10_000)
  scene.registry.flush()
  assert.equal(scene.registry.snapshot.services.size, 0)
  assert.equal(scene.registry.snapshot.endpoints.size, 0)
})

test('an ad-hoc workload joins a service that is declared, whose ports count', async () => {
  const scene = await openScene(mesh)
  scene.join(
    nodeOf('run', { SERVICE: host('web'), LABELS: { app: 'other' }, ...meshPort(80, 30_001) }),
  )
  assert.deepEqual(scene.addresses(`${host('web')}|80`), ['127.0.0.1:30001'])
  assert.equal(scene.registry.snapshot.services.get(host('web'))?.ports[0]?.targetPort, 8080)
})

test('a client with the labels of a service, and no ports, serves nothing', async () => {
  const scene = await openScene(mesh)
  scene.join(nodeOf('client', { LABELS: { app: 'web' }, MESH_PORTS: [] }))
  scene.join(nodeOf('plain', { LABELS: { app: 'web' } }))
  assert.deepEqual(scene.addresses(`${host('web')}|80`), [])
  assert.equal(scene.registry.snapshot.workloads.size, 2)
})

const service = (spec: string, name = 'web') =>
  `---\napiVersion: v1\nkind: Service\nmetadata: { name: ${name} }\nspec: ${spec}\n`
const serviceEntry = (spec: string, name = 'entry', metadata = '') =>
  `---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: { name: ${name}${metadata} }\nspec: ${spec}\n`
const workloadEntry = (spec: string, name = 'vm', metadata = '') =>
  `---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: { name: ${name}${metadata} }\nspec: ${spec}\n`

/** Which of a workload's ports serves port 80 of a service. */
const portRules: readonly { claim: string; text: string; expected: string[] }[] = [
  {
    claim: 'a Service’s numeric target port is the workload’s port',
    text: service('{ selector: { a: b }, ports: [{ port: 80, targetPort: 8080 }] }'),
    expected: ['10.0.0.1:8080'],
  },
  {
    claim: 'a Service without target port means its own number',
    text: service('{ selector: { a: b }, ports: [{ port: 80 }] }'),
    expected: ['10.0.0.1:80'],
  },
  {
    claim: 'a Service’s named target port is looked up among the workload’s ports',
    text: service('{ selector: { a: b }, ports: [{ port: 80, targetPort: special }] }'),
    expected: ['10.0.0.1:9000'],
  },
  {
    claim: 'a workload without the named target port is left out',
    text: service('{ selector: { a: b }, ports: [{ port: 80, name: special, targetPort: x }] }'),
    expected: [],
  },
  {
    claim: 'a workload’s port of the service port’s name wins over the number',
    text: service('{ selector: { a: b }, ports: [{ port: 80, name: special, targetPort: 8080 }] }'),
    expected: ['10.0.0.1:9000'],
  },
  {
    claim: 'a ServiceEntry: the workload’s port by name first',
    text: serviceEntry(
      '{ hosts: [web.default.svc.cluster.local], resolution: STATIC, workloadSelector: { labels: { a: b } }, ports: [{ number: 80, name: special, targetPort: 8080 }] }',
    ),
    expected: ['10.0.0.1:9000'],
  },
  {
    claim: 'a ServiceEntry: then targetPort',
    text: serviceEntry(
      '{ hosts: [web.default.svc.cluster.local], resolution: STATIC, workloadSelector: { labels: { a: b } }, ports: [{ number: 80, name: http, targetPort: 8080 }] }',
    ),
    expected: ['10.0.0.1:8080'],
  },
  {
    claim: 'a ServiceEntry: then its number',
    text: serviceEntry(
      '{ hosts: [web.default.svc.cluster.local], resolution: STATIC, workloadSelector: { labels: { a: b } }, ports: [{ number: 80, name: http }] }',
    ),
    expected: ['10.0.0.1:80'],
  },
]
for (const { claim, text, expected } of portRules) {
  test(claim, async () => {
    const scene = await openScene(
      text + workloadEntry('{ address: 10.0.0.1, labels: { a: b }, ports: { special: 9000 } }'),
    )
    assert.deepEqual(scene.addresses(`${host('web')}|80`), expected)
  })
}

test('a workload joined by an agent of Istio’s, which lists no ports, serves what its group says', async () => {
  const scene = await openScene(
    service('{ selector: { app: vm }, ports: [{ port: 80, name: http, targetPort: 8080 }] }') +
      '---\napiVersion: networking.istio.io/v1\nkind: WorkloadGroup\nmetadata: { name: vms }\n' +
      'spec: { metadata: { labels: { app: vm } }, template: { ports: { http: 3000 }, serviceAccount: sa } }\n',
  )
  scene.join(nodeOf('vm', { address: '10.1.1.1', AUTO_REGISTER_GROUP: 'vms' }))
  assert.deepEqual(scene.addresses(`${host('web')}|80`), ['10.1.1.1:3000'])
})

test('an empty selector selects nobody, and other namespaces are not selected', async () => {
  const text =
    serviceEntry(
      '{ hosts: [a.test], resolution: STATIC, workloadSelector: { labels: {} }, ports: [{ number: 80, name: http }] }',
    ) + service('{ selector: { a: b }, ports: [{ port: 80 }] }')
  const scene = await openScene(
    text + workloadEntry('{ address: 10.0.0.1, labels: { a: b } }', 'vm', ', namespace: other'),
  )
  assert.deepEqual(scene.addresses('a.test|80'), [])
  assert.deepEqual(scene.addresses(`${host('web')}|80`), [])
})

test('a WorkloadEntry takes labels of its metadata before its spec’s, name and locality as Istio does', async () => {
  const scene = await openScene(
    service('{ selector: { a: metadata }, ports: [{ port: 80 }] }') +
      workloadEntry(
        '{ address: 10.0.0.1, weight: 5, network: n1, labels: { a: spec, version: v2, istio-locality: eu.a.b, service.istio.io/workload-name: named } }',
        'vm',
        ', labels: { a: metadata }',
      ),
  )
  const [endpoint] = scene.registry.snapshot.endpoints.get(`${host('web')}|80`) ?? []
  assert.equal(endpoint?.workload, 'named')
  assert.equal(endpoint.locality, 'eu/a/b')
  assert.equal(endpoint.weight, 5)
  assert.equal(endpoint.canonicalRevision, 'v2')
  assert.equal(endpoint.labels['topology.kubernetes.io/zone'], 'a')
  assert.equal(endpoint.labels['topology.istio.io/network'], 'n1')
  assert.equal(endpoint.labels['topology.istio.io/cluster'], 'Kubernetes')
  assert.equal(
    scene.registry.snapshot.workloads.get('WorkloadEntry default/vm')?.presence,
    'static',
  )
})

test('a ServiceEntry’s own fields are carried, one service a host', async () => {
  const scene = await openScene(
    serviceEntry(
      '{ hosts: [a.test, "*.b.test"], addresses: [10.0.0.1/32, 10.1.0.0/16], location: MESH_INTERNAL, exportTo: ["."], subjectAltNames: [x], resolution: NONE, ports: [{ number: 1, name: t }] }',
    ),
  )
  const { services } = scene.registry.snapshot
  assert.deepEqual([...services.keys()], ['a.test', '*.b.test'])
  const { hostname: _, name: __, ...rest } = services.get('a.test') ?? assert.fail()
  assert.deepEqual(rest, {
    namespace: 'default',
    ports: [{ number: 1, name: 't', protocol: 'auto', targetPort: 1 }],
    addresses: ['10.0.0.1', '10.1.0.0/16'],
    resolution: 'none',
    isMeshExternal: false,
    exportTo: ['.'],
    subjectAltNames: ['x'],
    declaredBy: 'ServiceEntry default/entry',
    isServiceEntry: true,
  })
})

test('several ServiceEntries of one host are one service: the oldest’s ports first, all endpoints', async () => {
  const port = (number: number, protocol: string) =>
    `{ number: ${number}, name: p${number}, protocol: ${protocol} }`
  const entry = (ports: string, address: string) =>
    `{ hosts: [a.test], resolution: STATIC, ports: [${ports}], endpoints: [{ address: ${address} }] }`
  const scene = await openScene(
    serviceEntry(
      entry(`${port(80, 'TCP')}, ${port(81, 'TCP')}`, '10.0.0.1'),
      'a-young',
      ', creationTimestamp: "2026-01-02T00:00:00Z"',
    ) +
      serviceEntry(
        entry(port(80, 'HTTP'), '10.0.0.2'),
        'old',
        ', creationTimestamp: "2026-01-01T00:00:00Z"',
      ),
  )
  const ports = scene.registry.snapshot.services.get('a.test')?.ports
  assert.deepEqual(
    ports?.map(({ number, protocol }) => [number, protocol]),
    [
      [80, 'http'],
      [81, 'tcp'],
    ],
  )
  assert.deepEqual(scene.addresses('a.test|80'), ['10.0.0.2:80', '10.0.0.1:80'])
  assert.deepEqual(scene.addresses('a.test|81'), ['10.0.0.1:81'])
  assert.deepEqual(scene.codes(), ['IST0177', 'IST0177'])
  assert.match(scene.issue('IST0177').message, /says http, .*config\.yaml:\d+\) says tcp/)
})

test('ServiceEntries that nobody sees together do not conflict', async () => {
  const entry = (exportTo: string, protocol: string) =>
    `{ hosts: [a.test], exportTo: [${exportTo}], ports: [{ number: 80, name: p, protocol: ${protocol} }] }`
  const scene = await openScene(
    serviceEntry(entry('x', 'TCP'), 'one') + serviceEntry(entry('y', 'HTTP'), 'two'),
  )
  assert.deepEqual(scene.codes(), [])
})

test('a Service that the mesh file declares too is an issue, and the mesh file wins', async () => {
  const scene = await openScene(
    mesh + service('{ selector: { a: b }, ports: [{ port: 99, name: http }] }'),
  )
  assert.equal(scene.registry.snapshot.services.get(host('web'))?.ports[0]?.number, 80)
  const issue = scene.issue('TUL0301')
  assert.equal(issue.resource, 'Service default/web')
  assert.match(issue.message, /service default\/web of Mesh default\/shop \(config\.yaml:\d+\) too/)
})

test('one host in two namespaces is two services, the oldest first, each with its endpoints', async () => {
  const spec = (address: string) =>
    `{ hosts: [a.test], resolution: STATIC, ports: [{ number: 80, name: http }], endpoints: [{ address: ${address} }] }`
  const scene = await openScene(
    serviceEntry(spec('10.0.0.1'), 'a', ', namespace: two') +
      serviceEntry(spec('10.0.0.2'), 'b', ', namespace: one'),
  )
  const all = servicesOf(scene.registry.snapshot, 'a.test')
  assert.deepEqual(
    all.map(({ namespace }) => namespace),
    ['one', 'two'],
  )
  const addresses = all.map((service) => scene.addresses(endpointKey(service, 80)))
  assert.deepEqual(addresses, [['10.0.0.2:80'], ['10.0.0.1:80']])
  assert.equal(scene.registry.snapshot.services.get('a.test'), all[0])
  assert.deepEqual(scene.codes(), [])
  scene.registry.setResources(resourcesOf(serviceEntry(spec('10.0.0.1'), 'a', ', namespace: two')))
  scene.registry.flush()
  assert.deepEqual(
    [...scene.registry.snapshot.endpoints].map(([key, list]) => [key, list[0]?.address]),
    [['a.test|80', '10.0.0.1']],
  )
  assert.equal(scene.registry.snapshot.namesakes.size, 0)
})

for (const { claim, one, other, services, told } of [
  {
    claim: 'with equal words but for their ports are one service',
    one: '',
    other: '',
    services: ['80,81'],
    told: undefined,
  },
  {
    claim: 'that are exported differently are two, and the second is told',
    one: ', exportTo: [.]',
    other: '',
    services: ['80', '81'],
    told: /with another exportTo/,
  },
  {
    claim: 'that nobody sees together are two',
    one: ', exportTo: [.]',
    other: ', exportTo: [elsewhere]',
    services: ['80', '81'],
    told: undefined,
  },
  {
    claim: 'that select other workloads are two, and the second is told',
    one: ', workloadSelector: { labels: { app: a } }',
    other: ', workloadSelector: { labels: { app: b } }',
    services: ['80', '81'],
    told: /with another workloadSelector/,
  },
]) {
  test(`ServiceEntries of one host ${claim}`, async () => {
    const spec = (port: number, more: string) =>
      `{ hosts: [a.test], resolution: STATIC, ports: [{ number: ${port}, name: http-${port} }]${more} }`
    const scene = await openScene(
      serviceEntry(spec(80, one), 'a') + serviceEntry(spec(81, other), 'b'),
    )
    const all = servicesOf(scene.registry.snapshot, 'a.test')
    const ports = all.map((service) => service.ports.map(({ number }) => number).join())
    assert.deepEqual(ports, services)
    if (told === undefined) assert.deepEqual(scene.codes(), [])
    else assert.match(scene.issue('TUL0301').message, told)
  })
}

test('a ServiceEntry for the host of a Service adds endpoints to ports of the same name, and no ports', async () => {
  const scene = await openScene(
    service('{ selector: { a: b }, ports: [{ port: 80, name: http }] }') +
      serviceEntry(
        `{ hosts: [web.default.svc.cluster.local], resolution: STATIC, ports: [{ number: 8080, name: http }, { number: 81, name: other }], endpoints: [{ address: 10.0.0.1 }] }`,
      ),
  )
  const leading = scene.registry.snapshot.services.get(host('web'))
  assert.deepEqual(
    leading?.ports.map(({ number }) => number),
    [80],
  )
  assert.deepEqual(scene.addresses(`${host('web')}|80`), ['10.0.0.1:8080'])
  const issue = scene.issue('TUL0301')
  assert.equal(issue.resource, 'ServiceEntry default/entry')
})

test('one host with two resolutions follows the first, and the other is told', async () => {
  const scene = await openScene(
    serviceEntry('{ hosts: [a.test], resolution: DNS, ports: [{ number: 80, name: http }] }', 'a') +
      serviceEntry(
        '{ hosts: [a.test], resolution: NONE, ports: [{ number: 81, name: http }] }',
        'b',
      ),
  )
  assert.deepEqual(
    scene.registry.snapshot.services.get('a.test')?.ports.map(({ number }) => number),
    [80],
  )
  assert.match(scene.issue('TUL0301').message, /another resolution/)
})

const told: readonly { claim: string; text: string; code: string; path: string }[] = [
  {
    claim: 'an ExternalName for a service of the mesh that is not there',
    text: service('{ type: ExternalName, externalName: x.default.svc.cluster.local }'),
    code: 'IST0101',
    path: 'spec.externalName',
  },
  {
    claim: 'a Service without selector',
    text: service('{ ports: [{ port: 80, name: http }] }'),
    code: 'TUL0011',
    path: 'spec.selector',
  },
  {
    claim: 'a port name without protocol',
    text: service('{ selector: { a: b }, ports: [{ port: 80, name: web }] }'),
    code: 'IST0118',
    path: 'spec.ports[0].name',
  },
  {
    claim: 'a host name under STATIC',
    text: serviceEntry('{ hosts: [a.test], resolution: STATIC, endpoints: [{ address: b.test }] }'),
    code: 'IST0133',
    path: 'spec.endpoints[0].address',
  },
  {
    claim: 'an endpoint behind a network’s gateway',
    text: serviceEntry('{ hosts: [a.test], resolution: STATIC, endpoints: [{ network: n }] }'),
    code: 'TUL0011',
    path: 'spec.endpoints[0].address',
  },
  {
    claim: 'a port that no workload serves',
    text:
      service('{ selector: { a: b }, ports: [{ port: 80, name: http, targetPort: x }] }') +
      workloadEntry('{ address: 10.0.0.1, labels: { a: b } }'),
    code: 'TUL0302',
    path: 'spec.ports[0]',
  },
]
for (const { claim, text, code, path } of told) {
  test(`${claim} is told, at its place`, async () => {
    const scene = await openScene(text)
    assert.deepEqual(scene.codes(), [code])
    assert.equal(scene.issue(code).path, path)
    assert.equal(scene.issue(code).file, 'config.yaml')
  })
}

test('publishNotReadyAddresses: workloads that are not ready are called all the same', async () => {
  const eager = service(
    '{ publishNotReadyAddresses: true, selector: { version: v2 }, ports: [{ port: 90, name: http, targetPort: 41000 }] }',
    'eager',
  )
  const scene = await openScene(mesh + eager)
  scene.join(nodeOf('web-v2', { AUTO_REGISTER_GROUP: 'web-v2', ...meshPort(80, 30_002) }))
  const healthOf = (name: string, port: number) =>
    scene.registry.snapshot.endpoints.get(`${host(name)}|${port}`)?.map(({ health }) => health)
  assert.deepEqual(healthOf('web', 80), ['unhealthy'])
  assert.deepEqual(healthOf('eager', 90), ['healthy'])
})

test('an ExternalName is another name for a host outside, on the ports that are written', async () => {
  const scene = await openScene(
    service(
      '{ type: ExternalName, externalName: X.test., ports: [{ port: 80, name: http, targetPort: 8080 }] }',
    ),
  )
  assert.deepEqual(scene.codes(), [])
  const [made] = scene.registry.snapshot.services.values()
  assert.ok(made !== undefined)
  assert.equal(made.resolution, 'dns')
  assert.equal(made.isMeshExternal, true)
  const [endpoint] = scene.registry.snapshot.endpoints.get(`${made.hostname}|80`) ?? []
  assert.equal(endpoint?.address, 'x.test')
  assert.equal(endpoint.port, 80)
})

const alias = (name: string, externalName: string) =>
  service(`{ type: ExternalName, externalName: ${externalName} }`, name)

test('an ExternalName for a service of the mesh is one more name of it, through others too', async () => {
  const web = service('{ selector: { a: b }, ports: [{ port: 80, name: http }] }')
  const both = alias('one', host('web')) + alias('two', `${host('one')}.`)
  const scene = await openScene(both)
  const { registry } = scene
  assert.equal(registry.snapshot.services.size, 0)
  assert.deepEqual(scene.codes(), ['IST0101', 'IST0101'])
  assert.match(scene.issue('IST0101').message, /there is no such service/)
  const aliasesOf = () => registry.snapshot.services.get(host('web'))?.aliases
  const set = (text: string) => {
    registry.setResources(resourcesOf(text))
    registry.flush()
  }
  set(both + web)
  assert.deepEqual([...registry.snapshot.services.keys()], [host('web')])
  assert.deepEqual(aliasesOf(), [host('one'), host('two')])
  assert.deepEqual(scene.codes(), [])
  set(alias('two', host('one')) + web)
  assert.equal(aliasesOf(), undefined)
  assert.match(scene.issue('IST0101').message, /one\.default.*no such service/)
})

test('the port of an ExternalName is told beside the name, where it is written with one port', async () => {
  const on = (name: string, ports: string) =>
    service(`{ type: ExternalName, externalName: ${host('web')}, ports: [${ports}] }`, name)
  const scene = await openScene(
    service('{ selector: { a: b }, ports: [{ port: 80, name: http }, { port: 81, name: web }] }') +
      on('one', '{ port: 81, name: http }') +
      on('two', '{ port: 80, name: http }, { port: 81, name: web }'),
  )
  const web = scene.registry.snapshot.services.get(host('web'))
  assert.deepEqual(web?.aliases, [host('one'), host('two')])
  assert.deepEqual(web.aliasPorts, { [host('one')]: 81 })
})

test('ExternalNames that lead back to themselves reach nobody, and are told', async () => {
  const scene = await openScene(alias('one', host('two')) + alias('two', host('one')))
  assert.equal(scene.registry.snapshot.services.size, 0)
  assert.match(scene.issue('IST0101').message, /leads back to it/)
})

test('an ExternalName follows its host into the mesh and out of it', async () => {
  const outside = service(
    '{ type: ExternalName, externalName: a.test, ports: [{ port: 80, name: http }] }',
    'out',
  )
  const entry = serviceEntry('{ hosts: [a.test], ports: [{ number: 81, name: http }] }')
  const scene = await openScene(outside)
  const keys = () => [...scene.registry.snapshot.services.keys()]
  assert.deepEqual(keys(), [host('out')])
  assert.deepEqual(scene.addresses(`${host('out')}|80`), ['a.test:80'])
  scene.registry.setResources(resourcesOf(outside + entry))
  scene.registry.flush()
  assert.deepEqual(keys(), ['a.test'])
  assert.deepEqual(scene.registry.snapshot.services.get('a.test')?.aliases, [host('out')])
  scene.registry.setResources(resourcesOf(outside))
  scene.registry.flush()
  assert.deepEqual(keys(), [host('out')])
})

test('a Service without selector gets endpoints from a ServiceEntry for its host', async () => {
  const unselected = service('{ ports: [{ port: 80, name: http }] }')
  const alone = await openScene(unselected)
  assert.match(alone.issue('TUL0011').message, /EndpointSlice are not read/)
  assert.match(alone.issue('TUL0011').remedy, /a ServiceEntry for web\.default\.svc/)
  const given = await openScene(
    unselected +
      serviceEntry(
        `{ hosts: [${host('web')}], resolution: STATIC, ports: [{ number: 80, name: http, targetPort: 8080 }], endpoints: [{ address: 10.0.0.1 }] }`,
      ),
  )
  assert.deepEqual(given.codes(), [])
  assert.deepEqual(given.addresses(`${host('web')}|80`), ['10.0.0.1:8080'])
})

test('endpoints of any network are called directly, and their network is a label; one without address is told', async () => {
  const scene = await openScene(
    serviceEntry(
      `{ hosts: [a.test], resolution: STATIC, ports: [{ number: 80, name: http }], endpoints: [{ address: 10.0.0.1, network: far }, { address: 10.0.0.2 }, { network: far }] }`,
    ),
  )
  assert.deepEqual(scene.addresses('a.test|80'), ['10.0.0.1:80', '10.0.0.2:80'])
  const endpoints = scene.registry.snapshot.endpoints.get('a.test|80') ?? []
  assert.deepEqual(
    endpoints.map(({ labels }) => labels['topology.istio.io/network']),
    ['far', undefined],
  )
  assert.equal(scene.issue('TUL0011').path, 'spec.endpoints[2].address')
})

test('a Service’s exportTo annotation, addresses and headlessness are read', async () => {
  const scene = await openScene(
    '---\napiVersion: v1\nkind: Service\nmetadata: { name: web, annotations: { networking.istio.io/exportTo: "., x" } }\n' +
      'spec: { clusterIP: 10.96.0.1, selector: { a: b }, ports: [{ port: 80, name: http }] }\n' +
      service(
        '{ clusterIP: None, selector: { a: b }, ports: [{ port: 80, name: http }] }',
        'headless',
      ),
  )
  const web = scene.registry.snapshot.services.get(host('web'))
  assert.deepEqual(web?.exportTo, ['.', 'x'])
  assert.deepEqual(web.addresses, ['10.96.0.1'])
  const headless = scene.registry.snapshot.services.get(host('headless'))
  assert.deepEqual(headless?.addresses, [])
  assert.equal(headless.resolution, 'static')
})

test('a Service’s preference for near endpoints is read, from its field or the annotation before it', async () => {
  const annotated = (value: string, spec: string, name: string) =>
    `---\napiVersion: v1\nkind: Service\nmetadata: { name: ${name}, annotations: { networking.istio.io/traffic-distribution: ${value} } }\n` +
    `spec: { ${spec}selector: { a: b }, ports: [{ port: 80, name: http }] }\n`
  const scene = await openScene(
    annotated('PreferClose', '', 'close') +
      annotated('prefersamenode', '', 'node') +
      annotated('PreferClose', 'trafficDistribution: PreferSameNode, ', 'field') +
      annotated('Somewhere', '', 'unknown'),
  )
  const { services } = scene.registry.snapshot
  const found = ['close', 'node', 'field', 'unknown'].map(
    (name) => services.get(host(name))?.trafficDistribution,
  )
  assert.deepEqual(found, ['same-zone', 'same-node', 'same-node', undefined])
})

test('a Service’s affinity and its restriction to the caller’s node are read', async () => {
  const ports = 'selector: { a: b }, ports: [{ port: 80, name: http }]'
  const scene = await openScene(
    service(`{ sessionAffinity: ClientIP, internalTrafficPolicy: Local, ${ports} }`, 'both') +
      service(`{ sessionAffinity: None, internalTrafficPolicy: Cluster, ${ports} }`, 'none'),
  )
  const { services } = scene.registry.snapshot
  const found = ['both', 'none'].map((name) => {
    const { hasClientAffinity, isNodeLocal } = services.get(host(name)) ?? {}
    return { hasClientAffinity, isNodeLocal }
  })
  assert.deepEqual(found, [
    { hasClientAffinity: true, isNodeLocal: true },
    { hasClientAffinity: undefined, isNodeLocal: undefined },
  ])
})

test('listeners hear what changed, once a turn, and what did not change is the same object', async () => {
  const scene = await openScene(
    mesh + service('{ selector: { a: b }, ports: [{ port: 80, name: http }] }', 'other'),
  )
  const changes: RegistryChange[] = []
  using _subscription = scene.registry.onChange((change) => changes.push(change))
  const before = scene.registry.snapshot
  const node = nodeOf('web-v1', { AUTO_REGISTER_GROUP: 'web-v1', ...meshPort(80, 30_001) })
  const first = scene.registry.join(node)
  scene.registry.join(
    nodeOf('web-v1', { ...node.metadata, instance: 'second', ...meshPort(80, 30_002) }),
  )
  assert.equal(changes.length, 0)
  await Promise.resolve()
  const [change] = changes
  assert.equal(changes.length, 1)
  assert.deepEqual([...(change?.endpointKeys ?? [])], [`${host('web')}|80`])
  assert.equal(change?.hostnames.size, 0)
  assert.equal(change?.workloadIds.size, 2)
  assert.equal(change?.snapshot.services, before.services)
  const otherKey = `${host('other')}|80`
  assert.equal(change?.snapshot.endpoints.get(otherKey), before.endpoints.get(otherKey))
  assert.equal(change?.previous, before)

  // A stream that ends changes no endpoint until the grace period is over.
  assert.ok(first.ok)
  scene.registry.leave(first.value)
  await Promise.resolve()
  assert.equal(changes[1]?.endpointKeys.size, 0)
  assert.equal(changes[1]?.snapshot.endpoints, change?.snapshot.endpoints)
})

test('resources that say the same change nothing, though their lines moved', async () => {
  const scene = await openScene(mesh)
  const before = scene.registry.snapshot
  scene.registry.setResources(resourcesOf(`# moved\n${mesh}`))
  scene.registry.flush()
  assert.equal(scene.registry.snapshot, before)
})

test('a restart keeps the endpoints, and the agents’ return changes none of them', async () => {
  const registrations = createMemoryRegistrationLog()
  const open = async () => {
    const registry = await openRegistry({ clock: new FakeClock(), registrations })
    registry.setResources(resourcesOf(mesh))
    registry.flush()
    return registry
  }
  const node = nodeOf('web-v1', { AUTO_REGISTER_GROUP: 'web-v1', ...meshPort(80, 30_001) })
  const before = await open()
  before.join(node)
  before.flush()
  const after = await open()
  assert.deepEqual(after.snapshot.endpoints, before.snapshot.endpoints)
  const [workload] = after.snapshot.workloads.values()
  assert.equal(workload?.presence, 'restored')
  const { endpoints } = after.snapshot
  after.join(node)
  after.flush()
  assert.equal(after.snapshot.endpoints, endpoints)
})
