/**
 * Hashing over hosts, beside the contract of every balancer. That rings and tables are Envoy's, entry by entry, is
 * proved by test/conformance/hashing-parity.test.ts.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { testBalancer } from '../../../test/contract/balancer.ts'
import { fakeHost, fakeHosts, smallSlots } from '../../../test/support/fake-host.ts'
import { seededRandom } from '../../lib/random.ts'
import { xxHash64 } from '../../lib/xx-hash.ts'
import type { Host } from '../upstream/host.ts'
import type { Balancer, PickContext } from './balancer.ts'
import { createBalancer } from './create-balancer.ts'
import type { HashingSettings } from './hashing-balancer.ts'

const ring: HashingSettings = {
  table: { kind: 'ring', sizeMin: 1024, sizeMax: 8_388_608, hash: 'xx' },
  usesHostname: false,
  balanceFactorPercent: 0,
}
const maglev: HashingSettings = { ...ring, table: { kind: 'maglev', tableSize: 65_537 } }

for (const [name, hashing] of Object.entries({ ring, maglev })) {
  testBalancer({
    name,
    create: (options) => createBalancer({ policy: 'hashing', hashing, ...options }),
  })

  test(`${name}: a key stays where it is, and a lost host moves few others`, () => {
    const hosts = fakeHosts(smallSlots(), 10)
    const balancer = balancerOf(hosts, hashing)
    const before = keys.map((key) => balancer.pick(byKey(key)))
    assert.deepEqual(
      keys.map((key) => balancer.pick(byKey(key))),
      before,
    )
    const [gone] = hosts as [Host]
    balancer.update(hosts.slice(1))
    const moved = keys.filter((key, index) => balancer.pick(byKey(key)) !== before[index])
    const lost = before.filter((host) => host === gone).length
    // A ring of nine has more entries for each than a ring of ten, so that some keys of others move too.
    assert.ok(moved.length >= lost && moved.length < lost + keys.length / 6, String(moved.length))
  })

  test(`${name}: shares follow weights`, () => {
    const slots = smallSlots()
    const hosts = [1, 2, 7].map((weight, index) => fakeHost(slots, index + 1, { weight }))
    const balancer = balancerOf(hosts, hashing)
    const counts = new Map<Host, number>()
    for (let index = 0; index < 10_000; index += 1) {
      const host = balancer.pick(byKey(`k${index}`)) as Host
      counts.set(host, (counts.get(host) ?? 0) + 1)
    }
    const shares = hosts.map((host) => (counts.get(host) ?? 0) / 100)
    assert.ok(Math.abs((shares[0] ?? 0) - 10) < 4, String(shares))
    assert.ok(Math.abs((shares[2] ?? 0) - 70) < 6, String(shares))
  })

  test(`${name}: degraded hosts get nothing while healthy ones are enough`, () => {
    const slots = smallSlots()
    const healthy = fakeHosts(slots, 3)
    const balancer = balancerOf([...healthy, fakeHost(slots, 9, { health: 'degraded' })], hashing)
    for (const key of keys) assert.ok(healthy.includes(balancer.pick(byKey(key)) as Host))
  })
}

const keys = Array.from({ length: 400 }, (_, index) => `key ${index}`)

function byKey(key: string, fields: Partial<PickContext> = {}): PickContext {
  return { avoid: [], avoidAttemptsMax: 0, hash: xxHash64(key), ...fields }
}

function balancerOf(hosts: readonly Host[], hashing: HashingSettings): Balancer {
  return createBalancer({ policy: 'hashing', hashing, random: seededRandom(5), hosts })
}

test('without a hash hosts are picked at random', () => {
  const hosts = fakeHosts(smallSlots(), 4)
  const balancer = balancerOf(hosts, ring)
  const picked = keys.map(() => balancer.pick({ avoid: [], avoidAttemptsMax: 0, hash: undefined }))
  assert.equal(new Set(picked).size, 4)
})

test('a host with more than its bound is passed over, always for the same one', () => {
  const slots = smallSlots()
  const hosts = fakeHosts(slots, 4)
  const rqActive = { add: () => {}, set: () => {}, value: () => 10 }
  const balancer = createBalancer({
    policy: 'hashing',
    hashing: { ...ring, balanceFactorPercent: 120 },
    random: seededRandom(5),
    hosts,
    stats: () => ({ lbHealthyPanic: { add: () => {}, value: () => 0 }, rqActive }),
  })
  const first = balancer.pick(byKey('a')) as Host
  // ceil((10 + 1) × 1.2 / 4) = 4 are its share.
  first.stats.rqActive.add(4)
  assert.equal(balancer.pick(byKey('a')), first)
  first.stats.rqActive.add(1)
  const second = balancer.pick(byKey('a')) as Host
  assert.notEqual(second, first)
  assert.equal(balancer.pick(byKey('a')), second)
  for (const host of hosts) if (host !== first) host.stats.rqActive.add(9)
  assert.equal(balancer.pick(byKey('a')), first, 'of too many, the least')
})

test('a hundred changes cost one table', () => {
  const hosts = fakeHosts(smallSlots(), 3)
  const balancer = balancerOf(hosts, { ...maglev, table: { kind: 'maglev', tableSize: 5_000_011 } })
  const startMs = performance.now()
  for (let change = 0; change < 100; change += 1) balancer.update(hosts)
  // A hundred tables of five million slots take longer than that on any machine.
  assert.ok(performance.now() - startMs < 5_000)
})
