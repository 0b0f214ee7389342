/** The driver: what changes, what stays the same, and that incremental results equal a full run. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import * as fc from 'fast-check'

import { nodeOf, registryOf, resourceFrom } from '../../test/support/translation-case.ts'
import type { Resource } from '../model/resource.ts'
import { hostOfEndpointKey } from '../registry/service.ts'
import { RouteConfiguration } from '../xds/proto/generated/envoy/config/route/v3/route.ts'
import { Any } from '../xds/proto/generated/google/protobuf/any.ts'
import { typeUrls, type ResourceView } from '../xds/resource-set.ts'
import { createTranslation } from './driver.ts'
import { translateAll } from './full.ts'
import { compareText, meshSettingsOf, type InjectedFault, type TranslationInput } from './input.ts'

type Services = Parameters<typeof registryOf>[0]

const types = Object.values(typeUrls)
const mesh = meshSettingsOf({})

const reviews: Services[number] = {
  hostname: 'reviews.default.svc.cluster.local',
  ports: [{ number: 9080, name: 'http' }],
  endpoints: [{ version: 'v1' }, { version: 'v2' }],
}

function inputOf(services: Services, resources: readonly Resource[] = []): TranslationInput {
  return {
    resources: new Map(resources.map((resource) => [keyOf(resource), resource])),
    registry: registryOf(services),
    mesh,
  }
}

function keyOf({ kind, metadata }: Resource): string {
  return `${kind}/${metadata.namespace}/${metadata.name}`
}

function virtualService(options: {
  readonly name?: string
  readonly hosts?: readonly string[]
  readonly http: readonly unknown[]
}): Resource {
  const { name = 'reviews', hosts = ['reviews'], http } = options
  const spec = { hosts, http }
  return resourceFrom(
    JSON.stringify({
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { name },
      spec,
    }),
  )
}

function to(host: string, subset?: string, weight?: number) {
  return { destination: { host, ...(subset !== undefined && { subset }) }, weight }
}

function snapshotOf(view: ResourceView): Map<string, string> {
  const versions = new Map<string, string>()
  for (const type of types) {
    for (const [name, { version }] of view.resources(type)) versions.set(`${type} ${name}`, version)
  }
  return new Map([...versions].sort(([left], [right]) => compareText(left, right)))
}

const client = nodeOf({ metadata: { HTTP_PROXY_PORT: 15_080 } })

test('a change that reaches nothing keeps the same view and tells nobody', async () => {
  const translation = createTranslation({ input: inputOf([reviews]) })
  const before = translation.viewOf(client)
  let calls = 0
  using _ = translation.onChange(() => calls++)
  await translation.update(inputOf([reviews]))
  assert.equal(translation.viewOf(client), before)
  assert.equal(calls, 0)
})

test('a changed endpoint changes its assignment and nothing else', async () => {
  const translation = createTranslation({ input: inputOf([reviews]) })
  const before = translation.viewOf(client)
  let calls = 0
  using _ = translation.onChange(() => calls++)
  await translation.update(inputOf([{ ...reviews, endpoints: [{ version: 'v1' }] }]))
  const after = translation.viewOf(client)
  assert.equal(calls, 1)
  assert.notEqual(after.resources(typeUrls.endpoint), before.resources(typeUrls.endpoint))
  for (const type of [typeUrls.listener, typeUrls.cluster, typeUrls.route]) {
    assert.equal(after.resources(type), before.resources(type), type)
  }
})

function peerAuthentication(spec: object, metadata: object = { name: 'default' }): Resource {
  const apiVersion = 'security.istio.io/v1'
  return resourceFrom(JSON.stringify({ apiVersion, kind: 'PeerAuthentication', metadata, spec }))
}

const sidecars: Services[number] = {
  ...reviews,
  endpoints: [
    { version: 'v1', tlsMode: 'istio', serviceAccount: 'one' },
    { version: 'v2', tlsMode: 'istio', serviceAccount: 'two' },
  ],
}
const server = nodeOf({
  workload: 'reviews-v1',
  labels: { app: 'reviews', version: 'v1' },
  metadata: { MESH_PORTS: [{ name: 'http', servicePort: 9080, appPort: 8000, meshPort: 20_000 }] },
})

/** Names of resources that are not what they were. */
function changesOf(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>) {
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((name) => before.get(name) !== after.get(name))
    .map((name) => name.slice(name.indexOf(' ') + 1))
}

