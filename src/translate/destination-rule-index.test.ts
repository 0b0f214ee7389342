/** Which DestinationRule counts for a client, and what merges: the rows of Istio's own tests. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { resourceFrom } from '../../test/support/translation-case.ts'
import type { DestinationRuleSpec } from '../model/istio/destination-rule.ts'
import { resourceKey } from '../model/resource.ts'
import { DestinationRules } from './destination-rule-index.ts'
import { meshSettingsOf } from './input.ts'

interface Written {
  readonly name: string
  readonly namespace: string
  /** Later ones are younger. */
  readonly created?: number
  readonly spec: Partial<DestinationRuleSpec>
}

function indexOf(rules: readonly Written[]): DestinationRules {
  const resources = rules.map(({ name, namespace, created = 0, spec }) =>
    resourceFrom(
      JSON.stringify({
        apiVersion: 'networking.istio.io/v1',
        kind: 'DestinationRule',
        metadata: { name, namespace, creationTimestamp: new Date(created * 1000).toISOString() },
        spec: { host: 'httpbin.org', ...spec },
      }),
    ),
  )
  return new DestinationRules({
    resources: new Map(
      resources.map((resource) => [
        resourceKey('networking.istio.io', resource.kind, resource.metadata),
        resource,
      ]),
    ),
    registry: {
      revision: 1,
      services: new Map(),
      namesakes: new Map(),
      endpoints: new Map(),
      workloads: new Map(),
    },
    mesh: meshSettingsOf(),
  })
}

interface Asked {
  readonly client: string
  readonly service: string
  readonly host?: string
  readonly app?: string
}

const find = (rules: DestinationRules, { client, service, host = 'httpbin.org', app }: Asked) =>
  rules.find({
    host,
    serviceNamespace: service,
    clientNamespace: client,
    isSelected: (selector) => selector['app'] === app,
  })

const subset = (name: string) => ({ subsets: [{ name }] })

const exported = indexOf([
  { name: 'r1', namespace: 'test1', spec: { exportTo: ['.', 'ns1'], ...subset('one') } },
  {
    name: 'r2',
    namespace: 'test2',
    spec: { exportTo: ['test2', 'ns1', 'test1', 'newNS'], ...subset('two') },
  },
  {
    name: 'r3',
    namespace: 'test3',
    spec: { exportTo: ['test1', 'test2', '*'], ...subset('three') },
  },
  { name: 'r4', namespace: 'test4', spec: { exportTo: ['test4'], ...subset('four') } },
  { name: 'root', namespace: 'istio-system', spec: subset('root') },
  { name: 'local', namespace: 'istio-system', spec: { exportTo: ['.'], ...subset('local') } },
  {
    name: 'wide',
    namespace: 'istio-system',
    spec: { host: '*.org', exportTo: ['.'], ...subset('wide') },
  },
  {
    name: 'app',
    namespace: 'istio-system',
    spec: { host: '*.app.org', exportTo: ['.'], ...subset('app') },
  },
  {
    name: 'r5',
    namespace: 'test5',
    spec: { host: 'api.test.com', exportTo: ['istio-system'], ...subset('five') },
  },
  {
    name: 'r6',
    namespace: 'test6',
    spec: { host: 'api.test.com', exportTo: ['istio-system'], ...subset('six') },
  },
])

for (const [client, service, expected, host] of [
  ['test1', 'test1', 'one'],
  ['test1', 'test2', 'one'],
  ['test2', 'test1', 'two'],
  ['newNS', 'test2', 'two'],
  ['test3', 'test1', 'three'],
  ['test5', 'test4', 'root'],
  ['ns1', 'test1', 'one'],
  ['ns1', 'random', 'root'],
  ['random', 'random', 'root'],
  ['test3', 'random', 'three'],
  ['istio-system', 'random', 'local'],
  ['istio-system', 'istio-system', 'local'],
  ['istio-system', 'istio-system', 'app', 'foo.app.org'],
  ['istio-system', 'test5', 'five', 'api.test.com'],
  ['istio-system', 'test6', 'six', 'api.test.com'],
  ['istio-system', 'test7', undefined, 'api.test.com'],
] as const) {
  test(`a client of ${client} for ${host ?? 'httpbin.org'} of ${service}: ${expected ?? 'none'}`, () => {
    const rule = find(exported, { client, service, ...(host !== undefined && { host }) })
    assert.equal(rule?.subsets[0]?.name, expected)
  })
}

