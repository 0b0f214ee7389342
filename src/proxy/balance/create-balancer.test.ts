/** The three policies, over weights, priorities, localities and load. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { array, assert as assertProperty, integer, property } from 'fast-check'

import { anyHost, countPicks, testBalancer } from '../../../test/contract/balancer.ts'
import { fakeHost, fakeHosts, smallSlots } from '../../../test/support/fake-host.ts'
import { seededRandom } from '../../lib/random.ts'
import type { Host } from '../upstream/host.ts'
import type { Balancer } from './balancer.ts'
import { type BalancerOptions, createBalancer } from './create-balancer.ts'
import { EdfSchedule } from './edf-schedule.ts'
import type { BalancingPolicy } from './host-picker.ts'

const policies: readonly BalancingPolicy[] = ['round-robin', 'least-request', 'random']

for (const policy of policies) {
  testBalancer({ name: policy, create: (options) => createBalancer({ policy, ...options }) })
}

function balancerOf(hosts: readonly Host[], options: Partial<BalancerOptions> = {}): Balancer {
  return createBalancer({ policy: 'round-robin', random: seededRandom(5), hosts, ...options })
}

function weighted(...weights: readonly number[]): Host[] {
  const slots = smallSlots()
  return weights.map((weight, index) => fakeHost(slots, index + 1, { weight }))
}

test('round robin takes equal hosts in turn', () => {
  const hosts = fakeHosts(smallSlots(), 3)
  const balancer = balancerOf(hosts)
  const picks = Array.from({ length: 9 }, () => hosts.indexOf(balancer.pick(anyHost) as Host))
  const start = picks[0] ?? 0
  assert.deepEqual(
    picks,
    picks.map((_, index) => (start + index) % 3),
  )
})

test('two round robins do not begin with the same host', () => {
  const hosts = fakeHosts(smallSlots(), 10)
  const firsts = new Set(
    [1, 2, 3, 4, 5, 6].map((seed) =>
      balancerOf(hosts, { random: seededRandom(seed) }).pick(anyHost),
    ),
  )
  assert.ok(firsts.size > 1)
})

test('a round goes on where it stood when hosts change', () => {
  const hosts = fakeHosts(smallSlots(), 4)
  const balancer = balancerOf(hosts)
  const first = hosts.indexOf(balancer.pick(anyHost) as Host)
  balancer.update(hosts)
  assert.equal(hosts.indexOf(balancer.pick(anyHost) as Host), (first + 1) % 4)
})

test('weights are followed exactly over a whole cycle', () => {
  const hosts = weighted(1, 2, 7)
  const counts = countPicks(balancerOf(hosts), 1000)
  assert.deepEqual(
    hosts.map((host) => counts.get(host)),
    [100, 200, 700],
  )
})

test('at any moment no two items are further apart than a pick of each', () => {
  assertProperty(
    property(array(integer({ min: 1, max: 20 }), { minLength: 2, maxLength: 6 }), (weights) => {
      const items = weights.map((weight) => ({ weight, picked: 0 }))
      const schedule = new EdfSchedule(items, (item) => item.weight)
      const total = weights.reduce((sum, weight) => sum + weight, 0)
      for (let pick = 1; pick <= 3 * total; pick += 1) {
        const item = schedule.pick()
        assert.ok(item)
        item.picked += 1
        // Picks over weight: how far each is in the schedule's own time.
        const turns = items.map((one) => one.picked / one.weight)
        const steps = items.map((one) => 1 / one.weight)
        const [ahead, behind] = [Math.max(...turns), Math.min(...turns)]
        assert.ok(ahead - behind <= Math.max(...steps) * 2 + 1e-9)
      }
      for (const one of items) assert.ok(Math.abs(one.picked - 3 * one.weight) <= 1)
    }),
  )
})

/** Envoy's scheduler written down naively: a list that is searched for the earliest deadline. */
function referencePicks(weights: readonly number[], picks: number): readonly number[] {
  const queue = weights.map((weight, index) => ({
    index,
    deadline: 1 / (weight + 1e-13),
    order: index,
  }))
  let order = weights.length
  return Array.from({ length: picks }, () => {
    queue.sort((a, b) => a.deadline - b.deadline || a.order - b.order)
    const entry = queue[0]
    assert.ok(entry)
    entry.deadline += 1 / (weights[entry.index] ?? 1)
    entry.order = order++
    return entry.index
  })
}

