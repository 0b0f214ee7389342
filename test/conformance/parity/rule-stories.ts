/** What Envoy's own tests of its route configuration ask about conditions and edits, put to both. */
import {
  type Ask,
  type RouteStory,
  adds,
  all,
  forward,
  grpc,
  has,
  header,
  match,
  path,
  to,
} from './route-story.ts'
/** What Envoy's own tests of its route configuration ask, put to both. */
import { host, hostRules, pathRules, rewrite } from './rule-path-stories.ts'
import { retryRules } from './rule-retry-stories.ts'

const set = { append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' }
const absent = { append_action: 'ADD_IF_ABSENT' }

const bound = (start: string, end: string): object =>
  header({ name: 'x', range_match: { start, end } })

const conditions: readonly RouteStory[] = [
  match('smallest numbers', bound('-9223372036854775808', '-10'), [
    has({ x: '-9223372036854775808' }),
    has({ x: '-10' }),
    has({ x: '-9223372036854775809' }),
  ]),
  match('greatest numbers', bound('1', '9223372036854775807'), [
    has({ x: '9223372036854775806' }),
    has({ x: '9223372036854775807' }),
    has({ x: '9223372036854775808' }),
  ]),
  match('a range of nothing', bound('0', '-10'), [has({ x: '-5' }), has({ x: '0' })]),
  match(
    'all conditions',
    {
      headers: [{ name: ':path', string_match: { prefix: '/foo' } }],
      query_parameters: [{ name: 'param', string_match: { exact: 'test' } }],
      grpc: {},
    },
    [
      { ...path('/foo?param=test'), headers: grpc, method: 'POST' },
      path('/foo?param=test'),
      { ...path('/?param=test'), headers: grpc, method: 'POST' },
      { ...path('/foo'), headers: grpc, method: 'POST' },
    ],
  ),
  match(
    'several parameters',
    {
      query_parameters: [
        { name: 'id', string_match: { safe_regex: { regex: '\\d+[02468]' } } },
        { name: 'debug' },
      ],
    },
    ['/?param=test&debug&id=02', '/?debug=2&id=10', '/?id=02', '/?', '/?debug&id=01'].map(path),
  ),
  match(
    'two values of a header',
    header({ name: 'x', string_match: { safe_regex: { regex: '(a|b)' } } }),
    [
      { raw: 'GET / HTTP/1.1\r\nhost: $HOST\r\nx-case: $CASE\r\nx: c\r\nx: b\r\n\r\n' },
      { raw: 'GET / HTTP/1.1\r\nhost: $HOST\r\nx-case: $CASE\r\nx: c\r\nx: d\r\n\r\n' },
    ],
  ),
  {
    name: 'an empty header is there',
    routes: [
      {
        match: {
          path_separated_prefix: '/rest/api',
          headers: [{ name: 'x-there' }],
          query_parameters: [{ name: 'p', string_match: { exact: 'test' } }],
        },
        route: to,
      },
    ],
    asks: [
      { ...path('/rest/api?p=test'), headers: { 'x-there': '' } },
      { ...path('/rest/api?p=testing'), headers: { 'x-there': '' } },
      path('/rest/api?p=test'),
    ],
  },
]

/** Octets beyond ASCII, as they are on the wire. */
function octets(value: string): Ask {
  const text = Buffer.from(value, 'utf8').toString('latin1')
  return { raw: `GET / HTTP/1.1\r\nhost: $HOST\r\nx-case: $CASE\r\nx: ${text}\r\n\r\n` }
}

const raw = (value: string): Ask => ({
  raw: `GET / HTTP/1.1\r\nhost: $HOST\r\nx-case: $CASE\r\nx: ${value}\r\n\r\n`,
})

const patterns: readonly RouteStory[] = [
  ['one character', '.'],
  ['two characters', '..'],
  ['a character by name', 'é'],
  ['a character of a set', '[é]'],
  ['a letter', '\\pL'],
  ['a letter by its number', '\\xe9'],
  ['an octet by its number', '\\xc3.'],
  ['no letter of ASCII', '[^a]'],
  ['a character twice', 'é{2}'],
  ['anything', '.*'],
  ['without case', '(?i)É'],
].map(([name = '', regex]) =>
  match(`pattern of ${name}`, header({ name: 'x', string_match: { safe_regex: { regex } } }), [
    octets('é'),
    octets('éé'),
    octets('a'),
    raw('\u00e9'),
    raw('\u00ff\u00fe'),
    octets('€'),
  ]),
)

const wide: readonly RouteStory[] = [
  match('a wide header', header({ name: 'x', string_match: { exact: 'é' } }), [
    octets('é'),
    raw('\u00e9'),
  ]),
  match('a wide end of a header', header({ name: 'x', suffix_match: 'é' }), [octets('aé')]),
  match('a wide parameter', { query_parameters: [{ name: 'é', string_match: { exact: 'é' } }] }, [
    path('/?%C3%A9=%C3%A9'),
  ]),
  forward('a wide path', { prefix_rewrite: '/é/' }, [path('/a')]),
  forward('a wide path by pattern', rewrite('a', 'é'), [path('/aba')]),
  {
    name: 'wide redirects',
    routes: [
      { match: { prefix: '/path' }, redirect: { path_redirect: '/é' } },
      { match: { prefix: '/start' }, redirect: { prefix_rewrite: '/é' } },
      { match: { prefix: '/host' }, redirect: { host_redirect: 'é.test' } },
    ],
    asks: ['/path', '/start/a', '/host'].map(path),
  },
  {
    name: 'wide values',
    routes: [
      {
        name: 'story',
        match: all,
        route: { ...to, host_rewrite_literal: 'é.test' },
        request_headers_to_add: [adds('x-wide', 'é'), adds('x-wide-too', '€ %PROTOCOL% é')],
        response_headers_to_add: [adds('x-wide', 'é'), adds('x-of', '%REQ(x)%é')],
      },
    ],
    asks: [octets('é')],
  },
]

const names = ['table', 'host', 'route'] as const

/** Each level changes what those below it have. */
function levels(name: string, action: object): RouteStory {
  const edits = (value: string): object => ({
    request_headers_to_add: names.map((level) => adds(`x-of-${level}`, value, action)),
    response_headers_to_add: names.map((level) => adds(`x-of-${level}`, value, action)),
  })
  return {
    name,
    host: edits('host'),
    routes: [{ name: 'story', match: all, route: to, ...edits('route') }],
    asks: [{}, has({ 'x-of-route': 'client' })],
  }
}

const changes: readonly RouteStory[] = [
  levels('levels append', {}),
  levels('levels overwrite', set),
  levels('levels add what is absent', absent),
  {
    name: 'removed before added',
    routes: [
      {
        name: 'story',
        match: all,
        route: to,
        request_headers_to_add: [adds('x-foo', 'bar')],
        request_headers_to_remove: ['X-Foo'],
        response_headers_to_add: [
          adds('x-upstream', 'bar'),
          adds('set-cookie', 'foo'),
          adds('set-cookie', 'bar', { append: true }),
        ],
        response_headers_to_remove: ['X-Upstream'],
      },
    ],
    asks: [has({ 'x-foo': 'foo' })],
  },
  {
    name: 'values',
    routes: [
      {
        name: 'story',
        match: all,
        route: to,
        request_headers_to_add: [
          '[%PROTOCOL%',
          '%PROTOCOL%]',
          '%%%PROTOCOL%',
          '%PROTOCOL%%%',
          '%%%PROTOCOL%%%',
          '%%%%%%',
          '%PROTOCOL%%PROTOCOL%',
          '%PROTOCOL% from %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%',
          '%START_TIME(f)%',
          '%REQ(x-none)%-%REQ(x-none?:method)%',
          '%REQ(x-none)%',
          '%UPSTREAM_METADATA(["ns", "key"])%',
          '%UPSTREAM_METADATA( [ "ns" , "key" ] )%',
          '[%UPSTREAM_METADATA(["ns", "key"])%]',
          '%DYNAMIC_METADATA(["ns", "key"])%',
          '%PER_REQUEST_STATE(none)%',
          '[%FILTER_STATE(none:PLAIN)%]',
          '%DOWNSTREAM_PEER_URI_SAN%',
          '[%DOWNSTREAM_TLS_VERSION%]',
          '[%RESPONSE_CODE%]',
          '[%UPSTREAM_CLUSTER%]',
          '[%REQUESTED_SERVER_NAME%]',
          '[%RESPONSE_FLAGS%]',
          '[%RESPONSE_CODE_DETAILS%]',
          '[%BYTES_RECEIVED%]',
          '[%TRACE_ID%]',
          '[%GRPC_STATUS%]',
          '[%RESP(x-upstream)%]',
          '[%REQ(host)%]',
          '[%REQ(:authority):3%]',
          '[%VIRTUAL_CLUSTER_NAME%]',
          '[%DOWNSTREAM_PEER_SUBJECT%]',
          'a\tb',
          ' a ',
        ].map((value, index) => adds(`x-${index}`, value)),
      },
    ],
    asks: [{}],
  },
  {
    name: 'host of a path',
    routes: [
      {
        match: { prefix: '/by-path' },
        route: {
          ...to,
          host_rewrite_path_regex: { pattern: { regex: '^/.+/(.+)$' }, substitution: '\\1' },
          append_x_forwarded_host: true,
        },
      },
      {
        match: { prefix: '/by-header' },
        route: { ...to, host_rewrite_header: 'x-to', append_x_forwarded_host: true },
        request_headers_to_add: [adds('x-to', 'rewrote')],
      },
      {
        match: { prefix: '/by-none' },
        route: { ...to, host_rewrite_header: 'x-to', append_x_forwarded_host: true },
      },
      {
        match: { prefix: '/by-pseudo' },
        route: { ...to, host_rewrite_header: ':path', append_x_forwarded_host: true },
      },
    ],
    asks: [
      '/by-path/envoyproxy.test',
      '/by-path/envoyproxy.test?query=query',
      '/by-path',
      '/by-header',
      '/by-none',
      '/by-pseudo',
    ].map(path),
  },
  forward('timeout of nothing', { timeout: '0s', idle_timeout: '0s' }, [{}]),
  {
    name: 'cluster by a header',
    routes: [{ name: 'story', match: all, route: { cluster_header: 'X-Cluster', timeout: '0s' } }],
    asks: [has({ 'x-cluster': 'a' }), has({ 'x-cluster': '' }), has({})],
  },
  {
    name: 'a path that the edits do not see',
    routes: [
      {
        name: 'story',
        match: { prefix: '/a' },
        route: { ...to, prefix_rewrite: '/b' },
        request_headers_to_add: [
          adds('x-path', '%REQ(:path)%'),
          adds('x-old', '%REQ(x-envoy-original-path)%'),
        ],
        response_headers_to_add: [
          adds('x-path', '%REQ(:path)%'),
          adds('x-old', '%REQ(x-envoy-original-path)%'),
        ],
      },
    ],
    asks: [path('/a/c?d')],
  },
]

const plain: readonly RouteStory[] = ['append', 'overwrite', 'absent'].map((action) => {
  const more = { append: {}, overwrite: set, absent }[action] ?? {}
  const story = levels(`levels ${action} the other way round`, more)
  const part = {
    name: 'a',
    weight: 1,
    request_headers_to_add: names.map((level) => adds(`x-of-${level}`, 'part', more)),
    response_headers_to_add: names.map((level) => adds(`x-of-${level}`, 'part', more)),
  }
  const [route] = story.routes
  return { ...story, routes: [{ ...route, route: { weighted_clusters: { clusters: [part] } } }] }
})

const ported: RouteStory = {
  name: 'ports that play no part',
  host: { domains: ['no-port.test', '*.no-port.test', '56.78.12.34', '[12:34::]'] },
  routes: [{ name: 'found', match: all, route: to }],
  asks: [
    'no-port.test',
    'no-port.test:8090',
    'a.no-port.test:1',
    '56.78.12.34:1234',
    '[12:34::]:8090',
    '[12:34::]',
  ].map((one) => host(one)),
}

const parameters: RouteStory = {
  name: 'parameters of paths',
  routes: [
    { name: 'deep', match: { path: '/deep/whole' }, route: to },
    { name: 'part', match: { prefix: '/deep/part' }, route: { ...to, prefix_rewrite: '/new' } },
    {
      name: 'separated part',
      match: { path_separated_prefix: '/apart/part' },
      redirect: { prefix_rewrite: '/new' },
    },
    { name: 'whole', match: { path: '/whole' }, route: { ...to, prefix_rewrite: '/new' } },
    { name: 'prefix', match: { prefix: '/prefix' }, route: { ...to, prefix_rewrite: '/new' } },
    {
      name: 'separated',
      match: { path_separated_prefix: '/separated' },
      route: { ...to, prefix_rewrite: '/new' },
    },
    {
      name: 'regex',
      match: { safe_regex: { regex: '/regex/[a-z]+' } },
      route: { ...to, prefix_rewrite: '/new' },
    },
    { name: 'changed', match: { path: '/changed' }, route: rewrite('e', 'X') },
    { name: 'redirected', match: { path: '/redirected' }, redirect: { prefix_rewrite: '/new' } },
    { name: 'rest', match: { prefix: '' }, route: to },
  ],
  asks: [
    '/whole;env=prod',
    '/whole;env=prod;ver=3?a=b;c=d',
    '/whole?a=b;c=d',
    '/prefix/a;x/b?c',
    '/separated;x=1/a?b',
    '/separated/a;x=1?b',
    '/regex/abc;x=e?e',
    '/regex/abc;x/def',
    '/changed;e=e?e',
    '/redirected;a=b?c=d',
    '/other;a',
    '/whole;a/b',
    '/whole;a/;b',
    '/deep;a=1/whole',
    '/deep;a/whole;b',
    '/deep/whole;/',
    '/deep/whole;b/c',
    '/;a/deep/whole',
    '/deep/;a/whole',
    '/deep/whole;a=/x',
    '/regex/;a',
    '/deep/whole;a?b;c/d',
    '/deep;a/part/x?y',
    '/deep/part;a/x?y',
    '/deep;a=1/part',
    '/deep;aaaaaaaaaaa/part',
    '/apart;a/part/x?y',
    '/apart;a/part?y',
    '/apart/part;a?y',
  ].map(path),
}

/** For a table whose most specific edits win, and which ignores ports and path parameters. */
export const otherRules: readonly RouteStory[] = [
  ...plain,
  ported,
  parameters,
  {
    name: 'a route removes what the table adds',
    routes: [
      {
        match: { prefix: '/cacheable' },
        route: to,
        response_headers_to_remove: ['x-order'],
        request_headers_to_remove: ['x-order'],
      },
      { match: all, route: to },
    ],
    asks: [path('/cacheable'), path('/foo')],
  },
]

export const rules: readonly RouteStory[] = [
  ...hostRules,
  ...pathRules,
  ...conditions,
  ...patterns,
  ...wide,
  ...changes,
  ...retryRules,
]