test('rules of one host and the same exportTo merge, one that is exported elsewhere stands alone', () => {
  const rules = indexOf([
    { name: 'r1', namespace: 'test', spec: { subsets: [{ name: 'a' }, { name: 'b' }] } },
    {
      name: 'r2',
      namespace: 'test',
      created: 1,
      spec: { subsets: [{ name: 'c' }, { name: 'd' }] },
    },
    {
      name: 'r3',
      namespace: 'test',
      created: 2,
      spec: { exportTo: ['istio-system'], subsets: [{ name: 'e' }] },
    },
  ])
  const subsetsFor = (client: string) =>
    find(rules, { client, service: 'test' })?.subsets.map(({ name }) => name)
  assert.deepEqual(subsetsFor('test'), ['a', 'b', 'c', 'd'])
  assert.deepEqual(subsetsFor('other'), ['a', 'b', 'c', 'd'])
  assert.deepEqual(subsetsFor('istio-system'), ['e'])
})

const selecting = (app: string, exportTo: readonly string[]) => ({
  exportTo,
  workloadSelector: { matchLabels: { app } },
})
const selected = {
  app1: { name: 'app1', namespace: 'test', created: 1, spec: selecting('app1', ['test2', '.']) },
  app2: { name: 'app2', namespace: 'test', created: 2, spec: selecting('app2', ['test2', '.']) },
  app2too: { name: 'more', namespace: 'test', created: 2, spec: selecting('app2', ['test2', '.']) },
  other: { name: 'other', namespace: 'test2', created: 2, spec: selecting('app2', ['.']) },
  all: { name: 'all', namespace: 'test', spec: { exportTo: ['.', 'test2'] } },
  plain: { name: 'plain', namespace: 'test', spec: {} },
  root: { name: 'root', namespace: 'istio-system', spec: { exportTo: ['*'] } },
} as const
const { app1, app2, app2too, other, all, plain, root } = selected

for (const [title, written, client, byApp] of [
  [
    'one for chosen workloads goes first, and takes in what its namespace has for all',
    [app1, app2, app2too, all, root],
    'test',
    { app1: 'app1 all', app2: 'app2 more all', app3: 'all' },
  ],
  [
    'one for all that says nothing of exports is not taken in',
    [app1, plain, root],
    'test',
    { app1: 'app1', app3: 'plain' },
  ],
  [
    'one for chosen workloads is not exported',
    [app1, app2, app2too, all, root],
    'test2',
    { app1: 'all', app2: 'all' },
  ],
  [
    'where it chooses others, the service’s namespace is asked',
    [other, all, root],
    'test2',
    { app1: 'all', app2: 'other' },
  ],
  ['and then the root', [other, root], 'test2', { app1: 'root', app2: 'other' }],
  [
    'which is asked too where the service’s namespace has only such rules',
    [app1, app2, app2too, other, root],
    'test2',
    { app1: 'root', app2: 'other' },
  ],
  [
    'without any for all, the others have none',
    [app1, app2, app2too, other],
    'test',
    { app1: 'app1', app2: 'app2 more', app3: undefined },
  ],
] as const) {
  test(`selectors: ${title}`, () => {
    const rules = indexOf(written)
    for (const [app, expected] of Object.entries(byApp)) {
      const rule = find(rules, { client, service: 'test', app })
      assert.equal(rule?.parts.map(({ metadata }) => metadata.name).join(' '), expected)
    }
  })
}
