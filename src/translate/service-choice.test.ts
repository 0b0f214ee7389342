/** Which of several services of one host a client means: as it is declared, seen and imported. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FakeClock } from '../../test/support/fake-clock.ts'
import { resourcesOf } from '../../test/support/registry-scene.ts'
import { nodeOf } from '../../test/support/translation-case.ts'
import type { ServiceEntryVisibility } from '../model/mesh/mesh-config.ts'
import { createMemoryRegistrationLog } from '../registry/registration-log.ts'
import { openRegistry } from '../registry/registry.ts'
import { clientOf } from './client.ts'
import { meshSettingsOf } from './input.ts'
import { scopeOf } from './scope.ts'
import { buildWorld, ruleFor, visibleService } from './world.ts'

interface More {
  /** More of its spec, in flow style. */
  readonly spec?: string
  /** Numbers of its ports. */
  readonly ports?: string
}

const entry = (namespace: string, day: number, { spec = '', ports = '80' }: More = {}) =>
  `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: e${day}, namespace: ${namespace}, creationTimestamp: "2026-01-0${day}T00:00:00Z" }
spec: { hosts: [${host}], resolution: STATIC, ports: [${portsOf(ports)}]${spec} }
`
const service = (day: number) =>
  `---
apiVersion: v1
kind: Service
metadata: { name: api, namespace: home, creationTimestamp: "2026-01-0${day}T00:00:00Z" }
spec: { selector: { app: api }, ports: [{ port: 80, name: http-80 }] }
`
const sidecar = (...listeners: readonly string[]) =>
  `---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: default, namespace: c }
spec: { egress: [${listeners.join(', ')}] }
`
const routeTo = (port = '') =>
  `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: route, namespace: c }
spec: { hosts: [virtual.test], http: [{ route: [{ destination: { host: ${host}${port} } }] }] }
`
const hosts = (...names: readonly string[]) =>
  `{ hosts: [${names.map((name) => `"${name}"`).join(', ')}] }`
const onPort = (number: number, ...names: readonly string[]) =>
  `{ port: { number: ${number}, protocol: HTTP, name: p }, hosts: [${names.map((name) => `"${name}"`).join(', ')}] }`

const host = 'api.home.svc.cluster.local'

function portsOf(numbers: string): string {
  return numbers
    .split(' ')
    .map((number) => `{ number: ${number}, name: http-${number}, protocol: HTTP }`)
    .join(', ')
}

async function worldOf(text: string, serviceEntryVisibility?: ServiceEntryVisibility) {
  const resources = resourcesOf(text)
  const registry = await openRegistry({
    clock: new FakeClock(),
    registrations: createMemoryRegistrationLog(),
  })
  registry.setResources(resources)
  registry.flush()
  return buildWorld({
    registry: registry.snapshot,
    resources: new Map([...resources].map(([key, { resource }]) => [key, resource])),
    mesh: meshSettingsOf(
      serviceEntryVisibility && {
        serviceEntryVisibility: { applyToSidecars: true, ...serviceEntryVisibility },
      },
    ),
  })
}

/** `namespace ports` of the service that a client in namespace c means, and `namespace ports` of what it calls by name. */
async function meant(
  text: string,
  visibility?: ServiceEntryVisibility,
): Promise<readonly (string | undefined)[]> {
  const world = await worldOf(text, visibility)
  const scope = scopeOf(clientOf(nodeOf({ namespace: 'c' })), world)
  const named = world.imports.of(scope)?.named.get(host)
  return [visibleService(world, scope, host), named].map(
    (one) => one && `${one.namespace} ${one.ports.map(({ number }) => number).join('+')}`,
  )
}

