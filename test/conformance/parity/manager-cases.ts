/** Requests to the listeners of manager-listeners.ts: each setting in every way that it can be felt. */
import type { ManagerCase, ManagerName } from './manager-listeners.ts'
import { originCases } from './manager-origin-cases.ts'

/** The same request to several listeners. */
function each(
  listeners: readonly ManagerName[],
  what: string,
  request: Omit<ManagerCase, 'name' | 'listener'>,
): readonly ManagerCase[] {
  return listeners.map((listener) => {
    const name = `${listener}: ${what}`
    const { raw } = request
    // A raw request says its case itself.
    const own = raw === undefined ? {} : { raw: raw.replace('\r\n', `\r\nx-case: ${name}\r\n`) }
    return { ...request, ...own, name, listener }
  })
}

const slashes = [
  'keep-slashes',
  'reject-slashes',
  'redirect-slashes',
  'forward-slashes',
  'only-forward-slashes',
  'default-slashes',
] as const
const stripping = ['plain', 'strip-matching', 'strip-any', 'strip-dot'] as const
const tracing = [
  'plain',
  'remote',
  'remote-hops',
  'remote-quiet',
  'remote-internal',
  'internal',
  'hops',
] as const
const ids = ['plain', 'remote', 'keep-request-id', 'tell-request-id', 'no-request-id'] as const
const spelling = ['plain', 'proper-case', 'preserve-case'] as const

const get = (fields: string, line = 'GET /x HTTP/1.1'): string =>
  `${line}\r\nHost: app.test\r\n${fields}\r\n`

const joinedReferers = 'several are removed, as Envoy does where nothing has it join them'
const unreadTimeout = 'a time-out that was not read goes no further'
const silentLog = 'of a head that was refused, the log holds what had been read'

const websocket = { connection: 'upgrade', upgrade: 'websocket' }

