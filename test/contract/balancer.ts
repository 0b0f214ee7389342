/** What every balancing policy promises, whatever it picks by. A policy is not done until this passes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Random } from '../../src/lib/random.ts'
import { seededRandom } from '../../src/lib/random.ts'
import type { Balancer, PickContext } from '../../src/proxy/balance/balancer.ts'
import type { Host } from '../../src/proxy/upstream/host.ts'
import { fakeHost, fakeHosts, smallSlots } from '../support/fake-host.ts'

export interface BalancerUnderTest {
  readonly name: string
  create(options: { readonly random: Random; readonly panicThresholdPercent: number }): Balancer
}

export const anyHost: PickContext = { avoid: [], avoidAttemptsMax: 0, hash: undefined }

/** How often each host was picked. */
export function countPicks(balancer: Balancer, picks: number): ReadonlyMap<Host, number> {
  const counts = new Map<Host, number>()
  for (let pick = 0; pick < picks; pick += 1) {
    const host = balancer.pick(anyHost)
    assert.ok(host, 'a host is picked')
    counts.set(host, (counts.get(host) ?? 0) + 1)
  }
  return counts
}

export function testBalancer(under: BalancerUnderTest): void {
  const create = (panicThresholdPercent = 0): Balancer =>
    under.create({ random: seededRandom(3), panicThresholdPercent })
  const title = (claim: string): string => `${under.name}: ${claim}`

  test(title('without hosts nothing is picked'), () => {
    const balancer = create()
    assert.equal(balancer.pick(anyHost), undefined)
    balancer.update([])
    assert.equal(balancer.pick(anyHost), undefined)
  })

  test(title('the only host is picked every time'), () => {
    const balancer = create()
    const hosts = fakeHosts(smallSlots(), 1)
    balancer.update(hosts)
    assert.deepEqual([...countPicks(balancer, 10).keys()], hosts)
  })

  test(title('equal hosts get equal shares'), () => {
    const balancer = create()
    balancer.update(fakeHosts(smallSlots(), 5))
    const counts = [...countPicks(balancer, 10_000).values()]
    assert.equal(counts.length, 5)
    for (const count of counts) assert.ok(Math.abs(count - 2000) < 200, String(counts))
  })

  test(title('a host that is unhealthy, draining or ejected is not picked'), () => {
    const slots = smallSlots()
    const good = fakeHost(slots, 1)
    const balancer = create()
    balancer.update([
      good,
      fakeHost(slots, 2, { health: 'unhealthy' }),
      fakeHost(slots, 3, { health: 'draining' }),
      fakeHost(slots, 4, { isEjected: true }),
    ])
    assert.deepEqual([...countPicks(balancer, 50).keys()], [good])
  })

  test(title('a host that is ejected between updates is not picked'), () => {
    const hosts = fakeHosts(smallSlots(), 3)
    const balancer = create()
    balancer.update(hosts)
    const [gone] = hosts as [Host]
    gone.isEjected = true
    assert.equal(countPicks(balancer, 300).has(gone), false)
    gone.isEjected = false
    balancer.update(hosts)
    assert.equal(countPicks(balancer, 300).has(gone), true)
  })

  test(title('when no host is usable and panic is off, nothing is picked'), () => {
    const balancer = create(0)
    balancer.update(fakeHosts(smallSlots(), 3, { health: 'unhealthy' }))
    assert.equal(balancer.pick(anyHost), undefined)
  })

  test(title('in panic every host is picked, usable or not'), () => {
    const slots = smallSlots()
    const hosts = [fakeHost(slots, 9), ...fakeHosts(slots, 3, { health: 'unhealthy' })]
    const balancer = create(50)
    balancer.update(hosts)
    assert.equal(countPicks(balancer, 400).size, 4)
  })

  test(title('hosts that were tried are avoided, and taken when there is no other'), () => {
    const hosts = fakeHosts(smallSlots(), 2)
    const [tried, other] = hosts as [Host, Host]
    const balancer = create()
    balancer.update(hosts)
    const avoiding = { avoid: [tried], avoidAttemptsMax: 50, hash: undefined }
    for (let pick = 0; pick < 20; pick += 1) assert.equal(balancer.pick(avoiding), other)
    balancer.update([tried])
    assert.equal(balancer.pick(avoiding), tried)
  })

  test(title('a change of hosts is followed at once'), () => {
    const slots = smallSlots()
    const balancer = create()
    balancer.update(fakeHosts(slots, 3))
    const later = fakeHosts(slots, 2)
    balancer.update(later)
    assert.deepEqual(new Set(countPicks(balancer, 100).keys()), new Set(later))
  })
}