test('the heap picks as a plain search for the earliest deadline does', () => {
  assertProperty(
    property(array(integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 12 }), (weights) => {
      const schedule = new EdfSchedule([...weights.keys()], (index) => weights[index] ?? 1)
      const picks = Array.from({ length: 60 }, () => schedule.pick())
      assert.deepEqual(picks, referencePicks(weights, 60))
    }),
  )
})

test('a schedule of nothing picks nothing', () => {
  assert.equal(new EdfSchedule([], () => 1).pick(), undefined)
  assert.equal(new EdfSchedule(['never'], () => 0).pick(), undefined)
})

test('least request takes the less busy of two draws', () => {
  const hosts = fakeHosts(smallSlots(), 2)
  const [busy, idle] = hosts as [Host, Host]
  busy.stats.rqActive.add(5)
  const counts = countPicks(balancerOf(hosts, { policy: 'least-request' }), 10_000)
  // The busy one is taken when both draws are of it: a quarter.
  assert.ok(Math.abs((counts.get(busy) ?? 0) - 2500) < 200)
  assert.ok(Math.abs((counts.get(idle) ?? 0) - 7500) < 200)
})

test('more choices find an idle host more often', () => {
  const hosts = fakeHosts(smallSlots(), 10)
  for (const host of hosts.slice(1)) host.stats.rqActive.add(1)
  const [idle] = hosts as [Host]
  const share = (choiceCount: number): number =>
    countPicks(balancerOf(hosts, { policy: 'least-request', choiceCount }), 4000).get(idle) ?? 0
  // 1 - 0.9^n: 19 and 41 percent.
  assert.ok(Math.abs(share(2) - 760) < 120)
  assert.ok(Math.abs(share(5) - 1638) < 160)
})

test('with unequal weights, least request lowers a weight by the requests that run', () => {
  const hosts = weighted(4, 1)
  const [heavy, light] = hosts as [Host, Host]
  heavy.stats.rqActive.add(3)
  const counts = countPicks(balancerOf(hosts, { policy: 'least-request' }), 1000)
  // 4 / (3 + 1) = 1: as light as the other.
  assert.ok(Math.abs((counts.get(heavy) ?? 0) - 500) < 10)
  const plain = countPicks(
    balancerOf(hosts, { policy: 'least-request', activeRequestBias: 0 }),
    1000,
  )
  assert.ok(Math.abs((plain.get(light) ?? 0) - 200) < 10)
  const strong = countPicks(
    balancerOf(hosts, { policy: 'least-request', activeRequestBias: 2 }),
    1000,
  )
  // 4 / 4² = 0.25 against 1.
  assert.ok(Math.abs((strong.get(heavy) ?? 0) - 200) < 10)
})

test("random ignores weights, as Envoy's does", () => {
  const hosts = weighted(9, 1)
  const counts = countPicks(balancerOf(hosts, { policy: 'random' }), 10_000)
  for (const host of hosts) assert.ok(Math.abs((counts.get(host) ?? 0) - 5000) < 300)
})

interface Mix {
  readonly healthy: number
  readonly degraded?: number
  readonly unhealthy?: number
}

function priorities(...mixes: readonly Mix[]): Host[] {
  const slots = smallSlots()
  return mixes.flatMap(({ healthy, degraded = 0, unhealthy = 0 }, priority) => [
    ...fakeHosts(slots, healthy, { priority }),
    ...fakeHosts(slots, degraded, { priority, health: 'degraded' }),
    ...fakeHosts(slots, unhealthy, { priority, health: 'unhealthy' }),
  ])
}

/** Percent of picks by priority. */
function shares(hosts: readonly Host[], options: Partial<BalancerOptions> = {}): readonly number[] {
  const counts = countPicks(balancerOf(hosts, options), 20_000)
  const byPriority: number[] = []
  for (const [host, count] of counts) {
    const priority = host.priority ?? 0
    byPriority[priority] = (byPriority[priority] ?? 0) + count / 200
  }
  return Array.from(byPriority, (share) => Math.round(share ?? 0))
}

