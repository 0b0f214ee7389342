/** Picks that Envoy is known to make: hosts 127.0.0.1 and a port, by number from the first. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { fakeHost, smallSlots } from '../../../test/support/fake-host.ts'
import { type Hash64, xxHash64 } from '../../lib/xx-hash.ts'
import type { Host } from '../upstream/host.ts'
import type { PickContext } from './balancer.ts'
import { type BalancerOptions, createBalancer } from './create-balancer.ts'
import { EdfSchedule } from './edf-schedule.ts'

type Picked = readonly [hash: bigint, host: number]

interface HashCase {
  readonly name: string
  readonly table: NonNullable<BalancerOptions['hashing']>['table']
  readonly firstPort: number
  readonly weights: readonly number[]
  readonly localityWeights?: readonly number[]
  /** Hosts have names, which are their ports, and are known by them. */
  readonly named?: boolean
  readonly picks: readonly Picked[]
}

const tiny = (size: number, hash: 'xx' | 'murmur2' = 'xx') =>
  ({ kind: 'ring', sizeMin: size, sizeMax: size, hash }) as const
const atLeast = (sizeMin: number) => ({ ...tiny(sizeMin), sizeMax: 8_388_608 })
const maglev = (tableSize: number) => ({ kind: 'maglev', tableSize }) as const
const inOrder = (hosts: string): readonly Picked[] =>
  Array.from(hosts, (host, index) => [BigInt(index), Number(host)])
const last = 0xffff_ffff_ffff_ffffn

const hashCases: readonly HashCase[] = [
  {
    name: 'a ring of two entries each',
    table: atLeast(12),
    firstPort: 90,
    weights: [1, 1, 1, 1, 1, 1],
    picks: [
      [0n, 4],
      [last, 4],
      [3_551_244_743_356_806_947n, 5],
      [3_551_244_743_356_806_948n, 3],
      [16_117_243_373_044_804_880n, 0],
    ],
  },
  {
    name: 'a ring by MurmurHash2',
    table: { ...atLeast(12), hash: 'murmur2' },
    firstPort: 80,
    weights: [1, 1, 1, 1, 1, 1],
    picks: [
      [0n, 5],
      [last, 5],
      [1_358_027_074_129_602_068n, 5],
      [1_358_027_074_129_602_069n, 3],
      [10_150_910_876_324_007_730n, 2],
    ],
  },
  {
    name: 'a ring of names',
    table: atLeast(12),
    firstPort: 90,
    weights: [1, 1, 1, 1, 1, 1],
    named: true,
    picks: [
      [0n, 5],
      [last, 5],
      [7_225_015_537_174_310_577n, 2],
      [6_803_900_775_736_438_537n, 3],
    ],
  },
  {
    name: 'a ring of hosts of unequal weight',
    table: tiny(6),
    firstPort: 90,
    weights: [1, 2, 3],
    picks: [
      [928_266_305_478_181_108n, 2],
      [4_443_673_547_860_492_590n, 2],
      [5_583_722_120_771_150_861n, 1],
      [6_311_230_543_546_372_928n, 1],
      [13_444_792_449_719_432_967n, 2],
      [16_117_243_373_044_804_889n, 0],
    ],
  },
  {
    name: 'a ring of localities of unequal weight, one of none',
    table: tiny(6),
    firstPort: 90,
    weights: [1, 1, 1, 1],
    localityWeights: [1, 2, 3, 0],
    picks: [
      [928_266_305_478_181_108n, 2],
      [4_443_673_547_860_492_590n, 2],
      [5_583_722_120_771_150_861n, 1],
      [6_311_230_543_546_372_928n, 1],
      [13_444_792_449_719_432_967n, 2],
      [16_117_243_373_044_804_889n, 0],
    ],
  },
  {
    name: 'a Maglev table',
    table: maglev(7),
    firstPort: 90,
    weights: [1, 1, 1, 1, 1, 1],
    picks: inOrder('2401503240150'),
  },
  {
    name: 'a Maglev table of names',
    table: maglev(7),
    firstPort: 90,
    weights: [1, 1, 1, 1, 1, 1],
    named: true,
    picks: inOrder('2503410'),
  },
  {
    name: 'a Maglev table of hosts of unequal weight',
    table: maglev(17),
    firstPort: 90,
    weights: [1, 2],
    picks: inOrder('10010110111110101'),
  },
  {
    name: 'a Maglev table of localities of equal weight',
    table: maglev(17),
    firstPort: 90,
    weights: [1, 2],
    localityWeights: [1, 1],
    picks: inOrder('10010110010100101'),
  },
]

function hostsOf({ firstPort, weights, localityWeights, named }: HashCase): Host[] {
  const slots = smallSlots()
  return weights.map((weight, index) => {
    const port = firstPort + index
    return fakeHost(slots, port, {
      addressText: `127.0.0.1:${port}`,
      hostname: named === true ? String(port) : '',
      weight,
      ...(localityWeights !== undefined && {
        locality: { region: '', zone: `z${index}`, subZone: '' },
        localityWeight: localityWeights[index] ?? 0,
      }),
    })
  })
}

