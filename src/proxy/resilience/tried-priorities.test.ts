/** Priorities that retries leave out, together with the balancer that does so. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { fakeHost, smallSlots } from '../../../test/support/fake-host.ts'
import { createBalancer } from '../balance/create-balancer.ts'
import type { Host } from '../upstream/host.ts'
import { TriedPriorities } from './tried-priorities.ts'

const slots = smallSlots()
const near = fakeHost(slots, 1, { priority: 0 })
const far = fakeHost(slots, 2, { priority: 1 })
const farther = fakeHost(slots, 3, { priority: 2 })

/** Hosts of so many attempts, one after the other. */
function attempts(
  hosts: readonly Host[],
  { every, count }: { every: number; count: number },
): number[] {
  const balancer = createBalancer({ policy: 'round-robin', random: () => 0, hosts })
  const tried = new TriedPriorities(every)
  return Array.from({ length: count }, () => {
    const host = balancer.pick({
      avoid: [],
      avoidAttemptsMax: 0,
      hash: undefined,
      leftOut: tried.leftOut(),
    })
    assert.ok(host)
    tried.add(host)
    return host.priority ?? 0
  })
}

test('each retry goes one priority further, and starts over when there is none left', () => {
  assert.deepEqual(attempts([near, far, farther], { every: 1, count: 7 }), [0, 1, 2, 0, 1, 2, 0])
})

test('priorities are left out after every so many attempts', () => {
  assert.deepEqual(attempts([near, far, farther], { every: 2, count: 6 }), [0, 0, 1, 1, 2, 2])
})

test('a priority without healthy hosts is passed over', () => {
  const sick = fakeHost(slots, 4, { priority: 1, health: 'unhealthy' })
  assert.deepEqual(attempts([near, sick, farther], { every: 1, count: 3 }), [0, 2, 0])
})

test('one priority is tried again and again', () => {
  assert.deepEqual(attempts([near], { every: 1, count: 3 }), [0, 0, 0])
})