test('a PeerAuthentication changes the listener of whom it selects, and tells its stream', async () => {
  const translation = createTranslation({ input: inputOf([sidecars]) })
  const before = [client, server].map((node) => snapshotOf(translation.viewOf(node)))
  let calls = 0
  using _ = translation.onChange(() => calls++)
  const policy = peerAuthentication({
    selector: { matchLabels: { version: 'v1' } },
    mtls: { mode: 'PERMISSIVE' },
  })
  await translation.update(inputOf([sidecars], [policy]))
  const after = [client, server].map((node) => snapshotOf(translation.viewOf(node)))
  assert.equal(calls, 1)
  assert.deepEqual(after[0], before[0])
  assert.deepEqual(changesOf(before[1] ?? new Map(), after[1] ?? new Map()), ['inbound|8000||'])
})

test('a PeerAuthentication that turns mTLS off changes endpoints, and the HTTP version of their cluster', async () => {
  const translation = createTranslation({ input: inputOf([sidecars]) })
  const before = snapshotOf(translation.viewOf(client))
  const policy = peerAuthentication({ mtls: { mode: 'DISABLE' } })
  await translation.update(inputOf([sidecars], [policy]))
  const after = snapshotOf(translation.viewOf(client))
  const name = 'outbound|9080||reviews.default.svc.cluster.local'
  assert.deepEqual(changesOf(before, after), [name, name])
})

test('an endpoint without a sidecar changes the cluster when it is the first one, and no more after', async () => {
  const translation = createTranslation({ input: inputOf([sidecars]) })
  const name = 'outbound|9080||reviews.default.svc.cluster.local'
  const cluster = async (endpoints: Services[number]['endpoints']) => {
    await translation.update(inputOf([{ ...sidecars, ...(endpoints && { endpoints }) }]))
    return snapshotOf(translation.viewOf(client)).get(`${typeUrls.cluster} ${name}`)
  }
  const own = sidecars.endpoints ?? []
  const meshed = await cluster(own)
  const mixed = await cluster([...own, { version: 'v3' }])
  assert.notEqual(mixed, meshed)
  assert.equal(await cluster([...own, { version: 'v3' }, { version: 'v4' }]), mixed)
  assert.equal(await cluster(own.slice(1)), await cluster(own.slice(1)))
})

test('another service account of one endpoint changes the clusters of its service, and only those', async () => {
  const other = { ...sidecars, hostname: 'other.default.svc.cluster.local' }
  const translation = createTranslation({ input: inputOf([sidecars, other]) })
  const before = snapshotOf(translation.viewOf(client))
  const [first, ...rest] = sidecars.endpoints ?? []
  const changed = { ...sidecars, endpoints: [{ ...first, serviceAccount: 'three' }, ...rest] }
  await translation.update(inputOf([changed, other]))
  const after = snapshotOf(translation.viewOf(client))
  assert.deepEqual(changesOf(before, after), ['outbound|9080||reviews.default.svc.cluster.local'])
})

test('clients of both kinds get the same clusters for mTLS', () => {
  const translation = createTranslation({ input: inputOf([sidecars]) })
  const own = translation.viewOf(nodeOf({ userAgent: 'tulle' })).resources(typeUrls.cluster)
  const envoys = translation.viewOf(client).resources(typeUrls.cluster)
  const name = 'outbound|9080||reviews.default.svc.cluster.local'
  assert.equal(own.get(name)?.version, envoys.get(name)?.version)
})

