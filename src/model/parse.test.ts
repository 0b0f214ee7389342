/** Documents: YAML, JSON, lists, positions, envelopes, and what one broken document does to the others. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { describe, expectIssue, expectWellSaid } from '../../test/support/issue-table.ts'
import { runToEnd } from '../lib/steps.ts'
import { parseFile, parseText, parseTextInSteps, validate } from './parse.ts'
import type { ParsedDocument } from './parse.ts'

function specOf(document: ParsedDocument | undefined): Readonly<Record<string, unknown>> {
  assert.ok(document?.resource)
  return document.resource.spec as Readonly<Record<string, unknown>>
}

test('a text is parsed a document at a time', () => {
  const text = ['a', 'b', 'c'].map((name) => `kind: ${name}\n`).join('---\n')
  assert.equal([...parseTextInSteps(text, 'a.yaml')].length, 3)
  assert.deepEqual(
    runToEnd(parseTextInSteps(text, 'a.yaml')).map(({ position }) => position.line),
    [1, 3, 5],
  )
})

const exercise = `apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata:
  name: my-go-service
spec:
  hosts:
  - my-go-service
  http:
  - route:
    - destination:
        host: my-go-service
        subset: v1
      weight: 90
    - destination:
        host: my-go-service
        subset: v2
      weight: 10
---
apiVersion: networking.istio.io/v1alpha3
kind: DestinationRule
metadata:
  name: my-go-service
spec:
  host: my-go-service
  trafficPolicy:
    outlierDetection:
      consecutiveErrors: 5
      interval: 30s
      baseEjectionTime: 30s
`

test('the exercise is read as it stands, with a warning that says what consecutiveErrors means', () => {
  const [route, rule, ...others] = parseText(exercise, 'config/exercise.yaml')
  assert.equal(others.length, 0)
  assert.deepEqual(route?.issues, [])
  assert.equal(route?.key, 'networking.istio.io/VirtualService/default/my-go-service')
  assert.deepEqual(route?.resource?.spec, {
    hosts: ['my-go-service'],
    http: [
      {
        route: [
          { destination: { host: 'my-go-service', subset: 'v1' }, weight: 90 },
          { destination: { host: 'my-go-service', subset: 'v2' }, weight: 10 },
        ],
      },
    ],
  })
  assert.equal(route?.resource?.apiVersion, 'networking.istio.io/v1alpha3')
  assert.deepEqual(rule?.resource?.spec, {
    host: 'my-go-service',
    trafficPolicy: {
      outlierDetection: { consecutiveErrors: 5, interval: '30s', baseEjectionTime: '30s' },
    },
  })
  const [issue, ...more] = rule?.issues ?? []
  assert.ok(issue)
  assert.equal(more.length, 0)
  const { message, remedy, ...place } = issue
  assert.deepEqual(place, {
    code: 'IST0133',
    severity: 'warning',
    file: 'config/exercise.yaml',
    line: 27,
    column: 7,
    resource: 'DestinationRule default/my-go-service',
    path: 'spec.trafficPolicy.outlierDetection.consecutiveErrors',
  })
  assert.match(message, /honoured as consecutiveGatewayErrors/)
  assert.match(remedy, /consecutiveGatewayErrors or consecutive5xxErrors/)
})

test('a resource knows where it and each of its fields stand', () => {
  const [, rule] = parseText(exercise, 'a.yaml')
  const origin = rule?.resource?.origin
  assert.deepEqual([origin?.file, origin?.line, origin?.column], ['a.yaml', 19, 1])
  assert.equal(origin?.positionOf('spec.host').line, 24)
  assert.equal(origin?.positionOf('spec.trafficPolicy.outlierDetection.interval').line, 28)
  assert.equal(origin?.positionOf('spec.trafficPolicy.tls.mode').line, 25)
  assert.equal(origin?.positionOf('').line, 19)
})

test('a broken document hides none of the others, and is still known by name', () => {
  const parts = exercise.split('---\n')
  const text = [
    parts[0],
    'apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata:\n  name: b\nspec:\n\thosts: [a]\n',
    parts[1],
  ].join('---\n')
  const [first, broken, last, ...others] = parseText(text, 'a.yaml')
  assert.equal(others.length, 0)
  assert.ok(first?.resource && last?.resource)
  assert.equal(broken?.resource, undefined)
  assert.equal(broken?.isUnreadable, true)
  assert.equal(broken?.key, 'networking.istio.io/ServiceEntry/default/b')
  assert.deepEqual(
    broken?.issues.map(({ code, line, resource }) => ({ code, line, resource })),
    [{ code: 'TUL0001', line: 24, resource: 'ServiceEntry default/b' }],
  )
})

test('an open quote or bracket ends with its document', () => {
  for (const opened of ['spec: "never closed', 'spec: {a: [b', 'spec: |\n  text', "name: 'x"]) {
    const documents = parseText(`kind: A\n${opened}\n---\n${exercise}`, 'a.yaml')
    assert.equal(documents.length, 3, opened)
    assert.ok(documents[1]?.resource, opened)
  }
})

test('all that is wrong in a document is told at once, in the order of the text', () => {
  const [document] = parseText(
    `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: Reviews, labels: {a: 1}}
spec:
  hosts: ["*", b_c]
  http:
  - timeout: 5
    retrys: {}
    route:
    - destination: {host: a, subset: v_1}
      weight: -1
`,
    'a.yaml',
  )
  assert.deepEqual(
    document?.issues.map(({ code, line, path }) => `${code} ${String(line)} ${path}`),
    [
      'TUL0006 3 metadata.name',
      'TUL0006 3 metadata.labels[a]',
      'IST0106 5 spec.hosts[0]',
      'IST0106 5 spec.hosts[1]',
      'IST0106 7 spec.http[0].timeout',
      'TUL0010 8 spec.http[0].retrys',
      'IST0106 10 spec.http[0].route[0].destination.subset',
      'IST0106 11 spec.http[0].route[0].weight',
    ],
  )
  assert.equal(document?.issues[5]?.remedy, 'Write "retries" instead.')
  expectWellSaid(document)
})

const head = 'apiVersion: networking.istio.io/v1\nkind: DestinationRule\n'
const wrong: readonly (readonly [string, string, string, string])[] = [
  ['no apiVersion', 'TUL0005', 'apiVersion', 'kind: DestinationRule # HERE\nmetadata: {name: a}'],
  ['no kind', 'TUL0005', 'kind', 'apiVersion: v1 # HERE\nmetadata: {name: a}'],
  ['a kind that is a number', 'TUL0005', 'kind', 'apiVersion: v1\nkind: 5 # HERE'],
  ['a list', 'TUL0005', '', '- a # HERE'],
  ['plain text', 'TUL0005', '', 'hello # HERE'],
  [
    'a misspelt kind',
    'TUL0007',
    'kind',
    'apiVersion: networking.istio.io/v1\nkind: VirtualServce # HERE',
  ],
  [
    'a kind of another group',
    'TUL0007',
    'apiVersion',
    'apiVersion: v1 # HERE\nkind: VirtualService',
  ],
  [
    'a misspelt group',
    'TUL0007',
    'apiVersion',
    'apiVersion: networking.istio.oi/v1 # HERE\nkind: VirtualService',
  ],
  [
    'a version that does not exist',
    'TUL0007',
    'apiVersion',
    'apiVersion: networking.istio.io/v2 # HERE\nkind: VirtualService',
  ],
  ['a misspelt Service', 'TUL0007', 'kind', 'apiVersion: v1\nkind: Servce # HERE'],
  [
    'no metadata',
    'TUL0006',
    'metadata.name',
    `${head}spec: {host: a}`.replace('networking.istio.io/v1', 'networking.istio.io/v1 # HERE'),
  ],
  [
    'no name',
    'TUL0006',
    'metadata.name',
    `${head}metadata: {namespace: a} # HERE\nspec: {host: a}`,
  ],
  [
    'a name that is generated',
    'TUL0006',
    'metadata.name',
    `${head}metadata: {generateName: a-} # HERE\nspec: {host: a}`,
  ],
  [
    'a name in capitals',
    'TUL0006',
    'metadata.name',
    `${head}metadata: {name: A} # HERE\nspec: {host: a}`,
  ],
  [
    'a name that is a number',
    'TUL0006',
    'metadata.name',
    `${head}metadata: {name: 5} # HERE\nspec: {host: a}`,
  ],
  [
    'a namespace with a dot',
    'TUL0006',
    'metadata.namespace',
    `${head}metadata: {name: a, namespace: a.b} # HERE\nspec: {host: a}`,
  ],
  [
    'an annotation that is a number',
    'TUL0006',
    'metadata.annotations[a]',
    `${head}metadata: {name: a, annotations: {a: 1}} # HERE\nspec: {host: a}`,
  ],
  [
    'a label key without a name',
    'TUL0006',
    'metadata.labels[a/]',
    `${head}metadata: {name: a, labels: {a/: b}} # HERE\nspec: {host: a}`,
  ],
  [
    'unknown metadata',
    'TUL0010',
    'metadata.label',
    `${head}metadata: {name: a, label: {}} # HERE\nspec: {host: a}`,
  ],
  [
    'a time that is none',
    'TUL0006',
    'metadata.creationTimestamp',
    `${head}metadata: {name: a, creationTimestamp: yesterday} # HERE\nspec: {host: a}`,
  ],
  [
    'a dry run of a route',
    'IST0106',
    'metadata.annotations[istio.io/dry-run]',
    `${head}metadata: {name: a, annotations: {istio.io/dry-run: "true"}} # HERE\nspec: {host: a}`,
  ],
  [
    'a namespace where there is none',
    'TUL0006',
    'metadata.namespace',
    'apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: a, namespace: b} # HERE\nspec: {}',
  ],
  [
    'no spec',
    'IST0106',
    'spec',
    `${head}metadata: {name: a}`.replace('networking.istio.io/v1', 'networking.istio.io/v1 # HERE'),
  ],
  [
    'a field beside spec',
    'TUL0010',
    'host',
    `${head}metadata: {name: a}\nspec: {host: a}\nhost: a # HERE`,
  ],
  [
    'a Service with a dot in its name',
    'TUL0006',
    'metadata.name',
    'apiVersion: v1\nkind: Service\nmetadata: {name: a.b} # HERE\nspec: {ports: [{port: 80}]}',
  ],
  [
    'a key twice',
    'TUL0002',
    'spec.host',
    `${head}metadata: {name: a}\nspec:\n  host: a\n  host: b # HERE`,
  ],
  [
    'a tag of an application',
    'TUL0003',
    'spec.host',
    `${head}metadata: {name: a}\nspec:\n  host: !secret a # HERE`,
  ],
  [
    'a binary',
    'TUL0003',
    'spec.host',
    `${head}metadata: {name: a}\nspec:\n  host: !!binary reviews # HERE`,
  ],
  [
    'an alias without an anchor',
    'TUL0003',
    'spec.exportTo',
    `${head}metadata: {name: a}\nspec:\n  host: a\n  exportTo: *all # HERE`,
  ],
  [
    'a key that is a list',
    'TUL0003',
    'spec',
    `${head}metadata: {name: a}\nspec:\n  host: a\n  ? [b] # HERE\n  : c`,
  ],
  [
    'a merge of text',
    'TUL0003',
    'spec.<<',
    `${head}metadata: {name: a}\nspec:\n  host: a\n  <<: b # HERE`,
  ],
  ['tabs', 'TUL0001', '', `${head}metadata: {name: a}\nspec:\n\thost: a # HERE`],
  [
    'a line that ends in the middle of a name',
    'TUL0001',
    '',
    `${head}metadata:\n  name: a\n  namesp # HERE`,
  ],
  ['an open bracket', 'TUL0001', '', `${head}metadata: {name: a}\nspec: {host: a # HERE`],
  [
    'a colon in plain text',
    'TUL0001',
    '',
    `${head}metadata: {name: a}\nspec:\n  host: a: b # HERE`,
  ],
]

for (const [title, code, path, text] of wrong) {
  test(`wrong: ${title}`, () => {
    expectIssue(`${text}\n`, code, path)
  })
}

test('a misspelt kind, group and field come with the name that was meant', () => {
  const messages = [
    'apiVersion: networking.istio.io/v1\nkind: Virtualservice',
    'apiVersion: netwrking.istio.io/v1\nkind: VirtualService',
    `${head}metadata: {name: a}\nspec: {host: a, traffic_policy: {}}`,
    `${head}metadata: {name: a}\nspec: {host: a, TrafficPolicy: {}}`,
  ].map((text) => parseText(text, 'a.yaml')[0]?.issues[0]?.message)
  assert.deepEqual(messages, [
    'unknown kind "Virtualservice" in group networking.istio.io, did you mean "VirtualService"?',
    'unknown API group "netwrking.istio.io", did you mean "networking.istio.io"?',
    'unknown field "traffic_policy", did you mean "trafficPolicy"?',
    'unknown field "TrafficPolicy", did you mean "trafficPolicy"?',
  ])
})

test('what only a cluster can use is skipped with a note', () => {
  const documents = parseText(
    'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a}\n',
    'a.yaml',
  )
  assert.deepEqual(
    documents.map(({ resource, issues }) => [resource, issues[0]?.code, issues[0]?.severity]),
    [
      [undefined, 'TUL0008', 'info'],
      [undefined, 'TUL0008', 'info'],
    ],
  )
  const [deployment, account] = documents.map(({ issues }) => issues[0])
  assert.equal(
    deployment?.message,
    'Deployment of apps has no effect here: only a Kubernetes cluster can use it',
  )
  assert.match(deployment.remedy, /`tulle analyze` reads names and labels/)
  assert.equal(account?.remedy, 'Nothing: nobody reads it.')
})

test('a kind that is known by name is kept as written, with a warning', () => {
  const [policy] = parseText(
    'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: deny, namespace: shop}\nspec: {action: DENY, rules: [{}]}\n',
    'a.yaml',
  )
  assert.deepEqual(policy?.resource?.spec, { action: 'DENY', rules: [{}] })
  assert.equal(policy?.key, 'security.istio.io/AuthorizationPolicy/shop/deny')
  assert.deepEqual(
    policy?.issues.map(({ code, severity }) => [code, severity]),
    [['TUL0009', 'warning']],
  )
  assert.match(policy?.issues[0]?.message ?? '', /NOT forbidden/)
})

test('comments, directives and empty documents are nothing', () => {
  assert.deepEqual(parseText('', 'a.yaml'), [])
  assert.deepEqual(parseText('---\n---\n# a\n...\n---\n\n', 'a.yaml'), [])
  assert.deepEqual(parseText('\uFEFF# a\n%YAML 1.2\n---\nnull\n', 'a.yaml'), [])
  const [document, ...others] = parseText(
    `# a\n%YAML 1.2\n---\r\n${exercise.split('---\n')[0]}\n...\n# b\n`,
    'a.yaml',
  )
  assert.ok(document?.resource)
  assert.equal(others.length, 0)
})

test('anchors, aliases and merge keys are followed', () => {
  const [document] = parseText(
    `${head}metadata: {name: a}
spec:
  host: a
  trafficPolicy: &policy
    connectionPool: {tcp: {maxConnections: 5}}
  subsets:
  - name: v1
    trafficPolicy: *policy
  - name: v2
    trafficPolicy:
      <<: *policy
      outlierDetection: {consecutive5xxErrors: 3}
`,
    'a.yaml',
  )
  assert.deepEqual(document?.issues, [], describe(document?.issues ?? []))
  assert.deepEqual(specOf(document)['subsets'], [
    { name: 'v1', trafficPolicy: { connectionPool: { tcp: { maxConnections: 5 } } } },
    {
      name: 'v2',
      trafficPolicy: {
        connectionPool: { tcp: { maxConnections: 5 } },
        outlierDetection: { consecutive5xxErrors: 3 },
      },
    },
  ])
})

test('aliases of aliases end at a ceiling', () => {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]']
  for (let level = 1; level <= 9; level++) {
    const before = `*a${String(level - 1)}`
    lines.push(
      `a${String(level)}: &a${String(level)} [${Array.from({ length: 10 }, () => before).join(', ')}]`,
    )
  }
  const [document] = parseText(lines.join('\n'), 'a.yaml')
  assert.ok(document?.issues.some(({ code }) => code === 'TUL0003'))
})

test('too much text, and text that nests too deep, is refused without being read', () => {
  const large = `${head}metadata: {name: a}\nspec: {host: ${'a'.repeat(1 << 20)}}\n---\n${exercise}`
  const [refused, route, rule] = parseText(large, 'a.yaml')
  assert.deepEqual(
    refused?.issues.map(({ code }) => code),
    ['TUL0004'],
  )
  assert.ok(route?.resource && rule?.resource)
  const [deep] = parseText(`a: ${'['.repeat(100)}${']'.repeat(100)}`, 'a.yaml')
  assert.equal(
    deep?.issues.some(({ code }) => code === 'TUL0004'),
    true,
  )
  const [abyss] = parseText('{a: '.repeat(20_000), 'a.yaml')
  assert.equal(abyss?.resource, undefined)
  assert.ok((abyss?.issues.length ?? 0) > 0)
})

test('JSON is read too, indented with tabs or not', () => {
  const value = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'DestinationRule',
    metadata: { name: 'a', creationTimestamp: '2026-01-31T12:00:00Z' },
    spec: { host: 'a', exportTo: ['*'] },
  }
  for (const text of [
    JSON.stringify(value),
    JSON.stringify(value, null, '\t'),
    JSON.stringify(value, null, 2),
  ]) {
    const [document] = parseText(text, 'a.json')
    assert.deepEqual(document?.resource?.spec, value.spec)
    assert.equal(document?.resource?.metadata.creationTimestampMs, Date.UTC(2026, 0, 31, 12))
  }
})

test('a List, and a typed list, are the resources in it', () => {
  const item = (name: string): string =>
    `- apiVersion: networking.istio.io/v1\n  kind: DestinationRule\n  metadata: {name: ${name}}\n  spec: {host: a}\n`
  const documents = parseText(
    `apiVersion: v1\nkind: List\nitems:\n${item('a')}${item('B')}---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntryList\nmetadata: {resourceVersion: "5"}\nitems:\n- metadata: {name: c}\n  spec: {address: 1.2.3.4}\n---\napiVersion: v1\nkind: List\nitems: []\n`,
    'a.yaml',
  )
  assert.deepEqual(
    documents.map(({ key, resource, position }) => [key, resource?.kind, position.line]),
    [
      ['networking.istio.io/DestinationRule/default/a', 'DestinationRule', 4],
      ['networking.istio.io/DestinationRule/default/B', undefined, 8],
      ['networking.istio.io/WorkloadEntry/default/c', 'WorkloadEntry', 17],
    ],
  )
  assert.equal(documents[1]?.issues[0]?.path, 'metadata.name')
  assert.equal(documents[1]?.issues[0]?.line, 10)
})

test('the namespace is the written one, else the one that the caller gives, else default', () => {
  const [written] = parseText(
    `${head}metadata: {name: a, namespace: b}\nspec: {host: a}`,
    'a.yaml',
    { namespace: 'c' },
  )
  const [given] = parseText(`${head}metadata: {name: a}\nspec: {host: a}`, 'a.yaml', {
    namespace: 'c',
  })
  const [cluster] = parseText(
    'apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: a}\nspec: {}',
    'a.yaml',
  )
  assert.deepEqual(
    [written, given, cluster].map((document) => document?.resource?.metadata.namespace),
    ['b', 'c', ''],
  )
})

test('booleans of YAML 1.1 are booleans where one is asked for, and text where text is', () => {
  const [document] = parseText(
    `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, labels: {on-call: yes}}
spec:
  hosts: [a]
  http:
  - match: [{ignoreUriCase: yes, uri: {prefix: /}}]
    redirect: {uri: /}
`,
    'a.yaml',
  )
  assert.deepEqual(document?.issues, [])
  assert.equal(document?.resource?.metadata.labels['on-call'], 'yes')
  assert.deepEqual(specOf(document)['http'], [
    { match: [{ ignoreUriCase: true, uri: { prefix: '/' } }], redirect: { uri: '/' } },
  ])
})

test('null is an absent field', () => {
  const [document] = parseText(
    `${head}metadata: {name: a, labels: null}\nspec: {host: a, subsets: null, exportTo: ~}\nstatus: {a: b}`,
    'a.yaml',
  )
  assert.deepEqual(document?.issues, [])
  assert.deepEqual(document?.resource?.spec, { host: 'a' })
})

test('a key like __proto__ is a key', () => {
  const [document] = parseText(
    `${head}metadata: {name: a}\nspec: {host: a, __proto__: {b: c}, constructor: 5}`,
    'a.yaml',
  )
  assert.deepEqual(
    document?.issues.map(({ code }) => code),
    ['TUL0010', 'TUL0010'],
  )
})

test('a value from the API is checked as text is, without a place', () => {
  const good = validate({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'a' },
    spec: { ports: [{ port: 80 }] },
  })
  assert.ok(good.ok)
  assert.equal(good.value.origin.line, 0)
  const bad = validate({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'a' },
    spec: { ports: [{ port: '80' }] },
  })
  assert.ok(!bad.ok)
  assert.deepEqual(
    bad.issues.map(({ path, line, file }) => [path, line, file]),
    [['spec.ports[0].port', 0, '']],
  )
  for (const value of [null, 5, 'a', [], {}, undefined, () => 5])
    assert.equal(validate(value).ok, false)
  let deep: unknown = {}
  for (let level = 0; level < 10_000; level++) deep = { deep }
  assert.equal(validate(deep).ok, false)
})

test('a file that cannot be read is an issue of that file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-model-'))
  try {
    const path = join(folder, 'a.yaml')
    const [missing] = parseFile(path)
    assert.deepEqual(
      missing?.issues.map(({ code, file }) => [code, file]),
      [['TUL0201', path]],
    )
    writeFileSync(path, exercise)
    assert.equal(parseFile(path).filter(({ resource }) => resource !== undefined).length, 2)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
