/** The state machine of checks, with probes that answer what the test says and a clock that stands still. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FakeClock } from '../../../test/support/fake-clock.ts'
import { fakeHost, smallSlots } from '../../../test/support/fake-host.ts'
import type { Random } from '../../lib/random.ts'
import { createClusterStats } from '../telemetry/create-stats.ts'
import { StatsRegistry } from '../telemetry/stats-registry.ts'
import type { HealthEvent } from './health-event-log.ts'
import type { CheckIntervals, HealthCheckSettings } from './health-settings.ts'
import { type CheckResult, type CheckedHost, HostCheck } from './host-check.ts'
import type { Probe, ProbeOutcome } from './probe.ts'

const pass: ProbeOutcome = { kind: 'pass', isDegraded: false }
const degraded: ProbeOutcome = { kind: 'pass', isDegraded: true }
const network: ProbeOutcome = { kind: 'network' }
const fail: ProbeOutcome = { kind: 'fail', isRetriable: false, isExcluding: false, status: 503 }
const retriable: ProbeOutcome = { ...fail, isRetriable: true }

const intervals: CheckIntervals = {
  intervalMs: 1_000,
  initialJitterMs: 0,
  jitterMs: 0,
  jitterPercent: 0,
  noTrafficMs: 5_000,
  noTrafficHealthyMs: 10_000,
  unhealthyMs: 2_000,
  unhealthyEdgeMs: 3_000,
  healthyEdgeMs: 4_000,
}

const settings: HealthCheckSettings = {
  key: '',
  timeoutMs: 500,
  intervals,
  unhealthyThreshold: 2,
  healthyThreshold: 2,
  reusesConnection: true,
  eventLogPaths: [],
  logsEveryFailure: false,
  logsEverySuccess: false,
  security: {},
  probe: { kind: 'tcp', send: undefined, receive: [], proxyHeader: undefined },
}

class FakeProbe implements Probe {
  #done: ((outcome: ProbeOutcome) => void) | undefined
  checks = 0
  isGivenUp = false
  isClosed = false

  check(done: (outcome: ProbeOutcome) => void): void {
    this.checks += 1
    this.#done = done
  }

  answer(outcome: ProbeOutcome): void {
    const done = this.#done
    this.#done = undefined
    done?.(outcome)
  }

  giveUp(): void {
    this.isGivenUp = true
    this.#done = undefined
  }

  close(): void {
    this.isClosed = true
  }
}

interface SceneOptions extends Partial<HealthCheckSettings> {
  /** The host is out until its first check; true unless set. */
  readonly startsOut?: boolean
  readonly hasTraffic?: boolean
  readonly random?: Random
}

function scene(options: SceneOptions = {}) {
  const { startsOut = true, hasTraffic = true, random = () => 0, ...changes } = options
  const clock = new FakeClock()
  const slots = smallSlots()
  const host = fakeHost(slots, 1) as CheckedHost // the flags follow
  host.active = {
    isFailed: startsOut,
    isTimeout: false,
    isDegraded: false,
    isPending: false,
    isExcluded: false,
  }
  const stats = createClusterStats(new StatsRegistry(slots), 'c').healthCheck()
  const probe = new FakeProbe()
  const results: CheckResult[] = []
  const events: HealthEvent[] = []
  const check = new HostCheck({
    host,
    settings: { ...settings, ...changes },
    probe,
    clock,
    random,
    stats,
    hasTraffic: () => hasTraffic,
    onResult: (result) => results.push(result),
    onEvent: (event) => events.push(event),
  })
  check.start()
  return {
    clock,
    host,
    flags: host.active,
    stats,
    probe,
    results,
    events,
    check,
    /** Answers the check that is under way, and lets time pass until the next one; says how long that was. */
    answer(outcome: ProbeOutcome): number {
      probe.answer(outcome)
      return this.untilNext()
    },
    untilNext(): number {
      const before = probe.checks
      const from = clock.monotonicMs()
      while (probe.checks === before && clock.monotonicMs() - from < 200_000) clock.advance(1)
      return clock.monotonicMs() - from
    },
  }
}

test('the first check is made at once, and one pass is enough for it', () => {
  const { probe, flags, results, stats } = scene({ healthyThreshold: 3 })
  assert.equal(probe.checks, 1)
  assert.equal(stats.healthy.value(), 0)
  probe.answer(pass)
  assert.equal(flags.isFailed, false)
  assert.deepEqual(results, [{ transition: 'changed', isPass: true }])
  assert.equal(stats.healthy.value(), 1)
  assert.equal(stats.attempt.value(), 1)
  assert.equal(stats.success.value(), 1)
})