test('alike clients share their resources, and one client its view', () => {
  const translation = createTranslation({ input: inputOf([reviews]) })
  const other = nodeOf({ workload: 'other', metadata: { HTTP_PROXY_PORT: 15_081 } })
  const view = translation.viewOf(client)
  assert.equal(translation.viewOf({ ...client }), view)
  const otherView = translation.viewOf(other)
  assert.equal(otherView.resources(typeUrls.route), view.resources(typeUrls.route))
  assert.equal(otherView.resources(typeUrls.cluster), view.resources(typeUrls.cluster))
  assert.notEqual(otherView.resources(typeUrls.listener), view.resources(typeUrls.listener))
})

test('scope classes that see the same share what was encoded', () => {
  const translation = createTranslation({ input: inputOf([reviews]) })
  const one = translation.viewOf(nodeOf({ namespace: 'one' })).resources(typeUrls.cluster)
  const two = translation.viewOf(nodeOf({ namespace: 'two' })).resources(typeUrls.cluster)
  const name = 'outbound|9080||reviews.default.svc.cluster.local'
  assert.ok(one.get(name) !== undefined)
  assert.equal(one.get(name), two.get(name))
})

test('until a run is over everybody gets the state before it', async () => {
  const pauses: (() => void)[] = []
  let now = 0
  const translation = createTranslation({
    input: inputOf([reviews]),
    pause: () => new Promise((resolve) => pauses.push(resolve)),
    monotonicMs: () => (now += 100),
  })
  const before = translation.viewOf(client)
  const done = translation.update(inputOf([{ ...reviews, ports: [{ number: 1, name: 'http' }] }]))
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(pauses.length, 1)
  assert.equal(translation.viewOf(client), before)
  const newcomer = translation.viewOf(nodeOf({ namespace: 'other' }))
  assert.ok(
    newcomer.resources(typeUrls.cluster).has('outbound|9080||reviews.default.svc.cluster.local'),
  )
  while (pauses.length > 0) {
    pauses.pop()?.()
    await new Promise((resolve) => setImmediate(resolve))
  }
  await done
  for (const node of [client, nodeOf({ namespace: 'other' })]) {
    assert.ok(
      translation
        .viewOf(node)
        .resources(typeUrls.cluster)
        .has('outbound|1||reviews.default.svc.cluster.local'),
    )
  }
})

test('a first view, a change of everything and the issues are worked out in small slices', async () => {
  const count = 60
  const hosts = Array.from({ length: count }, (_, at) => `s${at}.default.svc.cluster.local`)
  const services = hosts.map((hostname) => ({ ...reviews, hostname }))
  const routes = hosts.map((host, at) =>
    virtualService({ name: `s${at}`, hosts: [host], http: [{ route: [to(host)] }] }),
  )
  let pauses = 0
  let nowMs = 0
  const translation = createTranslation({
    input: inputOf(services, routes),
    pause: async () => void (pauses += 1),
    // Each look at the clock finds a slice used up: every step is followed by a pause.
    monotonicMs: () => (nowMs += 100),
  })
  const pausesOf = async (work: () => Promise<unknown> | undefined): Promise<number> => {
    const before = pauses
    await work()
    return pauses - before
  }
  assert.ok((await pausesOf(() => translation.prepare(client))) >= count)
  assert.equal(translation.prepare(client), undefined)
  assert.deepEqual(
    snapshotOf(translation.viewOf(client)),
    snapshotOf(translateAll(inputOf(services, routes), client)),
  )
  assert.ok((await pausesOf(() => translation.issues())) >= count)
  assert.equal(await pausesOf(() => translation.issues()), 0)
  const other = { ...inputOf(services, routes), mesh: meshSettingsOf({ connectTimeout: '3s' }) }
  assert.ok((await pausesOf(() => translation.update(other))) >= count)
})

