/** HTTP routes of a sidecar, in short: the rows of Istio's own tests that a sidecar can have. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { readTranslationCase } from '../../test/support/translation-case.ts'
import {
  HeaderValueOption_HeaderAppendAction,
  type HeaderValueOption,
} from '../xds/proto/generated/envoy/config/core/v3/base.ts'
import { RouteConfiguration } from '../xds/proto/generated/envoy/config/route/v3/route.ts'
import {
  RedirectAction_RedirectResponseCode,
  type HeaderMatcher,
  type QueryParameterMatcher,
  type Route,
} from '../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import type { StringMatcher } from '../xds/proto/generated/envoy/type/matcher/v3/string.ts'
import { Any } from '../xds/proto/generated/google/protobuf/any.ts'
import { typeUrls } from '../xds/resource-set.ts'
import { translateAll } from './full.ts'

const to = (host: string) => `route: [{ destination: { host: ${host} } }]`

/** `http` of a VirtualService for a service on port 8080, and its routes: `NAME MATCH > ACTION`. */
const rows: readonly (readonly [
  title: string,
  http: string,
  expected: readonly string[],
  client?: string,
])[] = [
  [
    'a block for every path ends the list',
    `- { name: route, match: [{ name: non-catch-all, uri: { prefix: /route/v1 } }, { name: catch-all, uri: { prefix: / } }], ${to('a')} }
- { name: never, ${to('b')} }`,
    ['route.non-catch-all /route/v1* > a', 'route.catch-all /* > a'],
  ],
  [
    'one without blocks does too',
    `- { name: first, match: [{ headers: { version: { exact: v2 } }, sourceLabels: { version: v1 } }], ${to('a')} }
- { ${to('b')} }
- { ${to('c')} }`,
    [' /* > b'],
  ],
  [
    'a block that is for others does not',
    `- { match: [{ name: all, uri: { prefix: / }, sourceLabels: { no: body } }, { name: some, uri: { prefix: /a } }], ${to('a')} }`,
    ['.some /a* > a'],
  ],
  [
    'the port of the block is that of the service',
    `- { name: r1, match: [{ name: here, port: 8080 }], ${to('a')} }
- { name: r2, match: [{ headers: { cookie: { exact: canary } } }], ${to('b')} }`,
    ['r1.here /* > a'],
  ],
  ['another port leaves it out', `- { match: [{ port: 9090 }], ${to('a')} }`, ['default /* > a']],
  [
    'the client’s namespace, of one',
    `- { name: foo, match: [{ sourceNamespace: foo }], ${to('a')} }
- { name: bar, match: [{ sourceNamespace: bar }], ${to('b')} }`,
    ['foo /* > a'],
    'foo',
  ],
  [
    'the client’s namespace, of another',
    `- { name: foo, match: [{ sourceNamespace: foo }], ${to('a')} }
- { name: bar, match: [{ sourceNamespace: bar }], ${to('b')} }`,
    ['bar /* > b'],
    'bar',
  ],
  [
    'an expression for the path',
    String.raw`- { match: [{ uri: { regex: '\/(.?)\/status' } }], ${to('a')} }`,
    [String.raw` ~\/(.?)\/status > a`],
  ],
  [
    'an expression for a header',
    String.raw`- { match: [{ headers: { Authentication: { regex: 'Bearer .+?\..+?' } } }], ${to('a')} }`,
    [String.raw` /* Authentication~Bearer .+?\..+? > a`],
  ],
  [
    'an expression for a header that must not match, where missing is empty',
    String.raw`- { match: [{ withoutHeaders: { FOO: { regex: 'BAR .+' } } }], ${to('a')} }`,
    [' /* not FOO~BAR .+ (or missing) > a'],
  ],
  ['presence of a header', `- { match: [{ headers: { FOO: {} } }], ${to('a')} }`, [' /* FOO > a']],
  [
    'presence as an old expression says it',
    `- { match: [{ headers: { FOO: { regex: '*' } } }], ${to('a')} }`,
    [' /* FOO > a'],
  ],
  [
    'absence of a header',
    `- { match: [{ withoutHeaders: { FOO: {} } }], ${to('a')} }`,
    [' /* not FOO > a'],
  ],
  [
    'query parameters',
    String.raw`- { match: [{ queryParams: { a: { exact: x } } }, { queryParams: { b: { prefix: x- } } }, { queryParams: { c: { regex: 'x.+' } } }, { queryParams: { d: { regex: '*' } } }], ${to('a')} }`,
    [' /* ?a=x > a', ' /* ?b=x-* > a', ' /* ?c~x.+ > a', ' /* ?d > a'],
  ],
  [
    'claims of a token are a gateway’s',
    `- { name: claims, match: [{ headers: { '@request.auth.claims.Foo': { exact: Bar } } }], ${to('a')} }
- { ${to('b')} }`,
    [' /* > b'],
  ],
  [
    'redirects',
    `- { match: [{ uri: { prefix: /a } }], redirect: { uri: /new, authority: some.authority, redirectCode: 308 } }
- { redirect: { uri: '%PREFIX()%/new', authority: some.authority } }`,
    [' /a* > 308 some.authority/new', ' /* > 301 some.authority%PREFIX()%/new'],
  ],
  [
    'a redirect and an answer with headers',
    `- { match: [{ uri: { prefix: /a } }], redirect: { uri: /b }, headers: { response: { set: { x-a: b } } } }
- { directResponse: { status: 200, body: { string: hello } }, headers: { response: { set: { x-a: b } } } }`,
    [' /a* > 301 /b, response x-a:=b', ' /* > 200 hello, response x-a:=b'],
  ],
  [
    'rewrites',
    `- { match: [{ uri: { prefix: /a } }], rewrite: { authority: bar.example.org }, ${to('a')} }
- { match: [{ uri: { prefix: /b } }], rewrite: { uri: /new }, ${to('a')} }
- { match: [{ uri: { regex: '^/s/[^/]+/.*$' } }], rewrite: { uriRegexRewrite: { match: '^/s/([^/]+)(/.*)$', rewrite: '\\2/i/\\1' } }, ${to('a')} }
- { rewrite: { uriRegexRewrite: { match: '/.*', rewrite: /full }, authority: bar.example.org }, ${to('a')} }`,
    [
      ' /a* > a as bar.example.org',
      ' /b* > a prefix /new',
      String.raw` ~^/s/[^/]+/.*$ > a s|^/s/([^/]+)(/.*)$|\2/i/\1|`,
      ' /* > a as bar.example.org s|/.*|/full|',
    ],
  ],
  [
    'headers of a route and of its only destination: the route’s come first, and its authority counts',
    `- headers:
    request: { set: { x-set: v1, ':authority': foo.com }, add: { x-add: v2, ':authority': bar.com }, remove: [x-gone] }
    response: { set: { x-out: v1 }, remove: [x-out-gone] }
  route:
  - destination: { host: a }
    headers:
      request: { set: { x-own: v1, ':authority': own.com }, add: { x-own-add: v2 }, remove: [x-own-gone] }
      response: { add: { x-own-out: v2 } }`,
    [
      ' /* > a as foo.com, request x-set:=v1 x-add+=v2 x-own:=v1 x-own-add+=v2 -x-gone -x-own-gone, ' +
        'response x-out:=v1 x-own-out+=v2 -x-out-gone',
    ],
  ],
  [
    'time-outs: none, and one',
    `- { match: [{ uri: { prefix: /a } }], timeout: 10s, ${to('a')} }
- { timeout: 0s, ${to('a')} }`,
    [' /a* > a within 10s', ' /* > a'],
  ],
]

