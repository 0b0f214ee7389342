/** Waits between attempts, and the request's own headers that change a policy. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { assert as assertAll, boolean, constantFrom, property, record, subarray } from 'fast-check'

import { messageOf } from '../../../test/support/envoy-message.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { requestRecord } from '../../../test/support/request-record.ts'
import { RetryPolicy } from '../../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import type { FieldReport } from '../config/field-rule.ts'
import { HeaderList } from '../http/header-list.ts'
import type { RequestHead } from '../http/message.ts'
import { compileRetryPolicy } from './compile-retry-policy.ts'
import { decideRetry, isOrdinary } from './decide-retry.ts'
import { emptyRetryPolicy, removeRetryHeaders, requestRetryPolicy } from './request-retry-policy.ts'
import { retryWait } from './retry-backoff.ts'
import { type RetryPolicy as CompiledPolicy, retryConditions } from './retry-policy.ts'

function headers(fields: Readonly<Record<string, string>>): HeaderList {
  const list = new HeaderList()
  for (const [name, value] of Object.entries(fields)) list.append(name, value)
  return list
}

function asking(list: HeaderList): RequestHead {
  return { ...requestRecord().request, headers: list }
}

function withHeaders(fields: Readonly<Record<string, string>>): RequestHead {
  return asking(headers(fields))
}

function compile(message: object): { policy: CompiledPolicy; reasons: readonly string[] } {
  const report: FieldReport = { path: '', reasons: [] }
  return {
    policy: compileRetryPolicy(
      messageOf('envoy.config.route.v3.RetryPolicy', RetryPolicy, message),
      report,
    ),
    reasons: report.reasons,
  }
}

const clock = new FakeClock(1_000_000)

function waitMs(
  policy: CompiledPolicy,
  at: { readonly retry: number; readonly draw: number },
  response?: HeaderList,
): number {
  const { retry, draw } = at
  return retryWait(policy, { retry, random: () => draw, clock, responseHeaders: response }).delayMs
}

test('the wait is drawn from an interval that grows to ten times the base', () => {
  const { policy } = compile({ retry_on: '5xx' })
  assert.deepEqual(
    [1, 2, 3, 4, 5].map((retry) => waitMs(policy, { retry, draw: 0.999_999 })).map(Math.ceil),
    [25, 75, 175, 250, 250],
  )
  assert.equal(waitMs(policy, { retry: 3, draw: 0 }), 0)
})

test('a base below a millisecond is a millisecond, and the ceiling ten of the base', () => {
  const { policy, reasons } = compile({ retry_back_off: { base_interval: '0.0001s' } })
  assert.deepEqual(reasons, [])
  assert.equal(policy.backoffBaseMs, 1)
  assert.equal(policy.backoffMaxMs, 10)
})

const limited = compile({
  rate_limited_retry_back_off: {
    reset_headers: [
      { name: 'Retry-After', format: 'SECONDS' },
      { name: 'X-RateLimit-Reset', format: 'UNIX_TIMESTAMP' },
    ],
    max_interval: '60s',
  },
}).policy

test('the wait that the upstream asks for is the least', () => {
  const response = headers({ 'retry-after': '10' })
  assert.equal(waitMs(limited, { retry: 1, draw: 0 }, response), 10_000)
  assert.equal(waitMs(limited, { retry: 1, draw: 0.5 }, response), 12_500)
})

test('a wait that is too long is not believed, and the next header is read', () => {
  const response = headers({ 'retry-after': '61', 'x-ratelimit-reset': '1030' })
  assert.equal(waitMs(limited, { retry: 1, draw: 0 }, response), 30_000)
})

test('what is no number leaves the normal back-off', () => {
  const response = headers({ 'retry-after': 'soon', 'x-ratelimit-reset': '900' })
  assert.equal(waitMs(limited, { retry: 1, draw: 0.5 }, response), 12.5)
})

test("Istio's default policy is understood", () => {
  const { policy, reasons } = compile({
    retry_on: 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes',
    num_retries: 2,
    retry_host_predicate: [
      {
        name: 'envoy.retry_host_predicates.previous_hosts',
        typed_config: {
          '@type':
            'type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate',
        },
      },
    ],
    host_selection_retry_max_attempts: 5,
    retriable_status_codes: [503],
  })
  assert.deepEqual(reasons, [])
  assert.equal(policy.retriesMax, 2)
  assert.equal(policy.avoidPreviousHosts, true)
  assert.equal(policy.hostSelectionAttemptsMax, 5)
  assert.deepEqual([...policy.retriableStatusCodes], [503])
  assert.equal(policy.conditions.size, 5)
})

for (const { message, reason } of [
  {
    message: { retry_back_off: {} },
    reason: 'retry_back_off.base_interval: is required',
  },
  {
    message: { retry_back_off: { base_interval: '2s', max_interval: '1s' } },
    reason: 'retry_back_off: max_interval must be at least base_interval',
  },
  {
    message: { retry_host_predicate: [{ name: 'mine' }] },
    reason: 'retry_host_predicate[0]: "mine" is not implemented',
  },
  {
    message: { retry_priority: { name: 'mine' } },
    reason: 'retry_priority: "mine" is not implemented',
  },
  {
    message: {
      retry_priority: {
        name: 'previous',
        typed_config: {
          '@type':
            'type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig',
        },
      },
    },
    reason: 'retry_priority.typed_config.update_frequency: value must be greater than 0, got 0',
  },
  {
    message: { rate_limited_retry_back_off: {} },
    reason: 'rate_limited_retry_back_off.reset_headers: value must contain at least 1 item(s)',
  },
  {
    message: { retriable_headers: [{ name: '' }] },
    reason: 'retriable_headers[0]: name: is required',
  },
]) {
  test(`a policy is refused: ${reason}`, () => {
    assert.deepEqual(compile(message).reasons, [reason])
  })
}

test('a retriable header may be of any kind, the status too', () => {
  const { policy } = compile({
    retriable_headers: [
      { name: ':status', string_match: { exact: '429' } },
      { name: 'x-again', present_match: true },
    ],
  })
  const matches = (list: HeaderList, status: number): boolean =>
    policy.retriableHeaders.some((test) => test(list, status))
  assert.equal(matches(headers({}), 429), true)
  assert.equal(matches(headers({ 'x-again': '' }), 200), true)
  assert.equal(matches(headers({}), 200), false)
})

test("a request without x-envoy headers has its route's policy itself", () => {
  const list = headers({ accept: '*/*' })
  assert.equal(requestRetryPolicy(emptyRetryPolicy, asking(list)), emptyRetryPolicy)
  assert.equal(requestRetryPolicy(undefined, asking(list)), undefined)
})

