/** Issues of policies and of TLS settings, at their lines. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { registryOf } from '../../test/support/translation-case.ts'
import type { Issue } from '../model/issue.ts'
import type { MeshConfig } from '../model/mesh/mesh-config.ts'
import { parseText } from '../model/parse.ts'
import { resourceKey, type Resource } from '../model/resource.ts'
import { analyze } from './analyze.ts'
import { meshSettingsOf } from './input.ts'

const registry = registryOf([
  {
    hostname: 'reviews.default.svc.cluster.local',
    ports: [
      { number: 9080, name: 'http' },
      { number: 9081, name: 'http-b' },
    ],
    endpoints: [{ version: 'v1', tlsMode: 'istio' }, { version: 'v2' }],
  },
])

function issuesOf(text: string, config: MeshConfig = {}): readonly Issue[] {
  const resources = new Map<string, Resource>()
  for (const { resource, issues } of parseText(text, 'policy.yaml')) {
    assert.ok(resource !== undefined, JSON.stringify(issues))
    resources.set(resourceKey('', resource.kind, resource.metadata), resource)
  }
  return analyze({ resources, registry, mesh: meshSettingsOf(config) })
}

function policy(metadata: string, spec: string): string {
  return `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: ${metadata}
spec:
  ${spec}
`
}

function rule(tls: string): string {
  return `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec:
  host: reviews
  trafficPolicy:
    tls: ${tls}
`
}

function shown({ code, severity, line, path }: Issue) {
  return { code, severity, line, path }
}

const strict = 'mtls: { mode: STRICT }'
const forReviews = 'selector: { matchLabels: { app: reviews } }'

test('policies that count raise nothing', () => {
  const text = [
    policy('{ name: default, namespace: istio-system }', strict),
    policy('{ name: default }', strict),
    policy('{ name: reviews }', `${forReviews}\n  ${strict}`),
    policy('{ name: v1 }', `selector: { matchLabels: { version: v1 } }\n  ${strict}`),
  ].join('---\n')
  assert.deepEqual(issuesOf(text), [])
})

test('a selector in the root namespace is a warning at its line', () => {
  const issues = issuesOf(policy('{ name: a, namespace: istio-system }', forReviews))
  assert.deepEqual(issues.map(shown), [
    { code: 'IST0167', severity: 'warning', line: 5, path: 'spec.selector' },
  ])
  assert.match(issues[0]?.message ?? '', /"istio-system" is the root namespace/)
  assert.deepEqual(
    issuesOf(policy('{ name: a, namespace: mesh }', forReviews), { rootNamespace: 'mesh' }).map(
      ({ code }) => code,
    ),
    ['IST0167'],
  )
})

test('of two policies for a namespace the younger has no effect, and the older is named', () => {
  const text =
    policy('{ name: a, creationTimestamp: "2024-01-02T00:00:00Z" }', strict) +
    '---\n' +
    policy('{ name: b, creationTimestamp: "2024-01-01T00:00:00Z" }', strict)
  const issues = issuesOf(text)
  assert.deepEqual(
    issues.map(({ code, resource }) => [code, resource]),
    [['IST0167', 'PeerAuthentication default/a']],
  )
  assert.match(issues[0]?.message ?? '', /PeerAuthentication default\/b \(policy\.yaml:7\)/)
})

test('a younger policy for workloads that an older one selects has no effect', () => {
  const older = policy('{ name: a }', `${forReviews}\n  ${strict}`)
  const narrower = 'selector: { matchLabels: { app: reviews, version: v1 } }'
  const issues = issuesOf(`${older}---\n${policy('{ name: b }', `${narrower}\n  ${strict}`)}`)
  assert.deepEqual(issues.map(shown), [
    { code: 'IST0167', severity: 'warning', line: 12, path: 'spec.selector' },
  ])
})

test('a selector that selects no workload is a warning', () => {
  const issues = issuesOf(policy('{ name: a }', 'selector: { matchLabels: { app: nobody } }'))
  assert.deepEqual(issues.map(shown), [
    { code: 'IST0127', severity: 'warning', line: 5, path: 'spec.selector' },
  ])
})

test('plaintext to workloads that take mTLS only is an error, and names one of them', () => {
  const [issue, ...others] = issuesOf(rule('{ mode: DISABLE }'))
  assert.ok(issue !== undefined)
  assert.deepEqual(others, [])
  assert.deepEqual(shown(issue), {
    code: 'TUL0014',
    severity: 'error',
    line: 7,
    path: 'spec.trafficPolicy.tls.mode',
  })
  assert.match(issue.message, /reviews\.default\.svc\.cluster\.local:9080.*default\/reviews-v1/)
  assert.deepEqual(issuesOf(rule('{ mode: ISTIO_MUTUAL }')), [])
  assert.deepEqual(issuesOf(rule('{ mode: DISABLE }'), { mtlsMode: 'PERMISSIVE' }), [])
})

test('mTLS to workloads that take plaintext only is an error', () => {
  const [issue] = issuesOf(rule('{ mode: ISTIO_MUTUAL }'), { mtlsMode: 'DISABLE' })
  assert.equal(issue?.code, 'TUL0014')
  assert.match(issue.message, /takes plaintext only/)
})

test('a mode for a subset counts for the endpoints of that subset', () => {
  const text = `${rule('{ mode: ISTIO_MUTUAL }')}  subsets:
  - { name: v2, labels: { version: v2 }, trafficPolicy: { tls: { mode: DISABLE } } }
`
  assert.deepEqual(issuesOf(text), [])
  const [issue] = issuesOf(text.replaceAll('v2', 'v1'))
  assert.equal(issue?.path, 'spec.subsets[0].trafficPolicy.tls.mode')
})

const external = (tls: string, place = 'tls') => `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec:
  host: reviews
  trafficPolicy:
${
  place === 'tls'
    ? `    tls: ${tls}`
    : `    portLevelSettings:\n    - port: { number: 9080 }\n      tls: ${tls}`
}
`

test('TLS without authorities is a warning, for all ports and for one', () => {
  const permissive: MeshConfig = { mtlsMode: 'PERMISSIVE' }
  assert.deepEqual(issuesOf(external('{ mode: SIMPLE }'), permissive).map(shown), [
    { code: 'IST0128', severity: 'warning', line: 7, path: 'spec.trafficPolicy.tls.mode' },
  ])
  const [issue] = issuesOf(external('{ mode: SIMPLE }', 'port'), permissive)
  assert.equal(issue?.code, 'IST0129')
  assert.equal(issue.line, 9)
  for (const rest of ['caCertificates: system', 'caCertificates: /a', 'insecureSkipVerify: true']) {
    assert.deepEqual(issuesOf(external(`{ mode: SIMPLE, ${rest} }`), permissive), [], rest)
  }
})

test('a credential for everybody is an error at the field', () => {
  const [issue, ...others] = issuesOf(external('{ mode: SIMPLE, credentialName: a }'), {
    mtlsMode: 'PERMISSIVE',
  })
  // A sidecar has credentials where a selector says whose; Istio warns of the roots as well.
  assert.deepEqual(
    others.map(({ code }) => code),
    ['IST0128'],
  )
  assert.equal(issue?.code, 'TUL0011')
  assert.equal(issue.path, 'spec.trafficPolicy.tls.credentialName')
})

test('a credential for chosen clients is good, for all ports and for one, if its name is one', () => {
  const chosen = (name: string, place?: string) =>
    issuesOf(
      external(`{ mode: SIMPLE, credentialName: '${name}' }`, place).replace(
        '  host:',
        '  workloadSelector: { matchLabels: { version: v1 } }\n  host:',
      ),
      { mtlsMode: 'PERMISSIVE' },
    ).filter(({ code }) => code !== 'IST0127')
  for (const name of ['a', 'a.b-c', 'kubernetes://a']) {
    for (const place of ['tls', 'port']) assert.deepEqual(chosen(name, place), [], name)
  }
  for (const name of ['../a', 'a/b', 'A', 'configmap://a', 'kubernetes://ns/a', '-a', 'a.']) {
    assert.deepEqual(
      chosen(name).map(({ code, message }) => [code, message.split(';')[0]]),
      [['TUL0011', 'credentialName is no name of a credential']],
      name,
    )
  }
})