test('the first failure leaves a host out, whatever the threshold is', () => {
  const { probe, flags, results } = scene({ unhealthyThreshold: 5 })
  probe.answer(network)
  assert.equal(flags.isFailed, true)
  assert.deepEqual(results, [{ transition: 'unchanged', isPass: false }])
})

test('after a failed first check the threshold of passes holds', () => {
  const one = scene({ healthyThreshold: 2 })
  one.answer(fail)
  one.answer(pass)
  assert.equal(one.flags.isFailed, true)
  one.answer(pass)
  assert.equal(one.flags.isFailed, false)
})

test('a failure between passes starts their count again', () => {
  const one = scene({ healthyThreshold: 2 })
  for (const outcome of [fail, pass, fail, pass]) one.answer(outcome)
  assert.equal(one.flags.isFailed, true)
  one.answer(pass)
  assert.equal(one.flags.isFailed, false)
})

test('an unexpected answer puts a healthy host out at once', () => {
  const one = scene({ unhealthyThreshold: 10 })
  one.answer(pass)
  one.probe.answer(fail)
  assert.equal(one.flags.isFailed, true)
  assert.equal(one.stats.networkFailure.value(), 0)
  assert.equal(one.stats.failure.value(), 1)
  assert.equal(one.stats.healthy.value(), 0)
})

for (const [name, outcome] of [
  ['of the network', network],
  ['of a retriable status', retriable],
] as const) {
  test(`failures ${name} put a host out when so many came in a row`, () => {
    const one = scene({ unhealthyThreshold: 3 })
    one.answer(pass)
    one.answer(outcome)
    one.answer(outcome)
    one.answer(pass)
    one.answer(outcome)
    one.answer(outcome)
    assert.equal(one.flags.isFailed, false, 'a pass starts the count again')
    one.answer(outcome)
    assert.equal(one.flags.isFailed, true)
  })
}

test('a check without an answer is a failure of the network, and the host’s flag says why', () => {
  const one = scene({ unhealthyThreshold: 2 })
  one.answer(pass)
  one.clock.advance(500)
  assert.equal(one.probe.isGivenUp, true)
  assert.equal(one.stats.networkFailure.value(), 1)
  assert.equal(one.flags.isFailed, false)
  assert.equal(one.flags.isTimeout, false, 'a host that is in has no such flag')
  one.untilNext()
  one.clock.advance(500)
  assert.deepEqual([one.flags.isFailed, one.flags.isTimeout], [true, true])
  one.untilNext()
  one.probe.answer(network)
  assert.equal(one.flags.isTimeout, false, 'the flag goes with the reason')
})

test('an answer that is too late is nobody’s', () => {
  const one = scene()
  one.clock.advance(500)
  one.probe.answer(pass)
  assert.equal(one.flags.isFailed, true)
  assert.equal(one.stats.success.value(), 0)
})

test('how long until the next check depends on what is going on', () => {
  const one = scene()
  assert.equal(one.answer(pass), 1_000, 'healthy')
  assert.equal(one.answer(network), 3_000, 'about to go out')
  assert.equal(one.answer(network), 2_000, 'out')
  assert.equal(one.answer(network), 2_000, 'still out')
  assert.equal(one.answer(pass), 4_000, 'about to come back')
  assert.equal(one.answer(pass), 1_000, 'back')
})

test('a cluster that was never used is checked less often', () => {
  const one = scene({ hasTraffic: false })
  assert.equal(one.answer(pass), 10_000, 'healthy')
  assert.equal(one.answer(network), 5_000, 'about to go out')
  assert.equal(one.answer(network), 5_000, 'out')
  assert.equal(one.answer(pass), 5_000, 'about to come back')
  assert.equal(one.answer(pass), 10_000, 'back')
})

test('jitter is added in whole milliseconds, of a length and of a share', () => {
  const one = scene({
    intervals: { ...intervals, jitterMs: 101, jitterPercent: 40 },
    random: () => 0.99,
  })
  assert.equal(one.answer(pass), 1_000 + 396 + 99)
})

test('the first check waits for its jitter, where there is one', () => {
  const one = scene({ intervals: { ...intervals, initialJitterMs: 100 }, random: () => 0.5 })
  assert.equal(one.probe.checks, 0)
  assert.equal(one.untilNext(), 50)
})