for (const [title, http, expected, client = 'default'] of rows) {
  test(title, () => {
    const scene = `kind: Scene
client: { namespace: ${client}, labels: { app: client } }
services: [{ hostname: a.foo.svc.cluster.local, ports: [{ number: 8080, name: http }] }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: a, namespace: foo }
spec:
  hosts: [a]
  http:
${http.replaceAll(/^/gm, '  ')}
`
    assert.deepEqual(routesOf(scene).map(factOf), expected)
  })
}

function routesOf(scene: string): readonly Route[] {
  const { input, node } = readTranslationCase(scene)
  const { any } = translateAll(input, node).resources(typeUrls.route).get('http_proxy') ?? {}
  assert.ok(any !== undefined)
  const { virtualHosts } = RouteConfiguration.decode(Any.decode(any).value)
  const host = virtualHosts.find(({ name }) => name.startsWith('a.foo'))
  return (host?.routes ?? []).filter(
    ({ match }) => match?.pathSpecifier?.$case !== 'connectMatcher',
  )
}

function factOf(route: Route): string {
  const { name, match } = route
  const conditions = [
    pathFact(route),
    ...(match?.headers ?? []).map(headerFact),
    ...(match?.queryParameters ?? []).map(queryFact),
  ]
  const edits = [
    editFact('request', route.requestHeadersToAdd, route.requestHeadersToRemove),
    editFact('response', route.responseHeadersToAdd, route.responseHeadersToRemove),
  ]
  return `${name} ${conditions.join(' ')} > ${[actionFact(route), ...edits.filter(Boolean)].join(', ')}`
}

