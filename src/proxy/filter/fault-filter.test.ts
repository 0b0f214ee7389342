/** Delays, aborts, and how many at a time, with an injected clock and chance. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { messageOf } from '../../../test/support/envoy-message.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { requestRecord } from '../../../test/support/request-record.ts'
import { HTTPFault } from '../../xds/proto/generated/envoy/extensions/filters/http/fault/v3/fault.ts'
import type { FieldReport } from '../config/field-rule.ts'
import { createFaultStats } from '../telemetry/filter-stats.ts'
import { createSlots } from '../telemetry/shared-slots.ts'
import { StatsRegistry } from '../telemetry/stats-registry.ts'
import { FaultFilter } from './fault-filter.ts'
import { type FaultSettings, compileFault, faultRule } from './fault-settings.ts'
import type { FilterContext, FilterVerdict, LocalReply } from './http-filter.ts'

const all = { numerator: 100 }

function compile(message: object): { settings: FaultSettings; reasons: readonly string[] } {
  const report: FieldReport = { path: '', reasons: [] }
  const value = Buffer.from(
    HTTPFault.encode(messageOf(faultRule.type, HTTPFault, message)).finish(),
  )
  const settings = compileFault({ typeUrl: `x/${faultRule.type}`, value }, report)
  assert.ok(settings)
  return { settings, reasons: report.reasons }
}

class Scene {
  readonly clock = new FakeClock()
  readonly filter: FaultFilter
  readonly stats = createFaultStats(new StatsRegistry(createSlots()), 'test')
  draw = 0

  constructor(message: object) {
    this.filter = new FaultFilter({
      name: 'fault',
      settings: compile(message).settings,
      isOffByDefault: false,
      clock: this.clock,
      random: () => this.draw,
      stats: this.stats,
    })
  }

  request(headers: Readonly<Record<string, string>> = {}): Request {
    return new Request(this.filter, headers)
  }
}

class Request {
  readonly resumed: (LocalReply | undefined)[] = []
  readonly context: FilterContext
  readonly verdict: FilterVerdict
  readonly #filter: FaultFilter

  constructor(filter: FaultFilter, headers: Readonly<Record<string, string>>) {
    const record = requestRecord()
    for (const [name, value] of Object.entries(headers)) record.request.headers.append(name, value)
    this.#filter = filter
    this.context = {
      request: record.request,
      route: undefined,
      record,
      clusterName: 'a',
      peerPrincipal: undefined,
      clearRoute() {},
      filterConfig: () => undefined,
      resume: (reply) => this.resumed.push(reply),
    }
    this.verdict = filter.onRequest(this.context)
  }

  end(): void {
    this.#filter.onEnd(this.context)
  }
}

test('a request waits as long as it is told, and goes on', () => {
  const scene = new Scene({ delay: { fixed_delay: '1.5s', percentage: all } })
  const request = scene.request()
  assert.equal(request.verdict, 'suspend')
  assert.equal(request.context.record.flags, 'DI')
  scene.clock.advance(1_499)
  assert.deepEqual(request.resumed, [])
  scene.clock.advance(1)
  assert.deepEqual(request.resumed, [undefined])
  assert.equal(scene.stats.activeFaults.value(), 1)
  request.end()
  assert.equal(scene.stats.activeFaults.value(), 0)
  assert.equal(scene.stats.delaysInjected.value(), 1)
})

test('a client that leaves while it waits ends the fault', () => {
  const scene = new Scene({ delay: { fixed_delay: '1s', percentage: all } })
  const request = scene.request()
  request.end()
  scene.clock.advance(2_000)
  assert.deepEqual(request.resumed, [])
  assert.equal(scene.stats.activeFaults.value(), 0)
})

test('a delay and an abort are one active fault', () => {
  const scene = new Scene({
    max_active_faults: 1,
    delay: { fixed_delay: '1s', percentage: all },
    abort: { http_status: 503, percentage: all },
  })
  const request = scene.request()
  scene.clock.advance(1_000)
  assert.deepEqual(request.resumed, [{ failure: 'fault-abort', status: 503 }])
  assert.equal(scene.stats.abortsInjected.value(), 1)
  assert.equal(scene.stats.activeFaults.value(), 1)
})

test('an abort that is marked as a reset answers nothing', () => {
  const scene = new Scene({
    abort: { http_status: 503, percentage: all },
    filter_metadata: { 'tulle.dev/abort': 'reset' },
  })
  assert.deepEqual(scene.request().verdict, { failure: 'fault-reset' })
  assert.equal(scene.stats.abortsInjected.value(), 1)
  const other = new Scene({
    abort: { http_status: 503, percentage: all },
    filter_metadata: { 'tulle.dev/abort': 'else' },
  })
  assert.deepEqual(other.request().verdict, { failure: 'fault-abort', status: 503 })
})

test('a fault over the ceiling is not injected, and counted', () => {
  const scene = new Scene({
    max_active_faults: 1,
    delay: { fixed_delay: '1s', percentage: all },
  })
  const first = scene.request()
  assert.equal(scene.request().verdict, 'continue')
  assert.equal(scene.stats.faultsOverflow.value(), 1)
  first.end()
  assert.equal(scene.request().verdict, 'suspend')
})

test('shares are drawn by their denominator', () => {
  const share = { numerator: 250, denominator: 'TEN_THOUSAND' }
  const scene = new Scene({ abort: { http_status: 500, percentage: share } })
  scene.draw = 0.0249
  assert.notEqual(scene.request().verdict, 'continue')
  scene.draw = 0.025
  assert.equal(scene.request().verdict, 'continue')
})

test('a request may ask for less than the share that is configured, and not for more', () => {
  const half = { numerator: 50 }
  const scene = new Scene({ abort: { header_abort: {}, percentage: half } })
  const ask = (share: string): FilterVerdict =>
    scene.request({
      'x-envoy-fault-abort-request': '500',
      'x-envoy-fault-abort-request-percentage': share,
    }).verdict
  scene.draw = 0.3
  assert.equal(ask('20'), 'continue')
  assert.notEqual(ask('40'), 'continue')
  scene.draw = 0.6
  assert.equal(ask('100'), 'continue')
})

for (const { message, reason } of [
  {
    message: { delay: { percentage: all } },
    reason: 'delay: one of fixed_delay and header_delay is required',
  },
  {
    message: { delay: { fixed_delay: '0s' } },
    reason: 'delay.fixed_delay: value must be greater than 0s, got 0s',
  },
  {
    message: { abort: {} },
    reason: 'abort: one of http_status, grpc_status and header_abort is required',
  },
  {
    message: { abort: { http_status: 600 } },
    reason: 'abort.http_status: value must be inside range [200, 600), got 600',
  },
  {
    message: { response_rate_limit: { fixed_limit: {} } },
    reason: 'response_rate_limit.fixed_limit.limit_kbps: value must be greater than or equal to 1',
  },
  {
    message: { response_rate_limit: { percentage: all } },
    reason: 'response_rate_limit: one of fixed_limit and header_limit is required',
  },
  { message: { headers: [{ name: '' }] }, reason: 'headers[0]: name: is required' },
]) {
  test(`a fault is refused: ${reason}`, () => {
    assert.deepEqual(compile(message).reasons, [reason])
  })
}
