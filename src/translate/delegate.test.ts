/** Routes of a delegate in the place of the route that delegates: the rows of Istio's own tests. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { resourceFrom } from '../../test/support/translation-case.ts'
import type {
  HttpMatchRequest,
  HttpRoute,
  VirtualServiceSpec,
} from '../model/istio/virtual-service.ts'
import type { Resource } from '../model/resource.ts'
import { delegatesOf, joinDelegates } from './delegate.ts'

function virtualService(name: string, spec: object): Resource<VirtualServiceSpec> {
  const value = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name, namespace: 'default' },
    spec,
  }
  return resourceFrom(JSON.stringify(value)) as Resource<VirtualServiceSpec>
}

function joined(root: object, leaves: readonly HttpRoute[]): readonly HttpRoute[] {
  const whole = virtualService('root', {
    hosts: ['a.test'],
    http: [{ ...root, delegate: { name: 'leaf' } }],
  })
  const delegates = delegatesOf([whole, virtualService('leaf', { http: leaves })])
  return joinDelegates(whole, delegates, ['*']).routes.map(({ http }) => http)
}

const prefix = (text: string) => ({ uri: { prefix: text } })
const exact = (text: string) => ({ uri: { exact: text } })
const header = (text: string) => ({ headers: { version: { exact: text } } })
const query = (text: string) => ({ queryParams: { version: { exact: text } } })
const to = (subset: string) => ({ route: [{ destination: { host: 'page.org', subset } }] })
const copy = (subset: string) => ({ mirrors: [{ destination: { host: 'copy.org', subset } }] })

test('what the delegating route says holds where its delegate says nothing', () => {
  const inherited = {
    timeout: '10s',
    headers: { request: { add: { istio: 'test' }, remove: ['trace-id'] } },
  }
  const leaves = [
    { match: [{ ...prefix('/page/v1'), ...header('v1') }], ...to('v1') },
    {
      match: [
        { ...prefix('/page/v2'), ...header('v2') },
        { ...header('v2'), ...query('v2') },
      ],
      ...to('v2'),
    },
  ]
  assert.deepEqual(
    joined(inherited, leaves),
    leaves.map((leaf) => ({ ...inherited, ...leaf })),
  )
})

test('copies of the delegate take the place of the delegating route’s', () => {
  const leaves = [{ match: [prefix('/page/v1')], ...copy('v1'), ...to('v1') }, { ...to('v3') }]
  assert.deepEqual(joined(copy('v3'), leaves), [
    leaves[0],
    { ...copy('v3'), ...to('v3'), match: [] },
  ])
})

test('a route without blocks has those of the delegating one', () => {
  const root = { ...prefix('/page'), port: 8080 }
  const routes = joined({ match: [root] }, [
    { match: [{ ...prefix('/page/v1'), ...header('v1') }], ...to('v1') },
    { match: [{ ...header('v2'), ...query('v2') }], ...to('v2') },
    to('v3'),
  ])
  assert.deepEqual(
    routes.map(({ match }) => match),
    [
      [{ ...prefix('/page/v1'), ...header('v1'), port: 8080 }],
      [{ ...root, ...header('v2'), ...query('v2') }],
      [root],
    ],
  )
})

type Blocks = readonly HttpMatchRequest[]
const one = { headers: { one: { exact: '1' } } }
const two = { headers: { two: { regex: '2' } } }

const rows: readonly (readonly [title: string, root: Blocks, leaf: Blocks, merged?: Blocks])[] = [
  ['an exact path below a prefix', [prefix('/page')], [exact('/page/1')], [exact('/page/1')]],
  ['nothing below an expression', [{ uri: { regex: '^/p' } }], [{}], [{ uri: { regex: '^/p' } }]],
  ['a prefix beside an expression', [{ uri: { regex: '^/page' } }], [prefix('/page')]],
  [
    'each block with the one it agrees with',
    [prefix('/page'), prefix('/reviews')],
    [exact('/page/1'), exact('/reviews/1')],
    [exact('/page/1'), exact('/reviews/1')],
  ],
  ['a path beside the prefix', [prefix('/page')], [exact('/reviews')]],
  ['one block beside drops the route', [prefix('/page')], [exact('/page/1'), exact('/reviews')]],
  ['no blocks', [header('v1')], [], [header('v1')]],
  ['another value', [header('v1')], [header('v2')]],
  [
    'every block with every one',
    [one, two],
    [prefix('/')],
    [
      { ...one, ...prefix('/') },
      { ...two, ...prefix('/') },
    ],
  ],
  ['headers add up', [one], [two], [{ headers: { one: { exact: '1' }, two: { regex: '2' } } }]],
  [
    'names are joined',
    [{ name: 'root', ...prefix('/') }],
    [{ name: 'leaf', ...prefix('/a') }],
    [{ name: 'root-leaf', ...prefix('/a') }],
  ],
  [
    'the leaf’s port where the root has none',
    [prefix('/')],
    [{ port: 80 }],
    [{ ...prefix('/'), port: 80 }],
  ],
]

for (const [title, root, leaf, merged] of rows) {
  test(`blocks: ${title}`, () => {
    const routes = joined({ match: root }, [{ match: leaf, ...to('v1') }])
    assert.deepEqual(routes[0]?.match, merged)
  })
}

test('only whom it is exported to may delegate to it', () => {
  const root = virtualService('root', {
    hosts: ['a.test'],
    http: [{ delegate: { name: 'leaf' } }, to('v2')],
  })
  for (const [exportTo, fallback, expected] of [
    [['.'], ['*'], 2],
    [['default'], ['*'], 2],
    [['other'], ['*'], 1],
    [[], ['other'], 1],
    [[], ['.'], 2],
  ] as const) {
    const delegates = delegatesOf([virtualService('leaf', { exportTo, http: [to('v1')] })])
    assert.equal(joinDelegates(root, delegates, fallback).routes.length, expected)
  }
})