test('a client that is prepared while an input is worked on gets the new state, in order', async () => {
  const translation = createTranslation({ input: inputOf([reviews]) })
  translation.viewOf(client)
  const changed = inputOf([{ ...reviews, endpoints: [{ version: 'v3' }] }])
  const newcomer = nodeOf({ namespace: 'other', metadata: { HTTP_PROXY_PORT: 15_080 } })
  const early = translation.prepare(newcomer)
  const done = translation.update(changed)
  const late = translation.prepare(nodeOf({ namespace: 'third' }))
  await Promise.all([early, done, late])
  for (const node of [client, newcomer, nodeOf({ namespace: 'third' })]) {
    assert.equal(translation.viewOf(node), translation.viewOf(node))
    assert.deepEqual(snapshotOf(translation.viewOf(node)), snapshotOf(translateAll(changed, node)))
  }
})

test('a changed address of one ServiceEntry changes no cluster of another', async () => {
  const bare = (hostname: string, address: string) => ({
    ...reviews,
    hostname,
    endpoints: [{ address, workload: '' }],
  })
  const input = inputOf([bare('a.example', '10.0.0.1'), bare('b.example', '10.0.0.2')])
  const translation = createTranslation({ input })
  const before = translation.viewOf(client).resources(typeUrls.cluster)
  await translation.update(inputOf([bare('a.example', '10.0.0.1'), bare('b.example', '10.0.0.3')]))
  const after = translation.viewOf(client).resources(typeUrls.cluster)
  const name = 'outbound|9080||a.example'
  assert.ok(before.get(name) !== undefined)
  // The same object: it was not even encoded again.
  assert.equal(after.get(name), before.get(name))
})

test('of inputs that come during a run only the newest is worked on', async () => {
  const translation = createTranslation({ input: inputOf([reviews]) })
  translation.viewOf(client)
  let calls = 0
  using _ = translation.onChange(() => calls++)
  const updates = [1, 2, 3, 4].map((weight) =>
    translation.update(
      inputOf(
        [reviews],
        [virtualService({ http: [{ route: [to('reviews', undefined, weight)] }] })],
      ),
    ),
  )
  await Promise.all(updates)
  assert.ok(calls <= 2, `${calls} publications`)
})

test('a version that names an unknown subset waits, and the one in force stays', async () => {
  const good = virtualService({ http: [{ route: [to('reviews', 'v1')] }] })
  const bad = virtualService({ http: [{ route: [to('reviews', 'v9')] }] })
  const translation = createTranslation({ input: inputOf([reviews], [good]) })
  const before = snapshotOf(translation.viewOf(client))
  await translation.update(inputOf([reviews], [bad]))
  assert.deepEqual(snapshotOf(translation.viewOf(client)), before)
  const held = (await translation.issues()).find(({ code }) => code === 'IST0101')
  assert.match(held?.message ?? '', /reviews\.default\.svc\.cluster\.local\+v9.*stays in force/)
  assert.equal(held?.severity, 'error')

  const withV9 = { ...reviews, endpoints: [{ version: 'v9' }] }
  await translation.update(inputOf([withV9], [bad]))
  assert.deepEqual(
    snapshotOf(translation.viewOf(client)),
    snapshotOf(translateAll(inputOf([withV9], [bad]), client)),
  )
  assert.ok(!(await translation.issues()).some(({ code }) => code === 'IST0101'))
})

test('a first version that names an unknown host is in force, as in Istio', async () => {
  const translation = createTranslation({ input: inputOf([reviews]) })
  translation.viewOf(client)
  const first = virtualService({ http: [{ route: [to('nobody')] }] })
  await translation.update(inputOf([reviews], [first]))
  assert.deepEqual(
    snapshotOf(translation.viewOf(client)),
    snapshotOf(translateAll(inputOf([reviews], [first]), client)),
  )
  assert.match((await translation.issues())[0]?.message ?? '', /503 \(NC\)/)
})

