/** Which time-out counts for a request: the route's, a gRPC deadline, or the request's own headers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { headerList } from '../../../test/support/request-record.ts'
import type { RequestHead } from '../http/message.ts'
import {
  grpcDeadlineMs,
  perTryTimeoutMs,
  removeTimeoutHeaders,
  requestTimeoutMs,
  streamDurationMs,
} from './request-timeout.ts'
import type { ForwardAction, GrpcTimeout } from './route-table.ts'

function head(fields: Readonly<Record<string, string>> = {}): RequestHead {
  return {
    method: 'POST',
    path: '/',
    authority: 'a',
    scheme: 'http',
    protocol: 'HTTP/1.1',
    headers: headerList(fields),
    bodyLength: 0,
    upgrade: undefined,
    wantsClose: false,
  }
}

function forward(fields: Partial<ForwardAction> = {}): ForwardAction {
  return {
    pickCluster: () => ({ cluster: 'c', editRequest: undefined, editResponse: undefined }),
    timeoutMs: 15_000,
    idleTimeoutMs: undefined,
    retryPolicy: undefined,
    rewritePath: undefined,
    rewriteAuthority: undefined,
    upgrades: new Set(),
    ...fields,
  }
}

const grpc = { 'content-type': 'application/grpc' }

test("a plain request has the route's time-out", () => {
  assert.equal(requestTimeoutMs(forward(), head()), 15_000)
})

test("the request's own header wins", () => {
  const own = head({ 'x-envoy-upstream-rq-timeout-ms': '70', ...grpc, 'grpc-timeout': '1S' })
  const limits: GrpcTimeout = { limits: 'request', maxMs: 0, offsetMs: 0 }
  assert.equal(requestTimeoutMs(forward({ grpcTimeout: limits }), own), 70)
  const wrong = head({ 'x-envoy-upstream-rq-timeout-ms': '-1' })
  assert.equal(requestTimeoutMs(forward(), wrong), 15_000)
})

for (const { name, limits, deadline, expected } of [
  { name: 'no deadline, no ceiling', limits: [0, 0], deadline: undefined, expected: 0 },
  { name: 'no deadline, a ceiling', limits: [5000, 0], deadline: undefined, expected: 5000 },
  { name: 'a deadline below the ceiling', limits: [5000, 0], deadline: '2S', expected: 2000 },
  { name: 'a deadline above the ceiling', limits: [5000, 0], deadline: '1M', expected: 5000 },
  { name: 'a deadline with an offset', limits: [0, 500], deadline: '2S', expected: 1500 },
  { name: 'an offset above the deadline', limits: [0, 5000], deadline: '2S', expected: 2000 },
] as const) {
  test(`gRPC, ${name}: ${expected} ms`, () => {
    const [maxMs, offsetMs] = limits
    const grpcTimeout = { limits: 'request', maxMs, offsetMs } as const
    const request = head({ ...grpc, ...(deadline && { 'grpc-timeout': deadline }) })
    assert.equal(requestTimeoutMs(forward({ grpcTimeout }), request), expected)
  })
}

for (const [expected, asked, ms] of [
  ['50', undefined, 50],
  ['50', '70', 50],
  ['x', '70', 15_000],
  [undefined, '70', 70],
  [undefined, '+70', 70],
  [undefined, undefined, 15_000],
] as const) {
  test(`another proxy expects ${expected}, the client ${asked}: ${ms} ms where that is believed`, () => {
    const request = head({
      ...(expected && { 'x-envoy-expected-rq-timeout-ms': expected }),
      ...(asked && { 'x-envoy-upstream-rq-timeout-ms': asked }),
    })
    assert.equal(requestTimeoutMs(forward(), request, true), ms)
    assert.equal(requestTimeoutMs(forward(), request), asked === undefined ? 15_000 : 70)
  })
}

test('a deadline says nothing where the route does not read it', () => {
  assert.equal(requestTimeoutMs(forward(), head({ ...grpc, 'grpc-timeout': '1S' })), 15_000)
})

test("a request that is not gRPC keeps the route's time-out", () => {
  const grpcTimeout = { limits: 'request', maxMs: 1, offsetMs: 0 } as const
  assert.equal(requestTimeoutMs(forward({ grpcTimeout }), head({ 'grpc-timeout': '1S' })), 15_000)
})

for (const { text, expected } of [
  { text: '1H', expected: 3_600_000 },
  { text: '2M', expected: 120_000 },
  { text: '3S', expected: 3000 },
  { text: '4m', expected: 4 },
  { text: '1500u', expected: 2 },
  { text: '1n', expected: 1 },
  { text: '0S', expected: 0 },
  { text: '123456789S', expected: undefined },
  { text: '1s', expected: undefined },
  { text: 'S', expected: undefined },
]) {
  test(`the deadline ${text} is ${String(expected)} ms`, () => {
    assert.equal(grpcDeadlineMs(head({ 'grpc-timeout': text })), expected)
  })
}

test('a stream lasts as long as the route says, otherwise as the listener says', () => {
  assert.equal(streamDurationMs(forward(), head(), 9000), 9000)
  assert.equal(streamDurationMs(forward({ maxStreamDurationMs: 100 }), head(), 9000), 100)
  assert.equal(streamDurationMs(forward({ maxStreamDurationMs: 0 }), head(), 9000), 0)
})

test('a deadline limits the stream where the route reads it, up to its ceiling', () => {
  const limit = (maxMs: number, offsetMs: number): ForwardAction =>
    forward({ grpcTimeout: { limits: 'stream', maxMs, offsetMs } })
  const request = head({ ...grpc, 'grpc-timeout': '2S' })
  assert.equal(streamDurationMs(limit(0, 0), request, 0), 2000)
  assert.equal(streamDurationMs(limit(500, 0), request, 0), 500)
  assert.equal(streamDurationMs(limit(0, 300), request, 0), 1700)
  assert.equal(streamDurationMs(limit(0, 3000), request, 0), 1)
  assert.equal(streamDurationMs(limit(500, 0), head(grpc), 9000), 9000)
})

test("a per-try time-out that is not below the request's says nothing", () => {
  assert.equal(perTryTimeoutMs(100, 200), 100)
  assert.equal(perTryTimeoutMs(200, 200), 0)
  assert.equal(perTryTimeoutMs(200, 0), 200)
})

test('the header that was read does not reach the upstream', () => {
  const request = head({ 'x-envoy-upstream-rq-timeout-ms': '1', other: 'stays' })
  removeTimeoutHeaders(request)
  assert.deepEqual(request.headers.fields, ['other', 'stays'])
})
