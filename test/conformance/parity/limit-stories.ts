/** Time-outs, retries and failures. */
import { type RouteStory, type Ask, forward, grpc, path, to } from './route-story.ts'

const backOff = { retry_back_off: { base_interval: '0.001s', max_interval: '0.002s' } }

export const limits: readonly RouteStory[] = [
  forward('time-out by header', {}, [
    { path: '/x?do=slow&n=300', headers: { 'x-envoy-upstream-rq-timeout-ms': '50' } },
    {
      path: '/x?do=slow&n=300',
      headers: {
        'x-envoy-upstream-rq-timeout-ms': '50',
        'x-envoy-upstream-rq-timeout-alt-response': '1',
      },
    },
    { headers: { 'x-envoy-upstream-rq-timeout-ms': '0' } },
    { headers: { 'x-envoy-upstream-rq-timeout-ms': 'x' } },
    { headers: { 'x-envoy-upstream-rq-timeout-ms': '-1' } },
    {
      headers: {
        'x-envoy-upstream-rq-timeout-ms': '500',
        'x-envoy-upstream-rq-per-try-timeout-ms': '400',
      },
    },
    { headers: { 'x-envoy-upstream-rq-per-try-timeout-ms': '99999' } },
    {
      path: '/x?do=slow&n=300',
      headers: {
        'x-envoy-upstream-rq-per-try-timeout-ms': '50',
        'x-envoy-retry-on': '5xx',
        'x-envoy-max-retries': '1',
      },
    },
    { headers: { 'x-envoy-expected-rq-timeout-ms': '5' } },
  ]),
  forward('no time-out', { timeout: '0s' }, [
    {},
    { headers: { 'x-envoy-upstream-rq-per-try-timeout-ms': '300' } },
  ]),
  forward('gRPC time-out', { max_grpc_timeout: '0s' }, [
    { path: '/x?do=slow&n=300', method: 'POST', headers: { ...grpc, 'grpc-timeout': '50m' } },
    { method: 'POST', headers: { ...grpc, 'grpc-timeout': '1S' } },
    { method: 'POST', headers: { ...grpc, 'grpc-timeout': '1H' } },
    { method: 'POST', headers: { ...grpc, 'grpc-timeout': '1x' } },
    { method: 'POST', headers: grpc },
    { headers: { 'grpc-timeout': '50m' } },
    { method: 'POST', headers: { ...grpc, 'grpc-timeout': '999999999S' } },
    { path: '/x?do=slow&n=300', method: 'POST', headers: { ...grpc, 'grpc-timeout': '1u' } },
  ]),
  forward('gRPC time-out capped', { max_grpc_timeout: '0.5s', grpc_timeout_offset: '0.1s' }, [
    { method: 'POST', headers: { ...grpc, 'grpc-timeout': '1S' } },
    { method: 'POST', headers: { ...grpc, 'grpc-timeout': '300m' } },
    { method: 'POST', headers: { ...grpc, 'grpc-timeout': '50m' } },
    { method: 'POST', headers: { ...grpc, 'grpc-timeout': '0m' } },
    { method: 'POST', headers: grpc },
  ]),
  forward('gRPC stream duration', { max_stream_duration: { grpc_timeout_header_max: '0s' } }, [
    { path: '/x?do=slow&n=300', method: 'POST', headers: { ...grpc, 'grpc-timeout': '50m' } },
    { method: 'POST', headers: { ...grpc, 'grpc-timeout': '1S' } },
  ]),
  forward(
    'gRPC stream duration capped',
    {
      max_stream_duration: {
        max_stream_duration: '2s',
        grpc_timeout_header_max: '0.1s',
        grpc_timeout_header_offset: '0.01s',
      },
    },
    [
      { path: '/x?do=slow&n=400', method: 'POST', headers: { ...grpc, 'grpc-timeout': '5S' } },
      { path: '/x?do=slow&n=30', method: 'POST', headers: grpc },
    ],
  ),
  forward('stream duration', { max_stream_duration: { max_stream_duration: '0.05s' } }, [
    { path: '/x?do=slow&n=300' },
    { path: '/x?do=stall' },
  ]),
  forward('retry by header', {}, [
    ...[
      '5xx',
      'gateway-error',
      'reset',
      'connect-failure',
      'retriable-4xx',
      'refused-stream',
      'nonsense',
      '5xx,nonsense',
      'retriable-status-codes',
      'envoy-ratelimited',
      ' 5xx ',
    ].map((on): Ask => ({ path: '/x?do=flaky&n=1', headers: { 'x-envoy-retry-on': on } })),
    { path: '/x?do=flaky&n=2', headers: { 'x-envoy-retry-on': '5xx', 'x-envoy-max-retries': '2' } },
    { path: '/x?do=flaky&n=2', headers: { 'x-envoy-retry-on': '5xx', 'x-envoy-max-retries': '0' } },
    { path: '/x?do=flaky&n=2', headers: { 'x-envoy-retry-on': '5xx', 'x-envoy-max-retries': 'x' } },
    { path: '/x?do=status&n=409', headers: { 'x-envoy-retry-on': 'retriable-4xx' } },
    {
      path: '/x?do=status&n=418',
      headers: {
        'x-envoy-retry-on': 'retriable-status-codes',
        'x-envoy-retriable-status-codes': '418, 419',
      },
    },
    { path: '/x?do=status&n=500', headers: { 'x-envoy-retry-on': 'gateway-error' } },
    {
      path: '/x',
      headers: {
        'x-envoy-retry-on': 'retriable-headers',
        'x-envoy-retriable-header-names': 'X-Upstream',
      },
    },
    { path: '/x?do=reset', headers: { 'x-envoy-retry-on': 'reset-before-request' } },
    { path: '/x?do=close', headers: { 'x-envoy-retry-on': '5xx' } },
    {
      path: '/x?do=grpc&n=14',
      method: 'POST',
      headers: { ...grpc, 'x-envoy-retry-grpc-on': 'unavailable' },
    },
    {
      path: '/x?do=grpc&n=1',
      method: 'POST',
      headers: { ...grpc, 'x-envoy-retry-grpc-on': 'cancelled,internal' },
    },
    {
      path: '/x?do=grpc&n=13',
      method: 'POST',
      headers: { ...grpc, 'x-envoy-retry-grpc-on': 'cancelled' },
    },
    { path: '/x?do=grpc&n=8', method: 'POST', headers: { ...grpc, 'x-envoy-retry-on': '5xx' } },
    {
      path: '/x?do=grpc&n=14',
      method: 'POST',
      headers: { ...grpc, 'x-envoy-retry-on': 'unavailable' },
    },
  ]),
  {
    name: 'retry policies',
    host: {
      include_request_attempt_count: true,
      include_attempt_count_in_response: true,
      include_is_timeout_retry_header: true,
      retry_policy: { retry_on: '5xx', num_retries: 1, ...backOff },
    },
    routes: [
      { match: { prefix: '/none' }, route: { ...to, retry_policy: {} } },
      {
        match: { prefix: '/headers' },
        route: {
          ...to,
          retry_policy: {
            retry_on: 'retriable-headers',
            retriable_headers: [
              { name: ':status', string_match: { exact: '404' } },
              { name: 'x-nope', present_match: true },
            ],
            ...backOff,
          },
        },
      },
      {
        match: { prefix: '/request' },
        route: {
          ...to,
          retry_policy: {
            retry_on: '5xx',
            retriable_request_headers: [{ name: 'x-may', present_match: true }],
            ...backOff,
          },
        },
      },
      {
        match: { prefix: '/try' },
        route: { ...to, retry_policy: { retry_on: '5xx', per_try_timeout: '0.05s', ...backOff } },
      },
      {
        match: { prefix: '/previous' },
        route: {
          ...to,
          retry_policy: {
            retry_on: '5xx',
            num_retries: 3,
            retry_host_predicate: [
              {
                name: 'envoy.retry_host_predicates.previous_hosts',
                typed_config: {
                  '@type':
                    'type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate',
                },
              },
            ],
            host_selection_retry_max_attempts: 3,
            ...backOff,
          },
        },
      },
      {
        match: { prefix: '/limited' },
        route: {
          ...to,
          retry_policy: {
            retry_on: 'retriable-status-codes',
            retriable_status_codes: [503],
            rate_limited_retry_back_off: {
              reset_headers: [{ name: 'retry-after', format: 'SECONDS' }],
              max_interval: '1s',
            },
            ...backOff,
          },
        },
      },
      { match: { prefix: '/' }, route: to },
    ],
    asks: [
      path('/x?do=flaky&n=1'),
      path('/x?do=flaky&n=2'),
      path('/none?do=flaky&n=1'),
      path('/headers?do=status&n=404'),
      path('/headers?do=status&n=503'),
      path('/request?do=flaky&n=1'),
      { path: '/request?do=flaky&n=1', headers: { 'x-may': '1' } },
      path('/try?do=slow&n=300'),
      path('/previous?do=flaky&n=2'),
      path('/limited?do=flaky&n=1'),
      { path: '/none?do=flaky&n=1', headers: { 'x-envoy-retry-on': '5xx' } },
      { path: '/x?do=flaky&n=3', headers: { 'x-envoy-max-retries': '3' } },
      { path: '/x?do=flaky&n=1', method: 'POST', body: 'again' },
      path('/x?do=half'),
      path('/x?do=close'),
    ],
  },
  ...['overflow', 'empty', 'refused', 'a'].map((name) =>
    forward(`failure of ${name}`, { cluster: name }, [
      path('/?do=close'),
      { method: 'HEAD' },
      { method: 'POST', headers: grpc, path: '/?do=reset' },
      { method: 'POST', body: 'x', path: '/?do=garbage' },
      { headers: { 'x-envoy-retry-on': '5xx,connect-failure' }, path: '/?do=reset' },
    ]),
  ),
  forward('upgrade off', { upgrade_configs: [{ upgrade_type: 'websocket', enabled: false }] }, [
    { path: '/?do=switch', headers: { connection: 'upgrade', upgrade: 'websocket' } },
  ]),
  forward('upgrade of its own', { upgrade_configs: [{ upgrade_type: 'Other' }] }, [
    { path: '/?do=echo', headers: { connection: 'upgrade', upgrade: 'other' } },
  ]),
  forward('idle', { idle_timeout: '0.05s' }, [path('/?do=slow&n=300'), path('/?do=stall')]),
]
