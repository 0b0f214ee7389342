/** Answers word for word, and what an internal client may ask of the router by headers. */
import { type Ask, type RouteStory, bodiless, forward, grpc, path } from './route-story.ts'

const backOff = { retry_back_off: { base_interval: '0.001s', max_interval: '0.002s' } }

/** What the upstream answers, word for word. */
function told(answer: string, more: Ask = {}): Ask {
  const bytes = Buffer.from(answer.replaceAll('\n', '\r\n'), 'latin1').toString('base64')
  return { path: '/x?do=told', ...more, headers: { ...more.headers, 'x-answer': bytes } }
}

const ok = (fields: string, body = 'ok'): string =>
  `HTTP/1.1 200 OK\n${fields}content-length: ${body.length}\n\n${body}`

const statuses = [
  200, 201, 204, 206, 301, 304, 400, 401, 402, 403, 404, 405, 408, 409, 412, 413, 429, 431, 499,
  500, 501, 502, 503, 504, 505,
]

export const routerStories: readonly RouteStory[] = [
  forward('answers', {}, [
    told(ok('x-envoy-upstream-canary: true\n')),
    told(ok('x-envoy-immediate-health-check-fail: 1\n')),
    told(ok('x-envoy-ratelimited: true\n')),
    told(ok('x-envoy-overloaded: true\n')),
    told(ok('x-envoy-degraded: true\n')),
    told(ok('x-envoy-attempt-count: 7\n')),
    told(ok('x-envoy-decorator-operation: op\n')),
    told(ok('x-envoy-upstream-service-time: 999\n')),
    told(ok('date: Mon, 01 Jan 2001 00:00:00 GMT\n')),
    told(ok('x-request-id: theirs\n')),
    told(ok('via: 1.1 them\n')),
    told(ok('x-envoy-upstream-healthchecked-cluster: c\n')),
    told(ok('x-forwarded-for: 1.1.1.1\nx-envoy-internal: true\n')),
    told(ok('x-envoy-is-canary: 1\n')),
    told(ok('connection: keep-alive\nkeep-alive: timeout=3\n')),
    told(ok('proxy-connection: keep-alive\nproxy-authenticate: Basic\n')),
    told(ok('upgrade: websocket\n')),
    told(ok('connection: upgrade\nupgrade: h2c\n')),
    told(ok('trailer: x-t\nte: trailers\n')),
    told('HTTP/1.1 204 No Content\ncontent-length: 0\n\n'),
    told('HTTP/1.1 205 Reset\ncontent-length: 0\n\n'),
    told('HTTP/1.1 304 Not Modified\ncontent-length: 5\netag: "x"\n\n'),
    told('HTTP/1.1 200 OK\ncontent-length: 5\n\n', { method: 'HEAD' }),
    told('HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n', { method: 'HEAD' }),
    told('HTTP/1.1 200 OK\n\n', { method: 'HEAD' }),
    told('HTTP/1.1 299 Odd\ncontent-length: 0\n\n'),
    told('HTTP/1.1 600 Odd\ncontent-length: 0\n\n'),
    told('HTTP/1.1 999 Odd\ncontent-length: 0\n\n'),
    told('HTTP/1.1 200\ncontent-length: 0\n\n'),
    told('HTTP/1.1 200 \ncontent-length: 0\n\n'),
    told('HTTP/1.0 200 OK\ncontent-length: 2\n\nok'),
    told('HTTP/1.1 200 OK\ncontent-length: 2\ncontent-length: 2\n\nok'),
    told('HTTP/1.1 200 OK\ncontent-length: 2\ncontent-length: 3\n\nokk'),
    told('HTTP/1.1 200 OK\ncontent-length: 2, 2\n\nok'),
    told('HTTP/1.1 200 OK\ncontent-length: x\n\nok'),
    told('HTTP/1.1 200 OK\ntransfer-encoding: gzip, chunked\n\n2\nok\n0\n\n'),
    told('HTTP/1.1 200 OK\ntransfer-encoding: identity\ncontent-length: 2\n\nok'),
    told('HTTP/1.1 200 OK\ntransfer-encoding: Chunked\n\n2\nok\n0\n\n'),
    told('HTTP/1.1 200 OK\nx-empty:\nx-space:   \ncontent-length: 0\n\n'),
    told('HTTP/1.1 200 OK\nset-cookie: a=1\nset-cookie: b=2\ncontent-length: 0\n\n'),
    told('HTTP/1.1 200 OK\nx a: 1\ncontent-length: 0\n\n'),
    told('HTTP/1.1 200 OK\nx_a: 1\ncontent-length: 0\n\n'),
    told('HTTP/1.1 200 OK\nserver:\ncontent-length: 0\n\n'),
    told('HTTP/1.1 302 Found\nlocation: /y\ncontent-length: 0\n\n'),
    told('HTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\ncontent-length: 0\n\n'),
    told('HTTP/1.1 102 Processing\n\nHTTP/1.1 200 OK\ncontent-length: 0\n\n'),
    told('HTTP/1.1 199 Odd\n\nHTTP/1.1 200 OK\ncontent-length: 0\n\n'),
    told(ok('grpc-status: 5\n', ''), { method: 'POST', headers: grpc }),
    told(ok('content-type: application/grpc\ngrpc-status: x\n', ''), {
      method: 'POST',
      headers: grpc,
    }),
    told(ok('content-type: application/grpc\ngrpc-status: 17\n', ''), {
      method: 'POST',
      headers: grpc,
    }),
    told('HTTP/1.1 503 No\ncontent-length: 0\n\n', { method: 'POST', headers: grpc }),
    told('HTTP/1.1 200 OK\ncontent-type: text/html\ncontent-length: 2\n\nhi', {
      method: 'POST',
      headers: grpc,
    }),
  ]),
  forward('hedging', { retry_policy: { retry_on: '5xx', per_try_timeout: '0.1s', ...backOff } }, [
    { path: '/x', headers: { 'x-envoy-hedge-on-per-try-timeout': 'false' } },
    { path: '/x', headers: { 'x-envoy-hedge-on-per-try-timeout': 'bad' } },
  ]),
  forward('time-out of an answer', { timeout: '0.1s' }, [
    path('/x?do=stall'),
    { path: '/x?do=stall', headers: { 'x-envoy-upstream-rq-timeout-alt-response': '1' } },
    { path: '/x?do=slow&n=300', headers: { 'x-envoy-upstream-rq-timeout-alt-response': '1' } },
    { path: '/x?do=slow&n=300', headers: { 'x-envoy-upstream-rq-timeout-alt-response': '' } },
    { path: '/x?do=slow&n=300', headers: { 'x-envoy-upstream-rq-timeout-ms': '200' } },
    { path: '/x?do=slow&n=200', headers: { 'x-envoy-upstream-rq-timeout-ms': '0' } },
    { path: '/x?do=slow&n=300', headers: { 'x-envoy-upstream-rq-timeout-ms': 'x' } },
    {
      path: '/x?do=slow&n=300',
      headers: {
        'x-envoy-upstream-rq-timeout-ms': '50',
        'x-envoy-upstream-rq-timeout-alt-response': '1',
      },
      method: 'HEAD',
    },
    {
      path: '/x?do=slow&n=300',
      method: 'POST',
      headers: { ...grpc, 'x-envoy-upstream-rq-timeout-alt-response': '1' },
    },
  ]),
  forward(
    'time-out of a try and its answer',
    { retry_policy: { retry_on: '5xx', per_try_timeout: '0.1s', ...backOff } },
    [
      path('/x?do=stall'),
      { path: '/x?do=slow&n=300', method: 'POST', headers: grpc },
      { path: '/x?do=slow&n=200', headers: { 'x-envoy-upstream-rq-per-try-timeout-ms': '0' } },
      { path: '/x?do=slow&n=200', headers: { 'x-envoy-upstream-rq-per-try-timeout-ms': '1000' } },
      { path: '/x?do=slow&n=200', headers: { 'x-envoy-upstream-rq-timeout-ms': '50' } },
      {
        path: '/x?do=slow&n=200',
        headers: {
          'x-envoy-upstream-rq-timeout-ms': '50',
          'x-envoy-upstream-rq-per-try-timeout-ms': '90',
        },
      },
      { path: '/x?do=slow&n=200', headers: { 'x-envoy-max-retries': '0' } },
      { path: '/x?do=slow&n=200', headers: { 'x-envoy-max-retries': '2' } },
    ],
  ),
  forward(
    'retries on both',
    {
      retry_policy: {
        retry_on: 'retriable-status-codes',
        retriable_status_codes: [418],
        num_retries: 1,
        ...backOff,
      },
    },
    [
      { path: '/x?do=status&n=418', headers: { 'x-envoy-retry-on': '5xx' } },
      { path: '/x?do=flaky&n=1', headers: { 'x-envoy-retry-on': '5xx' } },
      {
        path: '/x?do=flaky&n=2',
        headers: { 'x-envoy-retry-on': '5xx', 'x-envoy-max-retries': '3' },
      },
      { path: '/x?do=status&n=418', headers: { 'x-envoy-max-retries': '0' } },
      { path: '/x?do=status&n=418', headers: { 'x-envoy-max-retries': '4' } },
      { path: '/x?do=status&n=418', headers: { 'x-envoy-max-retries': '-1' } },
      { path: '/x?do=status&n=419', headers: { 'x-envoy-retriable-status-codes': '419' } },
      {
        path: '/x?do=status&n=419',
        headers: {
          'x-envoy-retriable-status-codes': '419,x',
          'x-envoy-retry-on': 'retriable-status-codes',
        },
      },
      {
        path: '/x?do=status&n=419',
        headers: {
          'x-envoy-retriable-status-codes': ' 419 ',
          'x-envoy-retry-on': 'retriable-status-codes',
        },
      },
      {
        path: '/x?do=status&n=404',
        headers: {
          'x-envoy-retriable-header-names': 'x-upstream,:status',
          'x-envoy-retry-on': 'retriable-headers',
        },
      },
      {
        path: '/x?do=status&n=404',
        headers: { 'x-envoy-retriable-header-names': '', 'x-envoy-retry-on': 'retriable-headers' },
      },
      { path: '/x?do=half', headers: { 'x-envoy-retry-on': '5xx,reset' } },
      { path: '/x?do=garbage', headers: { 'x-envoy-retry-on': 'reset' } },
      { path: '/x?do=garbage', headers: { 'x-envoy-retry-on': 'connect-failure' } },
      { path: '/x?do=garbage', headers: { 'x-envoy-retry-on': 'gateway-error' } },
      { path: '/x?do=garbage', headers: { 'x-envoy-retry-on': '5xx' } },
      { path: '/x?do=close', headers: { 'x-envoy-retry-on': 'reset' } },
      { path: '/x?do=close', headers: { 'x-envoy-retry-on': 'gateway-error' } },
      { path: '/x?do=close', headers: { 'x-envoy-retry-on': 'connect-failure' } },
      { path: '/x?do=close', headers: { 'x-envoy-retry-on': 'refused-stream' } },
      { path: '/x?do=close', headers: { 'x-envoy-retry-on': 'http3-post-connect-failure' } },
      { path: '/x?do=reset', headers: { 'x-envoy-retry-on': 'reset-before-request' } },
      {
        path: '/x?do=reset',
        method: 'POST',
        body: 'hello',
        headers: { 'x-envoy-retry-on': 'reset-before-request' },
      },
      told('HTTP/1.1 429 No\nx-envoy-ratelimited: true\ncontent-length: 0\n\n', {
        headers: { 'x-envoy-retry-on': 'envoy-ratelimited' },
      }),
      told('HTTP/1.1 429 No\nx-envoy-ratelimited: true\ncontent-length: 0\n\n', {
        headers: { 'x-envoy-retry-on': 'retriable-4xx' },
      }),
      told('HTTP/1.1 503 No\nx-envoy-ratelimited: true\ncontent-length: 0\n\n', {
        headers: { 'x-envoy-retry-on': '5xx' },
      }),
      told('HTTP/1.1 503 No\nx-envoy-ratelimited: true\ncontent-length: 0\n\n', {
        headers: { 'x-envoy-retry-on': '5xx,envoy-ratelimited' },
      }),
      told('HTTP/1.1 503 No\nx-envoy-overloaded: true\ncontent-length: 0\n\n', {
        headers: { 'x-envoy-retry-on': '5xx' },
      }),
      told(ok('content-type: application/grpc\ngrpc-status: 4\n', ''), {
        method: 'POST',
        headers: { ...grpc, 'x-envoy-retry-grpc-on': 'deadline-exceeded' },
      }),
      told(ok('content-type: application/grpc\ngrpc-status: 8\n', ''), {
        method: 'POST',
        headers: { ...grpc, 'x-envoy-retry-grpc-on': 'resource-exhausted' },
      }),
      told(ok('content-type: application/grpc\ngrpc-status: 13\n', ''), {
        method: 'POST',
        headers: { ...grpc, 'x-envoy-retry-grpc-on': 'internal' },
      }),
      told(ok('content-type: application/grpc\ngrpc-status: 14\n', ''), {
        headers: { 'x-envoy-retry-grpc-on': 'unavailable' },
      }),
      told(ok('grpc-status: 14\n', ''), {
        method: 'POST',
        headers: {
          ...grpc,
          'x-envoy-retry-on': 'retriable-status-codes',
          'x-envoy-retriable-status-codes': '503',
        },
      }),
      { path: '/x?do=flaky&n=1', method: 'POST', headers: { ...grpc, 'x-envoy-retry-on': '5xx' } },
      {
        path: '/x?do=flaky&n=1',
        headers: { 'x-envoy-retry-on': '5xx', connection: 'upgrade', upgrade: 'websocket' },
      },
    ],
  ),
  forward('a time-out of a try without retries', {}, [
    { path: '/x?do=slow&n=300', headers: { 'x-envoy-upstream-rq-per-try-timeout-ms': '50' } },
    {
      path: '/x?do=stall',
      headers: {
        'x-envoy-upstream-rq-per-try-timeout-ms': '50',
        'x-envoy-upstream-rq-timeout-ms': '200',
      },
    },
  ]),
  forward(
    'an attempt that its cluster ends, made again',
    { cluster: 'brief', retry_policy: { retry_on: '5xx', num_retries: 1, ...backOff } },
    [
      { path: '/x?do=slow&n=300' },
      { path: '/x?do=stall' },
      { path: '/x?do=slow&n=300', method: 'POST', headers: grpc },
      { path: '/x?do=slow&n=300', headers: { 'x-envoy-upstream-stream-duration-ms': '50' } },
      { path: '/x?do=slow&n=300', headers: { 'x-envoy-upstream-stream-duration-ms': '0' } },
      { path: '/x?do=slow&n=300', headers: { 'x-envoy-upstream-rq-timeout-alt-response': '1' } },
      { path: '/x?do=slow&n=300', headers: { connection: 'upgrade', upgrade: 'websocket' } },
    ],
  ),
  forward(
    'an attempt that its cluster ends, made again for resets alone',
    { cluster: 'brief', retry_policy: { retry_on: 'connect-failure', ...backOff } },
    [{ path: '/x?do=slow&n=300' }],
  ),
  forward(
    'hosts of endpoints and retries',
    {
      cluster: 'two-names',
      auto_host_rewrite: true,
      append_x_forwarded_host: true,
      retry_policy: { retry_on: '5xx', num_retries: 2, ...backOff },
    },
    [path('/x?do=flaky&n=1'), path('/x?do=flaky&n=2'), path('/x')],
  ),
  ...['HEAD', 'OPTIONS', 'DELETE', 'PATCH'].map((method) =>
    forward(
      `${method} made again`,
      { retry_policy: { retry_on: '5xx', num_retries: 1, ...backOff } },
      [
        { method, path: '/x?do=flaky&n=1' },
        { method, path: '/x?do=flaky&n=9' },
        { method, path: '/x?do=close' },
      ],
    ),
  ),
  {
    name: 'attempts that nobody counts',
    host: {
      request_headers_to_add: [
        { header: { key: 'x-tries', value: '%UPSTREAM_REQUEST_ATTEMPT_COUNT%' } },
      ],
    },
    routes: [
      {
        match: { prefix: '/' },
        route: { cluster: 'a', retry_policy: { retry_on: '5xx', num_retries: 2, ...backOff } },
      },
    ],
    asks: [path('/x?do=flaky&n=1'), path('/x')],
  },
  {
    name: 'what is told of attempts',
    host: {
      include_request_attempt_count: true,
      include_attempt_count_in_response: true,
      include_is_timeout_retry_header: true,
      request_headers_to_add: [
        { header: { key: 'x-tries', value: '%UPSTREAM_REQUEST_ATTEMPT_COUNT%' } },
      ],
      response_headers_to_add: [
        { header: { key: 'x-tries', value: '%UPSTREAM_REQUEST_ATTEMPT_COUNT%' } },
        { header: { key: 'x-details', value: '%RESPONSE_CODE_DETAILS%' } },
        { header: { key: 'x-flags', value: '%RESPONSE_FLAGS%' } },
      ],
    },
    routes: [
      {
        match: { prefix: '/try' },
        route: {
          cluster: 'a',
          retry_policy: { retry_on: '5xx', num_retries: 2, per_try_timeout: '0.1s', ...backOff },
        },
      },
      {
        match: { prefix: '/retry' },
        route: { cluster: 'a', retry_policy: { retry_on: '5xx', num_retries: 2, ...backOff } },
      },
      { match: { prefix: '/direct' }, direct_response: { status: 200 } },
      { match: { prefix: '/redirect' }, redirect: { path_redirect: '/x' } },
      { match: { prefix: '/nowhere' }, route: { cluster: 'nowhere' } },
      { match: { prefix: '/empty' }, route: { cluster: 'empty' } },
      { match: { prefix: '/overflow' }, route: { cluster: 'overflow' } },
      { match: { prefix: '/refused' }, route: { cluster: 'refused' } },
      { match: { prefix: '/timeout' }, route: { cluster: 'a', timeout: '0.1s' } },
      { match: { prefix: '/idle' }, route: { cluster: 'a', idle_timeout: '0.1s' } },
      {
        match: { prefix: '/duration' },
        route: { cluster: 'a', max_stream_duration: { max_stream_duration: '0.1s' } },
      },
      { match: { prefix: '/' }, route: { cluster: 'a' } },
    ],
    asks: [
      path('/try?do=slow&n=300'),
      path('/retry?do=flaky&n=1'),
      path('/retry?do=flaky&n=9'),
      path('/retry?do=garbage'),
      path('/direct'),
      path('/redirect'),
      path('/nowhere'),
      path('/empty'),
      path('/overflow'),
      path('/refused'),
      path('/timeout?do=slow&n=300'),
      path('/idle?do=slow&n=300'),
      path('/duration?do=slow&n=300'),
      path('/x?do=close'),
      path('/x?do=status&n=500'),
      { path: '/x', headers: { 'x-envoy-attempt-count': '9', 'x-envoy-is-timeout-retry': 'true' } },
      { path: '/x', headers: { connection: 'upgrade', upgrade: 'other' } },
      { path: '/x#y' },
    ],
  },
  {
    name: 'statuses of direct responses',
    routes: statuses.map((status) => ({
      match: { path: `/${status}` },
      direct_response: { status, body: { inline_string: `it is ${status}%\n` } },
    })),
    asks: [
      ...statuses.map((status) => ({ path: `/${status}`, method: 'POST', headers: grpc })),
      ...statuses.map((status) => ({
        path: `/${status}`,
        ...((status === 204 || status === 304) && {
          differs: { body: bodiless, headers: bodiless, log: bodiless },
        }),
      })),
    ],
  },
  forward('types like that of gRPC', { cluster: 'refused' }, [
    ...[
      'application/grpc+proto',
      'application/grpc;charset=utf-8',
      'application/grpc+',
      'application/grpc-web',
      'application/grpc-web+proto',
      'application/grpcfoo',
      'Application/gRPC',
      'application/connect+proto',
      'application/json',
    ].map((type): Ask => ({ method: 'POST', headers: { 'content-type': type } })),
    { headers: { 'content-type': 'application/grpc' } },
    { method: 'HEAD', headers: { 'content-type': 'application/grpc' } },
    { method: 'OPTIONS', headers: { 'content-type': 'application/grpc', te: 'trailers' } },
  ]),
  forward('a redirect that is kept', { internal_redirect_policy: { max_internal_redirects: 1 } }, [
    { path: '/x?do=status&n=302' },
  ]),
]
