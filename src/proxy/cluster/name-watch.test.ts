/** When a name is asked for again: by the rate, by the answer's TTL, and after failures. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { envoyMessage } from '../../../test/support/envoy-message.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import type { DnsConfig } from '../config/cluster-config.ts'
import { compileCluster } from '../config/compile-cluster.ts'
import { NameWatch } from './name-watch.ts'
import type { Resolution, Resolve } from './resolver.ts'

/** As a cluster compiles it. */
function dnsOf(fields: string): DnsConfig {
  const result = compileCluster(envoyMessage.cluster(`{name: c, dns_refresh_rate: 5s, ${fields}}`))
  assert.ok(result.ok, result.ok ? '' : result.reasons.join('; '))
  return result.value.dns
}

interface SceneOptions {
  readonly ttlMs?: number | undefined
  readonly random?: number
  readonly takesNone?: boolean
}

function scene(fields: string, options: SceneOptions = {}) {
  const clock = new FakeClock()
  const state = {
    asked: 0,
    closed: false,
    ttlMs: options.ttlMs,
    result: { ok: true, addresses: ['10.0.0.1'] } as Resolution,
  }
  const answers: (readonly string[] | undefined)[] = []
  const resolve: Resolve = Object.assign(
    (_name: string, _family: DnsConfig['family'], done: (result: Resolution) => void) => {
      state.asked += 1
      done(state.result)
    },
    {
      ttlOf: (_n: string, _f: DnsConfig['family'], done: (ttlMs: number | undefined) => void) =>
        done(state.ttlMs),
    },
  )
  const watch = new NameWatch({
    name: 'a.test',
    dns: dnsOf(fields),
    takesNone: options.takesNone ?? true,
    resolve,
    clock,
    random: () => options.random ?? 0.5,
    onAnswer: (addresses) => answers.push(addresses),
  })
  return {
    clock,
    state,
    answers,
    watch,
    /** How long it takes until the name is asked for again. */
    untilNext(): number {
      const before = state.asked
      const from = clock.monotonicMs()
      while (state.asked === before && clock.monotonicMs() - from < 120_000) clock.advance(1)
      return clock.monotonicMs() - from
    },
  }
}

test('an answer holds for the refresh rate', () => {
  assert.equal(scene('').untilNext(), 5_000)
  assert.equal(scene('', { ttlMs: 30_000 }).untilNext(), 5_000, 'whatever its TTL is')
})

test('it holds for its TTL where that is respected', () => {
  const respected = 'respect_dns_ttl: true'
  assert.equal(scene(respected, { ttlMs: 30_000 }).untilNext(), 30_000)
  assert.equal(scene(respected, { ttlMs: 2_000 }).untilNext(), 2_000)
  assert.equal(scene(respected, { ttlMs: 0 }).untilNext(), 5_000, 'a TTL of 0 says nothing')
  assert.equal(scene(respected, { ttlMs: undefined }).untilNext(), 5_000, 'nobody knows it')
})

test('a TTL that comes after the watch has ended starts nothing', () => {
  const one = scene('respect_dns_ttl: true', { ttlMs: 1_000 })
  one.watch.close()
  assert.equal(one.clock.pendingTimers, 0)
})

test('without a rate of their own failures are tried again at the refresh rate, without jitter', () => {
  const one = scene('')
  one.state.result = { ok: false, message: 'no' }
  one.untilNext()
  assert.equal(one.untilNext(), 5_000)
  assert.equal(one.untilNext(), 5_000)
  assert.deepEqual(one.answers.at(-1), undefined)
})

test('with one they back off, with jitter, up to its ceiling, and start again after an answer', () => {
  const one = scene('dns_failure_refresh_rate: {base_interval: 1s, max_interval: 4s}')
  one.state.result = { ok: false, message: 'no' }
  one.untilNext()
  assert.equal(one.untilNext(), 500)
  assert.equal(one.untilNext(), 1_500)
  assert.equal(one.untilNext(), 2_000)
  one.state.result = { ok: true, addresses: [] }
  one.untilNext()
  one.state.result = { ok: false, message: 'no' }
  one.untilNext()
  assert.equal(one.untilNext(), 500)
})

test('an answer without addresses has no TTL, and is a failure where a name must have one', () => {
  const fields =
    'respect_dns_ttl: true, dns_failure_refresh_rate: {base_interval: 1s, max_interval: 4s}'
  for (const [takesNone, waits, answer] of [
    [true, [5_000, 5_000], []],
    [false, [500, 1_500], undefined],
  ] as const) {
    const one = scene(fields, { ttlMs: 30_000, takesNone })
    one.state.result = { ok: true, addresses: [] }
    one.untilNext()
    assert.deepEqual([one.untilNext(), one.untilNext()], waits)
    assert.deepEqual(one.answers.at(-1), answer)
  }
})
