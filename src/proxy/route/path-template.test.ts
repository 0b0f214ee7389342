/** URI templates: which are refused, what they match, and what is made of what they captured. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { messageOf } from '../../../test/support/envoy-message.ts'
import { RouteConfiguration } from '../../xds/proto/generated/envoy/config/route/v3/route.ts'
import { typeUrls } from '../../xds/resource-set.ts'
import type { Compiled } from '../config/compiled.ts'
import { HeaderList } from '../http/header-list.ts'
import { compileRouteConfiguration } from './compile-route-configuration.ts'
import type { RouteTable } from './route-table.ts'

const types = 'type.googleapis.com/envoy.extensions.path'

function matchPolicy(template: string): object {
  return {
    name: 'envoy.path.match.uri_template.uri_template_matcher',
    typed_config: {
      '@type': `${types}.match.uri_template.v3.UriTemplateMatchConfig`,
      path_template: template,
    },
  }
}

function rewritePolicy(template: string): object {
  return {
    name: 'envoy.path.rewrite.uri_template.uri_template_rewriter',
    typed_config: {
      '@type': `${types}.rewrite.uri_template.v3.UriTemplateRewriteConfig`,
      path_template_rewrite: template,
    },
  }
}

function compile(match: object, action: object = {}): Compiled<RouteTable> {
  const route = { match, route: { cluster: 'c', ...action } }
  const hosts = [{ name: 'h', domains: ['*'], routes: [route] }]
  const fields = { name: 't', virtual_hosts: hosts }
  return compileRouteConfiguration(messageOf(typeUrls.route, RouteConfiguration, fields))
}

function reasonsOf(result: Compiled<RouteTable>): readonly string[] {
  return result.ok ? [] : result.reasons
}

/** The new path, or undefined where the template does not match. */
function pathThrough(template: string, rewrite: string, path: string): string | undefined {
  const result = compile(
    { path_match_policy: matchPolicy(template) },
    rewrite === '' ? {} : { path_rewrite_policy: rewritePolicy(rewrite) },
  )
  assert.ok(result.ok, reasonsOf(result).join('\n'))
  const action = result.value.match({
    method: 'GET',
    path,
    authority: 'a.test',
    scheme: 'http',
    protocol: 'HTTP/1.1',
    headers: new HeaderList(),
    bodyLength: 0,
    upgrade: undefined,
    wantsClose: false,
  })?.route.action
  if (action?.kind !== 'forward') return undefined
  return action.forward.rewritePath?.(path) ?? path
}

const rows: readonly (readonly [
  template: string,
  rewrite: string,
  path: string,
  expected: string | undefined,
])[] = [
  ['/shops/{id}/{rest=**}', '/{id}/{rest}', '/shops/7/a/b.json?q=/x', '/7/a/b.json?q=/x'],
  ['/shops/{id}/{rest=**}', '/{id}/{rest}', '/shops/7/', '/7/'],
  ['/shops/{id}/{rest=**}', '/{id}/{rest}', '/shops/7', undefined],
  ['/v/*/{id}/{part=**}.ts', '/{id}-{part}', '/v/x/7/a/b.ts', '/7-a/b'],
  ['/v/*/{id}/{part=**}.ts', '/{id}-{part}', '/v/x/7/a/b.mp4', undefined],
  ['/r/{area=eu/*}/{name}', '/{name}.{area}', '/r/eu/west/disk', '/disk.eu/west'],
  ['/r/{area=eu/*}/{name}', '/{name}.{area}', '/r/us/west/disk', undefined],
  ['/e/{code===na/*}/{two}', '/{code}/{two}', '/e/==na/x/y', '/==na/x/y'],
  ['/{a}/{A}', '/{A}{a}', '/low/up', '/uplow'],
  ['/{a}', '/{a}/{a}', '/x', '/x/x'],
  ['/*/', '', '/a/', '/a/'],
  ['/*/', '', '/a', undefined],
  ['/', '', '/', '/'],
  ['/(a).b+$', '', '/(a).b+$', '/(a).b+$'],
  ['/(a).b+$', '', '/axb', undefined],
  ['/x/%10%20/*', '', '/x/%10%20/a%2Fb', '/x/%10%20/a%2Fb'],
  ['/x/*', '', '/x/"a"', undefined],
  ['/x/*', '', '/X/a', undefined],
]

test('a template matches whole paths, and the new path is made of what it captured', () => {
  for (const [template, rewrite, path, expected] of rows) {
    assert.equal(pathThrough(template, rewrite, path), expected, `${template} ${path}`)
  }
})

