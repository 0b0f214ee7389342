/** From RouteConfiguration to decisions: what Envoy comparison cannot show, and every reason to refuse. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { messageOf } from '../../../test/support/envoy-message.ts'
import { seededRandom } from '../../lib/random.ts'
import { RouteConfiguration } from '../../xds/proto/generated/envoy/config/route/v3/route.ts'
import { typeUrls } from '../../xds/resource-set.ts'
import type { Compiled } from '../config/compiled.ts'
import { HeaderList } from '../http/header-list.ts'
import type { RequestHead } from '../http/message.ts'
import { compileRouteConfiguration } from './compile-route-configuration.ts'
import type { RouteOptions } from './route-compiler.ts'
import type { ForwardAction, Route, RouteTable } from './route-table.ts'

type Fields = Readonly<Record<string, unknown>>

function compile(table: Fields, options: Partial<RouteOptions> = {}): Compiled<RouteTable> {
  const message = messageOf(typeUrls.route, RouteConfiguration, { name: 'table', ...table })
  return compileRouteConfiguration(message, { random: seededRandom(7), ...options })
}

function compileRoutes(routes: readonly Fields[], host: Fields = {}): Compiled<RouteTable> {
  return compile({ virtual_hosts: [{ name: 'host', domains: ['*'], routes, ...host }] })
}

function must(result: Compiled<RouteTable>): RouteTable {
  assert.ok(result.ok, result.ok ? '' : result.reasons.join('\n'))
  return result.value
}

function reasonsOf(result: Compiled<RouteTable>): readonly string[] {
  assert.equal(result.ok, false, 'the table is refused')
  return result.ok ? [] : result.reasons
}

function headOf(fields: Partial<RequestHead> = {}): RequestHead {
  return {
    method: 'GET',
    path: '/',
    authority: 'a.test',
    scheme: 'http',
    protocol: 'HTTP/1.1',
    headers: new HeaderList(),
    bodyLength: 0,
    upgrade: undefined,
    wantsClose: false,
    ...fields,
  }
}

function onlyRoute(route: Fields, host: Fields = {}): Route {
  const table = must(compileRoutes([{ match: { prefix: '/' }, ...route }], host))
  const found = table.match(headOf())
  assert.ok(found)
  return found.route
}

function forwardOf(route: Fields, host: Fields = {}): ForwardAction {
  const { action } = onlyRoute({ route: { cluster: 'c', ...route } }, host)
  assert.ok(action.kind === 'forward' || action.kind === 'connect')
  return action.forward
}

test("a route without settings has Envoy's defaults", () => {
  const forward = forwardOf({})
  assert.equal(forward.timeoutMs, 15_000)
  assert.equal(forward.idleTimeoutMs, undefined)
  assert.equal(forward.retryPolicy, undefined)
  assert.equal(forward.rewritePath, undefined)
  assert.equal(forward.clusterNotFoundStatus, 503)
  assert.equal(forward.upgrades.size, 0)
})

test('the names of virtual host and route come with the match', () => {
  const table = must(
    compileRoutes([{ name: 'named', match: { prefix: '/' }, route: { cluster: 'c' } }]),
  )
  const found = table.match(headOf())
  assert.equal(found?.virtualHost, 'host')
  assert.equal(found?.route.name, 'named')
  assert.equal(table.name, 'table')
})

test('a weighted split follows its weights', () => {
  const forward = forwardOf({
    cluster: undefined,
    weighted_clusters: {
      clusters: [
        { name: 'v1', weight: 90 },
        { name: 'v2', weight: 10 },
        { name: 'v3', weight: 0 },
      ],
    },
  })
  const random = seededRandom(42)
  const counts: Record<string, number> = {}
  for (let draw = 0; draw < 10_000; draw += 1) {
    const { cluster } = forward.pickCluster(random, headOf())
    counts[cluster] = (counts[cluster] ?? 0) + 1
  }
  assert.ok(Math.abs((counts['v1'] ?? 0) - 9000) < 100, JSON.stringify(counts))
  assert.ok(Math.abs((counts['v2'] ?? 0) - 1000) < 100, JSON.stringify(counts))
  assert.equal(counts['v3'], undefined)
})

test('every draw of a small split lands where its weight says', () => {
  const forward = forwardOf({
    cluster: undefined,
    weighted_clusters: {
      clusters: [
        { name: 'a', weight: 1 },
        { name: 'b', weight: 2 },
      ],
    },
  })
  const picks = [0, 0.333, 0.334, 0.999].map(
    (draw) => forward.pickCluster(() => draw, headOf()).cluster,
  )
  assert.deepEqual(picks, ['a', 'a', 'b', 'b'])
})

test('fractions of one request are all cut from one draw', () => {
  const third = { default_value: { numerator: 30 } }
  const half = { default_value: { numerator: 50 } }
  const table = must(
    compileRoutes([
      { match: { prefix: '/', runtime_fraction: third }, route: { cluster: 'third' } },
      { match: { prefix: '/', runtime_fraction: half }, route: { cluster: 'half' } },
      { match: { prefix: '/' }, route: { cluster: 'rest' } },
    ]),
  )
  const counts: Record<string, number> = {}
  for (let index = 0; index < 10_000; index += 1) {
    const action = table.match(headOf())?.route.action
    const cluster =
      action?.kind === 'forward' ? action.forward.pickCluster(Math.random, headOf()) : undefined
    counts[cluster?.cluster ?? ''] = (counts[cluster?.cluster ?? ''] ?? 0) + 1
  }
  assert.ok(Math.abs((counts['third'] ?? 0) - 3000) < 200, JSON.stringify(counts))
  assert.ok(Math.abs((counts['half'] ?? 0) - 2000) < 200, JSON.stringify(counts))
})

test('a CONNECT without a path meets only connect_matcher', () => {
  const table = must(
    compileRoutes([
      { match: { prefix: '' }, route: { cluster: 'prefix' } },
      { match: { safe_regex: { regex: '.*' } }, route: { cluster: 'regex' } },
      {
        match: { connect_matcher: {} },
        route: {
          cluster: 'tunnel',
          upgrade_configs: [{ upgrade_type: 'CONNECT', connect_config: {} }],
        },
      },
    ]),
  )
  const found = table.match(headOf({ method: 'CONNECT', path: '', authority: 'a.test:443' }))
  assert.equal(found?.route.action.kind, 'connect')
  assert.equal(table.match(headOf({ path: '/x' }))?.route.action.kind, 'forward')
})

test('a CONNECT that is passed on is no tunnel of ours', () => {
  const action = onlyRoute({
    route: { cluster: 'c', upgrade_configs: [{ upgrade_type: 'CONNECT' }] },
  }).action
  assert.equal(action.kind, 'forward')
})

test('upgrades are allowed and refused by name, whatever its case', () => {
  const forward = forwardOf({
    upgrade_configs: [{ upgrade_type: 'WebSocket' }, { upgrade_type: 'h2c', enabled: false }],
  })
  assert.deepEqual([...forward.upgrades], ['websocket'])
  assert.deepEqual([...(forward.refusedUpgrades ?? [])], ['h2c'])
})

test("the retry policy of a route replaces its virtual host's as a whole", () => {
  const host = { retry_policy: { retry_on: '5xx', num_retries: 7 } }
  assert.equal(forwardOf({}, host).retryPolicy?.retriesMax, 7)
  const own = forwardOf({ retry_policy: { retry_on: 'reset' } }, host).retryPolicy
  assert.equal(own?.retriesMax, 1)
  assert.deepEqual([...(own?.conditions ?? [])], ['reset'])
})

test('levels are edited from the most specific outwards, or the other way round', () => {
  const set = (value: string): Fields => ({
    request_headers_to_add: [
      { header: { key: 'x-level', value }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
    ],
  })
  const host = {
    name: 'host',
    domains: ['*'],
    routes: [{ match: { prefix: '/' }, route: { cluster: 'c' }, ...set('route') }],
    ...set('host'),
  }
  const edited = (mostSpecificWins: boolean): string | undefined => {
    const table = must(
      compile({
        virtual_hosts: [host],
        ...set('table'),
        most_specific_header_mutations_wins: mostSpecificWins,
      }),
    )
    const head = headOf()
    table.match(head)?.route.editRequest?.(head.headers, head)
    return head.headers.getAll('x-level')
  }
  assert.equal(edited(false), 'table')
  assert.equal(edited(true), 'route')
})

test("the connection's values are read from the record", () => {
  const route = onlyRoute({
    route: { cluster: 'c' },
    request_headers_to_add: [
      { header: { key: 'x-from', value: '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%' } },
    ],
  })
  const head = headOf()
  route.editRequest?.(head.headers, head, { downstreamRemoteAddress: '10.0.0.1:5000' })
  assert.equal(head.headers.get('x-from'), '10.0.0.1')
})

for (const [value, expected] of [
  ['%UPSTREAM_METADATA(["app", "deep", "a"])%', 'one'],
  ['%UPSTREAM_METADATA(app:deep:a)%', 'one'],
  ['%UPSTREAM_METADATA(["app", 5])%', undefined],
  ['%DYNAMIC_METADATA(["app"])%', undefined],
  ['%PER_REQUEST_STATE(who)%', 'me'],
  ['%FILTER_STATE(who)%', '"me"'],
] as const) {
  test(`a header may hold ${value}`, () => {
    const route = onlyRoute({
      route: { cluster: 'c' },
      request_headers_to_add: [{ header: { key: 'x-added', value } }],
    })
    const head = headOf()
    const filterMetadata = { app: { deep: { a: 'one' } } }
    const record = { host: { metadata: { filterMetadata } }, filterState: { who: 'me' } }
    route.editRequest?.(head.headers, head, record as never)
    assert.equal(head.headers.get('x-added'), expected)
  })
}

test('path parameters play no part where the table says so', () => {
  const routes = [
    { match: { path: '/a' }, direct_response: { status: 201 } },
    { match: { prefix: '/' }, direct_response: { status: 202 } },
  ]
  const statusOf = (ignore: boolean, path = '/a;v=1?x'): number | undefined => {
    const table = must(
      compile({
        virtual_hosts: [{ name: 'h', domains: ['*'], routes }],
        ignore_path_parameters_in_path_matching: ignore,
      }),
    )
    const action = table.match(headOf({ path }))?.route.action
    return action?.kind === 'direct' ? action.status : undefined
  }
  assert.equal(statusOf(true), 201)
  assert.equal(statusOf(false), 202)
  assert.equal(statusOf(true, '/a;v=1/b'), 202, 'those of a segment end with it')
})

test('a path that no longer begins with what was matched is not rewritten', () => {
  const rewriteOf = (match: Fields) => {
    const table = must(compileRoutes([{ match, route: { cluster: 'c', prefix_rewrite: '/new' } }]))
    const action = table.match(headOf({ path: '/Old/x' }))?.route.action
    assert.equal(action?.kind, 'forward')
    return action?.kind === 'forward' ? action.forward.rewritePath : undefined
  }
  const sensitive = rewriteOf({ prefix: '/Old' })
  assert.equal(sensitive?.('/Old/x'), '/new/x')
  assert.equal(sensitive?.('/old/x'), undefined)
  const insensitive = rewriteOf({ prefix: '/olD', case_sensitive: false })
  assert.equal(insensitive?.('/OLD/x'), '/new/x')
  assert.equal(insensitive?.('/other/x'), undefined)
})

test("Istio's time-outs: a gRPC deadline that may not pass the route's", () => {
  const forward = forwardOf({ timeout: '5s', max_grpc_timeout: '5s' })
  assert.equal(forward.timeoutMs, 5000)
  assert.deepEqual(forward.grpcTimeout, { limits: 'request', maxMs: 5000, offsetMs: 0 })
})

test("with a stream duration the route's own time-out does not apply", () => {
  const forward = forwardOf({
    timeout: '5s',
    max_stream_duration: { max_stream_duration: '0s', grpc_timeout_header_max: '0s' },
  })
  assert.equal(forward.timeoutMs, 0)
  assert.equal(forward.maxStreamDurationMs, 0)
  assert.deepEqual(forward.grpcTimeout, { limits: 'stream', maxMs: 0, offsetMs: 0 })
})

test('what only concerns spans and metadata is accepted', () => {
  const route = onlyRoute({
    route: { cluster: 'c' },
    decorator: { operation: 'a:80/*' },
    metadata: { filter_metadata: { istio: { config: '/apis/x' } } },
  })
  assert.equal(route.action.kind, 'forward')
  assert.equal(route.count, undefined)
})

test('a request is counted by the first virtual cluster that it matches, else by none', () => {
  const posts = { name: ':method', string_match: { exact: 'POST' } }
  const carts = { name: ':path', string_match: { prefix: '/cart' } }
  const route = onlyRoute(
    { route: { cluster: 'c' } },
    {
      virtual_clusters: [
        { name: 'cart-posts', headers: [posts, carts] },
        { name: 'posts', headers: [posts] },
      ],
    },
  )
  const nameOf = (method: string, path: string) =>
    route.count?.(headOf({ method, path })).virtualCluster
  assert.equal(nameOf('POST', '/cart/1'), 'cart-posts')
  assert.equal(nameOf('POST', '/'), 'posts')
  assert.equal(nameOf('GET', '/cart'), undefined)
})

test('a virtual cluster without a name or a condition is refused', () => {
  const broken = { name: 'a', string_match: { safe_regex: { regex: '(' } } }
  const host = { virtual_clusters: [{ name: '' }, { name: 'v', headers: [broken] }] }
  const reasons = reasonsOf(compileRoutes([], host))
  assert.equal(reasons.length, 3)
  assert.match(reasons[0] ?? '', /virtual_clusters\[0\]\.name: value length must be at least 1/)
  assert.match(reasons[1] ?? '', /virtual_clusters\[0\]: virtual clusters must define 'headers'/)
  assert.match(reasons[2] ?? '', /virtual_clusters\[1\]\.headers\[0\]/)
})

test('configuration by filter is compiled, the innermost winning', () => {
  const config = (value: string): Fields => ({
    typed_per_filter_config: {
      known: { '@type': 'type.googleapis.com/google.protobuf.StringValue', value },
    },
  })
  const message = RouteConfiguration.fromPartial({
    name: 't',
    virtualHosts: [
      {
        name: 'h',
        domains: ['*'],
        typedPerFilterConfig: { known: { typeUrl: 'x/Outer', value: Buffer.from([]) } },
        routes: [
          {
            match: { pathSpecifier: { $case: 'prefix', value: '/' } },
            action: {
              $case: 'route',
              value: { clusterSpecifier: { $case: 'cluster', value: 'c' } },
            },
            typedPerFilterConfig: { known: { typeUrl: 'x/Inner', value: Buffer.from([]) } },
          },
        ],
      },
    ],
  })
  assert.ok(config('unused'))
  const result = compileRouteConfiguration(message, {
    random: seededRandom(1),
    compileFilterConfig: (name, any) => ({ ok: true, value: { kind: `${name} ${any.typeUrl}` } }),
  })
  const found = must(result).match(headOf())
  assert.deepEqual(found?.route.filterConfigs?.get('known'), { kind: 'known x/Inner' })
  const without = compileRouteConfiguration(message)
  assert.deepEqual(reasonsOf(without), [
    'virtual_hosts[0].typed_per_filter_config.known: no filter named "known" takes configuration by route',
    'virtual_hosts[0].routes[0].typed_per_filter_config.known: no filter named "known" takes configuration by route',
  ])
})

const prefix = { match: { prefix: '/' } }
const at = 'virtual_hosts[0].routes[0]'

const refusals: readonly {
  readonly name: string
  readonly route?: Fields
  readonly host?: Fields
  readonly table?: Fields
  readonly reason: string
}[] = [
  { name: 'no action', route: prefix, reason: `${at}.action: is required` },
  { name: 'no match', route: { route: { cluster: 'c' } }, reason: `${at}.match: is required` },
  {
    name: 'no path',
    route: { match: {}, route: { cluster: 'c' } },
    reason: `${at}.match.path_specifier: is required`,
  },
  {
    name: 'no cluster',
    route: { ...prefix, route: {} },
    reason: `${at}.route.cluster_specifier: is required`,
  },
  {
    name: 'a mirror without a cluster',
    route: { ...prefix, route: { cluster: 'c', request_mirror_policies: [{}] } },
    reason: `${at}.route.request_mirror_policies[0]: exactly one of cluster and cluster_header must be set`,
  },
  {
    name: 'a mirror with a share that says nothing',
    host: { request_mirror_policies: [{ cluster: 'm', runtime_fraction: {} }] },
    reason:
      'virtual_hosts[0].request_mirror_policies[0].runtime_fraction.default_value: is required',
  },
  {
    name: 'weights that are all 0',
    route: {
      ...prefix,
      route: { weighted_clusters: { clusters: [{ name: 'a', weight: 0 }] } },
    },
    reason: `${at}.route.weighted_clusters: the sum of the weights must be greater than 0`,
  },
  {
    name: 'a split of nothing',
    route: { ...prefix, route: { weighted_clusters: {} } },
    reason: `${at}.route.weighted_clusters.clusters: value must contain at least 1 item(s)`,
  },
  {
    name: 'a part of a split without a name',
    route: { ...prefix, route: { weighted_clusters: { clusters: [{ weight: 1 }] } } },
    reason: `${at}.route.weighted_clusters.clusters[0]: exactly one of name and cluster_header must be set`,
  },
  {
    name: 'a bad expression',
    route: { match: { safe_regex: { regex: '(a' } }, route: { cluster: 'c' } },
    reason: `${at}.match.safe_regex: regular expression "(a" is not RE2: error parsing regexp: missing closing ): \`(a\``,
  },
  {
    name: 'a pseudo header to add',
    route: {
      ...prefix,
      route: { cluster: 'c' },
      request_headers_to_add: [{ header: { key: ':path', value: '/' } }],
    },
    reason: `${at}.request_headers_to_add[0].header.key: :-prefixed or host headers may not be changed (value ":path")`,
  },
  {
    name: 'the host header to remove',
    route: { ...prefix, route: { cluster: 'c' }, request_headers_to_remove: ['Host'] },
    reason: `${at}.request_headers_to_remove[0]: :-prefixed or host headers may not be removed (value "host")`,
  },
  {
    name: 'a name that is none',
    route: { ...prefix, route: { cluster: 'c' }, request_headers_to_remove: ['a b'] },
    reason: `${at}.request_headers_to_remove[0]: "a b" is not a header name`,
  },
  {
    name: 'an operator that is unknown',
    route: {
      ...prefix,
      route: { cluster: 'c' },
      request_headers_to_add: [{ header: { key: 'a', value: '%NOPE%' } }],
    },
    reason: `${at}.request_headers_to_add[0].header.value: %NOPE%: not implemented`,
  },
  {
    name: 'a line break in a value',
    route: {
      ...prefix,
      route: { cluster: 'c' },
      request_headers_to_add: [{ header: { key: 'a', value: 'b\r\nc: d' } }],
    },
    reason: `${at}.request_headers_to_add[0].header.value: control characters are not allowed in a header value`,
  },
  {
    name: 'both kinds of append',
    route: {
      ...prefix,
      route: { cluster: 'c' },
      request_headers_to_add: [
        { header: { key: 'a', value: 'b' }, append: true, append_action: 'ADD_IF_ABSENT' },
      ],
    },
    reason: `${at}.request_headers_to_add[0]: append and append_action are both set, only one may be`,
  },
  {
    name: 'two path rewrites',
    route: {
      ...prefix,
      route: {
        cluster: 'c',
        prefix_rewrite: '/a',
        regex_rewrite: { pattern: { regex: 'a' }, substitution: 'b' },
      },
    },
    reason: `${at}.route: only one of prefix_rewrite, regex_rewrite and path_rewrite_policy may be set`,
  },
  {
    name: 'a separated prefix that ends in a slash',
    route: { match: { path_separated_prefix: '/a/' }, route: { cluster: 'c' } },
    reason: `${at}.match.path_separated_prefix: must not end in / or hold ? or # (value "/a/")`,
  },
  {
    name: 'a direct response of no status',
    route: { ...prefix, direct_response: { status: 100 } },
    reason: `${at}.direct_response.status: value must be inside range [200, 600), got 100`,
  },
  {
    name: 'a direct response that is too long',
    route: {
      ...prefix,
      direct_response: { status: 200, body: { inline_string: 'a'.repeat(5000) } },
    },
    reason: `${at}.direct_response.body: has 5000 bytes, at most 4096 are allowed`,
  },
  {
    name: 'a body from a file that is not there',
    route: { ...prefix, direct_response: { status: 200, body: { filename: '/nowhere/body' } } },
    reason: `${at}.direct_response.body.filename: ENOENT: no such file or directory, open '/nowhere/body'`,
  },
  {
    name: 'a body from the environment',
    route: { ...prefix, direct_response: { status: 200, body: { environment_variable: 'BODY' } } },
    reason: `${at}.direct_response.body: environment variables are not implemented`,
  },
  {
    name: 'an unknown retry condition',
    route: { ...prefix, route: { cluster: 'c', retry_policy: { retry_on: '5xx,sometimes' } } },
    reason: `${at}.route.retry_policy.retry_on: unknown condition "sometimes", expected 5xx, gateway-error, reset, reset-before-request, connect-failure, envoy-ratelimited, retriable-4xx, refused-stream, retriable-status-codes, retriable-headers, cancelled, deadline-exceeded, internal, resource-exhausted, unavailable`,
  },
  {
    name: 'the same upgrade twice',
    route: {
      ...prefix,
      route: { cluster: 'c', upgrade_configs: [{ upgrade_type: 'a' }, { upgrade_type: 'A' }] },
    },
    reason: `${at}.route.upgrade_configs[1]: duplicate upgrade "A"`,
  },
  {
    name: 'a header matcher without a name',
    route: { match: { prefix: '/', headers: [{}] }, route: { cluster: 'c' } },
    reason: `${at}.match.headers[0]: name: is required`,
  },
  {
    name: 'a string matcher without a pattern',
    route: {
      match: { prefix: '/', headers: [{ name: 'a', string_match: {} }] },
      route: { cluster: 'c' },
    },
    reason: `${at}.match.headers[0]: string_match.match_pattern: is required`,
  },
  {
    name: 'a domain that stands twice',
    table: {
      virtual_hosts: [
        { name: 'a', domains: ['x.test'] },
        { name: 'b', domains: ['X.test'] },
      ],
    },
    reason: 'virtual_hosts: domains must be unique, "X.test" is there twice',
  },
  {
    name: 'a virtual host without domains',
    host: { domains: [] },
    route: { ...prefix, route: { cluster: 'c' } },
    reason: 'virtual_hosts[0].domains: value must contain at least 1 item(s)',
  },
  {
    name: 'clusters that must exist',
    table: { validate_clusters: true },
    reason: 'validate_clusters: a route to an unknown cluster answers 503 NC (value true)',
  },
]

for (const { name, route, host, table, reason } of refusals) {
  test(`${name} is refused, with the field`, () => {
    const result = table ? compile(table) : compileRoutes(route === undefined ? [] : [route], host)
    assert.ok(reasonsOf(result).includes(reason), reasonsOf(result).join('\n'))
  })
}

test('all reasons are reported, not only the first', () => {
  const result = compileRoutes([prefix, { match: {}, route: {} }])
  assert.equal(reasonsOf(result).length, 3)
})
