/** Text of a table that goes into headers and paths, and what a table says of clients from inside and to filters. */
import assert from 'node:assert/strict'
import { writeFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { messageOf } from '../../../test/support/envoy-message.ts'
import { headerList } from '../../../test/support/request-record.ts'
import { RouteConfiguration } from '../../xds/proto/generated/envoy/config/route/v3/route.ts'
import { typeUrls } from '../../xds/resource-set.ts'
import { type Compiled, compiled } from '../config/compiled.ts'
import { switchedOff } from '../filter/route-config.ts'
import type { RequestHead } from '../http/message.ts'
import { compileRouteConfiguration } from './compile-route-configuration.ts'
import type { RouteOptions } from './route-compiler.ts'
import type { RouteTable } from './route-table.ts'

type Fields = Readonly<Record<string, unknown>>

function compile(
  routes: readonly Fields[],
  host: Fields = {},
  options: Partial<RouteOptions> = {},
): Compiled<RouteTable> {
  const hosts = [{ name: 'h', domains: ['*'], routes, ...host }]
  const message = messageOf(typeUrls.route, RouteConfiguration, { name: 't', virtual_hosts: hosts })
  return compileRouteConfiguration(message, { random: () => 0, ...options })
}

function must(result: Compiled<RouteTable>): RouteTable {
  assert.ok(result.ok, result.ok ? '' : result.reasons.join('\n'))
  return result.value
}

function head(fields: Readonly<Record<string, string>> = {}, path = '/'): RequestHead {
  return {
    method: 'GET',
    path,
    authority: 'a.test',
    scheme: 'http',
    protocol: 'HTTP/1.1',
    headers: headerList(fields),
    bodyLength: 0,
    upgrade: undefined,
    wantsClose: false,
  }
}

const match = { prefix: '/' }
const forward = (fields: Fields): Fields => ({ match, route: { cluster: 'c', ...fields } })
const redirect = (fields: Fields): Fields => ({ match, redirect: fields })
const part = (fields: Fields): Fields => ({
  match,
  route: { weighted_clusters: { clusters: [{ weight: 1, ...fields }] } },
})

/** With the field that the reason names, behind `virtual_hosts[0].routes[0].`. */
const lineEnders: readonly (readonly [field: string, make: (text: string) => Fields])[] = [
  ['route.prefix_rewrite', (text) => forward({ prefix_rewrite: text })],
  ['route.host_rewrite_literal', (text) => forward({ host_rewrite_literal: text })],
  ['route.host_rewrite_header', (text) => forward({ host_rewrite_header: text })],
  [
    'route.regex_rewrite',
    (text) => forward({ regex_rewrite: { pattern: { regex: 'a' }, substitution: text } }),
  ],
  ['route.cluster_header', (text) => ({ match, route: { cluster_header: text } })],
  [
    'route.weighted_clusters.header_name',
    (text) => ({
      match,
      route: { weighted_clusters: { clusters: [{ name: 'a', weight: 1 }], header_name: text } },
    }),
  ],
  ['route.weighted_clusters.clusters[0].cluster_header', (text) => part({ cluster_header: text })],
  [
    'route.weighted_clusters.clusters[0].host_rewrite_literal',
    (text) => part({ name: 'a', host_rewrite_literal: text }),
  ],
  [
    'route.request_mirror_policies[0].cluster_header',
    (text) => forward({ request_mirror_policies: [{ cluster_header: text }] }),
  ],
  [
    'route.hash_policy[0].header.header_name',
    (text) => forward({ hash_policy: [{ header: { header_name: text } }] }),
  ],
  ['redirect.host_redirect', (text) => redirect({ host_redirect: text })],
  ['redirect.path_redirect', (text) => redirect({ path_redirect: text })],
  ['redirect.prefix_rewrite', (text) => redirect({ prefix_rewrite: text })],
  [
    'match.headers[0]',
    (text) => ({ match: { ...match, headers: [{ name: text }] }, route: { cluster: 'c' } }),
  ],
]

test('text that would end a line of a header is refused, wherever it stands', () => {
  for (const [field, make] of lineEnders) {
    for (const ender of ['\n', '\r', '\0']) {
      const result = compile([make(`/a${ender}b`)])
      const reasons = result.ok ? [] : result.reasons
      const [reason = ''] = reasons
      assert.equal(reasons.length, 1, `${field}: ${reasons.join(', ')}`)
      assert.ok(reason.startsWith(`virtual_hosts[0].routes[0].${field}: `), reason)
      assert.match(reason, /may hold no NUL, line feed or carriage return/)
    }
    must(compile([make('/ab')]))
  }
})

test('a path that a redirect goes to begins with a slash', () => {
  const locationOf = (fields: Fields, path: string): string | undefined => {
    const action = must(compile([redirect(fields)])).match(head({}, path))?.route.action
    return action?.kind === 'redirect' ? action.redirect(head({}, path)).location : undefined
  }
  assert.equal(locationOf({ path_redirect: 'new' }, '/a?b=c'), 'http://a.test/new?b=c')
  assert.equal(locationOf({ path_redirect: '?x=1' }, '/a'), 'http://a.test/?x=1')
  assert.equal(locationOf({ prefix_rewrite: 'new/' }, '/a?b=c'), 'http://a.test/new/a?b=c')
})

test('where TLS is wanted of clients from outside, those from inside come without', () => {
  const inside = { 'x-envoy-internal': 'true' }
  const kindOf = (wanted: string, fields: Readonly<Record<string, string>>): string | undefined =>
    must(compile([forward({})], { require_tls: wanted })).match(head(fields))?.route.action.kind
  assert.equal(kindOf('EXTERNAL_ONLY', inside), 'forward')
  assert.equal(kindOf('EXTERNAL_ONLY', { 'x-envoy-internal': 'false' }), 'redirect')
  assert.equal(kindOf('EXTERNAL_ONLY', {}), 'redirect')
  assert.equal(kindOf('EXTERNAL_ONLY', { 'x-forwarded-proto': 'https' }), 'forward')
  assert.equal(kindOf('ALL', inside), 'redirect')
})

const type = 'type.googleapis.com/envoy.config.route.v3.FilterConfig'
const own = { '@type': 'type.googleapis.com/google.protobuf.StringValue', value: 'x' }

test('an empty configuration switches a filter on, and keeps what a level above told it', () => {
  const on = { f: { '@type': type, config: {} } }
  const settingOf = (outer: Fields | undefined, inner: Fields | undefined): unknown => {
    const host = outer && { typed_per_filter_config: outer }
    const route = { ...forward({}), ...(inner && { typed_per_filter_config: inner }) }
    const compileFilterConfig = () => compiled({ kind: 'own' })
    const table = must(compile([route], host, { compileFilterConfig }))
    return table.match(head())?.route.filterConfigs?.get('f')
  }
  const off = { f: { '@type': type, disabled: true } }
  assert.equal(settingOf(off, undefined), switchedOff)
  assert.deepEqual(settingOf(off, on), { kind: 'switched on' })
  assert.deepEqual(settingOf(undefined, on), { kind: 'switched on' })
  assert.deepEqual(settingOf({ f: own }, on), { kind: 'own' })
  assert.equal(settingOf(on, off), switchedOff)
})

test('a direct response may be read from a file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-body-'))
  try {
    const filename = join(folder, 'body.html')
    writeFileSync(filename, '<p>closed</p>')
    const route = { match, direct_response: { status: 503, body: { filename } } }
    const action = must(compile([route])).match(head())?.route.action
    assert.ok(action?.kind === 'direct')
    assert.equal(Buffer.from(action.body).toString(), '<p>closed</p>')
  } finally {
    rmSync(folder, { recursive: true })
  }
})
