/** Routes and requests that are put to Envoy and to our table alike (envoy-comparison.test.ts). */

export interface ComparisonRequest {
  readonly path: string
  readonly host?: string
  readonly method?: string
  readonly headers?: readonly (readonly [name: string, value: string])[]
}

function direct(name: string): object {
  return { direct_response: { status: 200, body: { inline_string: name } } }
}

let count = 0

/** A route that answers with its own number. */
function answer(match: object): object {
  count += 1
  return { match, ...direct(`route ${count}`) }
}

function add(key: string, value: string, rest: object = {}): object {
  return { header: { key, value }, ...rest }
}

const headerMatches: readonly object[] = [
  { name: 'x-exact', string_match: { exact: 'yes' } },
  { name: 'x-exact', string_match: { exact: 'LOUD', ignore_case: true } },
  { name: 'x-prefix', string_match: { prefix: 'pre' } },
  { name: 'x-suffix', string_match: { suffix: 'fix' } },
  { name: 'x-contains', string_match: { contains: 'mid' } },
  { name: 'x-regex', string_match: { safe_regex: { regex: '[a-c]+' } } },
  { name: 'x-regex-empty', string_match: { safe_regex: { regex: '^$' } } },
  { name: 'x-range', range_match: { start: -10, end: 10 } },
  { name: 'x-present', present_match: true },
  { name: 'x-not-inverted', string_match: { exact: 'a' }, invert_match: true },
  {
    name: 'x-empty-inverted',
    string_match: { exact: 'a' },
    invert_match: true,
    treat_missing_header_as_empty: true,
  },
]

