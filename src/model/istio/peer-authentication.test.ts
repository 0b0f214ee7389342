/** PeerAuthentication: what is accepted, and what is refused where. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseText } from '../parse.ts'

const head = `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata:
  name: default
`

function findingsOf(spec: string) {
  const [result] = parseText(head + spec, 'policy.yaml')
  assert.ok(result !== undefined)
  return {
    isRead: result.resource !== undefined,
    issues: result.issues.map(({ code, severity, path, line }) => ({ code, severity, path, line })),
  }
}

const accepted: readonly [string, string][] = [
  ['nothing at all', 'spec: {}\n'],
  ['a mode', 'spec:\n  mtls: { mode: STRICT }\n'],
  ['a mode that is unset', 'spec:\n  mtls: { mode: UNSET }\n'],
  ['an empty block', 'spec:\n  mtls: {}\n'],
  [
    'ports of chosen workloads',
    'spec:\n  selector: { matchLabels: { app: a } }\n' +
      '  portLevelMtls: { 8080: { mode: DISABLE }, 65535: { mode: UNSET }, 1: {} }\n',
  ],
]

for (const [title, spec] of accepted) {
  test(`PeerAuthentication: ${title} is accepted`, () => {
    assert.deepEqual(findingsOf(spec), { isRead: true, issues: [] })
  })
}

test('PeerAuthentication: the version v1beta1 is the same kind', () => {
  const text = `${head.replace('/v1', '/v1beta1')}spec: { mtls: { mode: PERMISSIVE } }\n`
  const [result] = parseText(text, 'policy.yaml')
  assert.deepEqual(result?.issues, [])
  assert.deepEqual(result?.resource?.spec, { mtls: { mode: 'PERMISSIVE' } })
})

const refused: readonly [string, string, string, number][] = [
  ['an unknown mode', 'spec:\n  mtls: { mode: strict }\n', 'spec.mtls.mode', 6],
  ['an unknown field', 'spec:\n  mtls: { mod: STRICT }\n', 'spec.mtls.mod', 6],
  [
    'ports without a selector',
    'spec:\n  portLevelMtls: { 8080: { mode: STRICT } }\n',
    'spec.portLevelMtls',
    6,
  ],
  [
    'ports of a selector without labels',
    'spec:\n  selector: {}\n  portLevelMtls: { 8080: { mode: STRICT } }\n',
    'spec.portLevelMtls',
    7,
  ],
  [
    'no port at all',
    'spec:\n  selector: { matchLabels: { app: a } }\n  portLevelMtls: {}\n',
    'spec.portLevelMtls',
    7,
  ],
  ...['0', '65536', 'http', '-1', '08'].map((port): [string, string, string, number] => [
    `port ${port}`,
    `spec:\n  selector: { matchLabels: { app: a } }\n  portLevelMtls:\n    "${port}": {}\n`,
    `spec.portLevelMtls[${port}]`,
    8,
  ]),
  [
    'a wildcard in a label',
    'spec:\n  selector:\n    matchLabels:\n      app: "*"\n',
    'spec.selector.matchLabels[app]',
    8,
  ],
]

for (const [title, spec, path, line] of refused) {
  test(`PeerAuthentication: ${title} is refused at its place`, () => {
    const { isRead, issues } = findingsOf(spec)
    const found = issues.find((issue) => issue.path === path && issue.severity === 'error')
    assert.equal(found?.line, line, JSON.stringify(issues))
    assert.equal(isRead, false)
  })
}

test('PeerAuthentication: a selector without labels gives a warning', () => {
  const { isRead, issues } = findingsOf('spec:\n  selector: { matchLabels: {} }\n')
  assert.equal(isRead, true)
  assert.deepEqual(issues, [
    { code: 'IST0133', severity: 'warning', path: 'spec.selector', line: 6 },
  ])
})