function near(found: readonly number[], expected: readonly number[]): void {
  assert.equal(found.length, expected.length, String(found))
  for (const [index, share] of expected.entries()) {
    assert.ok(
      Math.abs((found[index] ?? 0) - share) <= 2,
      `${String(found)} is not ${String(expected)}`,
    )
  }
}

test('a second priority takes nothing while the first can take it all', () => {
  near(shares(priorities({ healthy: 72, unhealthy: 28 }, { healthy: 100 })), [100])
})

test('overprovisioning spills over below 72 percent of health', () => {
  near(shares(priorities({ healthy: 50, unhealthy: 50 }, { healthy: 100 })), [70, 30])
  near(shares(priorities({ healthy: 25, unhealthy: 75 }, { healthy: 100 })), [35, 65])
})

test('another overprovisioning factor is followed', () => {
  const hosts = priorities({ healthy: 50, unhealthy: 50 }, { healthy: 100 })
  near(shares(hosts, { overprovisioningPercent: 100 }), [50, 50])
})

test('degraded hosts take what healthy ones of no priority can', () => {
  const hosts = priorities({ healthy: 5, degraded: 5 })
  const counts = countPicks(balancerOf(hosts), 10_000)
  let degraded = 0
  for (const [host, count] of counts) if (host.health === 'degraded') degraded += count
  assert.ok(Math.abs(degraded - 3000) < 300, String(degraded))
})

test('only degraded hosts are better than none', () => {
  const hosts = fakeHosts(smallSlots(), 3, { health: 'degraded' })
  assert.equal(countPicks(balancerOf(hosts, { panicThresholdPercent: 0 }), 100).size, 3)
})

test('a panic is counted', () => {
  let panics = 0
  const lbHealthyPanic = { add: (amount: number) => void (panics += amount), value: () => panics }
  const hosts = priorities({ healthy: 1, unhealthy: 9 })
  countPicks(balancerOf(hosts, { stats: () => ({ lbHealthyPanic }) }), 10)
  assert.equal(panics, 10)
})

test('localities get shares by their weights, lowered by what is out of them', () => {
  const slots = smallSlots()
  const zone = (name: string, localityWeight: number): Partial<Host> => ({
    locality: { region: 'r', zone: name, subZone: '' },
    localityWeight,
  })
  const inA = fakeHosts(slots, 4, zone('a', 1))
  const inB = fakeHosts(slots, 2, zone('b', 3))
  const shareOfA = (): number => {
    const balancer = balancerOf([...inA, ...inB], { localityWeighted: true })
    const counts = countPicks(balancer, 4000)
    return inA.reduce((sum, host) => sum + (counts.get(host) ?? 0), 0) / 40
  }
  assert.ok(Math.abs(shareOfA() - 25) < 1)
  const [broken] = inB as [Host]
  broken.health = 'unhealthy'
  // b: 3 × min(1, 1.4 × 0.5) = 2.1 against 1.
  assert.ok(Math.abs(shareOfA() - 32.3) < 1)
})

test('without locality weights localities play no part', () => {
  const slots = smallSlots()
  const locality = (zone: string): Partial<Host> => ({
    locality: { region: 'r', zone, subZone: '' },
  })
  const hosts = [...fakeHosts(slots, 3, locality('a')), ...fakeHosts(slots, 1, locality('b'))]
  const counts = countPicks(balancerOf(hosts, { localityWeighted: true }), 400)
  assert.deepEqual([...counts.values()], [100, 100, 100, 100])
})

test('a retry that may look again only so often takes what it then gets', () => {
  const hosts = fakeHosts(smallSlots(), 2)
  const [tried] = hosts as [Host]
  let draws = 0
  const balancer = balancerOf(hosts, {
    policy: 'random',
    random: () => {
      draws += 1
      return 0
    },
  })
  draws = 0
  assert.equal(balancer.pick({ avoid: [tried], avoidAttemptsMax: 3, hash: undefined }), tried)
  assert.equal(draws, 4)
})
