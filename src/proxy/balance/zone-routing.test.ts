/** Zone-aware routing: Envoy's own cases of who stays and who goes, counted over every draw or many. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { fakeHost, smallSlots } from '../../../test/support/fake-host.ts'
import { seededRandom } from '../../lib/random.ts'
import { createClusterStats } from '../telemetry/create-stats.ts'
import { StatsRegistry } from '../telemetry/stats-registry.ts'
import type { Host } from '../upstream/host.ts'
import { createBalancer } from './create-balancer.ts'
import type { ZoneSettings } from './zone-routing.ts'

/** How many hosts each zone has; `!` before a name: they are not healthy. */
type Zones = Readonly<Record<string, number>>

const slots = smallSlots()
let port = 0

function hostsOf(zones: Zones): Host[] {
  return Object.entries(zones).flatMap(([name, count]) => {
    const zone = name.replace('!', '')
    return Array.from({ length: count }, () => {
      port += 1
      const host = fakeHost(slots, port, { locality: { region: '', zone, subZone: '' } })
      if (name.startsWith('!')) host.health = 'unhealthy'
      return host
    })
  })
}

interface Options {
  readonly settings?: Partial<ZoneSettings>
  readonly own?: string
  /** Undefined: there is no such cluster. */
  readonly local?: Zones | undefined
  readonly panicThresholdPercent?: number
}

const picks = 20_000

function scene(upstream: Zones, options: Options) {
  const { settings = {}, own = 'a', local, panicThresholdPercent = 50 } = options
  const stats = createClusterStats(new StatsRegistry(smallSlots()), 'c')
  let members = local === undefined ? undefined : hostsOf(local)
  const hosts = hostsOf(upstream)
  const balancer = createBalancer({
    policy: 'round-robin',
    random: seededRandom(7),
    hosts,
    panicThresholdPercent,
    zone: { routingEnabledPercent: 100, minClusterSize: 1, failsOnPanic: false, ...settings },
    zoneLocal: { locality: { region: '', zone: own, subZone: '' }, members: () => members },
    stats: () => stats,
  })
  const pick = () => balancer.pick({ avoid: [], avoidAttemptsMax: 0, hash: undefined })
  return {
    hosts,
    balancer,
    pick,
    zone: stats.zone(),
    setLocal: (zones: Zones) => {
      members = hostsOf(zones)
      balancer.update(hosts)
    },
    /** Percent of picks by zone; `-` for none. */
    shares(): Readonly<Record<string, number>> {
      const counts: Record<string, number> = {}
      for (let index = 0; index < picks; index += 1) {
        const zone = pick()?.locality?.zone ?? '-'
        counts[zone] = (counts[zone] ?? 0) + 1
      }
      return Object.fromEntries(
        Object.entries(counts).map(([zone, count]) => [zone, Math.round((100 * count) / picks)]),
      )
    },
  }
}

/** Four standard deviations of a share over so many picks are 1.4 percent at most. */
function assertNear(
  actual: Readonly<Record<string, number>>,
  expected: Readonly<Record<string, number>>,
): void {
  assert.deepEqual(Object.keys(actual).sort(byName), Object.keys(expected).sort(byName))
  for (const [zone, share] of Object.entries(expected)) {
    assert.ok(Math.abs((actual[zone] ?? 0) - share) <= 2, JSON.stringify(actual))
  }
}

const byName = (a: string, b: string): number => (a < b ? -1 : 1)

test('with the same shares here and there everything stays', () => {
  const one = scene({ a: 2, b: 2 }, { local: { a: 1, b: 1 } })
  assert.deepEqual(one.shares(), { a: 100 })
  assert.equal(one.zone.allDirectly.value(), picks)
})

test('with a larger share of the upstream everything stays', () => {
  assert.deepEqual(scene({ a: 3, b: 1 }, { local: { a: 1, b: 1 } }).shares(), { a: 100 })
})