test('a degraded host is a change of its own, in and out', () => {
  const one = scene()
  one.answer(pass)
  one.answer(degraded)
  assert.equal(one.flags.isDegraded, true)
  assert.equal(one.results.at(-1)?.transition, 'changed')
  assert.equal(one.stats.degraded.value(), 1)
  one.answer(degraded)
  assert.equal(one.results.at(-1)?.transition, 'unchanged')
  one.answer(pass)
  assert.equal(one.flags.isDegraded, false)
  assert.equal(one.stats.degraded.value(), 0)
})

test('a host that was left out until its first check is counted after it, even when it failed', () => {
  for (const outcome of [pass, fail]) {
    const one = scene()
    one.flags.isPending = true
    one.probe.answer(outcome)
    assert.equal(one.flags.isPending, false)
    assert.equal(one.results[0]?.transition, 'changed')
  }
})

test('a host that says itself that it goes is out at once, and counted no more until it passes', () => {
  const one = scene()
  one.answer(pass)
  one.check.failNow()
  assert.deepEqual([one.flags.isFailed, one.flags.isExcluded], [true, true])
  assert.equal(one.stats.passiveFailure.value(), 1)
  assert.equal(one.stats.networkFailure.value(), 0)
  one.answer(pass)
  assert.equal(one.flags.isExcluded, true)
  one.answer(pass)
  assert.deepEqual([one.flags.isFailed, one.flags.isExcluded], [false, false])
})

test('a bad answer can say the same', () => {
  const one = scene()
  one.answer(pass)
  one.answer({ ...fail, isExcluding: true })
  assert.equal(one.flags.isExcluded, true)
})

test('passing the check that brings a host back starts its warm-up', () => {
  const one = scene()
  one.clock.advance(100)
  one.probe.answer(pass)
  assert.equal(one.host.readySinceMs, one.clock.monotonicMs())
  const first = one.host.readySinceMs
  one.untilNext()
  one.answer(pass)
  assert.equal(one.host.readySinceMs, first, 'a host that was in does not warm up again')
})

test('events: in and out once, every failure and every pass where it is asked for', () => {
  const kinds = (options: SceneOptions): readonly string[] => {
    const one = scene({ unhealthyThreshold: 1, healthyThreshold: 1, ...options })
    for (const outcome of [fail, pass, pass, network, network, degraded, pass]) one.answer(outcome)
    return one.events.map(({ kind }) => kind)
  }
  assert.deepEqual(kinds({}), [
    'failure',
    'add-healthy',
    'eject',
    'add-healthy',
    'degraded',
    'no-longer-degraded',
  ])
  assert.deepEqual(kinds({ logsEveryFailure: true }), [
    'failure',
    'add-healthy',
    'eject',
    'failure',
    'failure',
    'add-healthy',
    'degraded',
    'no-longer-degraded',
  ])
  assert.deepEqual(kinds({ logsEverySuccess: true }), [
    'failure',
    'add-healthy',
    'success',
    'eject',
    'add-healthy',
    'degraded',
    'success',
    'no-longer-degraded',
  ])
})

test('a connection that is lost between two checks is a failure, and the next check waits anew', () => {
  const one = scene({ unhealthyThreshold: 1 })
  one.answer(pass)
  one.probe.answer(pass)
  one.clock.advance(400)
  one.check.onConnectionLost()
  assert.equal(one.flags.isFailed, true)
  assert.equal(one.untilNext(), 2_000)
})

test('a host that was healthy from the start is counted so, and needs the threshold to go out', () => {
  const one = scene({ startsOut: false, unhealthyThreshold: 2 })
  assert.equal(one.stats.healthy.value(), 1)
  one.answer(network)
  assert.equal(one.flags.isFailed, false)
  one.answer(network)
  assert.equal(one.flags.isFailed, true)
})

test('what is closed checks no more and leaves the gauges', () => {
  const one = scene()
  one.answer(degraded)
  one.check.close()
  assert.equal(one.probe.isClosed, true)
  assert.equal(one.clock.pendingTimers, 0)
  assert.equal(one.stats.healthy.value(), 0)
  assert.equal(one.stats.degraded.value(), 0)
})

