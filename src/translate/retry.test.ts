/** Retries as Envoy's policy: the rows of Istio's own tests. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { HttpRetry } from '../model/istio/virtual-service.ts'
import { translateInboundRetries, translateRetries } from './retry.ts'

const defaultOn = 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes'

for (const [retryOn, expected, codes] of [
  [undefined, defaultOn, []],
  ['some,fake,conditions', 'some,fake,conditions', []],
  ['some,fake,conditions,,,', 'some,fake,conditions', []],
  [' some,\t,fake ,\tconditions, ,', 'some,fake,conditions', []],
  ['gateway-error,retriable-status-codes,503', 'gateway-error,retriable-status-codes', [503]],
  ['some,5xx,404,conditions,503', 'some,5xx,conditions,retriable-status-codes', [404, 503]],
  ['some,conditions,1000', 'some,conditions,1000', []],
  ['reset-before-request', 'reset-before-request', []],
] as const) {
  test(`retryOn ${JSON.stringify(retryOn)}`, () => {
    const policy = policyOf({ attempts: 2, ...(retryOn !== undefined && { retryOn }) })
    assert.equal(policy.retryOn, expected)
    assert.deepEqual(policy.retriableStatusCodes, codes)
  })
}

test('nothing written is two attempts elsewhere, without a time-out of their own', () => {
  const policy = policyOf(undefined)
  assert.equal(policy.numRetries, 2)
  assert.equal(policy.retryOn, defaultOn)
  assert.equal(policy.hostSelectionRetryMaxAttempts, 5)
  assert.equal(policy.retryHostPredicate.length, 1)
  assert.ok(!('perTryTimeout' in policy) && !('retryPriority' in policy))
})

test('no attempts are no policy', () => {
  assert.equal(translateRetries({ attempts: 0 }, { isHashed: false }), undefined)
  assert.equal(translateRetries({}, { isHashed: false }), undefined)
})

test('time-out, pause and other localities', () => {
  const policy = policyOf({
    attempts: 3,
    perTryTimeout: '3s',
    backoff: '2s',
    retryRemoteLocalities: true,
  })
  assert.equal(policy.numRetries, 3)
  assert.equal(policy.perTryTimeout?.seconds, 3)
  assert.equal(policy.retryBackOff?.baseInterval.seconds, 2)
  assert.equal(policy.retryPriority?.name, 'envoy.retry_priorities.previous_priorities')
})

for (const [isHashed, written, skips] of [
  [false, undefined, true],
  [true, undefined, false],
  [true, true, true],
  [false, false, false],
] as const) {
  test(`${isHashed ? 'hashed' : 'not hashed'}, retryIgnorePreviousHosts ${written}: ${skips}`, () => {
    const retries = {
      attempts: 2,
      ...(written !== undefined && { retryIgnorePreviousHosts: written }),
    }
    assert.equal(policyOf(retries, isHashed).retryHostPredicate.length, skips ? 1 : 0)
  })
}

function policyOf(retries: HttpRetry | undefined, isHashed = false) {
  const policy = translateRetries(retries, { isHashed })
  assert.ok(policy !== undefined)
  return policy
}

for (const [what, retries, expected] of [
  ['nothing written', undefined, { numRetries: 2, retryOn: 'reset-before-request' }],
  ['an empty policy', {}, undefined],
  ['no attempts', { attempts: 0 }, undefined],
  ['attempts alone', { attempts: 4 }, { numRetries: 4, retryOn: 'reset-before-request' }],
  [
    'conditions and codes',
    { attempts: 1, retryOn: 'reset,503', backoff: '5ms', perTryTimeout: '1s' },
    {
      numRetries: 1,
      retryOn: 'reset,retriable-status-codes',
      retriableStatusCodes: [503],
      retryBackOff: { baseInterval: { seconds: 0, nanos: 5_000_000 } },
    },
  ],
] as const) {
  test(`inbound retries with ${what}`, () => {
    assert.deepEqual(translateInboundRetries(retries), expected)
  })
}