function pathFact({ match }: Route): string {
  const path = match?.pathSpecifier
  if (path?.$case === 'prefix') return `${path.value}*`
  if (path?.$case === 'safeRegex') return `~${path.value.regex}`
  return path?.$case === 'path' ? path.value : '?'
}

function headerFact(header: HeaderMatcher): string {
  const { name, headerMatchSpecifier: how, invertMatch, treatMissingHeaderAsEmpty } = header
  const value = how?.$case === 'stringMatch' ? stringFact(how.value) : ''
  const missing = treatMissingHeaderAsEmpty ? ' (or missing)' : ''
  return `${invertMatch ? 'not ' : ''}${name}${value}${missing}`
}

function queryFact({ name, queryParameterMatchSpecifier: how }: QueryParameterMatcher): string {
  return `?${name}${how?.$case === 'stringMatch' ? stringFact(how.value) : ''}`
}

function stringFact({ matchPattern: how }: StringMatcher): string {
  if (how?.$case === 'exact') return `=${how.value}`
  if (how?.$case === 'prefix') return `=${how.value}*`
  return how?.$case === 'safeRegex' ? `~${how.value.regex}` : ''
}

function editFact(
  what: string,
  set: readonly HeaderValueOption[],
  removed: readonly string[],
): string {
  const edits = [
    ...set.map(({ header, appendAction }) => {
      const isSet = appendAction === HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD
      return `${header?.key}${isSet ? ':=' : '+='}${header?.value}`
    }),
    ...removed.map((name) => `-${name}`),
  ]
  return edits.length === 0 ? '' : `${what} ${edits.join(' ')}`
}

function actionFact({ action }: Route): string {
  if (action?.$case === 'redirect') {
    const { responseCode, hostRedirect, pathRewriteSpecifier: path } = action.value
    return `${statusOf.get(responseCode)} ${hostRedirect}${path?.$case === 'pathRedirect' ? path.value : ''}`
  }
  if (action?.$case === 'directResponse') {
    const { status, body } = action.value
    const text = body?.specifier?.$case === 'inlineString' ? body.specifier.value : ''
    return `${status} ${text}`
  }
  return action?.$case === 'route' ? forwardFact(action.value) : '?'
}

const statusOf = new Map<RedirectAction_RedirectResponseCode, number>([
  [RedirectAction_RedirectResponseCode.MOVED_PERMANENTLY, 301],
  [RedirectAction_RedirectResponseCode.PERMANENT_REDIRECT, 308],
])

type Forward = Extract<Route['action'], { $case: 'route' }>['value']

function forwardFact(forward: Forward): string {
  const { clusterSpecifier: cluster, hostRewriteSpecifier: host, regexRewrite, timeout } = forward
  return [
    cluster?.$case === 'cluster' ? serviceOf(cluster.value) : '?',
    ...(host?.$case === 'hostRewriteLiteral' ? [`as ${host.value}`] : []),
    ...(forward.prefixRewrite === '' ? [] : [`prefix ${forward.prefixRewrite}`]),
    ...(regexRewrite === undefined
      ? []
      : [`s|${regexRewrite.pattern?.regex}|${regexRewrite.substitution}|`]),
    ...((timeout?.seconds ?? 0) === 0 ? [] : [`within ${timeout?.seconds}s`]),
  ].join(' ')
}

function serviceOf(cluster: string): string {
  return cluster.slice(cluster.lastIndexOf('|') + 1).replace('.foo.svc.cluster.local', '')
}