test('a VirtualService whose destination went away stays in force', async () => {
  const ratings = { ...reviews, hostname: 'ratings.default.svc.cluster.local' }
  const route = virtualService({ http: [{ route: [to('ratings')] }] })
  const translation = createTranslation({ input: inputOf([reviews, ratings], [route]) })
  translation.viewOf(client)
  const timeout = virtualService({ http: [{ timeout: '3s', route: [to('ratings')] }] })
  await translation.update(inputOf([reviews], [timeout]))
  assert.deepEqual(
    snapshotOf(translation.viewOf(client)),
    snapshotOf(translateAll(inputOf([reviews], [timeout]), client)),
  )
})

/** A small world in which names clash, wildcards cover and labels match often. */
const hostArbitrary = fc.constantFrom(
  'a.default.svc.cluster.local',
  'b.default.svc.cluster.local',
  'a.other.svc.cluster.local',
  'a.default',
  'www.example.com',
  '*.example.com',
)

const serviceArbitrary: fc.Arbitrary<Services[number]> = fc
  .record({
    hostname: hostArbitrary,
    ports: fc.subarray(
      [
        { number: 80, name: 'http', protocol: 'http' as const },
        { number: 8080, name: 'http-b', protocol: 'http' as const },
        { number: 5432, name: 'tcp', protocol: 'tcp' as const },
        { number: 443, name: 'tls', protocol: 'tls' as const },
        { number: 9000, name: '', protocol: 'auto' as const },
      ],
      { minLength: 1 },
    ),
    resolution: fc.constantFrom(
      'static' as const,
      'static' as const,
      'dns' as const,
      'none' as const,
    ),
    exportTo: fc.constantFrom([], [], ['.'], ['other']),
    addresses: fc.constantFrom([], ['240.240.0.1'], ['240.240.0.1', '240.240.0.2']),
    endpoints: fc.array(
      fc.record({
        version: fc.constantFrom('v1', 'v2'),
        port: fc.integer({ min: 20_001, max: 20_003 }),
        serviceAccount: fc.constantFrom('one', 'two', ''),
        tlsMode: fc.constantFrom('istio' as const, undefined),
        health: fc.constantFrom('healthy' as const, 'unhealthy' as const),
        locality: fc.constantFrom('', 'a/1', 'a/2', 'b/1'),
      }),
      { maxLength: 3 },
    ),
  })
  .chain((service) =>
    fc
      .constantFrom({}, { trafficDistribution: 'same-zone' as const })
      .map((preference) => ({ ...service, ...preference })),
  )

const destinationArbitrary = fc.record({
  destination: fc.record(
    {
      host: fc.constantFrom('a', 'b', 'a.other.svc.cluster.local', 'www.example.com'),
      subset: fc.constantFrom('v1', 'v2'),
    },
    { requiredKeys: ['host'] },
  ),
  weight: fc.integer({ min: 1, max: 9 }),
})

const matchArbitrary = fc.record(
  {
    uri: fc.constantFrom({ prefix: '/' }, { exact: '/x' }),
    port: fc.constantFrom(80, 8080),
    sourceLabels: fc.constantFrom({ app: 'web' }, { app: 'batch' }),
    sourceNamespace: fc.constantFrom('default', 'other'),
  },
  { requiredKeys: [] },
)

const l4RouteArbitrary = fc.array(destinationArbitrary, { minLength: 1, maxLength: 2 })

const l4Match = {
  port: fc.constantFrom(5432, 443),
  sourceLabels: fc.constantFrom({ app: 'web' }, { app: 'batch' }),
  sourceNamespace: fc.constantFrom('default', 'other'),
  destinationSubnets: fc.constantFrom(['240.240.0.0/16'], ['10.0.0.0/8']),
}

const tcpArbitrary = fc.record(
  {
    match: fc.array(fc.record(l4Match, { requiredKeys: [] }), { maxLength: 2 }),
    route: l4RouteArbitrary,
  },
  { requiredKeys: ['route'] },
)

