/** Sidecars keep what a workload gets small, and its pushes to what it sees: counted in a mesh of a thousand services. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { nodeOf, registryOf, resourceFrom } from '../../test/support/translation-case.ts'
import { resourceKey } from '../model/resource.ts'
import type { Resource } from '../model/resource.ts'
import { RouteConfiguration } from '../xds/proto/generated/envoy/config/route/v3/route.ts'
import { Any } from '../xds/proto/generated/google/protobuf/any.ts'
import { typeUrls, type ResourceView } from '../xds/resource-set.ts'
import { createTranslation } from './driver.ts'
import { meshSettingsOf, type TranslationInput } from './input.ts'

const namespaceCount = 100
const servicesEach = 10

type Services = Parameters<typeof registryOf>[0]

function meshServices(): Services {
  return Array.from({ length: namespaceCount * servicesEach }, (_, index) => {
    const namespace = `ns-${index % namespaceCount}`
    return {
      hostname: `s${index}.${namespace}.svc.cluster.local`,
      namespace,
      ports: [
        { number: 80, name: 'http' },
        { number: 5432, name: 'tcp', protocol: 'tcp' as const },
      ],
      endpoints: [{ version: 'v1' }],
    }
  })
}

function sidecar(namespace: string, hosts: readonly string[]): Resource {
  return resourceFrom(
    JSON.stringify({
      apiVersion: 'networking.istio.io/v1',
      kind: 'Sidecar',
      metadata: { name: 'default', namespace },
      spec: { egress: [{ hosts }] },
    }),
  )
}

function inputOf(services: Services, resources: readonly Resource[]): TranslationInput {
  return {
    registry: registryOf(services),
    resources: new Map(
      resources.map((resource) => [
        resourceKey('networking.istio.io', resource.kind, resource.metadata),
        resource,
      ]),
    ),
    mesh: meshSettingsOf(),
  }
}

const client = nodeOf({
  namespace: 'ns-7',
  userAgent: 'tulle',
  metadata: { HTTP_PROXY_PORT: 15_001 },
})

function bytesOf(view: ResourceView): number {
  return [typeUrls.cluster, typeUrls.endpoint, typeUrls.route, typeUrls.listener]
    .flatMap((type) => [...view.resources(type).values()])
    .reduce((sum, { any }) => sum + any.length, 0)
}

test('in a mesh of a thousand services a sidecar gets those of its namespace and the one more', () => {
  const services = meshServices()
  const hosts = ['./*', 'ns-3/s3.ns-3.svc.cluster.local']
  const whole = createTranslation({ input: inputOf(services, []) }).viewOf(client)
  const scoped = createTranslation({
    input: inputOf(services, [sidecar('ns-7', hosts)]),
  }).viewOf(client)
  // Two ports each; PassthroughCluster, BlackHoleCluster and http_proxy_tunnel beside them, and local_cluster's endpoints.
  assert.equal(whole.resources(typeUrls.cluster).size, 2 * namespaceCount * servicesEach + 3)
  assert.equal(scoped.resources(typeUrls.cluster).size, 2 * (servicesEach + 1) + 3)
  assert.equal(scoped.resources(typeUrls.endpoint).size, 2 * (servicesEach + 1) + 1)
  assert.ok(bytesOf(scoped) * 50 < bytesOf(whole), `${bytesOf(scoped)} of ${bytesOf(whole)} bytes`)
})

test('what a sidecar does not see changes nothing of what it has', async () => {
  const services = meshServices()
  const resources = [sidecar('ns-7', ['./*'])]
  const translation = createTranslation({ input: inputOf(services, resources) })
  const before = translation.viewOf(client)
  const [first, ...rest] = services
  assert.ok(first !== undefined)
  const changed = { ...first, endpoints: [{ version: 'v1' }, { version: 'v2' }] }
  await translation.update(inputOf([changed, ...rest], resources))
  await translation.update(inputOf(rest, resources))
  const after = translation.viewOf(client)
  for (const type of [typeUrls.cluster, typeUrls.endpoint, typeUrls.route, typeUrls.listener]) {
    assert.equal(after.resources(type), before.resources(type), type)
  }
})

test('a route to another name of a service brings that service into sight', async () => {
  const [first, ...rest] = meshServices().slice(0, 20)
  assert.ok(first !== undefined)
  const route = resourceFrom(
    JSON.stringify({
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { name: 'a', namespace: 'ns-7' },
      spec: {
        hosts: ['a.test'],
        http: [
          {
            route: [
              { destination: { host: 'other.ns-9.svc.cluster.local', port: { number: 80 } } },
            ],
          },
        ],
      },
    }),
  )
  const resources = [sidecar('ns-7', ['./*']), route]
  const translation = createTranslation({ input: inputOf([first, ...rest], resources) })
  const names = (): readonly string[] =>
    [...translation.viewOf(client).resources(typeUrls.endpoint).keys()].filter((name) =>
      name.includes('s0.ns-0'),
    )
  assert.deepEqual(names(), [])
  const named = { ...first, aliases: ['other.ns-9.svc.cluster.local'] }
  await translation.update(inputOf([named, ...rest], resources))
  assert.deepEqual(names(), ['outbound|80||s0.ns-0.svc.cluster.local'])
  await translation.update(inputOf([first, ...rest], resources))
  assert.deepEqual(names(), [])
})

test('a name of a service goes to the ports of what a route brings into sight beside it', async () => {
  const [first, ...rest] = meshServices().slice(0, 20)
  const own = rest.find(({ hostname }) => hostname.startsWith('s7.'))
  assert.ok(first !== undefined && own !== undefined)
  const other = 'other.ns-7.svc.cluster.local'
  const ports = [80, 8080].map((number) => ({ number, name: `http-${number}` }))
  const services = [
    { ...first, ports: ports.slice(1) },
    ...rest.filter((service) => service !== own),
    { ...own, ports, aliases: [other] },
  ]
  const route = (name: string, hosts: readonly string[]): Resource =>
    resourceFrom(
      JSON.stringify({
        apiVersion: 'networking.istio.io/v1',
        kind: 'VirtualService',
        metadata: { name, namespace: 'ns-7' },
        spec: { hosts, http: [{ route: [{ destination: { host: first.hostname } }] }] },
      }),
    )
  const beside = resourceFrom(
    JSON.stringify({
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { name: 'beside', namespace: 'ns-7' },
      spec: { hosts: [other, first.hostname], http: [{ directResponse: { status: 200 } }] },
    }),
  )
  const before = inputOf(services, [sidecar('ns-7', ['./*']), beside])
  const { resources } = inputOf([], [sidecar('ns-7', ['./*']), beside, route('a', ['a.test'])])
  const after = { ...before, resources }
  const contentOf = (view: ResourceView) =>
    [...view.resources(typeUrls.route)].map(([name, { version }]) => [name, version])
  const translation = createTranslation({ input: before })
  const atFirst = contentOf(translation.viewOf(client))
  for (const input of [after, before]) {
    await translation.update(input)
    const full = createTranslation({ input: translation.effectiveInput() }).viewOf(client)
    assert.deepEqual(contentOf(translation.viewOf(client)), contentOf(full))
  }
  assert.deepEqual(contentOf(translation.viewOf(client)), atFirst)
})

test('a Sidecar that comes, changes and goes is followed', async () => {
  const services = meshServices().slice(0, 20)
  // All but those of local_cluster.
  const count = (): number => translation.viewOf(client).resources(typeUrls.endpoint).size - 1
  const translation = createTranslation({ input: inputOf(services, []) })
  assert.equal(count(), 40)
  await translation.update(inputOf(services, [sidecar('ns-7', ['./*'])]))
  assert.equal(count(), 2)
  await translation.update(inputOf(services, [sidecar('ns-7', ['./*', 'ns-8/*'])]))
  assert.equal(count(), 4)
  await translation.update(inputOf(services, [sidecar('istio-system', ['~/*'])]))
  assert.equal(count(), 0)
  await translation.update(inputOf(services, []))
  assert.equal(count(), 40)
})

function egressOf(...egress: readonly object[]): Resource {
  return resourceFrom(
    JSON.stringify({
      apiVersion: 'networking.istio.io/v1',
      kind: 'Sidecar',
      metadata: { name: 'default', namespace: 'ns-7' },
      spec: { egress },
    }),
  )
}

function hostsIn(view: ResourceView, routes: string): string[] {
  const { any } = view.resources(typeUrls.route).get(routes) ?? {}
  assert.ok(any !== undefined, routes)
  return RouteConfiguration.decode(Any.decode(any).value).virtualHosts.map(({ name }) => name)
}

function routeFor(...hosts: readonly string[]): Resource {
  return resourceFrom(
    JSON.stringify({
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { name: 'r', namespace: 'ns-7' },
      spec: { hosts, http: [{ directResponse: { status: 200 } }] },
    }),
  )
}

for (const [title, hosts, expected] of [
  ['a namespace', ['*/*', '~ns-1/*'], ['s0.ns-0', 's2.ns-2', 's7.ns-7']],
  ['its own namespace', ['*/*', '~./*'], ['s0.ns-0', 's1.ns-1', 's2.ns-2']],
  ['a host of a namespace', ['*/*', '~ns-2/s2.ns-2.svc.cluster.local'], ['s0', 's1', 's7']],
  ['a host where it is not', ['*/*', '~ns-1/s2.ns-2.svc.cluster.local'], ['s0', 's1', 's2', 's7']],
  ['hosts in any namespace', ['*/*', '~/*.ns-2.svc.cluster.local'], ['s0', 's1', 's7']],
  ['what is not named', ['./*', '~ns-1/*'], ['s7']],
  ['everything', ['~ns-1/*'], []],
  ['nothing, where it names nothing', ['./*', '~/*'], ['s7']],
] as const) {
  test(`a Sidecar leaves out ${title}`, () => {
    const services = meshServices().filter((_, index) => [0, 1, 2, 7].includes(index))
    const input = inputOf(services, [sidecar('ns-7', hosts)])
    const view = createTranslation({ input }).viewOf(client)
    const found = hostsIn(view, 'http_proxy').filter((name) => name.endsWith(':80'))
    assert.deepEqual(
      found.map((name) => name.split('.')[0]),
      expected.map((name) => name.split('.')[0]),
    )
    const clusters = [...view.resources(typeUrls.cluster).keys()]
    assert.equal(clusters.filter((name) => name.startsWith('outbound|80|')).length, expected.length)
  })
}

