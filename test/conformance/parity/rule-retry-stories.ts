/** What Envoy's own tests of its retry state ask, put to both. */
import { type Ask, type RouteStory, forward, has, path } from './route-story.ts'

const backOff = { retry_back_off: { base_interval: '0.001s', max_interval: '0.002s' } }
const fails = path('/x?do=status&n=503')
const codes = (list: string): Ask => ({
  ...path('/x?do=status&n=418'),
  headers: {
    'x-envoy-retry-on': 'retriable-status-codes',
    'x-envoy-retriable-status-codes': list,
  },
})
const named = (list: string): Ask => has({ 'x-envoy-retriable-header-names': list })

export const retryRules: readonly RouteStory[] = [
  forward('no retries left', { retry_policy: { retry_on: '5xx', num_retries: 0, ...backOff } }, [
    fails,
    { ...fails, headers: { 'x-envoy-max-retries': '1' } },
    path('/x'),
  ]),
  forward('retries of a header', { retry_policy: { num_retries: 4, ...backOff } }, [
    fails,
    { ...fails, headers: { 'x-envoy-retry-on': '5xx' } },
    { ...fails, headers: { 'x-envoy-retry-on': '5xx', 'x-envoy-max-retries': '3' } },
    { ...fails, headers: { 'x-envoy-retry-on': ' 5xx,gateway-error ,  connect-failure   ' } },
    { ...fails, headers: { 'x-envoy-retry-on': ' 5 xx' } },
    { ...fails, headers: { 'x-envoy-retry-on': 'xxx,gateway-error' } },
    { ...fails, headers: { 'x-envoy-retry-grpc-on': '5xx' } },
    { ...fails, headers: { 'x-envoy-retry-on': '' } },
  ]),
  forward('codes of a header', {}, [
    codes('418'),
    codes('200,418'),
    codes('   200 junk,418'),
    codes('   200 junk,xxx418'),
    codes('418 '),
    codes('+418'),
    codes('0418'),
    codes('418;200'),
    codes(''),
  ]),
  forward(
    'names of a header',
    { retry_policy: { retry_on: 'retriable-headers', ...backOff } },
    ['X-Upstream,FOOBAR', 'FOOBAR,,', 'FOO,  x-upstream  ', '  :status,  FOOBAR  ', 'none', ''].map(
      named,
    ),
  ),
  forward(
    'headers that are retried',
    {
      retry_policy: {
        retry_on: 'retriable-headers',
        retriable_headers: [
          { name: 'X-Pushback' },
          { name: ':status', range_match: { start: 500, end: 505 } },
          { name: 'content-type', string_match: { prefix: 'text' } },
        ],
        ...backOff,
      },
    },
    ['/x?do=status&n=499', '/x?do=status&n=500', '/x?do=status&n=504', '/x?do=status&n=505'].map(
      path,
    ),
  ),
  forward(
    'what is not 200',
    {
      retry_policy: {
        retry_on: 'retriable-headers',
        retriable_headers: [
          { name: ':status', string_match: { exact: '200' }, invert_match: true },
        ],
        ...backOff,
      },
    },
    [path('/x'), path('/x?do=status&n=201'), named(':status')],
  ),
  forward(
    'requests that are retried',
    {
      retry_policy: {
        retry_on: '5xx',
        retriable_request_headers: ['GET', 'HEAD'].map((exact) => ({
          name: ':method',
          string_match: { exact },
        })),
        ...backOff,
      },
    },
    [
      fails,
      { ...fails, method: 'HEAD' },
      { ...fails, method: 'POST' },
      { ...fails, method: 'POST', headers: { 'x-envoy-retry-on': '5xx' } },
      { ...path('/x?do=status&n=409'), headers: { 'x-envoy-retry-on': 'retriable-4xx' } },
    ],
  ),
]
