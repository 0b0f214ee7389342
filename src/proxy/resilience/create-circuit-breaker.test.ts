/** Limits of a cluster: what is counted, what overflows, what a budget allows. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FakeClock } from '../../../test/support/fake-clock.ts'
import { smallSlots } from '../../../test/support/fake-host.ts'
import { createBreakerStats } from '../telemetry/breaker-stats.ts'
import { createClusterStats } from '../telemetry/create-stats.ts'
import { createGaugeBuffers } from '../telemetry/gauge-table.ts'
import { createCounterBuffer, createSlots } from '../telemetry/shared-slots.ts'
import { StatsRegistry } from '../telemetry/stats-registry.ts'
import type { BreakerLimits, BreakerResource } from './circuit-breaker.ts'
import { breakerLimitsDefault, createCircuitBreaker } from './create-circuit-breaker.ts'

function scene(limits: Partial<BreakerLimits>) {
  const clock = new FakeClock()
  const slots = smallSlots()
  const stats = createClusterStats(new StatsRegistry(slots), 'c')
  const breaker = createCircuitBreaker({
    name: 'c',
    slots,
    clock,
    stats,
    limits: { ...breakerLimitsDefault, ...limits },
  })
  return { clock, slots, stats, breaker }
}

const limits = { connectionsMax: 2, pendingMax: 2, requestsMax: 2, retriesMax: 2 }

for (const { resource, counter } of [
  { resource: 'connections', counter: 'cxOverflow' },
  { resource: 'pending', counter: 'rqPendingOverflow' },
  { resource: 'requests', counter: 'rqActiveOverflow' },
  { resource: 'retries', counter: 'rqRetryOverflow' },
] as const satisfies readonly { resource: BreakerResource; counter: string }[]) {
  test(`${resource} past their limit overflow, counted in ${counter}`, () => {
    const { breaker, stats } = scene(limits)
    assert.equal(breaker.tryAcquire(resource), true)
    assert.equal(breaker.tryAcquire(resource), true)
    assert.equal(breaker.tryAcquire(resource), false)
    assert.equal(stats[counter].value(), 1)
    assert.equal(breaker.active(resource), 2)
    breaker.release(resource)
    assert.equal(breaker.tryAcquire(resource), true)
  })
}

test('how a cluster stands to its limits is worked out when somebody looks', () => {
  const slots = smallSlots()
  const registry = new StatsRegistry(slots)
  const stats = createClusterStats(registry, 'c')
  const open = (extra: Partial<BreakerLimits>) =>
    createCircuitBreaker({
      name: 'c',
      slots,
      clock: new FakeClock(),
      stats,
      limits: { ...breakerLimitsDefault, requestsMax: 2, ...extra },
    })
  const shown = (): Readonly<Record<string, number>> => {
    const found = registry.list().filter(({ name }) => name.includes('.circuit_breakers.'))
    return Object.fromEntries(found.map((one) => [one.name.split('.').at(-1) ?? '', one.value()]))
  }
  const breaker = open({ tracksRemaining: true })
  const scope = createBreakerStats(registry, 'c', breaker)
  breaker.tryAcquire('requests')
  assert.equal(shown()['rq_open'], 0)
  assert.equal(shown()['remaining_rq'], 1)
  breaker.tryAcquire('requests')
  assert.equal(shown()['rq_open'], 1)
  assert.equal(shown()['remaining_rq'], 0)
  assert.equal(shown()['remaining_retries'], 3)
  const next = createBreakerStats(registry, 'c', open({ requestsMax: 9 }))
  assert.equal(shown()['rq_open'], 0, 'the newer cluster of a name is shown')
  scope.close()
  assert.equal(shown()['rq_open'], 0, 'and stays when the older one goes')
  next.close()
  assert.equal(shown()['rq_open'], undefined)
})

test('a limit of nothing is not open before something is there', () => {
  const registry = new StatsRegistry(smallSlots())
  const stats = createClusterStats(registry, 'c')
  const limits = { ...breakerLimitsDefault, requestsMax: 0 }
  const breaker = createCircuitBreaker({
    name: 'c',
    slots: registry.slots,
    clock: new FakeClock(),
    stats,
    limits,
  })
  createBreakerStats(registry, 'c', breaker)
  const open = registry.list().find(({ name }) => name.endsWith('.rq_open'))
  assert.equal(open?.value(), 0)
})

test('what must be had is had past the limit, and counts', () => {
  const { breaker, stats } = scene({ connectionsMax: 0 })
  breaker.acquire('connections')
  assert.equal(breaker.active('connections'), 1)
  assert.equal(stats.cxOverflow.value(), 0)
})

test('new limits apply to what comes next', () => {
  const { breaker } = scene({ requestsMax: 1 })
  breaker.tryAcquire('requests')
  breaker.setLimits({ ...breakerLimitsDefault, requestsMax: 2 })
  assert.equal(breaker.tryAcquire('requests'), true)
  assert.equal(breaker.limits().requestsMax, 2)
})

test('a retry budget is a share of what is in flight, and replaces the number', () => {
  const { breaker } = scene({
    retriesMax: 0,
    retryBudget: { budgetPercent: 20, retryConcurrencyMin: 1 },
  })
  assert.equal(breaker.tryAcquire('retries'), true, 'the floor')
  assert.equal(breaker.tryAcquire('retries'), false)
  for (let request = 0; request < 8; request += 1) breaker.acquire('requests')
  breaker.acquire('pending')
  assert.equal(breaker.tryAcquire('retries'), false, '20 percent of 9 is one')
  breaker.acquire('pending')
  assert.equal(breaker.tryAcquire('retries'), true, '20 percent of 10 are two')
})

test('a retry budget with an interval is a share of the requests that began in it', () => {
  const { breaker, clock } = scene({
    retryBudget: { budgetPercent: 50, retryConcurrencyMin: 0, intervalMs: 1_000 },
  })
  const beginAndEnd = (): void => {
    breaker.tryAcquire('requests')
    breaker.release('requests')
  }
  assert.equal(breaker.max('retries'), 0)
  for (let request = 0; request < 4; request += 1) beginAndEnd()
  assert.equal(breaker.max('retries'), 2, 'they are over, and count')
  breaker.acquire('pending')
  assert.equal(breaker.max('retries'), 2, 'what waits is no request yet')
  clock.advance(500)
  for (let request = 0; request < 2; request += 1) beginAndEnd()
  assert.equal(breaker.max('retries'), 3)
  clock.advance(599)
  assert.equal(breaker.max('retries'), 3, 'a tenth of the interval is forgotten together')
  clock.advance(1)
  assert.equal(breaker.max('retries'), 1, 'those of the first tenth')
  clock.advance(500)
  assert.equal(breaker.max('retries'), 0)
  assert.equal(clock.pendingTimers, 0, 'nothing is left to forget')
})

test('a change of the interval begins anew, and a closed breaker leaves no timer and no count', () => {
  const { breaker, clock } = scene({
    retryBudget: { budgetPercent: 100, retryConcurrencyMin: 0, intervalMs: 1_000 },
  })
  breaker.acquire('requests')
  assert.equal(breaker.max('retries'), 1)
  const retryBudget = { budgetPercent: 100, retryConcurrencyMin: 0, intervalMs: 2_000 }
  breaker.setLimits({ ...breakerLimitsDefault, retryBudget })
  assert.equal(breaker.max('retries'), 0)
  breaker.acquire('requests')
  breaker.setLimits({ ...breakerLimitsDefault, requestsMax: 9, retryBudget })
  assert.equal(breaker.max('retries'), 1, 'the same interval goes on')
  breaker.setLimits(breakerLimitsDefault)
  assert.equal(breaker.max('retries'), breakerLimitsDefault.retriesMax)
  breaker.setLimits({ ...breakerLimitsDefault, retryBudget })
  breaker.acquire('requests')
  breaker.close()
  assert.equal(clock.pendingTimers, 0)
})

test('threads count under one limit, and not with another cluster', () => {
  const gauges = createGaugeBuffers({ gaugesMax: 256, threads: 2 })
  const open = (thread: number, name: string) => {
    const counters = createCounterBuffer(256, 512)
    const slots = createSlots({ gauges, counters, countersMax: 512 }, thread)
    const stats = createClusterStats(new StatsRegistry(slots), name)
    return createCircuitBreaker({
      name,
      slots,
      clock: new FakeClock(),
      stats,
      limits: { ...breakerLimitsDefault, ...limits },
    })
  }
  const [first, second, other] = [open(0, 'c'), open(1, 'c'), open(1, 'd')]
  assert.equal(first.tryAcquire('requests'), true)
  assert.equal(second.tryAcquire('requests'), true)
  assert.equal(first.tryAcquire('requests'), false)
  assert.equal(other.tryAcquire('requests'), true)
  second.release('requests')
  assert.equal(first.tryAcquire('requests'), true)
})

test('a closed breaker gives its slots back', () => {
  const { breaker, slots } = scene({})
  const before = slots.usage().gauges
  breaker.close()
  slots.reclaim()
  assert.equal(slots.usage().gauges, before - 4)
})