test('templates that Envoy takes are taken', () => {
  for (const template of [
    '/**.m3u8',
    '/*_suffix',
    '/{path=**}.m3u8',
    '/{foo}/**.ts',
    '/api/*/v1/**',
    '/{version=api/*}/*',
    '/media/{id=**}',
    '/a/{b=*/%10%20}_suffix',
    '/{a}/{b}/{c}/{d}/{e}',
    '/{v_1=123/*/*}/**',
    '/{a123456789012345}',
  ]) {
    assert.deepEqual(reasonsOf(compile({ path_match_policy: matchPolicy(template) })), [], template)
  }
})

const refusedMatches: readonly (readonly [template: string, reason: RegExp])[] = [
  ['', /must begin with \/ and be printable/],
  ['media', /must begin with \//],
  ['/\u0001', /be printable/],
  ['/a b', /be printable/],
  ['/api/v*/1', /"v\*" is no part of a path/],
  ['/api/{version=v*}/1', /"v\*" is no part/],
  ['/api/v{n=*}/1', /no part of a path/],
  ['/api/{version=*beta}', /stand between slashes/],
  ['/a.{ext}', /no part of a path/],
  ['/{a=**}/{b=*}/**', /no \* may follow a \*\*/],
  ['/**/*', /no \* may follow a \*\*/],
  ['/**/{a}', /no variable may follow a \*\*/],
  ['/*(/**', /nothing may follow a suffix/],
  ['/a/{id=/*}/b', /"" is no part/],
  ['/{a}/{a}', /the variable a is there twice/],
  ['/{a.b}', /"a\.b" is no name/],
  ['/{_a}', /"_a" is no name/],
  ['/{=*}', /"" is no name/],
  ['/{a=}', /a variable matches nothing/],
  ['/{a=b/}', /stand between slashes/],
  ['/{a12345678901234567=*}', /longer than 16 characters/],
  ['/{a', /a \{ has no \}/],
  ['/{one/{two}', /"one\/\{two" is no name/],
  ['/x/{a}}', /"\}" is no part/],
  ['/a//b', /"" is no part/],
  ['/a?b', /no part of a path/],
  ['/***', /no part of a path/],
  ['/{a}/{b}/{c}/{d}/{e}/{f}', /more than 5 variables/],
]

test('a template that is none is refused, and the reason says why', () => {
  const at = 'virtual_hosts[0].routes[0].match.path_match_policy.typed_config.path_template: '
  for (const [template, reason] of refusedMatches) {
    const [first = ''] = reasonsOf(compile({ path_match_policy: matchPolicy(template) }))
    assert.ok(first.startsWith(at), `${template}: ${first}`)
    assert.match(first, reason)
  }
})

const refusedRewrites: readonly (readonly [template: string, reason: RegExp])[] = [
  ['{id}', /must begin with \//],
  ['', /must begin with \//],
  ['/a//b', /may hold no \/\//],
  ['/{{id}}', /"\{id" is no name/],
  ['/}id{', /"\/\}id" is no part/],
  ['/{id}?a=b', /no part of a path/],
  ['/{id/a}', /"id\/a" is no name/],
  ['/{}', /"" is no name/],
  ['/{id', /a \{ has no \}/],
  ['/{id}/{other}', /the path_match_policy \/s\/\{id\} has no variable other/],
]

test('a template of a new path is refused where it is none, or asks for what was not captured', () => {
  for (const [template, reason] of refusedRewrites) {
    const [first = ''] = reasonsOf(
      compile(
        { path_match_policy: matchPolicy('/s/{id}') },
        { path_rewrite_policy: rewritePolicy(template) },
      ),
    )
    assert.match(first, /route\.path_rewrite_policy\.typed_config\.path_template_rewrite: /)
    assert.match(first, reason)
  }
})

test('a new path by template needs a match by template, and other rewrites have no prefix to replace', () => {
  const rewrite = { path_rewrite_policy: rewritePolicy('/a') }
  assert.match(
    reasonsOf(compile({ prefix: '/' }, rewrite)).join(),
    /path_rewrite_policy: needs a path_match_policy/,
  )
  const match = { path_match_policy: matchPolicy('/s/{id}') }
  assert.match(
    reasonsOf(compile(match, { prefix_rewrite: '/a' })).join(),
    /prefix_rewrite: a route with a path_match_policy has no prefix/,
  )
  assert.match(
    reasonsOf(compile(match, { ...rewrite, prefix_rewrite: '/a' })).join(),
    /only one of prefix_rewrite, regex_rewrite and path_rewrite_policy/,
  )
})

test('another extension is refused by its name', () => {
  const typed = { '@type': 'type.googleapis.com/google.protobuf.StringValue', value: 'x' }
  const [reason = ''] = reasonsOf(
    compile({ path_match_policy: { name: 'my.matcher', typed_config: typed } }),
  )
  assert.match(
    reason,
    /path_match_policy: "my\.matcher" \(google\.protobuf\.StringValue\) is not implemented/,
  )
})