const tlsArbitrary = fc.record({
  match: fc.array(
    fc.record(
      {
        ...l4Match,
        sniHosts: fc.subarray(['a', 'www.example.com', '*.example.com'], { minLength: 1 }),
      },
      { requiredKeys: ['sniHosts'] },
    ),
    { minLength: 1, maxLength: 2 },
  ),
  route: l4RouteArbitrary,
})

const names = fc.constantFrom('one', 'two', 'three')
const namespaces = fc.constantFrom('default', 'other')
const exports = fc.constantFrom(undefined, ['.'], ['*'], ['other'])

function resourceArbitrary(kind: string, spec: fc.Arbitrary<object>): fc.Arbitrary<Resource> {
  return fc
    .record({ name: names, namespace: namespaces, spec })
    .map(({ spec, ...metadata }) =>
      resourceFrom(JSON.stringify({ apiVersion: 'networking.istio.io/v1', kind, metadata, spec })),
    )
}

const virtualServiceArbitrary = resourceArbitrary(
  'VirtualService',
  fc.record({
    hosts: fc.uniqueArray(
      fc.constantFrom('a', 'b', '*.example.com', '*.cluster.local', 'www.example.com', 'a.default'),
      { minLength: 1, maxLength: 2 },
    ),
    exportTo: exports,
    http: fc.array(
      fc.record(
        {
          match: fc.array(matchArbitrary, { maxLength: 2 }),
          route: fc.array(destinationArbitrary, { minLength: 1, maxLength: 2 }),
        },
        { requiredKeys: ['route'] },
      ),
      { minLength: 1, maxLength: 2 },
    ),
    tcp: fc.array(tcpArbitrary, { maxLength: 2 }),
    tls: fc.array(tlsArbitrary, { maxLength: 2 }),
  }),
)

const ruleArbitrary = resourceArbitrary(
  'DestinationRule',
  fc.record(
    {
      host: fc.constantFrom('a', 'b', '*.cluster.local', '*.example.com'),
      exportTo: exports,
      trafficPolicy: fc.constantFrom(
        { loadBalancer: { simple: 'RANDOM' } },
        { loadBalancer: { consistentHash: { httpHeaderName: 'x-user' } } },
        { outlierDetection: {} },
        {
          outlierDetection: {},
          loadBalancer: { localityLbSetting: { failoverPriority: ['version'] } },
        },
        {
          loadBalancer: {
            localityLbSetting: { distribute: [{ from: 'a/*', to: { 'a/*': 40, 'b/*': 60 } }] },
          },
        },
        {
          loadBalancer: {
            zoneAwareLbSetting: {
              failover: [{ from: 'a', to: 'b' }],
              failoverPriority: ['version'],
              minClusterSize: 1,
            },
          },
        },
        { loadBalancer: { zoneAwareLbSetting: { enabled: false } } },
        { tls: { mode: 'SIMPLE' } },
        { tls: { mode: 'SIMPLE', credentialName: 'a' } },
        { tls: { mode: 'ISTIO_MUTUAL' } },
        { tls: { mode: 'DISABLE' } },
        { connectionPool: { tcp: { maxConnections: 1 } } },
        { connectionPool: { http: { h2UpgradePolicy: 'UPGRADE' } } },
      ),
      subsets: fc.uniqueArray(
        fc.constantFrom('v1', 'v2').map((name) => ({ name, labels: { version: name } })),
        { selector: ({ name }) => name },
      ),
      workloadSelector: fc.constant({ matchLabels: { app: 'web' } }),
    },
    { requiredKeys: ['host'] },
  ),
)

const modeArbitrary = fc.constantFrom(
  ...(['UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT'] as const).map((mode) => ({ mode })),
)

