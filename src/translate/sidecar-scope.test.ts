/** Sidecars keep what a workload gets small, and its pushes to what it sees: counted in a mesh of a thousand services. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { nodeOf, registryOf, resourceFrom } from '../../test/support/translation-case.ts'
import { resourceKey } from '../model/resource.ts'
import type { Resource } from '../model/resource.ts'
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