for (const { claim, text, expected } of [
  {
    claim: 'the client’s own goes before an older one',
    text: entry('a', 1) + entry('c', 2),
    expected: 'c 80',
  },
  { claim: 'else the oldest counts', text: entry('b', 2) + entry('a', 1), expected: 'a 80' },
  {
    claim: 'of two that are as old, that of the first namespace counts',
    text: entry('b', 1) + entry('a', 1),
    expected: 'a 80',
  },
  {
    claim: 'one that is exported by name goes before an older one for all',
    text: entry('a', 1) + entry('b', 2, { spec: ', exportTo: [c]' }),
    expected: 'b 80',
  },
  {
    claim: 'what is not exported does not count',
    text: entry('a', 1, { spec: ', exportTo: [.]' }) + entry('b', 2),
    expected: 'b 80',
  },
  {
    claim: 'what is exported to nobody does not count, in its own namespace neither',
    text: entry('c', 1, { spec: ', exportTo: ["~"]' }) + entry('b', 2),
    expected: 'b 80',
  },
  {
    claim: 'a Service goes before an older ServiceEntry of another namespace',
    text: entry('a', 1) + service(2),
    expected: 'home 80',
  },
  {
    claim: 'a ServiceEntry of the client’s own namespace goes before a Service',
    text: service(1) + entry('c', 2),
    expected: 'c 80',
  },
  {
    claim: 'ServiceEntries of one namespace add up their ports',
    text: entry('a', 1) + entry('a', 2, { ports: '80 81' }),
    expected: 'a 80+81',
  },
  {
    claim: 'ServiceEntries of one namespace that are exported differently do not add up',
    text: entry('a', 1, { spec: ', exportTo: [c]' }) + entry('a', 2, { ports: '81' }),
    expected: 'a 80',
  },
  {
    claim: 'ports of other namespaces are not added',
    text: entry('a', 1) + entry('b', 2, { ports: '81' }),
    expected: 'a 80',
  },
]) {
  test(`without a Sidecar: ${claim}`, async () => {
    assert.deepEqual(await meant(text), [expected, undefined])
  })
}

const three = entry('a', 1) + entry('b', 2) + entry('c', 3)

const nameIs = (operator: 'In' | 'NotIn', ...values: readonly string[]) => ({
  namespaceSelector: {
    matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator, values }],
  },
})
const hasName = (namespace: string) => ({
  namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
})

for (const { claim, text, visibility, expected } of [
  {
    claim: 'what is not for sidecars changes nothing',
    text: entry('a', 1),
    visibility: { defaultVisibility: 'NAMESPACE', applyToSidecars: false },
    expected: 'a 80',
  },
  {
    claim: 'what says nothing is for all',
    text: entry('a', 1),
    visibility: { policies: [{ matchingRules: [hasName('a')] }] },
    expected: 'a 80',
  },
  {
    claim: 'an entry of another namespace is not seen',
    text: entry('a', 1),
    visibility: { defaultVisibility: 'NAMESPACE' },
  },
  {
    claim: 'an entry of the own namespace is seen',
    text: entry('a', 1) + entry('c', 2),
    visibility: { defaultVisibility: 'NAMESPACE' },
    expected: 'c 80',
  },
  {
    claim: 'an entry that is for nobody is not seen in its own namespace',
    text: entry('c', 1) + entry('a', 2),
    visibility: { policies: [{ visibility: 'NONE', matchingRules: [hasName('c')] }] },
    expected: 'a 80',
  },
  {
    claim: 'what is exported to another namespace than its own stays unseen there',
    text: entry('c', 1, { spec: ', exportTo: [a]' }),
    visibility: { defaultVisibility: 'NAMESPACE' },
  },
  {
    claim: 'it narrows and never widens',
    text: entry('a', 1, { spec: ', exportTo: ["."]' }),
    visibility: { defaultVisibility: 'PUBLIC' },
  },
  {
    claim: 'the first policy counts that matches',
    text: entry('a', 1) + entry('b', 2),
    visibility: {
      defaultVisibility: 'NONE',
      policies: [
        { visibility: 'NAMESPACE', matchingRules: [nameIs('In', 'a', 'c')] },
        { visibility: 'PUBLIC', matchingRules: [nameIs('NotIn', 'x')] },
        { visibility: 'NONE', matchingRules: [hasName('b')] },
      ],
    },
    expected: 'b 80',
  },
  {
    claim: 'every rule of a policy must match',
    text: entry('a', 1),
    visibility: {
      policies: [{ visibility: 'NONE', matchingRules: [hasName('a'), nameIs('NotIn', 'a')] }],
    },
    expected: 'a 80',
  },
  {
    claim: 'a policy without rules matches',
    text: entry('a', 1),
    visibility: { policies: [{ visibility: 'NONE' }] },
  },
  {
    claim: 'a Service is not limited',
    text: service(1),
    visibility: { defaultVisibility: 'NONE' },
    expected: 'home 80',
  },
] as readonly {
  claim: string
  text: string
  visibility: ServiceEntryVisibility
  expected?: string
}[]) {
  test(`visibility of ServiceEntries: ${claim}`, async () => {
    assert.deepEqual(await meant(text, visibility), [expected, undefined])
  })
}

