/** Envoy's formula, and that a warming host takes its share of picks, by an own clock. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { countPicks } from '../../../test/contract/balancer.ts'
import { fakeHost, fakeHosts, smallSlots } from '../../../test/support/fake-host.ts'
import { seededRandom } from '../../lib/random.ts'
import { createBalancer } from './create-balancer.ts'
import { SlowStart } from './slow-start.ts'

const windowMs = 10_000

for (const { aggression, leastShare, ageMs, share } of [
  { aggression: 1, leastShare: 0.1, ageMs: 0, share: 0.1 },
  { aggression: 1, leastShare: 0, ageMs: 0, share: 0.0001 },
  { aggression: 1, leastShare: 0.1, ageMs: 5_000, share: 0.5 },
  { aggression: 2, leastShare: 0.1, ageMs: 2_500, share: 0.5 },
  { aggression: 0.5, leastShare: 0.1, ageMs: 5_000, share: 0.25 },
  { aggression: 0.5, leastShare: 0.3, ageMs: 5_000, share: 0.3 },
  { aggression: 1, leastShare: 0.1, ageMs: 10_000, share: 1 },
]) {
  test(`after ${ageMs} ms of ${windowMs} with aggression ${aggression} a host has ${share} of its weight`, () => {
    let nowMs = 0
    const slowStart = new SlowStart({ windowMs, aggression, leastShare }, () => nowMs)
    const host = fakeHost(smallSlots(), 1)
    slowStart.update([host])
    nowMs = ageMs
    assert.ok(Math.abs(slowStart.weigh(host, 4) - 4 * share) < 1e-9)
  })
}

for (const policy of ['round-robin', 'least-request'] as const) {
  test(`${policy}: a host that joins others gets its share bit by bit`, () => {
    let nowMs = 0
    const slots = smallSlots()
    const old = fakeHosts(slots, 3)
    const balancer = createBalancer({
      policy,
      random: seededRandom(5),
      nowMs: () => nowMs,
      slowStart: { windowMs, aggression: 1, leastShare: 0.1 },
      hosts: old,
    })
    nowMs = 60_000
    const newcomer = fakeHost(slots, 9)
    balancer.update([...old, newcomer])
    const share = (): number => (countPicks(balancer, 4_000).get(newcomer) ?? 0) / 4_000
    near(share(), 0.1 / 3.1)
    nowMs += 5_000
    near(share(), 0.5 / 3.5)
    nowMs += 6_000
    balancer.update([...old, newcomer])
    near(share(), 1 / 4)
  })
}

test('hosts that came together warm up together, and share evenly', () => {
  const hosts = fakeHosts(smallSlots(), 4)
  const balancer = createBalancer({
    policy: 'round-robin',
    random: seededRandom(5),
    nowMs: () => 0,
    slowStart: { windowMs, aggression: 1, leastShare: 0.1 },
    hosts,
  })
  assert.deepEqual([...countPicks(balancer, 400).values()], [100, 100, 100, 100])
})

test('a full scan takes the least busy of all, and of equals any', () => {
  const hosts = fakeHosts(smallSlots(), 6)
  for (const host of hosts.slice(2)) host.stats.rqActive.add(1)
  const balancer = createBalancer({
    policy: 'least-request',
    isFullScan: true,
    random: seededRandom(5),
    hosts,
  })
  const counts = countPicks(balancer, 1_000)
  assert.equal(counts.size, 2)
  for (const host of hosts.slice(0, 2)) near((counts.get(host) ?? 0) / 1_000, 0.5)
})

function near(found: number, expected: number): void {
  assert.ok(Math.abs(found - expected) < 0.02, `${found} is not ${expected}`)
}