test('new settings hold from the next check on, and the flags stay', () => {
  const one = scene()
  one.probe.answer(pass)
  const probe = new FakeProbe()
  one.check.configure({ ...settings, intervals: { ...intervals, intervalMs: 700 } }, probe)
  assert.equal(one.probe.isClosed, true)
  assert.equal(one.flags.isFailed, false)
  one.clock.advance(1_000)
  assert.equal(probe.checks, 1)
  probe.answer(pass)
  one.clock.advance(700)
  assert.equal(probe.checks, 2)
})

test('a threshold that is lowered below what was counted holds', () => {
  const one = scene({ startsOut: false, unhealthyThreshold: 5, healthyThreshold: 5 })
  one.answer(network)
  one.answer(network)
  const probe = new FakeProbe()
  one.check.configure({ ...settings, unhealthyThreshold: 1, healthyThreshold: 1 }, probe)
  probe.answer(network)
  assert.equal(one.flags.isFailed, true)
  one.clock.advance(intervals.unhealthyMs)
  probe.answer(pass)
  assert.equal(one.flags.isFailed, false)
})

test('new settings during a check ask again by them', () => {
  const one = scene()
  const probe = new FakeProbe()
  one.check.configure(settings, probe)
  assert.equal(probe.checks, 1)
  one.probe.answer(pass)
  assert.equal(one.flags.isFailed, true, 'the old answer is nobody’s')
  probe.answer(pass)
  assert.equal(one.flags.isFailed, false)
})

interface Step {
  /** An answer, no answer in time, or that the host itself says that it goes. */
  readonly of: ProbeOutcome | 'timeout' | 'passive'
  readonly change: CheckResult['transition']
  /** Until the next check; absent: it is not looked at. */
  readonly waitMs?: number
  /** Envoy's flags, or `healthy`. */
  readonly flags: string
  /** What is told of it. */
  readonly events?: readonly string[]
}

/** Envoy's flags in its own spelling. */
function flagText({ flags }: ReturnType<typeof scene>): string {
  const names = [
    ['failed', flags.isFailed],
    ['timeout', flags.isTimeout],
    ['degraded', flags.isDegraded],
    ['pending', flags.isPending],
    ['excluded', flags.isExcluded],
  ] as const
  const found = names.filter(([, isSet]) => isSet).map(([name]) => name)
  return found.join(' ') || 'healthy'
}

const healthyEvery = { change: 'unchanged', waitMs: 1_000, flags: 'healthy' } as const
const failedEvery = { change: 'unchanged', waitMs: 2_000, flags: 'failed' } as const

