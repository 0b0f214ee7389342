/** Each condition of x-envoy-retry-on against each way that an attempt can end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type Failure, failureReplies } from '../failure.ts'
import { HeaderList } from '../http/header-list.ts'
import { decideRetry } from './decide-retry.ts'
import { emptyRetryPolicy } from './request-retry-policy.ts'
import {
  type AttemptOutcome,
  type RetryCondition,
  type RetryPolicy,
  retryConditions,
} from './retry-policy.ts'

function policy(
  conditions: readonly RetryCondition[],
  rest: Partial<RetryPolicy> = {},
): RetryPolicy {
  return { ...emptyRetryPolicy, conditions: new Set(conditions), ...rest }
}

const first: AttemptOutcome = {
  attempt: 1,
  status: undefined,
  grpcStatus: undefined,
  failure: undefined,
  requestSent: true,
  isReplayable: true,
  responseStarted: false,
}

function headers(...fields: readonly (readonly [string, string])[]): HeaderList {
  const list = new HeaderList()
  for (const [name, value] of fields) list.append(name, value)
  return list
}

const limited = headers(['x-envoy-ratelimited', 'true'])
const withHeader = headers(['x-retry', 'yes'])

/** How an attempt ended, and the conditions under which it is made again. */
const endings: readonly {
  readonly name: string
  readonly outcome: Partial<AttemptOutcome>
  readonly retriedBy: readonly RetryCondition[]
}[] = [
  { name: '200', outcome: { status: 200 }, retriedBy: [] },
  { name: '404', outcome: { status: 404 }, retriedBy: [] },
  { name: '409', outcome: { status: 409 }, retriedBy: ['retriable-4xx'] },
  { name: '418 of the policy', outcome: { status: 418 }, retriedBy: ['retriable-status-codes'] },
  { name: '500', outcome: { status: 500 }, retriedBy: ['5xx'] },
  { name: '502', outcome: { status: 502 }, retriedBy: ['5xx', 'gateway-error'] },
  { name: '503', outcome: { status: 503 }, retriedBy: ['5xx', 'gateway-error'] },
  { name: '504', outcome: { status: 504 }, retriedBy: ['5xx', 'gateway-error'] },
  { name: '505', outcome: { status: 505 }, retriedBy: ['5xx'] },
  {
    name: '503 of a rate limit',
    outcome: { status: 503, responseHeaders: limited },
    retriedBy: ['envoy-ratelimited'],
  },
  {
    name: '200 with a header of the policy',
    outcome: { status: 200, responseHeaders: withHeader },
    retriedBy: ['retriable-headers'],
  },
  { name: 'gRPC OK', outcome: { status: 200, grpcStatus: 0 }, retriedBy: [] },
  { name: 'gRPC 1', outcome: { status: 200, grpcStatus: 1 }, retriedBy: ['cancelled'] },
  { name: 'gRPC 2', outcome: { status: 200, grpcStatus: 2 }, retriedBy: [] },
  { name: 'gRPC 4', outcome: { status: 200, grpcStatus: 4 }, retriedBy: ['deadline-exceeded'] },
  { name: 'gRPC 8', outcome: { status: 200, grpcStatus: 8 }, retriedBy: ['resource-exhausted'] },
  { name: 'gRPC 13', outcome: { status: 200, grpcStatus: 13 }, retriedBy: ['internal'] },
  { name: 'gRPC 14', outcome: { status: 200, grpcStatus: 14 }, retriedBy: ['unavailable'] },
  {
    name: 'a refused connection',
    outcome: { failure: 'connect-failure', requestSent: false },
    retriedBy: ['5xx', 'gateway-error', 'reset', 'reset-before-request', 'connect-failure'],
  },
  {
    name: 'a connect time-out',
    outcome: { failure: 'connect-timeout', requestSent: false },
    retriedBy: ['5xx', 'gateway-error', 'reset', 'reset-before-request', 'connect-failure'],
  },
  {
    name: 'a reset before the request was sent',
    outcome: { failure: 'upstream-termination', requestSent: false },
    retriedBy: ['5xx', 'gateway-error', 'reset', 'reset-before-request'],
  },
  {
    name: 'a reset after it was sent',
    outcome: { failure: 'upstream-reset' },
    retriedBy: ['5xx', 'gateway-error', 'reset'],
  },
  {
    name: 'a refused stream',
    outcome: { failure: 'upstream-refused-stream' },
    retriedBy: ['5xx', 'gateway-error', 'reset', 'refused-stream'],
  },
  {
    name: 'a response that is no HTTP',
    outcome: { failure: 'upstream-protocol-error' },
    retriedBy: ['5xx', 'gateway-error', 'reset'],
  },
  {
    name: 'a per-try time-out',
    outcome: { failure: 'per-try-timeout' },
    retriedBy: ['5xx', 'gateway-error', 'reset'],
  },
  { name: "the route's time-out", outcome: { failure: 'upstream-timeout' }, retriedBy: [] },
  { name: 'an overflow', outcome: { failure: 'overflow', requestSent: false }, retriedBy: [] },
]

for (const { name, outcome, retriedBy } of endings) {
  test(`${name} is retried by ${retriedBy.join(', ') || 'nothing'}`, () => {
    const found = retryConditions.filter((condition) => {
      const one = policy([condition], {
        retriableStatusCodes: new Set([418]),
        retriableHeaders: [(list) => list.has('x-retry')],
      })
      return decideRetry(one, { ...first, ...outcome }) === 'retry'
    })
    assert.deepEqual(found, retriedBy)
  })
}

test('no failure of the downstream, the configuration or a limit is retried by any condition', () => {
  const all = policy(retryConditions)
  const retried = Object.keys(failureReplies).filter(
    (failure) => decideRetry(all, { ...first, failure: failure as Failure }) === 'retry',
  )
  assert.deepEqual(retried, [
    'connect-failure',
    'connect-timeout',
    'upstream-reset',
    'upstream-refused-stream',
    'upstream-termination',
    'upstream-protocol-error',
    'upstream-headers-too-large',
    'per-try-timeout',
    'upstream-max-duration',
  ])
})

const always = policy(['5xx'], { retriesMax: 2 })
const bad = { ...first, status: 503 }

test('the last retry that the policy has is the last', () => {
  assert.equal(decideRetry(always, { ...bad, attempt: 2 }), 'retry')
  assert.equal(decideRetry(always, { ...bad, attempt: 3 }), 'limit-exceeded')
})

test('a success after the last retry is no exceeded limit', () => {
  assert.equal(decideRetry(always, { ...first, status: 200, attempt: 3 }), 'give-up')
})

test('nothing is retried once the downstream has seen a byte', () => {
  assert.equal(decideRetry(always, { ...bad, responseStarted: true }), 'give-up')
})

test('a request that is no longer held whole is not sent again', () => {
  assert.equal(decideRetry(always, { ...bad, isReplayable: false }), 'give-up')
})

test('without a policy nothing is retried', () => {
  assert.equal(decideRetry(undefined, bad), 'give-up')
})
