/** Hash policies of routes: what is hashed, what is refused. Values are compared with a real Envoy's elsewhere. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { hexOf, xxHash64 } from '../../lib/xx-hash.ts'
import { RouteAction_HashPolicy as HashPolicy } from '../../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import { HeaderList } from '../http/header-list.ts'
import type { RequestHead } from '../http/message.ts'
import { compileHashPolicies, hashAddress } from './hash-policy.ts'

type Partials = readonly object[]

/** A partial message: the generated type of nested partials does not take one in pieces. */
function policyOf(partial: object): HashPolicy {
  return HashPolicy.fromPartial(partial)
}

function run(
  policies: Partials,
  headers: readonly (readonly [string, string])[] = [],
  path = '/',
): { readonly hash: string | undefined; readonly cookies: readonly string[] } {
  const report = { path: '', reasons: [] as string[] }
  const hashRequest = compileHashPolicies(policies.map(policyOf), report)
  assert.deepEqual(report.reasons, [])
  const list = new HeaderList()
  for (const [name, value] of headers) list.append(name, value)
  const head = { method: 'GET', path, authority: 'a.test', headers: list } as RequestHead
  const cookies: string[] = []
  const hash = hashRequest?.(head, {
    remoteAddressText: '10.0.0.9:1234',
    localAddressText: '10.0.0.1:80',
    addCookie: (text) => cookies.push(text),
  })
  return { hash: hash && hexOf(hash), cookies }
}

const hashOf = (text: string): string => hexOf(xxHash64(text))
const header = (headerName: string, terminal = false) => ({
  policySpecifier: { $case: 'header' as const, value: { headerName } },
  terminal,
})
const cookie = (value: object) => ({ policySpecifier: { $case: 'cookie' as const, value } })

test('a header that is not there gives no hash', () => {
  assert.equal(run([header('x-a')]).hash, undefined)
  assert.equal(run([header('X-A')], [['x-a', 'v']]).hash, hashOf('v'))
})

test('a terminal policy ends the list only when there is a hash', () => {
  const both = [header('x-a', true), header('x-b')]
  assert.equal(run(both, [['x-b', 'v']]).hash, hashOf('v'))
  const found = run(both, [
    ['x-a', 'w'],
    ['x-b', 'v'],
  ])
  assert.equal(found.hash, hashOf('w'))
})

test('the order of values of one header plays no part', () => {
  const one = run(
    [header('x-a')],
    [
      ['x-a', '1'],
      ['x-a', '2'],
    ],
  )
  const other = run(
    [header('x-a')],
    [
      ['x-a', '2'],
      ['x-a', '1'],
    ],
  )
  assert.equal(one.hash, other.hash)
  assert.notEqual(one.hash, hashOf('12'))
})

test('a cookie is found among others, with or without quotes', () => {
  for (const text of ['c=v', 'a=b; c=v', 'a; c="v"; c=w', 'c=v ; a=b']) {
    assert.deepEqual(run([cookie({ name: 'c' })], [['cookie', text]]), {
      hash: hashOf('v'),
      cookies: [],
    })
  }
})

test('a cookie without a life is never made', () => {
  assert.deepEqual(run([cookie({ name: 'c' })]), { hash: undefined, cookies: [] })
})

test('a made cookie is of the connection, and hashed', () => {
  const made = hexOf(xxHash64('10.0.0.9:123410.0.0.1:80'))
  const attributes = [{ name: 'SameSite', value: 'Lax' }, { name: 'Secure' }]
  const ttl = { seconds: 60, nanos: 0 }
  assert.deepEqual(run([cookie({ name: 'c', ttl, path: '/p', attributes })]), {
    hash: hashOf(made),
    cookies: [`c="${made}"; Max-Age=60; Path=/p; SameSite=Lax; Secure; HttpOnly`],
  })
  assert.deepEqual(run([cookie({ name: 'c', ttl: { seconds: 0, nanos: 0 } })]).cookies, [
    `c="${made}"; HttpOnly`,
  ])
})

test('of a client only the IP counts, in its shortest spelling', () => {
  assert.deepEqual(hashAddress('10.0.0.9:1'), xxHash64('10.0.0.9'))
  assert.deepEqual(hashAddress('[2001:db8:0::1]:1'), xxHash64('2001:db8::1'))
  assert.deepEqual(hashAddress('2001:db8::1:0'), xxHash64('2001:db8::1'))
  assert.equal(hashAddress('envoy://tunnel/'), undefined)
  assert.equal(hashAddress(''), undefined)
})

for (const { policy, reason } of [
  { policy: {}, reason: 'hash_policy[0]: policy_specifier is required' },
  {
    policy: header(''),
    reason: 'hash_policy[0].header.header_name: value length must be at least 1 characters',
  },
  {
    policy: cookie({ name: '' }),
    reason: 'hash_policy[0].cookie.name: value length must be at least 1 characters',
  },
  {
    policy: {
      policySpecifier: { $case: 'queryParameter' as const, value: { name: '' } },
    },
    reason: 'hash_policy[0].query_parameter.name: value length must be at least 1 characters',
  },
]) {
  test(`refused: ${reason}`, () => {
    const report = { path: 'hash_policy', reasons: [] as string[] }
    compileHashPolicies([policyOf(policy)], report)
    assert.deepEqual(report.reasons, [reason])
  })
}