export const managerCases: readonly ManagerCase[] = [
  ...originCases,
  // Hosts. PORT is the listener's own.
  ...[
    'app.test',
    'app.test:PORT',
    'app.test:1',
    'app.test.',
    'app.test.:PORT',
    '[::1]:PORT',
    'app.test:',
  ].flatMap((host) => each(stripping, `the host ${host}`, { host, path: '/x' })),
  ...['app.test', 'app.test:PORT', 'app.test:1', 'app.test.'].flatMap((host) =>
    each(stripping, `the target ${host}`, {
      raw: `GET http://${host}/x HTTP/1.1\r\nHost: other.test\r\n\r\n`,
    }),
  ),
  // Paths.
  ...['/a%2Fb', '/a%2fb%5cc', '/a%5C..%2Fb', '/a%2F%2Fb', '/a%2F..%2Fb?x=%2F', '/a%252Fb'].flatMap(
    (path) => each(slashes, `the path ${path}`, { path }),
  ),
  ...[
    '/a/../b',
    '/a/./b/',
    '/a/..',
    '/../a',
    '/a//b',
    '/a\\b',
    '/a%2e%2e/b',
    '/a;x/../b',
    '/%41%7E%20',
    '/a?b/../c',
    '/..;/b',
    '/...',
    '/xyz/.%00../abc',
    '/a%00b',
    '/xyz/AAAAA%%0000/abc',
    '/%c0%af',
    '/%5c%25',
    '/a/..\\c',
    '/a/%2F%2f/c',
    '/a/b//?x=//',
    '/a/?b',
    '/a/b/../../../../c',
    '/./a/b',
    '/a%7f%0a%20b',
    '/%61%62%2d%2e%5f%7e',
    '/a"<>`{}|^b',
    '/a/.%2e/b',
    '/a/%2e',
    '/a/..%2f..%5cb',
  ].flatMap((path) =>
    each(['plain', 'normalize', 'merge', 'redirect-slashes'], `the path ${path}`, { path }),
  ),
  ...each(slashes, 'a gRPC call with an escaped slash', {
    path: '/a%2Fb',
    method: 'POST',
    headers: { 'content-type': 'application/grpc' },
  }),
  // Names with an underscore.
  ...each(['plain', 'drop-underscores'], 'an underscore', {
    path: '/x',
    headers: { x_y: '1', 'x-y': '2' },
  }),
  // Where the request came from.
  ...[
    ['nothing', {}],
    ['one address', { 'x-forwarded-for': '1.2.3.4' }],
    ['two addresses', { 'x-forwarded-for': '1.2.3.4, 5.6.7.8' }],
    ['three addresses', { 'x-forwarded-for': '1.2.3.4,5.6.7.8 , 9.10.11.12' }],
    ['a loopback address', { 'x-forwarded-for': '127.0.0.9' }],
    ['loopback addresses', { 'x-forwarded-for': '127.0.0.9, 127.0.0.8' }],
    ['an IPv6 address', { 'x-forwarded-for': '2001:db8::1' }],
    ['no address', { 'x-forwarded-for': 'unknown, ' }],
    ['an empty list', { 'x-forwarded-for': '' }],
    ['an address with a port', { 'x-forwarded-for': '1.2.3.4:80' }],
    ['an IPv6 address in brackets', { 'x-forwarded-for': '[2001:db8::1]:80' }],
    ['a mapped address', { 'x-forwarded-for': '::ffff:1.2.3.4' }],
    ['addresses with white space', { 'x-forwarded-for': ' 1.2.3.4 ,5.6.7.8\t' }],
    ['a list with a comma at its end', { 'x-forwarded-for': '1.2.3.4,' }],
    ['a list with a comma at its beginning', { 'x-forwarded-for': ',1.2.3.4' }],
    ['a number that is no address', { 'x-forwarded-for': '1.2.3' }],
    ['an address with zeros', { 'x-forwarded-for': '01.02.03.04' }],
    ['loopback in IPv6', { 'x-forwarded-for': '::1' }],
    ['a scheme in capitals', { 'x-forwarded-proto': 'HTTPS' }],
    ['a forwarded host', { 'x-forwarded-host': 'other.test', 'x-forwarded-port': '7' }],
    [
      'the rest of what an internal client may say',
      {
        'x-envoy-retriable-status-codes': '418',
        'x-envoy-retriable-header-names': 'x-a',
        'x-envoy-retry-grpc-on': 'cancelled',
        'x-envoy-upstream-alt-stat-name': 'a',
        'x-envoy-upstream-rq-per-try-timeout-ms': '500',
        'x-envoy-upstream-rq-timeout-alt-response': '1',
        'x-envoy-upstream-stream-duration-ms': '900',
        'x-envoy-expected-rq-timeout-ms': '1',
        'x-envoy-original-host': 'y',
        'x-envoy-is-timeout-retry': 'true',
        'x-envoy-peer-metadata': 'z',
      },
    ],
    ['a scheme', { 'x-forwarded-proto': 'https' }],
    ['an odd scheme', { 'x-forwarded-proto': 'ftp' }],
    [
      'what an internal client may say',
      {
        'x-envoy-retry-on': '5xx',
        'x-envoy-max-retries': '1',
        'x-envoy-upstream-rq-timeout-ms': '900',
        'x-envoy-original-path': '/y',
        'x-envoy-original-url': 'http://y',
        'x-envoy-decorator-operation': 'op',
        'x-envoy-downstream-service-cluster': 'c',
        'x-envoy-downstream-service-node': 'n',
        'x-envoy-external-address': '9.9.9.9',
        'x-envoy-internal': 'true',
        'x-envoy-ip-tags': 't',
        'x-envoy-attempt-count': '3',
      },
    ],
  ].flatMap(([what, headers]) =>
    each(tracing, what as string, { path: '/x', headers: headers as Record<string, string> }),
  ),
  // Where the client came from, by its own word.
  ...[
    'http://a.test',
    'HTTP://A.test/x?y=z',
    'http://a.test/x#part',
    'http://a.test#part',
    'http://u:p@a.test/x',
    'http://u@a.test/x',
    'http://[::1]:80/x',
    'http://a.test:99999/',
    'http://a.test:0/',
    'http://a.test:/',
    'http://a_b.test/',
    'http://a%20b.test/',
    'http://a.test?x',
    'http:///x',
    'http://',
    'http:x',
    'htp:/a.test',
    'android-app+1.0://a.test/',
    'android-app://a.test/',
    '1http://a.test/',
    'about:blank',
    '//a.test/x',
    '/x/y?z=1',
    '/x:y',
    'x:y',
    'x.html',
    'x#part',
    'x"y',
    'x<y>',
    'x[1]',
    'x y',
    'http://a.test/x y',
    'http://a.test/x"y|z',
    'http://a.test/\u00e4',
    '\u00e4',
    'fo\\0o',
    '?',
    '*',
    '',
  ].map((referer): ManagerCase => ({
    name: `plain: the referer ${referer}`,
    listener: 'plain',
    path: '/x',
    headers: { referer },
  })),
  ...each(['plain'], 'two referers', {
    differs: { upstream: joinedReferers, log: joinedReferers },
    raw: get('Referer: http://a.test/\r\nReferer: http://b.test/\r\n'),
  }),
  ...[
    ['capitals', 'HTTPS'],
    ['ftp', 'ftp'],
    ['http', 'http'],
    ['https', 'https'],
  ].flatMap(([name, proto = '']) =>
    each(['plain', 'remote', 'remote-hops'], `a redirect of ${name}`, {
      path: '/redirect',
      headers: { 'x-forwarded-proto': proto },
    }),
  ),
  ...each(['plain', 'remote'], 'a redirect of an absolute target', {
    differs: { log: silentLog },
    raw: `GET https://app.test/redirect HTTP/1.1\r\nHost: app.test\r\n\r\n`,
  }),
  ...each(['plain'], 'a proxy-connection that closes', {
    raw: get('Proxy-Connection: close\r\n'),
  }),
  // Request ids.
  ...each(ids, 'no request id', { path: '/x' }),
  ...each(ids, 'a request id', { path: '/x', headers: { 'x-request-id': 'mine' } }),
  ...each(ids, 'a request id and a reply of the proxy’s', {
    path: '/none',
    headers: { 'x-request-id': 'mine' },
  }),
  ...each(ids, 'a request id of nothing', { path: '/x', headers: { 'x-request-id': '' } }),
  // What is told of the client and of the proxy.
  ...each(['forwarded-port', 'scheme-https'], 'a request', { path: '/x' }),
  ...each(['forwarded-port', 'scheme-https'], 'a request that says it itself', {
    path: '/x',
    headers: { 'x-forwarded-port': '7', 'user-agent': 'mine', 'x-forwarded-proto': 'http' },
  }),
  ...each(['scheme-https'], 'a redirect', { path: '/redirect' }),
  // How names are spelt.
  ...each(spelling, 'names in every case', {
    raw: get('X-UPPER-name: 1\r\nx-lower: 2\r\nX-Mixed-CASE: 3\r\n'),
  }),
  ...each(spelling, 'names of the response', { path: '/x?do=spelt' }),
  ...each(spelling, 'a reply of the proxy’s', { path: '/none' }),
  ...each(spelling, 'names of chunked messages', { path: '/x?do=chunked' }),
  ...['/proper-case-up/x', '/preserve-case-up/x'].flatMap((path) => [
    ...each(spelling, `names towards ${path}`, {
      raw: get('X-UPPER-name: 1\r\nx-lower: 2\r\nX-Mixed-CASE: 3\r\n', `GET ${path} HTTP/1.1`),
    }),
    ...each(spelling, `names from ${path}`, { path: `${path}?do=spelt` }),
    ...each(spelling, `a body towards ${path}`, {
      raw: `POST ${path} HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
    }),
  ]),
  // What is malformed, and whether the connection survives it.
  ...[
    [
      'two lengths',
      'POST /x HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx',
    ],
    ['no host', 'GET /x HTTP/1.1\r\n\r\n'],
    ['an unknown coding', 'POST /x HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: gzip\r\n\r\n'],
    ['a NUL', 'GET /x HTTP/1.1\r\nHost: app.test\r\nX-A: a\0b\r\n\r\n'],
    ['a fragment', 'GET /x#y HTTP/1.1\r\nHost: app.test\r\n\r\n'],
    [
      'a bad chunk',
      'POST /x HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
    ],
  ].flatMap(([what = '', raw = '']) =>
    each(['plain', 'stream-errors', 'stream-errors-http1'], what, {
      raw,
      differs: { log: 'of a head that is refused Envoy logs nothing' },
    }),
  ),
  // HTTP/1.0.
  ...[
    'GET /x HTTP/1.0\r\n\r\n',
    'GET /x HTTP/1.0\r\nHost: app.test\r\n\r\n',
    'GET /x HTTP/1.0\r\nHost: app.test\r\nConnection: keep-alive\r\n\r\n',
    'GET http://app.test/x HTTP/1.0\r\n\r\n',
    'GET /x?do=chunked HTTP/1.0\r\nHost: app.test\r\n\r\n',
    'GET /x?do=chunked HTTP/1.0\r\nHost: app.test\r\nConnection: keep-alive\r\n\r\n',
    'POST /x HTTP/1.0\r\nHost: app.test\r\nContent-Length: 2\r\n\r\nok',
    'GET /none HTTP/1.0\r\nHost: app.test\r\n\r\n',
    'GET /x HTTP/1.0\r\nHost: app.test\r\nConnection: close\r\n\r\n',
  ].flatMap((raw, index) =>
    each(['plain', 'http10', 'http10-default'], `HTTP/1.0, ${index}`, { raw }),
  ),
  // What the codec may take.
  ...each(['plain', 'no-absolute'], 'an absolute target', {
    raw: 'GET http://app.test/x HTTP/1.1\r\nHost: app.test\r\n\r\n',
  }),
  ...each(['plain', 'custom-methods'], 'a method of one’s own', { method: 'BREW', path: '/x' }),
  ...each(['plain', 'trailers'], 'trailers', {
    raw: 'POST /trailers-up/x HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-t: 1\r\n\r\n',
  }),
  ...each(['plain', 'remote', 'scheme-https'], 'an empty x-forwarded-proto', {
    path: '/x',
    headers: { 'x-forwarded-proto': '' },
  }),
  ...each(['plain', 'trailers'], 'trailers to a cluster without', {
    raw: 'POST /a/x HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-t: 1\r\n\r\n',
  }),
  ...each(['plain', 'trailers'], 'trailers of the response of a cluster without', {
    path: '/a/x?do=trailers',
  }),
  ...each(['plain', 'trailers'], 'trailers of the response', {
    path: '/trailers-up/x?do=trailers',
  }),
  ...each(['plain', 'chunked-length'], 'a length and chunks', {
    raw: 'POST /x HTTP/1.1\r\nHost: app.test\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    differs: { log: 'of a head that is refused Envoy logs nothing' },
  }),
  ...each(['plain', 'few-headers'], 'three headers', { path: '/x', headers: { a: '1' } }),
  ...each(['plain', 'few-headers'], 'five headers', {
    path: '/x',
    headers: { a: '1', b: '2', c: '3' },
    differs: { log: 'of a head that is refused Envoy logs nothing' },
  }),
  ...each(['small-head'], 'a head of 900 bytes', { path: '/x', headers: { a: 'v'.repeat(800) } }),
  ...each(['small-head'], 'a head of 1 100 bytes', {
    path: '/x',
    headers: { a: 'v'.repeat(1_100) },
    differs: { log: 'of a head that is refused Envoy logs nothing' },
  }),
  ...each(['one-request'], 'the first request is the last', { path: '/x' }),
  ...each(['plain', 'pass-100'], 'an expectation', {
    raw: 'POST /x?do=continue-body HTTP/1.1\r\nHost: app.test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok',
  }),
  ...each(['plain', 'pass-100'], 'a hint', { path: '/x?do=continue' }),
  ...each(['plain', 'no-websocket'], 'a websocket that is answered otherwise', {
    path: '/x?do=status&n=404',
    headers: websocket,
  }),
  ...each(['plain'], 'an upgrade to something else', {
    path: '/x',
    headers: { connection: 'upgrade', upgrade: 'other' },
  }),
  ...each(['plain'], 'an upgrade without Connection', {
    path: '/x',
    headers: { upgrade: 'websocket' },
  }),
  ...each(['plain'], 'two upgrades', {
    path: '/x?do=status&n=404',
    headers: { connection: 'upgrade', upgrade: 'websocket, other' },
  }),
  ...each(['plain'], 'Expect of something else', {
    path: '/x',
    headers: { expect: '100-Continue, x' },
  }),
  ...each(['plain', 'remote', 'hops'], 'two fields of addresses', {
    raw: get('X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8\r\n'),
  }),
  ...each(['plain'], 'cookies in several fields', {
    raw: get('Cookie: a=1\r\nCookie: b=2\r\n'),
  }),
  ...each(['plain'], 'several fields of a name', { raw: get('X-A: 1\r\nX-A: 2\r\nX-A: 1\r\n') }),
  ...each(['plain'], 'a HEAD of chunks', { path: '/x?do=chunked', method: 'HEAD' }),
  ...each(['plain'], 'a body with GET', { path: '/x', body: 'hello' }),
  ...each(['plain'], 'a body with DELETE', { path: '/x', body: 'hello', method: 'DELETE' }),
  ...each(['plain'], 'no body with PUT', { path: '/x', method: 'PUT' }),
  ...each(['plain'], 'a chunked body of nothing', {
    raw: 'POST /x HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  }),
  ...each(['plain'], 'TRACE', { path: '/x', method: 'TRACE' }),
  // Hop by hop.
  ...each(['plain'], 'what Connection names', {
    path: '/x',
    headers: { connection: 'x-hop, close', 'x-hop': '1' },
  }),
  ...each(['plain'], 'what Connection may not name', {
    path: '/x',
    headers: { connection: 'x-forwarded-for' },
    differs: { log: 'of a head that is refused Envoy logs nothing' },
  }),
  ...each(['plain'], 'TE', { path: '/x', headers: { te: 'trailers, gzip', connection: 'te' } }),
  ...each(['plain'], 'TE without Connection', { path: '/x', headers: { te: 'gzip' } }),
  ...each(['plain'], 'Keep-Alive and Proxy-Connection', {
    path: '/x',
    headers: { 'keep-alive': 'timeout=5', 'proxy-connection': 'keep-alive' },
  }),
  ...each(['plain'], 'Proxy-Authorization', {
    path: '/x',
    headers: { 'proxy-authorization': 'Basic x' },
    differs: { upstream: 'credentials for this hop go no further', log: 'the same' },
  }),
  ...each(['plain'], 'an upgrade to h2c', {
    path: '/x',
    headers: {
      connection: 'Upgrade, HTTP2-Settings',
      upgrade: 'h2c',
      'http2-settings': 'AAMAAABkAAQAAP__',
    },
  }),
  // Clusters.
  ...each(['plain'], 'a cluster’s longest stream', { path: '/max-duration/x?do=slow&n=600' }),
  ...each(
    ['plain', 'internal', 'remote', 'remote-internal'],
    'a longest stream that the client sets',
    {
      path: '/x?do=slow&n=600',
      headers: { 'x-envoy-upstream-stream-duration-ms': '100' },
    },
  ),
  ...each(['plain', 'remote-internal'], 'a longest stream of the client’s, above the cluster’s', {
    path: '/max-duration/x?do=slow&n=300',
    headers: { 'x-envoy-upstream-stream-duration-ms': '1500' },
  }),
  ...each(['plain', 'remote-internal'], 'a longest stream that is no number', {
    path: '/max-duration/x?do=slow&n=300',
    headers: { 'x-envoy-upstream-stream-duration-ms': 'long' },
  }),
  ...each(['plain'], 'a cluster’s longest stream for gRPC', {
    path: '/max-duration/x?do=slow&n=600',
    method: 'POST',
    headers: { 'content-type': 'application/grpc' },
  }),
  ...each(['plain'], 'a cluster’s longest stream, in time', { path: '/max-duration/x' }),
  ...each(['plain'], 'a cluster’s longest stream in the middle of a body', {
    path: '/max-duration/x?do=stall',
  }),
  ...each(['plain'], 'a full URL to the upstream', { path: '/full-url/x?q=1' }),
  ...each(['plain'], 'more headers than a cluster takes', { path: '/few-headers-up/x?do=many' }),
  // What the router checks and believes.
  ...(
    [
      ['x-envoy-upstream-rq-timeout-ms', ['500', 'x', '-1', '+500', '5.5', '99999999999999999999']],
      ['x-envoy-upstream-rq-per-try-timeout-ms', ['500', 'x', '1 2']],
      ['x-envoy-max-retries', ['2', 'two', '', '0x1']],
      [
        'x-envoy-retry-on',
        ['5xx', '5xx,reset', '5xx, reset', 'bogus', '5xx,bogus', 'cancelled', ''],
      ],
      ['x-envoy-retry-grpc-on', ['cancelled', 'internal,unavailable', '5xx', 'bogus']],
    ] as const
  ).flatMap(([name, values]) =>
    values.flatMap((value) =>
      each(['strict', 'strict-some'], `${name}: ${value}`, {
        path: '/x',
        headers: { [name]: value },
      }),
    ),
  ),
  ...each(['strict'], 'two headers that are wrong', {
    path: '/x',
    headers: { 'x-envoy-max-retries': 'x', 'x-envoy-retry-on': 'y' },
  }),
  ...each(['strict'], 'a wrong header of a gRPC call', {
    path: '/x',
    method: 'POST',
    headers: { 'content-type': 'application/grpc', 'x-envoy-max-retries': 'x' },
  }),
  ...each(['strict'], 'a wrong header to nowhere', {
    path: '/nowhere',
    headers: { 'x-envoy-max-retries': 'x' },
  }),
  ...(
    [
      { 'x-envoy-expected-rq-timeout-ms': '50' },
      { 'x-envoy-expected-rq-timeout-ms': 'x' },
      { 'x-envoy-expected-rq-timeout-ms': '50', 'x-envoy-upstream-rq-timeout-ms': '5000' },
      { 'x-envoy-expected-rq-timeout-ms': 'x', 'x-envoy-upstream-rq-timeout-ms': '50' },
      { 'x-envoy-upstream-rq-timeout-ms': '50' },
      { 'x-envoy-upstream-rq-timeout-ms': 'x' },
    ] as const
  ).flatMap((headers) =>
    each(['plain', 'respect-expected'], `a time-out by ${JSON.stringify(headers)}`, {
      path: '/x?do=slow&n=300',
      headers,
      ...('x-envoy-expected-rq-timeout-ms' in headers && {
        differs: { upstream: unreadTimeout, log: unreadTimeout },
      }),
    }),
  ),
  // Replies of the proxy's own.
  ...(['local-replies', 'local-replies-json'] as const).flatMap((listener) => [
    ...each([listener], 'a route of 404', { path: '/none' }),
    ...each([listener], 'a route of 404 to HEAD', { path: '/none', method: 'HEAD' }),
    ...each([listener], 'a header chooses', { path: '/nowhere', headers: { 'x-map': 'json' } }),
    ...each([listener], 'a refused connection', { path: '/refused' }),
    ...each([listener], 'an unknown cluster', { path: '/nowhere' }),
    ...each([listener], 'a redirect', { path: '/redirect' }),
    ...each([listener], 'an answer of the upstream', { path: '/x?do=status&n=404' }),
    ...each([listener], 'a gRPC call', {
      path: '/none',
      method: 'POST',
      headers: { 'content-type': 'application/grpc' },
    }),
    ...each([listener], 'a gRPC call to nowhere', {
      path: '/nowhere',
      method: 'POST',
      headers: { 'content-type': 'application/grpc' },
    }),
    ...each([listener], 'a gRPC call that is refused', {
      path: '/refused',
      method: 'POST',
      headers: { 'content-type': 'application/grpc' },
    }),
    ...each([listener], 'a gRPC call of quotes and lines', {
      path: '/quoted',
      method: 'POST',
      headers: { 'content-type': 'application/grpc' },
    }),
    ...each([listener], 'a malformed request', {
      raw: 'GET /x HTTP/1.1\r\nHost: app.test\r\nX A: 1\r\n\r\n',
      differs: {
        body: 'the codec names the rule, and the flag is set at once',
        headers: 'the same',
        log: 'of a head that is refused Envoy logs nothing',
      },
    }),
    ...each([listener], 'a body that says quotes', {
      path: '/nowhere"x',
      headers: { 'x-map': 'json' },
    }),
    ...each([listener], 'a body of quotes and lines', { path: '/quoted' }),
    ...each([listener], 'a path that is refused', { path: '/x#y' }),
  ]),
]
