/** When certificates are renewed, on a clock that stands still between steps. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FakeClock } from '../../../test/support/fake-clock.ts'
import { seededRandom } from '../../lib/random.ts'
import { Renewal } from './renewal.ts'

const hour = 3_600_000

function scene(random = () => 0.5) {
  const clock = new FakeClock()
  const renewedAtMs: number[] = []
  const failures: number[] = []
  const state = { lifetimeMs: 24 * hour, isCaThere: true, nearEnds: 0 }
  const startMs = clock.nowMs()
  const renewal = new Renewal({
    clock,
    random,
    renew: () => {
      renewedAtMs.push(clock.nowMs() - startMs)
      if (!state.isCaThere) return Promise.reject(new Error('the authority is away'))
      renewal.arm(clock.nowMs() + state.lifetimeMs)
      return Promise.resolve()
    },
    onFailure: (_error, retryMs) => failures.push(retryMs),
    onNearEnd: () => state.nearEnds++,
  })
  /** In steps, because what a timer starts goes on in promises. */
  const pass = async (byMs: number, steps = 200) => {
    for (let step = 0; step < steps; step++) {
      clock.advance(byMs / steps)
      await Promise.resolve()
      await Promise.resolve()
      await Promise.resolve()
    }
  }
  return { clock, renewal, renewedAtMs, failures, state, pass }
}

test('a certificate is renewed at half of its life, again and again', async () => {
  const { clock, renewal, renewedAtMs, state, pass } = scene()
  renewal.arm(clock.nowMs() + state.lifetimeMs)
  await pass(48 * hour, 480)
  assert.deepEqual(
    renewedAtMs.map((atMs) => Math.round(atMs / hour)),
    [12, 24, 36, 48],
  )
})

test('many workloads that started together spread over a tenth of the life', () => {
  const random = seededRandom(7)
  const shares = Array.from({ length: 1_000 }, () => {
    const { clock, renewal } = scene(random)
    renewal.arm(clock.nowMs() + 24 * hour)
    return (renewal.dueAtMs - clock.nowMs()) / (24 * hour)
  })
  assert.ok(Math.min(...shares) >= 0.45 && Math.min(...shares) < 0.455)
  assert.ok(Math.max(...shares) <= 0.55 && Math.max(...shares) > 0.545)
})

test('while the authority is away it is asked again with back-off, and a warning comes once at a third', async () => {
  const { clock, renewal, failures, state, pass } = scene()
  state.isCaThere = false
  state.lifetimeMs = 60_000
  renewal.arm(clock.nowMs() + state.lifetimeMs)
  await pass(39_000, 390)
  assert.ok(failures.length >= 3, 'asked more than once')
  assert.equal(state.nearEnds, 0)
  await pass(15_000, 150)
  assert.equal(state.nearEnds, 1)
  assert.ok(Math.max(...failures) <= 6_000, 'never waits for more than a fifth of what is left')
  const before = failures.length
  await pass(600_000, 600)
  assert.equal(state.nearEnds, 1)
  const later = failures.length - before
  assert.ok(later > 5 && later < 40, `goes on after the end, and does not hammer: ${later} tries`)
})

test('once the authority answers again all is as before', async () => {
  const { clock, renewal, renewedAtMs, state, pass } = scene()
  state.isCaThere = false
  state.lifetimeMs = 60_000
  renewal.arm(clock.nowMs() + state.lifetimeMs)
  await pass(45_000)
  state.isCaThere = true
  await pass(10_000)
  const tries = renewedAtMs.length
  await pass(25_000)
  assert.ok(renewal.dueAtMs > clock.nowMs())
  assert.equal(renewedAtMs.length - tries, 1, 'half a life later, once')
})

test('a host that slept past the time renews within a minute of waking', async () => {
  const { clock, renewal, renewedAtMs } = scene()
  renewal.arm(clock.nowMs() + 24 * hour)
  // The wall clock goes on while timers stand still.
  const asleep = clock.nowMs.bind(clock)
  let sleptMs = 0
  clock.nowMs = () => asleep() + sleptMs
  sleptMs = 13 * hour
  clock.advance(60_000)
  await Promise.resolve()
  assert.equal(renewedAtMs.length, 1)
})

test('when the roots change it does not wait for the half', async () => {
  const { clock, renewal, renewedAtMs, pass } = scene()
  renewal.arm(clock.nowMs() + 24 * hour)
  renewal.hurry(2_000)
  await pass(2_000, 20)
  assert.equal(renewedAtMs.length, 1)
})

test('roots that change while a certificate is on its way are asked for once more', async () => {
  const clock = new FakeClock()
  const answers: (() => void)[] = []
  const renewal = new Renewal({
    clock,
    random: () => 0.5,
    renew: async () => {
      await new Promise<void>((resolve) => answers.push(resolve))
      renewal.arm(clock.nowMs() + hour)
    },
    onFailure: () => assert.fail('nothing fails'),
    onNearEnd: () => {},
  })
  renewal.arm(clock.nowMs() + hour)
  clock.advance(hour / 2)
  assert.equal(answers.length, 1)
  renewal.hurry(2_000)
  answers[0]?.()
  await new Promise((resolve) => setImmediate(resolve))
  clock.advance(2_000)
  assert.equal(answers.length, 2)
})

test('closed, it asks no more', async () => {
  const { clock, renewal, renewedAtMs, pass } = scene()
  renewal.arm(clock.nowMs() + hour)
  renewal[Symbol.dispose]()
  await pass(2 * hour)
  assert.deepEqual(renewedAtMs, [])
  assert.equal(clock.pendingTimers, 0)
})