const policyArbitrary = fc
  .record({
    name: names,
    namespace: fc.constantFrom('default', 'other', 'istio-system'),
    spec: fc.record(
      {
        selector: fc.constantFrom(
          { matchLabels: { version: 'v1' } },
          { matchLabels: { app: 'web' } },
          {},
        ),
        mtls: modeArbitrary,
        portLevelMtls: fc.dictionary(fc.constantFrom('80', '8000', '5432'), modeArbitrary),
      },
      { requiredKeys: [] },
    ),
  })
  .map(({ spec, ...metadata }) => peerAuthentication(spec, metadata))

const sidecarArbitrary = resourceArbitrary(
  'Sidecar',
  fc.record(
    {
      workloadSelector: fc.constantFrom({ labels: { app: 'web' } }, {}),
      egress: fc.array(
        fc.record(
          {
            port: fc.constantFrom(
              { number: 80, protocol: 'HTTP' },
              { number: 443, protocol: 'TLS' },
            ),
            bind: fc.constantFrom('127.0.0.1', '127.1.2.3'),
            hosts: fc.subarray(
              ['./*', '*/a.default.svc.cluster.local', 'other/*', '*/*.example.com', '~/*'],
              { minLength: 1 },
            ),
          },
          { requiredKeys: ['hosts'] },
        ),
        { maxLength: 2 },
      ),
      outboundTrafficPolicy: fc.constantFrom({}, { mode: 'ALLOW_ANY' }),
      ingress: fc.constantFrom(
        [],
        [{ port: { number: 8000, protocol: 'TCP' }, defaultEndpoint: '127.0.0.1:9' }],
        [{ port: { number: 80, protocol: 'TCP' } }],
      ),
    },
    { requiredKeys: [] },
  ),
)

const someFaults: readonly InjectedFault[] = [
  { name: 'a', host: 'a.default.svc.cluster.local', from: undefined, headers: {} },
  { name: 'b', host: 'a.default.svc.cluster.local', from: 'web', headers: { user: 'me' } },
  { name: 'c', host: 'www.example.com', from: 'a-v1', headers: {} },
].map((fault) => ({
  ...fault,
  fault: { delay: { fixedDelay: '1s', percentage: { value: 10 } } },
}))

type Edit = (input: TranslationInput) => TranslationInput

function withoutHost(
  { services, namesakes, endpoints }: TranslationInput['registry'],
  host: string,
) {
  return {
    services: new Map([...services].filter(([key]) => key !== host)),
    namesakes: new Map([...namesakes].filter(([key]) => key !== host)),
    endpoints: new Map([...endpoints].filter(([key]) => hostOfEndpointKey(key) !== host)),
  }
}

