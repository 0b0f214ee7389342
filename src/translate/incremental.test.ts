/**
 * Incremental equals full in a mesh of hundreds of resources, for every kind of client, those on demand among them: random
 * rounds of random edits, and after each what everybody has, beside what a new translation gives.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import * as fc from 'fast-check'

import { nodeOf, registryOf, resourceFrom } from '../../test/support/translation-case.ts'
import { resourceKey, type Resource } from '../model/resource.ts'
import { typeUrls, type ResourceView } from '../xds/resource-set.ts'
import { createTranslation } from './driver.ts'
import { translateAll } from './full.ts'
import { meshSettingsOf, type TranslationInput } from './input.ts'

const serviceCount = 120
const namespaces = ['default', 'shop', 'data']

type SceneService = Parameters<typeof registryOf>[0][number]

const hostOf = (at: number): string =>
  `s${at}.${namespaces[at % namespaces.length] ?? ''}.svc.cluster.local`

const otherNameOf = (at: number): string => `other${at % 30}.shop.svc.cluster.local`

function serviceOf(at: number, { a, b }: { readonly a: number; readonly b: number }): SceneService {
  return {
    hostname: hostOf(at),
    ports: [
      { number: 80, name: 'http' },
      ...(at % 5 === 0 ? [{ number: 5432, name: 'tcp', protocol: 'tcp' as const }] : []),
    ],
    resolution: at % 11 === 0 ? 'dns' : 'static',
    exportTo: a === 2 ? ['.'] : [],
    addresses: at % 7 === 0 ? [`240.240.0.${at % 3}`] : [],
    // Another name, which goes from one service to the next with what they are.
    ...(at % 4 === b && {
      aliases: [otherNameOf(at + a)],
      ...(a === 1 && { aliasPorts: { [otherNameOf(at + a)]: 5432 } }),
    }),
    endpoints: Array.from({ length: 1 + b }, (_, index) => ({
      // Several without a workload, as a ServiceEntry's.
      ...(at % 4 === 0 && { workload: '' }),
      version: `v${(index % 2) + 1}`,
      address: `10.${at}.${a}.${index}`,
      serviceAccount: a === 1 ? 'one' : 'two',
      tlsMode: (at + b) % 2 === 0 ? ('istio' as const) : undefined,
      locality: `a/${index % 2}`,
    })),
  }
}

function resource(kind: string, at: number, spec: object): Resource {
  const group = kind === 'PeerAuthentication' ? 'security' : 'networking'
  return resourceFrom(
    JSON.stringify({
      apiVersion: `${group}.istio.io/v1`,
      kind,
      metadata: { name: `r${at}`, namespace: namespaces[at % namespaces.length] },
      spec,
    }),
  )
}

function virtualServiceOf(
  at: number,
  { a, b }: { readonly a: number; readonly b: number },
): Resource {
  const other = at % 3 === b ? otherNameOf(at + a) : hostOf((at * 7 + a) % serviceCount)
  const own = at % 6 === 0 ? otherNameOf(at) : hostOf(at)
  const hosts = at % 13 === 0 ? ['*.shop.svc.cluster.local'] : [hostOf(at)]
  const subset = b === 0 ? {} : { subset: `v${b}` }
  return resource('VirtualService', at, {
    hosts,
    ...(a === 2 && { exportTo: ['.'] }),
    http: [
      { match: [{ sourceLabels: { app: 'web' } }], route: [{ destination: { host: other } }] },
      { route: [{ destination: { host: own, ...subset } }], timeout: `${a + 1}s` },
    ],
    ...(at % 5 === 0 && { tcp: [{ route: [{ destination: { host: other } }] }] }),
  })
}

function ruleOf(at: number, { a, b }: { readonly a: number; readonly b: number }): Resource {
  return resource('DestinationRule', at, {
    host: at % 17 === 0 ? '*.data.svc.cluster.local' : hostOf(at),
    trafficPolicy: a === 0 ? {} : { tls: { mode: a === 1 ? 'ISTIO_MUTUAL' : 'DISABLE' } },
    subsets: [{ name: `v${b + 1}`, labels: { version: `v${b + 1}` } }],
    ...(b === 2 && { workloadSelector: { matchLabels: { app: 'web' } } }),
  })
}

function policyOf(at: number, { a }: { readonly a: number }): Resource {
  const mode = ['STRICT', 'PERMISSIVE', 'DISABLE'][a] ?? 'STRICT'
  return resource('PeerAuthentication', at, { mtls: { mode } })
}

function sidecarOf(at: number, { a, b }: { readonly a: number; readonly b: number }): Resource {
  return resource('Sidecar', 1, {
    workloadSelector: { labels: { app: 'scoped' } },
    egress: [{ hosts: a === 0 ? ['./*'] : ['shop/*', `*/${hostOf(at + b)}`] }],
  })
}

interface Scene {
  readonly services: Map<number, SceneService>
  readonly resources: Map<string, Resource>
  readonly asked: Set<string>
  mesh: TranslationInput['mesh']
}

const keyOf = (made: Resource): string => resourceKey('', made.kind, made.metadata)

function put(scene: Scene, made: Resource): void {
  scene.resources.set(keyOf(made), made)
}

function firstScene(): Scene {
  const scene: Scene = {
    services: new Map(),
    resources: new Map(),
    asked: new Set(Array.from({ length: serviceCount }, (_, at) => `http_proxy/${hostOf(at)}`)),
    mesh: meshSettingsOf({}),
  }
  for (let at = 0; at < serviceCount; at += 1) {
    const ab = { a: at % 3, b: (at * 5) % 3 }
    scene.services.set(at, serviceOf(at, ab))
    if (at % 2 === 0) put(scene, virtualServiceOf(at, ab))
    if (at % 3 !== 0) put(scene, ruleOf(at, ab))
  }
  return scene
}

const kinds = [
  'service',
  'service',
  'service',
  'no service',
  'route',
  'route',
  'no route',
  'rule',
  'no rule',
  'policy',
  'sidecar',
  'no sidecar',
  'ask',
  'ask',
  'drop',
  'mesh',
] as const

interface Edit {
  readonly kind: (typeof kinds)[number]
  readonly at: number
  readonly a: number
  readonly b: number
}

function apply(scene: Scene, edit: Edit): void {
  const { at } = edit
  const name = `http_proxy/${at % 2 === 0 ? `s${at}:80` : hostOf(at)}`
  const edits: Record<Edit['kind'], () => unknown> = {
    service: () => scene.services.set(at, serviceOf(at, edit)),
    'no service': () => scene.services.delete(at),
    route: () => put(scene, virtualServiceOf(at, edit)),
    'no route': () => scene.resources.delete(keyOf(virtualServiceOf(at, edit))),
    rule: () => put(scene, ruleOf(at, edit)),
    'no rule': () => scene.resources.delete(keyOf(ruleOf(at, edit))),
    policy: () => put(scene, policyOf(at % 3, edit)),
    sidecar: () => put(scene, sidecarOf(at, edit)),
    'no sidecar': () => scene.resources.delete(keyOf(sidecarOf(at, edit))),
    ask: () => scene.asked.add(name),
    drop: () => scene.asked.delete(name),
    mesh: () => {
      const mode = edit.a === 0 ? ('REGISTRY_ONLY' as const) : ('ALLOW_ANY' as const)
      scene.mesh = meshSettingsOf({ outboundTrafficPolicy: { mode } })
    },
  }
  edits[edit.kind]()
}

const proxyPort = { HTTP_PROXY_PORT: 15_001 }
const everything = [
  nodeOf({ metadata: proxyPort }),
  nodeOf({ namespace: 'shop', userAgent: 'tulle', labels: { app: 'web' }, metadata: proxyPort }),
  nodeOf({
    namespace: 'shop',
    workload: 's1-v1',
    labels: { app: 'scoped', version: 'v1' },
    metadata: { ...proxyPort, UPSTREAMS: [{ host: 's5.data', port: 5432, localPort: 16_001 }] },
  }),
]
const onDemand = [
  nodeOf({ userAgent: 'tulle', metadata: { ...proxyPort, ON_DEMAND: 'on' } }),
  nodeOf({
    namespace: 'data',
    labels: { app: 'web' },
    metadata: { ...proxyPort, ON_DEMAND: 'on' },
  }),
]

const types = Object.values(typeUrls)

function contentOf(view: ResourceView): ReadonlyMap<string, string> {
  const versions = new Map<string, string>()
  for (const type of types) {
    for (const [name, { version, aliases = [] }] of view.resources(type)) {
      versions.set(`${type} ${name}`, `${version} ${[...aliases].sort().join()}`)
    }
  }
  return versions
}

function assertSame(incremental: ResourceView, full: ResourceView, who: string): void {
  const [have, want] = [contentOf(incremental), contentOf(full)]
  const names = new Set([...have.keys(), ...want.keys()])
  const differing = [...names].filter((name) => have.get(name) !== want.get(name))
  assert.deepEqual(differing, [], who)
}

/** Another name is one service's. */
function withOneOwner({ services }: Scene): SceneService[] {
  const owned = new Set<string>()
  return [...services.values()].map((service) => {
    const { aliases = [] } = service
    if (aliases.some((name) => owned.has(name))) return { ...service, aliases: [] }
    for (const name of aliases) owned.add(name)
    return service
  })
}

const roundsArbitrary = fc.array(
  fc.array(
    fc.record({
      kind: fc.constantFrom(...kinds),
      at: fc.nat(serviceCount - 1),
      a: fc.nat(2),
      b: fc.nat(2),
    }),
    { minLength: 1, maxLength: 25 },
  ),
  { minLength: 4, maxLength: 8 },
)

test('with hundreds of resources incremental equals full for clients of every kind', async () => {
  await fc.assert(
    fc.asyncProperty(roundsArbitrary, async (rounds) => {
      const scene = firstScene()
      let revision = 0
      const inputOf = (): TranslationInput => ({
        resources: new Map(scene.resources),
        registry: registryOf(withOneOwner(scene), (revision += 1)),
        mesh: scene.mesh,
      })
      const translation = createTranslation({ input: inputOf() })
      const demand = () => ({
        hosts: new Set(scene.asked),
        droppedHosts: new Set<string>(),
        clusters: new Set<string>(),
      })
      for (const node of everything) translation.viewOf(node)
      for (const node of onDemand) translation.viewOf(node, demand())
      for (const edits of rounds) {
        for (const edit of edits) apply(scene, edit)
        await translation.update(inputOf())
        const input = translation.effectiveInput()
        for (const node of everything) {
          assertSame(translation.viewOf(node), translateAll(input, node), node.id)
        }
        const fresh = createTranslation({ input })
        for (const node of onDemand) {
          assertSame(translation.viewOf(node, demand()), fresh.viewOf(node, demand()), node.id)
        }
      }
    }),
    { numRuns: 4 },
  )
})