test('with a smaller share what fits stays, and the rest goes where there is room', () => {
  const one = scene({ a: 1, b: 3 }, { local: { a: 1, b: 1 } })
  assertNear(one.shares(), { a: 50, b: 50 })
  assert.equal(one.zone.sampled.value() + one.zone.crossZone.value(), picks)
})

test('the rest is shared by the room that localities have', () => {
  // Upstream 10, 30, 60 percent; here 50, 25, 25: room for 5 and for 35.
  const one = scene({ a: 1, b: 3, c: 6 }, { local: { a: 2, b: 1, c: 1 } })
  assertNear(one.shares(), { a: 20, b: 10, c: 70 })
})

test('without hosts in this locality everything goes elsewhere', () => {
  assertNear(scene({ b: 1, c: 1 }, { local: { a: 1, b: 1, c: 2 } }).shares(), { b: 100 })
})

test('hosts that are not healthy take no part', () => {
  const shares = scene({ '!a': 2, b: 1, c: 1 }, { local: { a: 2, b: 1, c: 1 } }).shares()
  assert.equal(shares['a'], undefined)
})

test('a small upstream is balanced as a whole, and counted', () => {
  const one = scene({ a: 1, b: 1 }, { local: { a: 1, b: 1 }, settings: { minClusterSize: 3 } })
  assertNear(one.shares(), { a: 50, b: 50 })
  assert.equal(one.zone.clusterTooSmall.value(), 1)
})

test('so it is where this proxy is in no locality of its own cluster', () => {
  const one = scene({ a: 1, b: 1 }, { own: 'z', local: { a: 1, b: 1 } })
  assertNear(one.shares(), { a: 50, b: 50 })
  assert.equal(one.zone.localClusterNotOk.value(), 1)
})

for (const [claim, local] of [
  ['there is no local cluster', undefined],
  ['the local cluster is in one locality', { a: 3 }],
] as const) {
  test(`so it is where ${claim}`, () => {
    assertNear(scene({ a: 1, b: 1 }, { local }).shares(), { a: 50, b: 50 })
  })
}

test('an upstream in one locality needs no zones', () => {
  assert.deepEqual(scene({ b: 2 }, { local: { a: 1, b: 1 } }).shares(), { b: 100 })
})

test('a share of requests may be routed by zones, the others are not', () => {
  const settings = { routingEnabledPercent: 40 }
  assertNear(scene({ a: 1, b: 1 }, { local: { a: 1, b: 1 }, settings }).shares(), { a: 70, b: 30 })
  const none = { routingEnabledPercent: 0 }
  assertNear(scene({ a: 1, b: 1 }, { local: { a: 1, b: 1 }, settings: none }).shares(), {
    a: 50,
    b: 50,
  })
})

test('while the local cluster is in panic the upstream is balanced as a whole, or not at all', () => {
  const local = { a: 1, b: 1, '!a': 2, '!b': 2 }
  const any = scene({ a: 1, b: 1 }, { local })
  assertNear(any.shares(), { a: 50, b: 50 })
  assert.equal(any.zone.localClusterNotOk.value(), picks)
  const none = scene({ a: 1, b: 1 }, { local, settings: { failsOnPanic: true } })
  assert.deepEqual(none.shares(), { '-': 100 })
})

test('an upstream in panic gets requests at any host, or none where that is asked for', () => {
  const upstream = { a: 1, '!a': 4, '!b': 5 }
  assert.equal(new Set(Object.keys(scene(upstream, { local: { a: 1, b: 1 } }).shares())).size, 2)
  const settings = { failsOnPanic: true }
  assert.deepEqual(scene(upstream, { local: { a: 1, b: 1 }, settings }).shares(), { '-': 100 })
})

test('shares follow the local cluster', () => {
  const one = scene({ a: 1, b: 1 }, { local: { a: 1, b: 1 } })
  assert.deepEqual(one.shares(), { a: 100 })
  one.setLocal({ a: 3, b: 1 })
  assertNear(one.shares(), { a: 67, b: 33 })
})