const stories: readonly {
  readonly name: string
  readonly options: SceneOptions
  readonly isPending?: boolean
  readonly steps: readonly Step[]
}[] = [
  {
    name: 'every interval in its turn, with thresholds of three',
    options: { startsOut: false, unhealthyThreshold: 3, healthyThreshold: 3 },
    steps: [
      { of: pass, ...healthyEvery },
      { of: pass, ...healthyEvery },
      { of: fail, change: 'changed', waitMs: 2_000, flags: 'failed', events: ['eject ACTIVE'] },
      { of: fail, ...failedEvery },
      { of: fail, ...failedEvery },
      { of: pass, change: 'pending', waitMs: 4_000, flags: 'failed' },
      { of: pass, change: 'pending', waitMs: 4_000, flags: 'failed' },
      {
        of: pass,
        change: 'changed',
        waitMs: 1_000,
        flags: 'healthy',
        events: ['add-healthy later'],
      },
      { of: pass, ...healthyEvery },
      { of: 'timeout', change: 'pending', waitMs: 3_000, flags: 'healthy' },
      { of: 'timeout', change: 'pending', waitMs: 3_000, flags: 'healthy' },
      {
        of: 'timeout',
        change: 'changed',
        waitMs: 2_000,
        flags: 'failed timeout',
        events: ['eject NETWORK_TIMEOUT'],
      },
      { of: 'timeout', change: 'unchanged', waitMs: 2_000, flags: 'failed timeout' },
      { of: pass, change: 'pending', waitMs: 4_000, flags: 'failed timeout' },
      { of: pass, change: 'pending', waitMs: 4_000, flags: 'failed timeout' },
      {
        of: pass,
        change: 'changed',
        waitMs: 1_000,
        flags: 'healthy',
        events: ['add-healthy later'],
      },
      { of: pass, ...healthyEvery },
    ],
  },
  {
    name: 'a host that starts out and fails first needs the threshold',
    options: {},
    steps: [
      { of: fail, change: 'unchanged', flags: 'failed', events: ['failure ACTIVE first'] },
      { of: pass, change: 'pending', flags: 'failed' },
      { of: pass, change: 'changed', flags: 'healthy', events: ['add-healthy later'] },
    ],
  },
  {
    name: 'a host that is left out until its first check is counted after it, and needs the threshold',
    options: {},
    isPending: true,
    steps: [
      { of: fail, change: 'changed', flags: 'failed', events: ['failure ACTIVE first'] },
      { of: pass, change: 'pending', flags: 'failed' },
      { of: pass, change: 'changed', flags: 'healthy', events: ['add-healthy later'] },
    ],
  },
  {
    name: 'the first pass of a host that starts out is enough',
    options: { hasTraffic: false },
    isPending: true,
    steps: [
      {
        of: pass,
        change: 'changed',
        waitMs: 10_000,
        flags: 'healthy',
        events: ['add-healthy first'],
      },
    ],
  },
  {
    name: 'a host that starts in is put out by an answer, and brought back by the threshold',
    options: { startsOut: false },
    steps: [
      {
        of: fail,
        change: 'changed',
        flags: 'failed',
        events: ['eject ACTIVE', 'failure ACTIVE first'],
      },
      { of: pass, change: 'pending', flags: 'failed' },
      { of: pass, change: 'changed', flags: 'healthy', events: ['add-healthy later'] },
    ],
  },
  {
    name: 'a host that starts in is put out by two failures of the network',
    options: { startsOut: false },
    steps: [
      { of: network, change: 'pending', flags: 'healthy', events: ['failure NETWORK first'] },
      { of: network, change: 'changed', flags: 'failed', events: ['eject NETWORK'] },
    ],
  },
  {
    name: 'a time-out and a connection that ends are counted together, and the last is the reason',
    options: { startsOut: false },
    steps: [
      {
        of: 'timeout',
        change: 'pending',
        flags: 'healthy',
        events: ['failure NETWORK_TIMEOUT first'],
      },
      { of: network, change: 'changed', flags: 'failed', events: ['eject NETWORK'] },
    ],
  },
  {
    name: 'a time-out and then a pass change nothing',
    options: { startsOut: false },
    steps: [
      {
        of: 'timeout',
        change: 'pending',
        flags: 'healthy',
        events: ['failure NETWORK_TIMEOUT first'],
      },
      { of: pass, change: 'unchanged', flags: 'healthy' },
    ],
  },
  {
    name: 'one time-out is enough where one failure is',
    options: { startsOut: false, unhealthyThreshold: 1 },
    steps: [
      {
        of: 'timeout',
        change: 'changed',
        flags: 'failed timeout',
        events: ['eject NETWORK_TIMEOUT', 'failure NETWORK_TIMEOUT first'],
      },
    ],
  },
  {
    name: 'the reason of a host that is out is that of its last check',
    options: { unhealthyThreshold: 1 },
    steps: [
      {
        of: 'timeout',
        change: 'unchanged',
        flags: 'failed timeout',
        events: ['failure NETWORK_TIMEOUT first'],
      },
      { of: fail, change: 'unchanged', flags: 'failed' },
      { of: 'timeout', change: 'unchanged', flags: 'failed timeout' },
    ],
  },
  {
    name: 'every failure is told where that is asked for',
    options: { startsOut: false, logsEveryFailure: true },
    steps: [
      {
        of: fail,
        change: 'changed',
        flags: 'failed',
        events: ['eject ACTIVE', 'failure ACTIVE first'],
      },
      { of: fail, change: 'unchanged', flags: 'failed', events: ['failure ACTIVE later'] },
      { of: pass, change: 'pending', flags: 'failed' },
      { of: pass, change: 'changed', flags: 'healthy', events: ['add-healthy later'] },
    ],
  },
  {
    name: 'every pass that changes nothing is told where that is asked for',
    options: { logsEverySuccess: true },
    steps: [
      { of: fail, change: 'unchanged', flags: 'failed', events: ['failure ACTIVE first'] },
      { of: pass, change: 'pending', flags: 'failed', events: ['success'] },
      { of: pass, change: 'changed', flags: 'healthy', events: ['add-healthy later'] },
      { of: pass, change: 'unchanged', flags: 'healthy', events: ['success'] },
    ],
  },
  {
    name: 'a degraded host is a change, there and back',
    options: { startsOut: false },
    steps: [
      { of: degraded, change: 'changed', waitMs: 1_000, flags: 'degraded', events: ['degraded'] },
      {
        of: pass,
        change: 'changed',
        waitMs: 1_000,
        flags: 'healthy',
        events: ['no-longer-degraded'],
      },
    ],
  },
  {
    name: 'a degraded answer of a host that is out is counted as a pass',
    options: {},
    steps: [
      { of: fail, change: 'unchanged', flags: 'failed', events: ['failure ACTIVE first'] },
      {
        of: degraded,
        change: 'pending',
        waitMs: 4_000,
        flags: 'failed degraded',
        events: ['degraded'],
      },
      { of: degraded, change: 'changed', flags: 'degraded', events: ['add-healthy later'] },
    ],
  },
  {
    name: 'a host that says twice that it goes is put out once, and brought back by its checks',
    options: { startsOut: false },
    steps: [
      {
        of: 'passive',
        change: 'changed',
        flags: 'failed excluded',
        events: ['eject PASSIVE', 'failure PASSIVE first'],
      },
      { of: 'passive', change: 'unchanged', flags: 'failed excluded' },
      { of: pass, change: 'pending', flags: 'failed excluded' },
      { of: pass, change: 'changed', flags: 'healthy', events: ['add-healthy later'] },
    ],
  },
  {
    name: 'a retriable answer says that the host goes, and is counted all the same',
    options: { startsOut: false },
    steps: [
      {
        of: { ...retriable, isExcluding: true },
        change: 'pending',
        flags: 'excluded',
        events: ['failure ACTIVE first'],
      },
      {
        of: { ...retriable, isExcluding: true },
        change: 'changed',
        flags: 'failed excluded',
        events: ['eject ACTIVE'],
      },
      { of: pass, change: 'pending', flags: 'failed excluded' },
      { of: pass, change: 'changed', flags: 'healthy', events: ['add-healthy later'] },
    ],
  },
  {
    name: 'an answer that is not retriable does not wait for the threshold that retriable ones began',
    options: { startsOut: false, unhealthyThreshold: 3 },
    steps: [
      { of: retriable, change: 'pending', flags: 'healthy', events: ['failure ACTIVE first'] },
      { of: fail, change: 'changed', waitMs: 2_000, flags: 'failed', events: ['eject ACTIVE'] },
    ],
  },
]

