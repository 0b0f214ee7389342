/** Redirects, rewrites, splits and edits. */
import {
  type RouteStory,
  adds,
  all,
  bodiless,
  forward,
  grpc,
  has,
  path,
  redirect,
  to,
} from './route-story.ts'

export const redirects: readonly RouteStory[] = [
  redirect('host', { host_redirect: 'x.test' }, [path('/a?b=c'), path('/%20%41?q=%20')]),
  redirect('host with a port', { host_redirect: 'x.test:99', port_redirect: 88 }, [{}]),
  redirect('port over that of the host', { port_redirect: 88 }, [{ host: ':123' }]),
  redirect('https', { https_redirect: true }, [
    path('/a?b'),
    { path: '/', headers: { 'x-forwarded-proto': 'https' } },
  ]),
  redirect('https of port 80', { https_redirect: true }, [{ host: ':80' }, { host: ':8080' }]),
  redirect('http of port 443', { scheme_redirect: 'http' }, [
    { host: ':443' },
    { host: ':443', headers: { 'x-forwarded-proto': 'https' } },
  ]),
  redirect('scheme in capitals', { scheme_redirect: 'HTTPS' }, [{}]),
  redirect('path', { path_redirect: '/new' }, [path('/a?b=c'), path('/a#b')]),
  redirect('path with a query', { path_redirect: '/new?x=1' }, [path('/a?b=c'), path('/a')]),
  redirect('path with a query, stripped', { path_redirect: '/new?x=1', strip_query: true }, [
    path('/a?b=c'),
  ]),
  redirect('path with a fragment', { path_redirect: '/new#x' }, [path('/a?b=c')]),
  redirect('path without a slash', { path_redirect: 'new' }, [path('/a?b=c')]),
  redirect('prefix without a slash', { prefix_rewrite: 'new' }, [path('/a?b=c')]),
  redirect('query for a path', { path_redirect: '?x=1' }, [path('/a?b=c')]),
  redirect('host of IPv6', { host_redirect: '[fe80::2]', port_redirect: 8080 }, [path('/a?b=c')]),
  redirect('stripped', { strip_query: true, https_redirect: true }, [path('/a?b=c')]),
  {
    name: 'prefix redirect',
    routes: [
      { match: { prefix: '/old' }, redirect: { prefix_rewrite: '/new', strip_query: true } },
    ],
    asks: [path('/old/x?y'), path('/older')],
  },
  {
    name: 'exact prefix redirect',
    routes: [{ match: { path: '/old' }, redirect: { prefix_rewrite: '/new' } }],
    asks: [path('/old?y=1')],
  },
  {
    name: 'regex prefix redirect',
    routes: [{ match: { safe_regex: { regex: '/o.*' } }, redirect: { prefix_rewrite: '/new' } }],
    asks: [path('/old/x?y=1')],
  },
  {
    name: 'regex redirect',
    routes: [
      {
        match: { prefix: '/old' },
        redirect: {
          regex_rewrite: { pattern: { regex: '/old/(\\w+)' }, substitution: '/new/\\1\\1' },
        },
      },
    ],
    asks: [path('/old/ab/old/cd?y=/old/x')],
  },
  ...['MOVED_PERMANENTLY', 'FOUND', 'SEE_OTHER', 'TEMPORARY_REDIRECT', 'PERMANENT_REDIRECT'].map(
    (code) =>
      redirect(
        `code ${code.toLowerCase().replaceAll('_', ' ')}`,
        { host_redirect: 'x.test', response_code: code },
        [{}, { method: 'POST', body: 'x' }, { headers: grpc, method: 'POST' }],
      ),
  ),
  redirect('nothing', {}, [path('/a?b')]),
  {
    name: 'redirect with edits',
    routes: [
      {
        name: 'story',
        match: all,
        redirect: { host_redirect: 'x.test' },
        response_headers_to_add: [
          adds('x-from', '%REQ(:PATH)%'),
          adds('location', 'http://other/', { append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' }),
        ],
        request_headers_to_add: [adds('x-q', 'x')],
      },
    ],
    asks: [path('/a')],
  },
  {
    name: 'TLS wanted',
    host: { require_tls: 'ALL' },
    routes: [{ match: all, route: to }],
    asks: [
      path('/a?b=c'),
      has({ 'x-forwarded-proto': 'https' }),
      { headers: grpc, method: 'POST' },
      { host: ':8080' },
    ],
  },
  {
    name: 'TLS wanted from outside',
    host: { require_tls: 'EXTERNAL_ONLY' },
    routes: [{ match: all, route: to }],
    asks: [path('/a?b=c'), has({ 'x-forwarded-for': '10.0.0.1' })],
  },
]

export const rewrites: readonly RouteStory[] = [
  {
    name: 'prefix',
    routes: [{ match: { prefix: '/a' }, route: { ...to, prefix_rewrite: '/b' } }],
    asks: [path('/a'), path('/ab?x=/a'), path('/a/a?'), path('/a#x')],
  },
  {
    name: 'prefix to nothing',
    routes: [{ match: { prefix: '/a/' }, route: { ...to, prefix_rewrite: '/' } }],
    asks: [path('/a/'), path('/a/b')],
  },
  {
    name: 'separated to root',
    routes: [{ match: { path_separated_prefix: '/a' }, route: { ...to, prefix_rewrite: '/' } }],
    asks: [path('/a'), path('/a/b'), path('/a?x')],
  },
  {
    name: 'regex match with prefix rewrite',
    routes: [{ match: { safe_regex: { regex: '/a.*' } }, route: { ...to, prefix_rewrite: '/b' } }],
    asks: [path('/abc/d?x=1')],
  },
  forward(
    'regex groups',
    {
      regex_rewrite: {
        pattern: { regex: '^/(\\w+)/(\\w+)(.*)$' },
        substitution: '/\\2/\\1\\3\\\\',
      },
    },
    [path('/one/two/three?q'), path('/one')],
  ),
  forward('regex many times', { regex_rewrite: { pattern: { regex: 'a' }, substitution: 'bb' } }, [
    path('/aXaXa?a'),
    path('/x'),
  ]),
  forward('regex of nothing', { regex_rewrite: { pattern: { regex: 'x*' }, substitution: '-' } }, [
    path('/axb'),
  ]),
  forward(
    'regex without case',
    { regex_rewrite: { pattern: { regex: '(?i)/AAA' }, substitution: '/b' } },
    [path('/aAa/c')],
  ),
  forward(
    'host from the path',
    { host_rewrite_path_regex: { pattern: { regex: '^/(.+)/.+$' }, substitution: '\\1' } },
    [path('/new.test/x?y'), path('/x')],
  ),
  forward('host from a header', { host_rewrite_header: 'X-Host' }, [
    has({ 'x-host': 'n.test' }),
    has({ 'x-host': '' }),
    has({}),
  ]),
  forward('host of nothing', { host_rewrite_literal: '' }, [{}]),
  forward(
    'host with a port',
    { host_rewrite_literal: 'N.Test:80', append_x_forwarded_host: true },
    [{}, has({ 'x-forwarded-host': 'first.test' })],
  ),
  {
    name: 'only a part of a split rewrites the host',
    routes: [
      {
        match: all,
        route: {
          weighted_clusters: {
            clusters: [{ name: 'a', weight: 1, host_rewrite_literal: 'part.test' }],
          },
          append_x_forwarded_host: true,
        },
      },
    ],
    asks: [{}],
  },
  {
    name: 'part of a split rewrites the host',
    routes: [
      {
        match: all,
        route: {
          weighted_clusters: {
            clusters: [{ name: 'a', weight: 1, host_rewrite_literal: 'part.test' }],
          },
          host_rewrite_literal: 'route.test',
        },
      },
    ],
    asks: [{}],
  },
]

export const splits: readonly RouteStory[] = [
  {
    name: 'a draw in a header',
    routes: [
      {
        match: all,
        route: {
          weighted_clusters: {
            header_name: 'x-draw',
            clusters: [
              { name: 'a', weight: 30 },
              { name: 'b', weight: 70 },
            ],
          },
        },
      },
    ],
    asks: [
      has({ 'x-draw': '29' }),
      has({ 'x-draw': '30' }),
      has({ 'x-draw': '130' }),
      has({ 'x-draw': '4294967325' }),
      has({ 'x-draw': '99' }),
    ],
  },
  {
    name: 'a split by header',
    routes: [
      {
        match: all,
        route: {
          weighted_clusters: {
            clusters: [
              {
                cluster_header: 'x-cluster',
                weight: 1,
                request_headers_to_remove: ['x-cluster'],
                response_headers_to_add: [adds('x-part', 'yes')],
              },
            ],
          },
        },
      },
    ],
    asks: [has({ 'x-cluster': 'b' }), has({ 'x-cluster': 'nowhere' }), has({})],
  },
  forward(
    'edits of a part',
    {
      cluster: undefined,
      weighted_clusters: {
        clusters: [
          {
            name: 'a',
            weight: 1,
            request_headers_to_add: [adds('x-order', 'part')],
            response_headers_to_add: [adds('x-order', 'part')],
            response_headers_to_remove: ['x-upstream'],
          },
        ],
      },
    },
    [{}],
  ),
  {
    name: 'cluster by authority',
    routes: [{ match: all, route: { cluster_header: ':authority' } }],
    asks: [{}],
  },
  {
    name: 'cluster by header twice',
    routes: [{ match: all, route: { cluster_header: 'x-c' } }],
    asks: [{ raw: 'GET / HTTP/1.1\r\nhost: $HOST\r\nx-case: $CASE\r\nx-c: b\r\nx-c: a\r\n\r\n' }],
  },
  ...[
    ['SERVICE_UNAVAILABLE', '503'],
    ['NOT_FOUND', '404'],
    ['INTERNAL_SERVER_ERROR', '500'],
  ].map(([code, status]) =>
    forward(`no cluster ${status}`, { cluster: 'nowhere', cluster_not_found_response_code: code }, [
      {},
      { headers: grpc, method: 'POST' },
    ]),
  ),
]

export const edits: readonly RouteStory[] = [
  {
    name: 'actions',
    host: {
      request_headers_to_add: [
        adds('x-order', 'host'),
        adds('x-over', 'host', { append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' }),
      ],
      response_headers_to_add: [
        adds('x-order', 'host'),
        adds('x-over', 'host', { append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' }),
      ],
      request_headers_to_remove: ['x-gone'],
    },
    routes: [
      {
        name: 'story',
        match: all,
        route: to,
        request_headers_to_add: [
          adds('x-order', 'route'),
          adds('x-over', 'route', { append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' }),
          adds('x-gone', 'back'),
          adds('x-twice', '1'),
          adds('x-twice', '2'),
          adds('x-if', 'new', { append_action: 'ADD_IF_ABSENT' }),
          adds('x-if-there', 'new', { append_action: 'OVERWRITE_IF_EXISTS' }),
          adds('x-empty', ''),
          adds('x-kept', '', { keep_empty_value: true }),
          adds('x-old-append', 'b', { append: true }),
          adds('x-old-set', 'b', { append: false }),
          adds('X-CAPITALS', 'C'),
        ],
        response_headers_to_add: [
          adds('x-order', 'route'),
          adds('x-upstream', 'more'),
          adds('content-type', 'x/y', { append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' }),
          adds('x-none', '%REQ(x-none)%'),
          adds('x-kept', '%REQ(x-none)%', { keep_empty_value: true }),
        ],
        response_headers_to_remove: ['x-none-such'],
      },
    ],
    asks: [
      {},
      has({
        'x-order': 'client',
        'x-over': 'client',
        'x-gone': 'x',
        'x-if': 'old',
        'x-if-there': 'old',
        'x-old-append': 'a',
        'x-old-set': 'a',
        'x-twice': '0',
      }),
    ],
  },
  {
    name: 'operators',
    routes: [
      {
        name: 'story',
        match: { prefix: '/' },
        route: { ...to, prefix_rewrite: '/re/' },
        request_headers_to_add: [
          adds('x-1', '%REQ(:path)%'),
          adds('x-2', '%REQ(x-none?x-case)%'),
          adds('x-3', '%REQ(x-case):3%'),
          adds('x-4', '%PROTOCOL%'),
          adds('x-5', '%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%'),
          adds('x-6', '%START_TIME(%Y)%'),
          adds('x-7', '100%%'),
          adds('x-8', '%ROUTE_NAME%'),
          adds('x-9', '%UPSTREAM_CLUSTER%'),
          adds('x-10', '%VIRTUAL_CLUSTER_NAME%'),
          adds('x-11', '%RESPONSE_CODE%'),
          adds('x-12', '%RESPONSE_FLAGS%'),
          adds('x-13', '%REQUESTED_SERVER_NAME%'),
          adds('x-14', '%DOWNSTREAM_TLS_VERSION%'),
          adds('x-15', '%DYNAMIC_METADATA(x:y)%'),
          adds('x-16', '%REQUEST_HEADER(x-case)%'),
          adds('x-17', '%QUERY_PARAM(b)%'),
          adds('x-18', '%PATH(NQ)%'),
          adds('x-19', '%TRACE_ID%'),
          adds('x-20', '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(8)%'),
        ],
        response_headers_to_add: [
          adds('x-1', '%REQ(:path)%'),
          adds('x-2', '%RESP(x-upstream)%'),
          adds('x-3', '%RESPONSE_CODE%'),
          adds('x-4', '%RESPONSE_CODE_DETAILS%'),
          adds('x-5', '%UPSTREAM_CLUSTER%'),
          adds('x-6', '%UPSTREAM_REQUEST_ATTEMPT_COUNT%'),
          adds('x-7', '%REQ(X-ENVOY-ORIGINAL-PATH)%'),
          adds('x-8', '%BYTES_RECEIVED%'),
          adds('x-9', '%RESPONSE_FLAGS%'),
          adds('x-10', '%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%'),
          adds('x-11', '%RESP(:status)%'),
        ],
      },
    ],
    asks: [path('/a?b=c'), { ...path('/a'), method: 'POST', body: 'hello' }],
  },
  {
    name: 'edits of a local reply',
    routes: [
      {
        name: 'story',
        match: all,
        route: { cluster: 'refused' },
        response_headers_to_add: [
          adds('x-code', '%RESPONSE_CODE%'),
          adds('x-details', '%RESPONSE_CODE_DETAILS%'),
        ],
        response_headers_to_remove: ['content-type'],
      },
    ],
    asks: [{}, { headers: grpc, method: 'POST' }],
  },
  {
    name: 'direct',
    routes: [
      { name: 'story', match: { path: '/empty' }, direct_response: { status: 200 } },
      {
        match: { path: '/text' },
        direct_response: { status: 299, body: { inline_string: 'täxt' } },
        response_headers_to_add: [
          adds('content-type', 'text/html', { append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' }),
        ],
      },
      { match: { path: '/304' }, direct_response: { status: 304, body: { inline_string: 'x' } } },
      {
        match: { path: '/typed' },
        direct_response: { status: 404 },
        response_headers_to_add: [adds('content-type', 'text/html'), adds('content-length', '5')],
      },
      { match: { path: '/201' }, direct_response: { status: 201 } },
      { match: { path: '/302' }, direct_response: { status: 302, body: { inline_string: 'go' } } },
      {
        match: { path: '/bytes' },
        direct_response: { status: 503, body: { inline_bytes: 'AAEC' } },
      },
    ],
    asks: [
      path('/empty'),
      path('/text'),
      { ...path('/text'), method: 'HEAD' },
      path('/typed'),
      path('/201?x'),
      path('/302'),
      { ...path('/304'), differs: { body: bodiless, headers: bodiless, log: bodiless } },
      path('/bytes'),
      { ...path('/text'), headers: grpc, method: 'POST' },
      { ...path('/bytes'), headers: grpc, method: 'POST' },
    ],
  },
]