const editArbitrary: fc.Arbitrary<Edit> = fc.oneof(
  fc
    .oneof(virtualServiceArbitrary, ruleArbitrary, policyArbitrary, sidecarArbitrary)
    .map((resource): Edit => (input) => ({
      ...input,
      resources: new Map([...input.resources, [keyOf(resource), resource]]),
    })),
  fc.nat(20).map((index): Edit => (input) => {
    const keys = [...input.resources.keys()]
    const gone = keys[index % Math.max(keys.length, 1)]
    return {
      ...input,
      resources: new Map([...input.resources].filter(([key]) => key !== gone)),
    }
  }),
  // One service of the host, or one more in a namespace of its own.
  fc
    .record({ service: serviceArbitrary, namespace: fc.constantFrom('other', 'default', '') })
    .map(({ service, namespace }): Edit => (input) => {
      const second = {
        ...service,
        namespace,
        isServiceEntry: true,
        ports: service.ports.slice(0, 1),
      }
      const made = registryOf(namespace === '' ? [service] : [service, second])
      const { services, namesakes, endpoints } = withoutHost(input.registry, service.hostname)
      return {
        ...input,
        registry: {
          ...input.registry,
          services: new Map([...services, ...made.services]),
          namesakes: new Map([...namesakes, ...made.namesakes]),
          endpoints: new Map([...endpoints, ...made.endpoints]),
        },
      }
    }),
  hostArbitrary.map((host): Edit => (input) => ({
    ...input,
    registry: { ...input.registry, ...withoutHost(input.registry, host) },
  })),
  fc
    .constantFrom(
      {},
      { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' as const } },
      { inferSubsets: false },
      { localityLbSetting: { enabled: false }, defaultTrafficPolicy: { outlierDetection: {} } },
      { zoneAwareLbSetting: { failoverPriority: ['app'] } },
      { zoneAwareLbSetting: { enabled: false } },
      { mtlsMode: 'PERMISSIVE' as const },
      { h2UpgradePolicy: 'DO_NOT_UPGRADE' as const },
      { trustDomain: 'a.example', trustDomainAliases: ['b.example'], enableAutoMtls: false },
    )
    .map((config): Edit => (input) => ({ ...input, mesh: meshSettingsOf(config) })),
  fc.subarray([...someFaults]).map((faults): Edit => (input) => ({ ...input, faults })),
  // A delegating VirtualService, and what it may or may not find.
  fc.constantFrom('one', 'two', 'missing').map((name): Edit => (input) => {
    const root = virtualService({
      name: 'root',
      hosts: ['b'],
      http: [{ match: [{ uri: { prefix: '/' } }], delegate: { name } }],
    })
    return { ...input, resources: new Map([...input.resources, [keyOf(root), root]]) }
  }),
  fc.constantFrom('one', 'two').map((name): Edit => (input) => {
    const leaf = virtualService({ name, hosts: [], http: [{ route: [to('a', 'v1')] }] })
    return { ...input, resources: new Map([...input.resources, [keyOf(leaf), leaf]]) }
  }),
)

const clients = [
  client,
  nodeOf({
    workload: 'a-v1',
    labels: { app: 'web' },
    metadata: {
      MESH_PORTS: [{ name: 'http', servicePort: 80, appPort: 8000, meshPort: 20_001 }],
      UPSTREAMS: [
        { host: 'b', port: 8080, localPort: 16_001 },
        { host: 'a', port: 443, localPort: 16_002 },
        { host: 'a', port: 9000, localPort: 16_003 },
      ],
      HTTP_PROXY_PORT: 15_001,
    },
  }),
  nodeOf({ namespace: 'other', userAgent: 'tulle', labels: { app: 'batch' } }),
  nodeOf({ workload: 'near', labels: { app: 'web', version: 'v1' }, locality: 'a/1' }),
]

test('incremental results equal a full run, whatever the edits', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(editArbitrary, { minLength: 1, maxLength: 12 }), async (edits) => {
      let input = inputOf([])
      const translation = createTranslation({ input })
      for (const node of clients) translation.viewOf(node)
      for (const edit of edits) {
        input = edit(input)
        await translation.update(input)
        for (const node of clients) {
          const full = translateAll(translation.effectiveInput(), node)
          assert.deepEqual(snapshotOf(translation.viewOf(node)), snapshotOf(full))
        }
      }
    }),
    { numRuns: 150 },
  )
})

test('the domains of one route configuration are all different, whatever the mesh holds', () => {
  fc.assert(
    fc.property(
      fc.array(serviceArbitrary, { maxLength: 6 }),
      fc.array(virtualServiceArbitrary, { maxLength: 3 }),
      (services, resources) => {
        for (const node of clients) {
          const domains = domainsOf(translateAll(inputOf(services, resources), node))
          assert.equal(new Set(domains).size, domains.length, domains.sort().join('\n'))
        }
      },
    ),
    { numRuns: 150 },
  )
})

function domainsOf(view: ResourceView): string[] {
  const bytes = view.resources(typeUrls.route).get('http_proxy')?.any
  assert.ok(bytes !== undefined)
  return RouteConfiguration.decode(Any.decode(bytes).value).virtualHosts.flatMap(
    ({ domains }) => domains,
  )
}