test('headers add conditions, codes and names, and set the number', () => {
  const { policy: route } = compile({ retry_on: 'reset', retriable_status_codes: [503] })
  const policy = requestRetryPolicy(
    route,
    withHeaders({
      'x-envoy-retry-on': '5xx, unknown,cancelled',
      'x-envoy-retry-grpc-on': 'unavailable,5xx',
      'x-envoy-max-retries': '4',
      'x-envoy-retriable-status-codes': '404,x',
      'x-envoy-retriable-header-names': 'X-Again',
      'x-envoy-upstream-rq-per-try-timeout-ms': '70',
    }),
  )
  assert.deepEqual([...(policy?.conditions ?? [])], ['reset', '5xx', 'unavailable'])
  assert.equal(policy?.retriesMax, 4)
  assert.deepEqual([...(policy?.retriableStatusCodes ?? [])], [503, 404])
  assert.equal(policy?.retriableHeaders[0]?.(headers({ 'x-again': '1' }), 200), true)
  assert.equal(policy?.perTryTimeoutMs, 70)
})

test('a number of retries alone asks for none', () => {
  assert.equal(
    requestRetryPolicy(undefined, withHeaders({ 'x-envoy-max-retries': '4' })),
    undefined,
  )
  const asked = requestRetryPolicy(undefined, withHeaders({ 'x-envoy-retry-on': '5xx' }))
  assert.equal(asked?.retriesMax, 1)
})

