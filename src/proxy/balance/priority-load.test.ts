/**
 * Envoy's tables of priority loads and panic. Where its documentation and a real Envoy 1.40 differ (5/65 is 8/92 and not
 * 7/93; a total panic goes by the number of hosts), the test holds what Envoy does.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type PriorityLoad, computePriorityLoads } from './priority-load.ts'

/** Each priority has 100 hosts, so that counts are percents. */
function loads(
  health: readonly (readonly [healthy: number, degraded: number])[],
  panicThresholdPercent = 50,
): readonly PriorityLoad[] {
  return computePriorityLoads(
    health.map(([healthy, degraded]) => ({ hosts: 100, healthy, degraded })),
    { overprovisioningPercent: 140, panicThresholdPercent },
  )
}

for (const { healthy, expected, panic } of [
  { healthy: [100, 100], expected: [100, 0], panic: [false, false] },
  { healthy: [72, 72], expected: [100, 0], panic: [false, false] },
  { healthy: [71, 71], expected: [99, 1], panic: [false, false] },
  { healthy: [50, 60], expected: [70, 30], panic: [false, false] },
  { healthy: [25, 100], expected: [35, 65], panic: [false, false] },
  { healthy: [25, 25], expected: [50, 50], panic: [true, true] },
  { healthy: [5, 65], expected: [8, 92], panic: [true, false] },
  { healthy: [0, 0], expected: [50, 50], panic: [true, true] },
  { healthy: [20, 20, 10], expected: [40, 40, 20], panic: [true, true, true] },
  { healthy: [0, 50], expected: [0, 100], panic: [true, false] },
]) {
  test(`health ${healthy.join('/')} gives loads ${expected.join('/')}`, () => {
    const found = loads(healthy.map((percent) => [percent, 0]))
    const all = panic.every(Boolean)
    // When all are in panic the load goes by the number of hosts.
    const shares = all ? evenShares(expected.length) : expected
    assert.deepEqual(
      found.map((load) => load.healthy),
      shares,
    )
    assert.deepEqual(
      found.map((load) => load.isPanic),
      panic,
    )
  })
}

function evenShares(count: number): readonly number[] {
  const share = Math.floor(100 / count)
  return Array.from({ length: count }, (_, index) =>
    index === 0 ? 100 - share * (count - 1) : share,
  )
}

test('healthy hosts of every priority come before degraded ones of any', () => {
  const found = loads([
    [25, 50],
    [25, 50],
  ])
  assert.deepEqual(found, [
    { healthy: 35, degraded: 30, isPanic: false },
    { healthy: 35, degraded: 0, isPanic: false },
  ])
})

test('with panic off and nobody usable the load stands with the first priority', () => {
  assert.deepEqual(loads([[0, 0]], 0), [{ healthy: 100, degraded: 0, isPanic: false }])
})

test('a total panic goes by the number of hosts', () => {
  const found = computePriorityLoads(
    [
      { hosts: 30, healthy: 0, degraded: 0 },
      { hosts: 10, healthy: 0, degraded: 0 },
    ],
    { overprovisioningPercent: 140, panicThresholdPercent: 50 },
  )
  assert.deepEqual(
    found.map((load) => load.healthy),
    [75, 25],
  )
})

test('loads always add up to 100', () => {
  for (let first = 0; first <= 100; first += 7) {
    for (let second = 0; second <= 100; second += 11) {
      for (let degraded = 0; degraded + first <= 100; degraded += 13) {
        const found = loads([
          [first, degraded],
          [second, 0],
        ])
        const sum = found.reduce((total, load) => total + load.healthy + load.degraded, 0)
        assert.equal(sum, 100, `${first} ${second} ${degraded}`)
      }
    }
  }
})

test('no priorities have no loads', () => {
  assert.deepEqual(loads([]), [])
})