for (const { claim, text, expected, named } of [
  {
    claim: 'a namespace that is named picks one',
    text: three + sidecar(hosts(`b/${host}`)),
    expected: 'b 80',
  },
  {
    claim: 'of two namespaces in one listener the client’s own counts',
    text: three + sidecar(hosts(`b/${host}`, `./${host}`)),
    expected: 'c 80',
  },
  {
    claim: 'of two foreign namespaces the oldest counts, in whatever order they stand',
    text: three + sidecar(hosts(`b/${host}`, `a/${host}`)),
    expected: 'a 80',
  },
  {
    claim: 'the first of two listeners counts, be it the client’s own that comes second',
    text: three + sidecar(hosts(`b/${host}`), hosts(`./${host}`)),
    expected: 'b 80',
  },
  {
    claim: 'a later listener adds ports of the same service',
    text: entry('a', 1, { ports: '80 81 82' }) + sidecar(onPort(80, `a/*`), onPort(82, `*/*`)),
    expected: 'a 80+82',
  },
  {
    claim: 'a later listener adds no ports of another namespace’s',
    text:
      entry('a', 1, { ports: '80 81' }) +
      entry('b', 2, { ports: '82' }) +
      sidecar(onPort(80, 'a/*'), onPort(82, '*/*')),
    expected: 'a 80',
  },
  {
    claim: 'a Service of a later listener takes a ServiceEntry’s place',
    text: entry('a', 1) + service(2) + sidecar(hosts('a/*'), hosts('home/*')),
    expected: 'home 80',
  },
  {
    claim: 'one without the listener’s port is not imported, and leaves the host to the next',
    text: entry('a', 1, { ports: '81' }) + entry('b', 2) + sidecar(onPort(80, '*/*')),
    expected: 'b 80',
  },
  {
    claim: 'a namespace that is named for other hosts does not keep the wildcard from this one',
    text: entry('a', 1) + sidecar(hosts('*/*', 'a/other.test')),
    expected: 'a 80',
  },
  {
    claim:
      'without egress it is as without a Sidecar, and a Service goes before older ServiceEntries',
    text: entry('a', 1) + service(2) + entry('b', 3) + sidecar(),
    expected: 'home 80',
  },
  {
    claim: 'ServiceEntries of a namespace add up, and others do not, in one listener',
    text:
      entry('a', 1, { ports: '80 81' }) +
      entry('a', 2, { ports: '82' }) +
      entry('b', 3, { ports: '83' }) +
      sidecar(hosts('*/*')),
    expected: 'a 80+81+82',
  },
  {
    claim: 'a name that is not the service’s whole name imports nothing',
    text: entry('a', 1) + sidecar(hosts('a/home.svc.cluster.local')),
    expected: undefined,
  },
  {
    claim: 'where only a route leads, the client’s own counts, and nobody calls it by name',
    text: three + routeTo() + sidecar(hosts('./virtual.test')),
    expected: 'c 80',
    named: undefined,
  },
  {
    claim: 'where only a route leads, the first namespace by name counts, however young',
    text: entry('b', 1) + entry('a', 2) + routeTo() + sidecar(hosts('./virtual.test')),
    expected: 'a 80',
    named: undefined,
  },
  {
    claim: 'a route brings the port that it names',
    text:
      entry('a', 1, { ports: '80 81' }) +
      routeTo(', port: { number: 81 }') +
      sidecar(hosts('./virtual.test')),
    expected: 'a 81',
    named: undefined,
  },
  {
    claim: 'a route to a port that the service has not brings nothing',
    text:
      entry('a', 1, { ports: '80 81' }) +
      routeTo(', port: { number: 99 }') +
      sidecar(hosts('./virtual.test')),
    expected: undefined,
    named: undefined,
  },
  {
    claim: 'a route adds a port to what is imported by name, and not to the name',
    text:
      entry('a', 1, { ports: '80 81' }) +
      routeTo(', port: { number: 81 }') +
      sidecar(hosts('./virtual.test'), onPort(80, 'a/*')),
    expected: 'a 81+80',
    named: 'a 80',
  },
] as readonly { claim: string; text: string; expected?: string; named?: string | undefined }[]) {
  test(`with a Sidecar: ${claim}`, async () => {
    const both = text.includes('VirtualService') ? [expected, named] : [expected, expected]
    const sorted = (ports: string | undefined) => ports?.split(/[ +]/).sort().join()
    assert.deepEqual((await meant(text)).map(sorted), both.map(sorted))
  })
}

test('the DestinationRule of the namespace applies whose service is meant', async () => {
  const rule = (namespace: string) =>
    `---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: rule, namespace: ${namespace} }
spec: { host: ${host} }
`
  const world = await worldOf(
    entry('a', 1, { spec: ', exportTo: [x]' }) + entry('b', 2) + rule('a') + rule('b'),
  )
  const ruleIn = (namespace: string) =>
    ruleFor(world, scopeOf(clientOf(nodeOf({ namespace })), world), host)?.namespace
  assert.deepEqual(['x', 'c', 'a', 'b'].map(ruleIn), ['a', 'b', 'a', 'b'])
})
