/** Requests that routes are to match, or not. */
import { type RouteStory, grpc, has, header, match, path, to } from './route-story.ts'

export const matching: readonly RouteStory[] = [
  match('range', header({ name: 'x', range_match: { start: -10, end: 10 } }), [
    has({ x: '-10' }),
    has({ x: '10' }),
    has({ x: '+5' }),
    has({ x: ' 5 ' }),
    has({ x: '5a' }),
    has({ x: '0x5' }),
    has({ x: '' }),
    has({ x: '5.0' }),
    has({}),
    has({ x: '99999999999999999999' }),
    has({ x: '-' }),
    has({ x: '1,2' }),
  ]),
  match(
    'inverted range',
    header({ name: 'x', range_match: { start: 1, end: 3 }, invert_match: true }),
    [has({ x: '1' }), has({ x: '3' }), has({ x: 'x' }), has({})],
  ),
  match(
    'inverted and empty',
    header({
      name: 'x',
      string_match: { exact: 'a' },
      invert_match: true,
      treat_missing_header_as_empty: true,
    }),
    [has({ x: 'a' }), has({ x: 'b' }), has({})],
  ),
  match(
    'empty range',
    header({ name: 'x', range_match: { start: 0, end: 5 }, treat_missing_header_as_empty: true }),
    [has({})],
  ),
  match(
    'empty regex',
    header({
      name: 'x',
      string_match: { safe_regex: { regex: '.*' } },
      treat_missing_header_as_empty: true,
    }),
    [has({}), has({ x: 'y' })],
  ),
  match(
    'contains without case',
    header({ name: 'x', string_match: { contains: 'MiD', ignore_case: true } }),
    [has({ x: 'amidb' }), has({ x: 'AMIDB' }), has({ x: 'm i d' })],
  ),
  match('regex is whole', header({ name: 'x', string_match: { safe_regex: { regex: 'a|ab' } } }), [
    has({ x: 'a' }),
    has({ x: 'ab' }),
    has({ x: 'abc' }),
  ]),
  match('empty exact', header({ name: 'x', string_match: { exact: '' } }), [
    has({ x: '' }),
    has({ x: 'a' }),
    has({}),
  ]),
  match('repeated header', header({ name: 'x', string_match: { exact: 'a' } }), [
    { raw: 'GET / HTTP/1.1\r\nhost: $HOST\r\nx-case: $CASE\r\nx: b\r\nx: a\r\n\r\n' },
    { raw: 'GET / HTTP/1.1\r\nhost: $HOST\r\nx-case: $CASE\r\nx: a, b\r\n\r\n' },
  ]),
  match('cookie as a header', header({ name: 'cookie', string_match: { contains: 'a=1' } }), [
    has({ cookie: 'b=2; a=1' }),
    has({ cookie: 'a=2' }),
  ]),
  match('scheme', header({ name: ':scheme', string_match: { exact: 'http' } }), [{}]),
  match('authority', header({ name: ':authority', string_match: { prefix: 'authority' } }), [{}]),
  match(
    'method',
    header({ name: ':method', string_match: { safe_regex: { regex: 'P(OST|UT)' } } }),
    [{ method: 'PUT' }, { method: 'GET' }],
  ),
  match('path as a header', header({ name: ':path', string_match: { suffix: '?x=1' } }), [
    path('/a?x=1'),
    path('/a'),
  ]),
  match('gRPC', { grpc: {} }, [
    has(grpc),
    has({ 'content-type': 'application/grpc+proto' }),
    has({ 'content-type': 'application/grpc-web' }),
    has({ 'content-type': 'application/grpc; x' }),
    has({ 'content-type': 'application/json' }),
  ]),
  match('query value', { query_parameters: [{ name: 'q', string_match: { exact: 'a b' } }] }, [
    path('/?q=a%20b'),
    path('/?q=a+b'),
    path('/?q'),
  ]),
  match('query encoded', { query_parameters: [{ name: 'q', string_match: { exact: 'a%20b' } }] }, [
    path('/?q=a%20b'),
  ]),
  match('query name encoded', { query_parameters: [{ name: 'q r', present_match: true }] }, [
    path('/?q%20r=1'),
  ]),
  match('query twice', { query_parameters: [{ name: 'q', string_match: { exact: '2' } }] }, [
    path('/?q=1&q=2'),
    path('/?q=2&q=1'),
  ]),
  match('query odd', { query_parameters: [{ name: 'q', string_match: { exact: '1=2' } }] }, [
    path('/?q=1=2'),
    path('/?&&q=1=2&'),
    path('/?a?q=1=2'),
    path('/?p=1;q=1=2'),
  ]),
  match(
    'query regex without case',
    { query_parameters: [{ name: 'q', string_match: { prefix: 'AB', ignore_case: true } }] },
    [path('/?q=abc'), path('/?Q=abc')],
  ),
  match('query absent', { query_parameters: [{ name: 'q', present_match: false }] }, [
    path('/'),
    path('/?q'),
  ]),
  {
    name: 'case insensitive prefix',
    routes: [
      {
        name: 'story',
        match: { prefix: '/AbC', case_sensitive: false },
        route: { ...to, prefix_rewrite: '/new' },
      },
    ],
    asks: [path('/aBcD/E?q'), path('/abc'), path('/ab')],
  },
  {
    name: 'case insensitive separated',
    routes: [
      {
        name: 'story',
        match: { path_separated_prefix: '/AbC', case_sensitive: false },
        route: { ...to, prefix_rewrite: '/new' },
      },
    ],
    asks: [path('/aBc/D?q'), path('/abc?x'), path('/abcd'), path('/abc/')],
  },
  {
    name: 'case insensitive path',
    routes: [
      {
        name: 'story',
        match: { path: '/AbC', case_sensitive: false },
        route: { ...to, prefix_rewrite: '/New' },
      },
    ],
    asks: [path('/aBc?q=1'), path('/abc/'), path('/abc#f')],
  },
  {
    name: 'regex with case off',
    routes: [
      { name: 'story', match: { safe_regex: { regex: '/x.y' }, case_sensitive: false }, route: to },
    ],
    asks: [path('/xAy'), path('/XAY')],
  },
  {
    name: 'order',
    routes: [
      { name: 'first', match: { prefix: '/a' }, route: { cluster: 'b' } },
      { name: 'second', match: { path: '/a' }, route: to },
      { name: 'third', match: { prefix: '/' }, route: to },
    ],
    asks: [path('/a'), path('/ab'), path('/b')],
  },
  {
    name: 'nothing matches',
    routes: [{ match: { path: '/only' }, route: to }],
    asks: [path('/x'), { ...path('/x'), headers: grpc, method: 'POST' }],
  },
  match('never', { runtime_fraction: { default_value: { numerator: 0 } } }, [{}]),
  match('always', { runtime_fraction: { default_value: { numerator: 100 }, runtime_key: 'k' } }, [
    {},
  ]),
  match('TLS presented', { tls_context: { presented: true } }, [{}]),
  match('TLS not presented', { tls_context: { presented: false } }, [{}]),
  match('TLS validated', { tls_context: { validated: true } }, [{}]),
  match('TLS nothing', { tls_context: {} }, [{}]),
  match('TLS not validated', { tls_context: { validated: false } }, [{}]),
]