function eventText(event: HealthEvent): string {
  const failure = 'failure' in event ? ` ${event.failure}` : ''
  const time = 'isFirst' in event ? ` ${event.isFirst ? 'first' : 'later'}` : ''
  return `${event.kind}${failure}${time}`
}

for (const { name, options, isPending = false, steps } of stories) {
  test(`story: ${name}`, () => {
    const one = scene(options)
    one.flags.isPending = isPending
    for (const [index, { of, change, waitMs, flags, events = [] }] of steps.entries()) {
      const told = one.events.length
      if (of === 'passive') one.check.failNow()
      else if (of === 'timeout') one.clock.advance(settings.timeoutMs)
      else one.probe.answer(of)
      const claim = `step ${index + 1}`
      assert.equal(one.results.at(-1)?.transition, change, claim)
      assert.equal(flagText(one), flags, claim)
      assert.deepEqual(one.events.slice(told).map(eventText), events, claim)
      // What the host says itself changes nothing of its checks' times.
      if (of === 'passive') continue
      const waited = one.untilNext()
      if (waitMs !== undefined) assert.equal(waited, waitMs, claim)
    }
  })
}

test('jitter is drawn anew for each interval, below its ceiling', () => {
  for (const [changes, hasTraffic, ceilingMs, baseMs] of [
    [{ jitterMs: 1_000 }, false, 1_000, 10_000],
    [{ jitterPercent: 40 }, false, 4_000, 10_000],
    [{ jitterPercent: 40 }, true, 400, 1_000],
  ] as const) {
    let draw = 0
    const one = scene({
      startsOut: false,
      hasTraffic,
      random: () => draw,
      intervals: { ...intervals, ...changes },
    })
    for (const share of [0, 0.239, 0.5, 0.999]) {
      draw = share
      assert.equal(one.answer(pass), baseMs + Math.floor(share * ceilingMs))
    }
  }
})

test('an interval of nothing is a millisecond, so that checks never spin', () => {
  const one = scene({ intervals: { ...intervals, intervalMs: 0 } })
  assert.equal(one.answer(pass), 1)
})
