/** Precedence of PeerAuthentications, rule by rule. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { resourceFrom } from '../../test/support/translation-case.ts'
import type { PeerAuthenticationSpec } from '../model/istio/peer-authentication.ts'
import type { MeshConfig } from '../model/mesh/mesh-config.ts'
import { meshSettingsOf, type MtlsMode } from './input.ts'
import { modeOfPort, PeerAuthentications } from './peer-authentication-index.ts'

interface Policy extends PeerAuthenticationSpec {
  readonly namespace?: string
  readonly name?: string
  readonly age?: number
}

function indexOf(policies: readonly Policy[], config: MeshConfig = {}): PeerAuthentications {
  const resources = policies.map(({ namespace, name, age, ...spec }, index) => {
    const metadata = {
      name: name ?? `policy-${index}`,
      namespace: namespace ?? 'default',
      ...(age !== undefined && { creationTimestamp: `2024-01-0${age}T00:00:00Z` }),
    }
    const apiVersion = 'security.istio.io/v1'
    const value = { apiVersion, kind: 'PeerAuthentication', metadata, spec }
    return resourceFrom(JSON.stringify(value))
  })
  return new PeerAuthentications({
    resources: new Map(resources.map((resource, index) => [String(index), resource])),
    mesh: meshSettingsOf(config),
  })
}

const labels = { app: 'a', version: 'v1' }
const root = 'istio-system'
const ours = { matchLabels: { app: 'a' } }
const mode = (word: MtlsMode | 'UNSET') => ({ mtls: { mode: word } })

const cases: readonly [string, readonly Policy[], MtlsMode][] = [
  ['without policies mesh ports take mTLS only', [], 'STRICT'],
  ['the mesh policy', [{ namespace: root, ...mode('PERMISSIVE') }], 'PERMISSIVE'],
  [
    'the namespace goes before the mesh',
    [{ namespace: root, ...mode('DISABLE') }, mode('PERMISSIVE')],
    'PERMISSIVE',
  ],
  [
    'the workload goes before the namespace',
    [mode('DISABLE'), { selector: ours, ...mode('PERMISSIVE') }],
    'PERMISSIVE',
  ],
  ['another namespace says nothing', [{ namespace: 'other', ...mode('DISABLE') }], 'STRICT'],
  [
    'another workload says nothing',
    [{ selector: { matchLabels: { app: 'b' } }, ...mode('DISABLE') }],
    'STRICT',
  ],
  [
    'all labels of a selector count',
    [{ selector: { matchLabels: { app: 'a', version: 'v2' } }, ...mode('DISABLE') }],
    'STRICT',
  ],
  [
    'a selector without labels is none',
    [{ selector: { matchLabels: {} }, ...mode('DISABLE') }, mode('PERMISSIVE')],
    'DISABLE',
  ],
  [
    'UNSET at the workload is what the namespace says',
    [mode('PERMISSIVE'), { selector: ours, ...mode('UNSET') }],
    'PERMISSIVE',
  ],
  [
    'nothing at the namespace is what the mesh says',
    [{ namespace: root, ...mode('DISABLE') }, {}],
    'DISABLE',
  ],
  [
    'UNSET everywhere is the default',
    [{ namespace: root, ...mode('UNSET') }, mode('UNSET'), { selector: ours, mtls: {} }],
    'STRICT',
  ],
  [
    'of two in one namespace the oldest counts',
    [
      { age: 3, ...mode('DISABLE') },
      { age: 2, ...mode('PERMISSIVE') },
    ],
    'PERMISSIVE',
  ],
  [
    'the oldest counts even when it is UNSET',
    [
      { age: 3, ...mode('DISABLE') },
      { age: 2, ...mode('UNSET') },
    ],
    'STRICT',
  ],
  [
    'of two for one workload the oldest counts',
    [
      { age: 2, selector: ours, ...mode('PERMISSIVE') },
      { age: 1, selector: { matchLabels: { version: 'v1' } }, ...mode('DISABLE') },
    ],
    'DISABLE',
  ],
  [
    'of two of one age the first by name counts',
    [
      { name: 'b', ...mode('DISABLE') },
      { name: 'a', ...mode('PERMISSIVE') },
    ],
    'PERMISSIVE',
  ],
  [
    'a selector in the root namespace is ignored',
    [{ namespace: root, selector: ours, ...mode('DISABLE') }],
    'STRICT',
  ],
  [
    'ports of a namespace policy are ignored',
    [{ ...mode('PERMISSIVE'), portLevelMtls: { '8080': { mode: 'DISABLE' } } }],
    'PERMISSIVE',
  ],
]

for (const [title, policies, expected] of cases) {
  test(title, () => {
    const modes = indexOf(policies).modesOf('default', labels)
    assert.equal(modes.mode, expected)
    assert.equal(modeOfPort(modes, [8080]), expected)
  })
}

test('the setting of the mesh is the default, and any policy goes before it', () => {
  const config: MeshConfig = { mtlsMode: 'PERMISSIVE', rootNamespace: 'mesh' }
  assert.equal(indexOf([], config).modesOf('default', labels).mode, 'PERMISSIVE')
  const policies = [{ namespace: 'mesh', ...mode('STRICT') }]
  assert.equal(indexOf(policies, config).modesOf('default', labels).mode, 'STRICT')
})

test('a workload in the root namespace follows the mesh policy, and none with a selector', () => {
  const policies = [
    { namespace: root, ...mode('PERMISSIVE') },
    { namespace: root, selector: ours, ...mode('DISABLE') },
  ]
  assert.equal(indexOf(policies).modesOf(root, labels).mode, 'PERMISSIVE')
})

test('a port has its own mode, UNSET that of the workload, and others that of the workload', () => {
  const policy: Policy = {
    selector: ours,
    ...mode('PERMISSIVE'),
    portLevelMtls: { '1': { mode: 'DISABLE' }, '2': { mode: 'UNSET' }, '3': {} },
  }
  const modes = indexOf([policy]).modesOf('default', labels)
  assert.deepEqual(
    [1, 2, 3, 4].map((port) => modeOfPort(modes, [port])),
    ['DISABLE', 'PERMISSIVE', 'PERMISSIVE', 'PERMISSIVE'],
  )
  assert.equal(modeOfPort(modes, [undefined, 4, 1]), 'DISABLE')
})

test('ports of a workload whose own mode is unset inherit what is wider', () => {
  const policies: Policy[] = [
    mode('DISABLE'),
    { selector: ours, portLevelMtls: { '1': { mode: 'STRICT' }, '2': { mode: 'UNSET' } } },
  ]
  const modes = indexOf(policies).modesOf('default', labels)
  assert.deepEqual(
    [1, 2, 3].map((port) => modeOfPort(modes, [port])),
    ['STRICT', 'DISABLE', 'DISABLE'],
  )
})