function hash64(hash: bigint): Hash64 {
  return { hi: Number(hash >> 32n), lo: Number(hash & 0xffff_ffffn) }
}

for (const one of hashCases) {
  test(`${one.name} gives each hash the host that Envoy’s gives`, () => {
    const hosts = hostsOf(one)
    const balancer = createBalancer({
      policy: 'hashing',
      hashing: { table: one.table, usesHostname: one.named === true, balanceFactorPercent: 0 },
      localityWeighted: one.localityWeights !== undefined,
      random: () => 0,
      hosts,
    })
    const picked = one.picks.map(([hash]) =>
      hosts.indexOf(balancer.pick({ ...anyHost, hash: hash64(hash) }) as Host),
    )
    assert.deepEqual(
      picked,
      one.picks.map(([, host]) => host),
    )
  })
}

const anyHost: PickContext = { avoid: [], avoidAttemptsMax: 0, hash: xxHash64('') }

test('least request by weight follows the requests that run', () => {
  const slots = smallSlots()
  const hosts = [fakeHost(slots, 80, { weight: 1 }), fakeHost(slots, 81, { weight: 2 })]
  const balancer = createBalancer({ policy: 'least-request', random: () => 0, hosts })
  const picks = (count: number): string =>
    Array.from({ length: count }, () => hosts.indexOf(balancer.pick(anyHost) as Host)).join('')
  const [first, second] = hosts as [Host, Host]
  assert.equal(picks(6), '101101')
  second.stats.rqActive.add(1)
  assert.equal(picks(5), '10101')
  first.stats.rqActive.add(1)
  second.stats.rqActive.add(-1)
  assert.equal(picks(10), '0111011110')
})

test('round robin by weight takes up a new weight after one turn', () => {
  const entries = [
    { number: 0, weight: 1 },
    { number: 1, weight: 2 },
  ]
  const schedule = new EdfSchedule(entries, ({ weight }) => weight)
  const picks = (count: number): string =>
    Array.from({ length: count }, () => schedule.pick()?.number).join('')
  assert.equal(picks(6), '101101')
  Object.assign(entries[0] as object, { weight: 2 })
  Object.assign(entries[1] as object, { weight: 1 })
  assert.equal(picks(8), '10010010')
})

test('schedules that begin at ten turns in a row begin with each entry by its weight', () => {
  for (const weights of [
    [6, 3, 1],
    [1, 6, 3],
  ]) {
    const counts = weights.map(() => 0)
    for (let turn = 0; turn < 10; turn += 1) {
      const first = new EdfSchedule([...weights.keys()], (index) => weights[index] ?? 0, turn)
      const picked = first.pick() ?? 0
      counts[picked] = (counts[picked] ?? 0) + 1
    }
    assert.deepEqual(counts, weights)
  }
})

test('a schedule that begins at a late turn costs no more than its entries', () => {
  const startMs = performance.now()
  const entries = Array.from({ length: 1000 }, (_, index) => index)
  const late = new EdfSchedule(entries, (index) => 1 + (index % 7), 400_000_000)
  assert.notEqual(late.pick(), undefined)
  // 400 million turns take longer than that on any machine.
  assert.ok(performance.now() - startMs < 2_000)
})

test('localities share as Envoy’s do while the first one loses hosts', () => {
  const shares: readonly [healthy: number, ofHundred: readonly [number, number]][] = [
    [5, [33, 67]],
    [4, [33, 67]],
    [3, [29, 71]],
    [2, [22, 78]],
    [1, [12, 88]],
    [0, [0, 100]],
  ]
  for (const [healthy, expected] of shares) {
    const slots = smallSlots()
    const hosts = Array.from({ length: 6 }, (_, index) =>
      fakeHost(slots, 80 + index, {
        health: index < healthy || index === 5 ? 'healthy' : 'unhealthy',
        locality: { region: '', zone: index === 5 ? 'b' : 'a', subZone: '' },
        localityWeight: index === 5 ? 2 : 1,
      }),
    )
    const balancer = createBalancer({
      policy: 'round-robin',
      localityWeighted: true,
      panicThresholdPercent: 0,
      random: () => 0,
      hosts,
    })
    const counts: [number, number] = [0, 0]
    for (let pick = 0; pick < 100; pick += 1) {
      counts[balancer.pick(anyHost) === hosts[5] ? 1 : 0] += 1
    }
    assert.deepEqual(counts, expected, `${healthy} healthy`)
  }
})

test('localities of little weight are reached though hosts change all the time', () => {
  const slots = smallSlots()
  const hosts = [1, 9].map((localityWeight, index) =>
    fakeHost(slots, 80 + index, {
      localityWeight,
      locality: { region: '', zone: `z${index}`, subZone: '' },
    }),
  )
  const balancer = createBalancer({
    policy: 'round-robin',
    localityWeighted: true,
    random: () => 0,
    hosts,
  })
  let first = 0
  for (let pick = 0; pick < 100; pick += 1) {
    if (balancer.pick(anyHost) === hosts[0]) first += 1
    balancer.update(hosts)
  }
  assert.equal(first, 10)
})