test('a VirtualService of which one host is left out goes on for the other', () => {
  const out = ['*/*', '~./a.test']
  const namesFor = (...hosts: readonly string[]) =>
    hostsIn(
      createTranslation({ input: inputOf([], [sidecar('ns-7', out), routeFor(...hosts)]) }).viewOf(
        client,
      ),
      'http_proxy',
    )
  assert.ok(namesFor('a.test', 'b.test').includes('b.test:80'))
  assert.ok(!namesFor('a.test').includes('a.test:80'))
})

test('a listener with a place of its own knows what it imports, and the proxy what the others do', () => {
  const services = meshServices().filter((_, index) => [0, 1, 7].includes(index))
  const resources = [
    egressOf(
      {
        port: { number: 80, protocol: 'HTTP', name: 'a' },
        bind: '127.0.0.1',
        hosts: ['ns-0/*', './a.test'],
      },
      {
        port: { number: 0, protocol: 'HTTP', name: 'b' },
        bind: 'unix:///tmp/b.sock',
        hosts: ['ns-1/*'],
      },
      { hosts: ['./s7.ns-7.svc.cluster.local'] },
    ),
    routeFor('a.test'),
  ]
  const view = createTranslation({ input: inputOf(services, resources) }).viewOf(client)
  assert.deepEqual(hostsIn(view, '127.0.0.1_80'), [
    's0.ns-0.svc.cluster.local:80',
    'a.test:80',
    'allow_any',
  ])
  assert.deepEqual(hostsIn(view, 'unix:///tmp/b.sock'), [
    's1.ns-1.svc.cluster.local:80',
    'allow_any',
  ])
  assert.deepEqual(hostsIn(view, 'http_proxy'), [
    's7.ns-7.svc.cluster.local:5432',
    's7.ns-7.svc.cluster.local:80',
    'allow_any',
  ])
  const clusters = view.resources(typeUrls.cluster)
  for (const host of ['s0.ns-0', 's1.ns-1', 's7.ns-7']) {
    assert.ok(clusters.has(`outbound|80||${host}.svc.cluster.local`), host)
  }
})

test('a change of what only an own listener imports reaches its routes', async () => {
  const services = meshServices().filter((_, index) => [0, 7].includes(index))
  const own = egressOf(
    { port: { number: 80, protocol: 'HTTP', name: 'a' }, bind: '127.0.0.1', hosts: ['*/*'] },
    { hosts: ['./*'] },
  )
  const translation = createTranslation({ input: inputOf(services, [own]) })
  const names = () => hostsIn(translation.viewOf(client), '127.0.0.1_80')
  assert.equal(names().length, 3)
  await translation.update(inputOf(services, [own, routeFor('a.test')]))
  assert.ok(names().includes('a.test:80'))
  await translation.update(inputOf(services.slice(1), [own]))
  assert.deepEqual(names(), ['s7.ns-7.svc.cluster.local:80', 'allow_any'])
})