const virtualHosts: readonly object[] = [
  {
    name: 'headers',
    domains: ['headers.test'],
    routes: [
      ...headerMatches
        .slice(0, -1)
        .map((matcher, index) => answer({ prefix: `/h${index}/`, headers: [matcher] })),
      answer({ prefix: '/h10/', headers: headerMatches.slice(-1) }),
      answer({ prefix: '/method', headers: [{ name: ':method', string_match: { exact: 'PUT' } }] }),
      answer({
        prefix: '/authority',
        headers: [{ name: 'host', string_match: { prefix: 'headers' } }],
      }),
      answer({
        prefix: '/path',
        headers: [{ name: ':path', string_match: { contains: 'q=1' } }],
      }),
      answer({ prefix: '/bare', headers: [{ name: 'x-bare' }] }),
      answer({ prefix: '/absent', headers: [{ name: 'x-absent', present_match: false }] }),
      answer({
        prefix: '/notpresent',
        headers: [{ name: 'x-np', present_match: true, invert_match: true }],
      }),
      answer({
        prefix: '/both',
        headers: [
          { name: 'x-one', string_match: { exact: '1' } },
          { name: 'x-two', string_match: { exact: '2' } },
        ],
      }),
      answer({
        prefix: '/treat',
        headers: [{ name: 'x-t', present_match: true, treat_missing_header_as_empty: true }],
      }),
      answer({ prefix: '/grpc', grpc: {} }),
      answer({ prefix: '/joined', headers: [{ name: 'x-joined', string_match: { exact: 'a,b' } }] }),
      answer({ prefix: '/old-exact', headers: [{ name: 'x-old', exact_match: 'a' }] }),
      answer({ prefix: '/' }),
    ],
  },
  {
    name: 'paths',
    domains: ['paths.test'],
    routes: [
      answer({ path: '/exact' }),
      answer({ path: '/Loose', case_sensitive: false }),
      answer({ prefix: '/LoosePrefix', case_sensitive: false }),
      answer({ path_separated_prefix: '/sep' }),
      answer({ safe_regex: { regex: '/re/[0-9]+' } }),
      answer({ safe_regex: { regex: '/dots/.*' } }),
      answer({ safe_regex: { regex: '/plus/.+' } }),
      answer({ safe_regex: { regex: '/(a|b)/x' } }),
      answer({ safe_regex: { regex: '^/anchored$' } }),
      answer({ safe_regex: { regex: '(?i)/insensitive' } }),
      answer({ safe_regex: { regex: '/opt/?' } }),
      answer({ safe_regex: { regex: '/esc\\.txt' } }),
      answer({ prefix: '/q', query_parameters: [{ name: 'a', string_match: { exact: '1' } }] }),
      answer({ prefix: '/q', query_parameters: [{ name: 'b', present_match: true }] }),
      answer({ prefix: '/q', query_parameters: [{ name: 'c' }] }),
      answer({ prefix: '/q', query_parameters: [{ name: 'd', present_match: false }] }),
      answer({ prefix: '/never', runtime_fraction: { default_value: { numerator: 0 } } }),
      answer({ prefix: '/always', runtime_fraction: { default_value: { numerator: 100 } } }),
      answer({ prefix: '/ordered/long' }),
      answer({ prefix: '/ordered' }),
      answer({ path: '/ordered/late' }),
      answer({ prefix: '/exact/below' }),
    ],
  },
  { name: 'suffix', domains: ['*.wild.test'], routes: [answer({ prefix: '/' })] },
  { name: 'longer', domains: ['*.more.wild.test'], routes: [answer({ prefix: '/' })] },
  { name: 'dash', domains: ['*-dash.wild.test'], routes: [answer({ prefix: '/' })] },
  { name: 'prefix', domains: ['front.*'], routes: [answer({ prefix: '/' })] },
  { name: 'front long', domains: ['front.long.*'], routes: [answer({ prefix: '/' })] },
  { name: 'ported', domains: ['ported.test:8080'], routes: [answer({ prefix: '/' })] },
  { name: 'v6', domains: ['[::1]:80'], routes: [answer({ prefix: '/' })] },
  { name: 'upper', domains: ['UPPER.test'], routes: [answer({ prefix: '/' })] },
  {
    name: 'redirects',
    domains: ['redirect.test', 'redirect.test:80', 'redirect.test:443', 'redirect.test:8080'],
    response_headers_to_add: [add('x-out-a', 'vhost')],
    routes: [
      { match: { prefix: '/https' }, redirect: { https_redirect: true } },
      { match: { prefix: '/scheme' }, redirect: { scheme_redirect: 'ftp' } },
      { match: { prefix: '/host' }, redirect: { host_redirect: 'other.test' } },
      { match: { prefix: '/port' }, redirect: { port_redirect: 8443 } },
      { match: { prefix: '/path' }, redirect: { path_redirect: '/new' } },
      { match: { prefix: '/query' }, redirect: { path_redirect: '/new?x=y', strip_query: true } },
      { match: { prefix: '/strip' }, redirect: { path_redirect: '/new', strip_query: true } },
      { match: { prefix: '/bare' }, redirect: { strip_query: true, host_redirect: 'b.test' } },
      { match: { prefix: '/swap/' }, redirect: { prefix_rewrite: '/swapped/' } },
      { match: { path: '/swap' }, redirect: { prefix_rewrite: '/exactly' } },
      {
        match: { prefix: '/rx/' },
        redirect: {
          regex_rewrite: { pattern: { regex: '^/rx/([^/]+)/(.*)$' }, substitution: '/\\2/of/\\1' },
        },
      },
      {
        match: { prefix: '/all' },
        redirect: {
          https_redirect: true,
          host_redirect: 'all.test',
          port_redirect: 444,
          path_redirect: '/everything',
          response_code: 'PERMANENT_REDIRECT',
        },
      },
      {
        match: { prefix: '/c302' },
        redirect: { host_redirect: 'c.test', response_code: 'FOUND' },
      },
      {
        match: { prefix: '/c303' },
        redirect: { host_redirect: 'c.test', response_code: 'SEE_OTHER' },
        response_headers_to_add: [add('x-out-a', 'route')],
      },
      {
        match: { prefix: '/c307' },
        redirect: { host_redirect: 'c.test', response_code: 'TEMPORARY_REDIRECT' },
      },
    ],
  },
  {
    name: 'tls',
    domains: ['tls.test'],
    require_tls: 'ALL',
    routes: [answer({ prefix: '/' })],
  },
  {
    name: 'forward',
    domains: ['forward.test', 'forward.test:81'],
    request_headers_to_add: [add('x-test', 'vhost')],
    response_headers_to_add: [add('x-out-a', 'vhost')],
    routes: [
      { match: { prefix: '/plain' }, route: { cluster: 'echo' } },
      { match: { prefix: '/pre/' }, route: { cluster: 'echo', prefix_rewrite: '/' } },
      { match: { prefix: '/pre' }, route: { cluster: 'echo', prefix_rewrite: '/' } },
      { match: { path: '/whole' }, route: { cluster: 'echo', prefix_rewrite: '/all' } },
      {
        match: { safe_regex: { regex: '/sr/.*' } },
        route: { cluster: 'echo', prefix_rewrite: '/sr-new' },
      },
      {
        match: { path_separated_prefix: '/psp' },
        route: { cluster: 'echo', prefix_rewrite: '/new' },
      },
      {
        match: { prefix: '/rr' },
        route: {
          cluster: 'echo',
          regex_rewrite: { pattern: { regex: '(/?)a*' }, substitution: '\\1X' },
        },
      },
      {
        match: { prefix: '/group' },
        route: {
          cluster: 'echo',
          regex_rewrite: { pattern: { regex: '/group/(\\w+)/(\\d+)' }, substitution: '/\\2/\\1/\\0' },
        },
      },
      { match: { prefix: '/lit' }, route: { cluster: 'echo', host_rewrite_literal: 'lit.test' } },
      { match: { prefix: '/hh' }, route: { cluster: 'echo', host_rewrite_header: 'x-host' } },
      {
        match: { prefix: '/hp' },
        route: {
          cluster: 'echo',
          host_rewrite_path_regex: {
            pattern: { regex: '^/hp/(.+)/.+$' },
            substitution: '\\1',
          },
        },
      },
      {
        match: { prefix: '/edit' },
        route: { cluster: 'echo' },
        request_headers_to_add: [
          add('x-test', 'route %REQ(:METHOD)% 100%%'),
          add('x-test', '%REQ(x-missing)%'),
        ],
        response_headers_to_add: [add('x-out-a', 'route'), add('x-out-b', '%REQ(x-in?:path)%')],
      },
      {
        match: { prefix: '/over' },
        route: { cluster: 'echo' },
        request_headers_to_remove: ['x-test'],
        request_headers_to_add: [
          add('x-test', 'second', { append_action: 'APPEND_IF_EXISTS_OR_ADD' }),
          add('x-test', 'first', { append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' }),
        ],
      },
      {
        match: { prefix: '/absent' },
        route: { cluster: 'echo' },
        request_headers_to_add: [add('x-test', 'only', { append_action: 'ADD_IF_ABSENT' })],
      },
      {
        match: { prefix: '/exists' },
        route: { cluster: 'echo' },
        request_headers_to_add: [add('x-test', 'ours', { append_action: 'OVERWRITE_IF_EXISTS' })],
      },
      {
        match: { prefix: '/weighted' },
        route: {
          weighted_clusters: {
            clusters: [
              {
                name: 'echo',
                weight: 100,
                host_rewrite_literal: 'weighted.test',
                request_headers_to_add: [add('x-test', 'weight')],
                response_headers_to_add: [add('x-out-a', 'weight')],
              },
              { name: 'nobody', weight: 0 },
            ],
          },
        },
        request_headers_to_add: [add('x-test', 'route')],
        response_headers_to_add: [add('x-out-a', 'route')],
      },
      { match: { prefix: '/byheader' }, route: { cluster_header: 'x-cluster' } },
      {
        match: { prefix: '/drawn' },
        route: {
          weighted_clusters: {
            header_name: 'x-draw',
            clusters: [
              { name: 'echo', weight: 30 },
              { name: 'nobody', weight: 70 },
            ],
          },
        },
      },
      {
        match: { prefix: '/empty' },
        route: { cluster: 'echo' },
        response_headers_to_add: [
          add('x-out-a', '', { keep_empty_value: true }),
          add('x-out-b', ''),
        ],
      },
      {
        match: { prefix: '/old' },
        route: { cluster: 'echo' },
        request_headers_to_add: [{ header: { key: 'x-test', value: 'old' }, append: false }],
      },
    ],
  },
  { name: 'any', domains: ['*'], routes: [answer({ prefix: '/any' })] },
]

export const comparisonRoutes: object = {
  name: 'comparison',
  virtual_hosts: virtualHosts,
  request_headers_to_add: [add('x-test', 'table')],
  response_headers_to_add: [add('x-out-a', 'table')],
}

function words(text: string): readonly string[] {
  return text.split(' ')
}

function on(host: string, ...paths: readonly string[]): readonly ComparisonRequest[] {
  return paths.map((path) => ({ host, path }))
}

function withHeader(path: string, name: string, ...values: readonly string[]): ComparisonRequest {
  return { host: 'headers.test', path, headers: values.map((value) => [name, value] as const) }
}

function repeated(
  path: string,
  name: string,
  ...cases: readonly (readonly string[])[]
): readonly ComparisonRequest[] {
  return cases.map((values) => withHeader(path, name, ...values))
}

export const comparisonRequests: readonly ComparisonRequest[] = [
  ...on(
    'paths.test',
    ...words('/exact /exact/ /exact?x /exactly /Exact'),
    ...words('/loose /LOOSE /looseprefixed /LOOSEPREFIX/x'),
    ...words('/sep /sep/ /sep/x /separate /sep?x'),
    ...words('/re/123 /re/ /re/1a /re/1?x=y /dots/ /dots/a/b /dots'),
    ...words('/plus/ /plus/a /a/x /b/x /c/x /a/xy /anchored /anchored/'),
    ...words('/INSENSITIVE /opt /opt/ /op /esc.txt /escxtxt'),
    ...words('/q?a=1 /q?a=2 /q?a /q?b /q?b= /q?c=9 /q?d /q /q?a=2&a=1'),
    ...words('/q?a=1&d=2 /q?x&b&d /q?A=1&d /q?a=%31&d'),
    ...words('/never /always /ordered/long/er /ordered/x /ordered/late /orderedX'),
    ...words('/exact/below /nothing /'),
  ),
  ...['yes', 'no', 'loud', 'LOUD', ''].flatMap((value) => [
    withHeader('/h0/', 'x-exact', value),
    withHeader('/h1/', 'x-exact', value),
  ]),
  ...['pre', 'prefix', 'unpre'].map((value) => withHeader('/h2/', 'x-prefix', value)),
  ...['fix', 'suffix', 'fixed'].map((value) => withHeader('/h3/', 'x-suffix', value)),
  ...['mid', 'amidst', 'mi'].map((value) => withHeader('/h4/', 'x-contains', value)),
  ...['abc', 'abcd', ''].map((value) => withHeader('/h5/', 'x-regex', value)),
  ...repeated('/h0/', 'x-exact', ['yes', 'no'], ['no', 'yes'], ['no', 'no'], ['yes,no']),
  ...repeated('/h2/', 'x-prefix', ['a', 'pre'], ['pre', 'a'], ['a', 'b']),
  ...repeated('/h3/', 'x-suffix', ['fix', 'a'], ['a', 'fix']),
  ...repeated('/h4/', 'x-contains', ['a', 'mid'], ['mi', 'd']),
  ...repeated('/h5/', 'x-regex', ['a', 'b'], ['a', 'z'], ['z', 'a'], ['z', 'y']),
  ...repeated('/h6/', 'x-regex-empty', ['', ''], ['a', '']),
  ...repeated('/h7/', 'x-range', ['5', '50'], ['50', '5'], ['50', '60'], ['5', '6']),
  ...repeated('/h8/', 'x-present', ['', '']),
  ...repeated('/h9/', 'x-not-inverted', ['a', 'b'], ['b', 'a'], ['a', 'a'], ['b', 'c']),
  ...repeated('/h10/', 'x-empty-inverted', ['a', 'b'], ['b', 'a'], ['a', 'a'], ['b', 'c']),
  ...repeated('/joined', 'x-joined', ['a', 'b'], ['a,b'], ['a, b']),
  ...repeated('/old-exact', 'x-old', ['a', 'b'], ['b', 'a'], ['a'], ['']),
  withHeader('/h6/', 'x-regex-empty', ''),
  ...on('headers.test', '/h0/', '/h5/', '/h6/', '/h7/', '/h8/', '/h9/', '/h10/', '/bare'),
  ...['-10', '9', '10', '+5', ' 5 ', '5.0', 'x', '', '5,6', '99999999999999999999'].map((value) =>
    withHeader('/h7/', 'x-range', value),
  ),
  withHeader('/h8/', 'x-present', ''),
  withHeader('/h8/', 'x-present', 'a'),
  ...['a', 'b'].flatMap((value) => [
    withHeader('/h9/', 'x-not-inverted', value),
    withHeader('/h10/', 'x-empty-inverted', value),
  ]),
  withHeader('/h0/', 'x-exact', 'yes', 'yes'),
  { host: 'headers.test', path: '/method', method: 'PUT' },
  { host: 'headers.test', path: '/method', method: 'POST' },
  ...on('headers.test', '/authority', '/path?q=1', '/path', '/absent', '/notpresent', '/treat'),
  withHeader('/bare', 'x-bare', 'x'),
  withHeader('/absent', 'x-absent', 'x'),
  withHeader('/notpresent', 'x-np', 'x'),
  {
    host: 'headers.test',
    path: '/both',
    headers: [
      ['x-one', '1'],
      ['x-two', '2'],
    ],
  },
  withHeader('/both', 'x-one', '1'),
  ...['application/grpc', 'application/grpc+proto', 'application/grpc-web', 'text/plain'].map(
    (value) => withHeader('/grpc', 'content-type', value),
  ),
  ...[
    ...words('a.wild.test .wild.test wild.test a.b.wild.test a.more.wild.test'),
    ...words('more.wild.test a-dash.wild.test -dash.wild.test A.WILD.TEST a.wild.test:80'),
    ...words('front.x front. front.long.x front.long front ported.test'),
    ...words('ported.test:8080 ported.test:8081 [::1]:80 [::1] upper.test UPPER.TEST'),
  ].map((host) => ({ host, path: '/any' })),
  ...on('unknown.test', '/any', '/other'),
  ...on(
    'redirect.test',
    ...words('/https /scheme /host?x=1 /port /path?a=b /query?a=b /strip?a=b'),
    ...words('/bare?a=b /swap/x/y?z /swap?z /swapped /rx/a/b/c?d=e /all?x'),
    ...words('/c302 /c303 /c307'),
  ),
  ...['redirect.test:80', 'redirect.test:443', 'redirect.test:8080'].flatMap((host) =>
    on(host, '/https', '/port', '/path'),
  ),
  {
    host: 'redirect.test:443',
    path: '/scheme',
    headers: [['x-forwarded-proto', 'https']],
  },
  ...on('tls.test', '/x?y'),
  { host: 'tls.test', path: '/x', headers: [['x-forwarded-proto', 'https']] },
  ...on(
    'forward.test',
    ...words('/plain?x /pre/a /pre /prefix /whole?q /sr/x/y?q /psp /psp/a?b'),
    ...words('/rrbaaac?q=a /group/abc/12?x /group/zzz /lit /hh /hp/a.test/x?y=/z/'),
    ...words('/edit /over /absent /exists /weighted /byheader /empty /old'),
  ),
  ...on('forward.test:81', '/plain', '/lit'),
  { host: 'forward.test', path: '/hh', headers: [['x-host', 'from.header']] },
  { host: 'forward.test', path: '/hh', headers: [['x-host', '']] },
  { host: 'forward.test', path: '/byheader', headers: [['x-cluster', 'echo']] },
  { host: 'forward.test', path: '/byheader', headers: [['x-cluster', 'nobody']] },
  ...['0', '29', '30', '129', '130'].map((draw) => ({
    host: 'forward.test',
    path: '/drawn',
    headers: [['x-draw', draw] as const],
  })),
  ...['/edit', '/over', '/absent', '/exists', '/weighted', '/old'].map((path) => ({
    host: 'forward.test',
    path,
    headers: [
      ['x-test', 'client'],
      ['x-test', 'twice'],
      ['x-in', 'in'],
    ] as const,
  })),
]