test('headers that were read do not reach the upstream', () => {
  const list = headers({ 'x-envoy-retry-on': '5xx', 'x-envoy-max-retries': '1', other: 'stays' })
  removeRetryHeaders(list)
  assert.deepEqual(list.fields, ['other', 'stays'])
})

test('a policy for some requests tries no others again, whatever they ask for', () => {
  const { policy: route, reasons } = compile({
    retry_on: '5xx',
    num_retries: 3,
    retriable_request_headers: [
      { name: 'x-again', present_match: true },
      { name: ':method', string_match: { exact: 'PUT' } },
    ],
  })
  assert.deepEqual(reasons, [])
  const conditions = (fields: Readonly<Record<string, string>>): readonly string[] => [
    ...(requestRetryPolicy(route, withHeaders(fields))?.conditions ?? []),
  ]
  assert.deepEqual(conditions({ 'x-again': '' }), ['5xx'])
  assert.deepEqual(conditions({}), [])
  assert.deepEqual(conditions({ 'x-envoy-retry-on': 'reset' }), [])
  assert.deepEqual(conditions({ 'x-again': '', 'x-envoy-retry-on': 'reset' }), ['5xx', 'reset'])
})

test('names of retriable headers may name the status, and codes that are none are skipped', () => {
  const policy = requestRetryPolicy(
    undefined,
    withHeaders({
      'x-envoy-retry-on': 'retriable-headers',
      'x-envoy-retriable-header-names': 'X-Again,, :status ',
      'x-envoy-retriable-status-codes': ' 418 junk,0x10, 200,x201',
    }),
  )
  const response = headers({ 'x-again': 'no' })
  const none = headers({})
  const matches = (list: HeaderList) => policy?.retriableHeaders.map((test) => test(list, 200))
  assert.deepEqual(matches(response), [true, true])
  assert.deepEqual(matches(none), [false, true])
  assert.deepEqual([...(policy?.retriableStatusCodes ?? [])], [200])
})

test('a time-stamp of this second is no time away: like one before it, it asks for nothing', () => {
  const wait = (value: string) =>
    retryWait(limited, {
      retry: 1,
      random: () => 0.5,
      clock: new FakeClock(1_000_000_700),
      responseHeaders: headers({ 'x-ratelimit-reset': value }),
    })
  assert.equal(wait('1000000').isAsked, false)
  assert.deepEqual(wait('1000002'), { delayMs: 2500, isAsked: true })
  assert.equal(wait('999999').isAsked, false)
})

test('property: a response that is ordinary at one look is one that no policy would try again', () => {
  const policies = record({
    conditions: subarray([...retryConditions]),
    codes: subarray([200, 204, 302, 404, 503]),
    readsHeaders: boolean(),
  })
  const responses = record({
    status: constantFrom(200, 204, 302, 399, 400, 404, 409, 503),
    fields: subarray([
      ['grpc-status', '14'],
      ['x-envoy-ratelimited', 'true'],
      ['x-again', '1'],
    ] as const),
  })
  let ordinary = 0
  assertAll(
    property(policies, responses, ({ conditions, codes, readsHeaders }, { status, fields }) => {
      const policy: CompiledPolicy = {
        ...emptyRetryPolicy,
        conditions: new Set(conditions),
        retriableStatusCodes: new Set(codes),
        retriableHeaders: readsHeaders ? [(list) => list.has('x-again')] : [],
      }
      const responseHeaders = headers(Object.fromEntries(fields))
      if (!isOrdinary(policy, { status, headers: responseHeaders })) return
      ordinary += 1
      const grpcStatus = responseHeaders.has('grpc-status') ? 14 : undefined
      const outcome = { attempt: 1, status, grpcStatus, responseHeaders, failure: undefined }
      const sent = { requestSent: true, isReplayable: true, responseStarted: false }
      assert.equal(decideRetry(policy, { ...outcome, ...sent }), 'give-up')
    }),
    { numRuns: 2_000 },
  )
  assert.ok(ordinary > 20)
})
