/** Envoy's outlier detection, rule by rule, on a clock that the test moves. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FakeClock } from '../../../test/support/fake-clock.ts'
import { fakeHosts, smallSlots } from '../../../test/support/fake-host.ts'
import type { Random } from '../../lib/random.ts'
import type { ClusterStats, OutlierStats } from '../telemetry/cluster-stats.ts'
import { createClusterStats } from '../telemetry/create-stats.ts'
import { StatsRegistry } from '../telemetry/stats-registry.ts'
import type { Host } from '../upstream/host.ts'
import { createOutlierDetector } from './create-outlier-detector.ts'
import type {
  HostOutcome,
  OutlierDetector,
  OutlierEvent,
  OutlierSettings,
} from './outlier-detector.ts'

/** Envoy's defaults, but with no ceiling on ejections, which would hide the rest. */
const settings: OutlierSettings = {
  intervalMs: 10_000,
  baseEjectionTimeMs: 30_000,
  maxEjectionTimeMs: 300_000,
  maxEjectionTimeJitterMs: 0,
  maxEjectionPercent: 100,
  alwaysEjectOneHost: false,
  splitExternalLocalOriginErrors: false,
  consecutive5xx: 5,
  enforcingConsecutive5xx: 100,
  consecutiveGatewayFailure: 5,
  enforcingConsecutiveGatewayFailure: 0,
  consecutiveLocalOriginFailure: 5,
  enforcingConsecutiveLocalOriginFailure: 100,
  enforcingSuccessRate: 100,
  enforcingLocalOriginSuccessRate: 100,
  successRateMinimumHosts: 5,
  successRateRequestVolume: 100,
  successRateStdevFactor: 1900,
  failurePercentageThreshold: 85,
  enforcingFailurePercentage: 0,
  enforcingFailurePercentageLocalOrigin: 0,
  failurePercentageMinimumHosts: 5,
  failurePercentageRequestVolume: 50,
  checksUneject: true,
}

interface Scene {
  readonly clock: FakeClock
  readonly detector: OutlierDetector
  readonly hosts: Host[]
  readonly stats: ClusterStats
  readonly events: OutlierEvent[]
  readonly changed: Host[]
  /** The first host. */
  readonly host: Host
  readonly answer: (host: Host, status: number, times?: number) => void
  readonly fail: (
    host: Host,
    reason: 'connect-failure' | 'timeout' | 'reset',
    times?: number,
  ) => void
}

function scene(
  overrides: Partial<OutlierSettings> = {},
  hostCount = 4,
  random: Random = () => 0,
): Scene {
  const slots = smallSlots()
  const clock = new FakeClock()
  const stats = createClusterStats(new StatsRegistry(slots), 'c')
  const hosts = fakeHosts(slots, hostCount)
  const events: OutlierEvent[] = []
  const changed: Host[] = []
  const detector = createOutlierDetector({
    settings: { ...settings, ...overrides },
    hosts,
    stats: () => stats.outlier,
    clock,
    random,
    onChange: (host) => changed.push(host),
    onEvent: (event) => events.push(event),
  })
  const report = (host: Host, outcome: HostOutcome, times: number): void => {
    for (let time = 0; time < times; time += 1) detector.report(host, outcome)
  }
  const [host] = hosts
  assert.ok(host)
  return {
    clock,
    detector,
    hosts,
    stats,
    events,
    changed,
    host,
    answer: (one, status, times = 1) => report(one, { kind: 'response', status }, times),
    fail: (one, reason, times = 1) => report(one, { kind: 'local-failure', reason }, times),
  }
}

test('five 5xx in a row eject a host at once', () => {
  const { answer, host, stats, changed, events } = scene()
  answer(host, 500, 4)
  assert.equal(host.isEjected, false)
  answer(host, 503)
  assert.equal(host.isEjected, true)
  assert.deepEqual(changed, [host])
  assert.deepEqual(events, [
    {
      action: 'eject',
      host,
      reason: 'consecutive_5xx',
      enforced: true,
      ejections: 1,
      sinceLastMs: undefined,
      rate: undefined,
    },
  ])
  assert.equal(stats.outlier.ejectionsActive.value(), 1)
  assert.equal(stats.outlier.ejectionsEnforcedTotal.value(), 1)
  assert.equal(stats.outlier.enforced.consecutive_5xx.value(), 1)
  assert.deepEqual(legacyOf(stats.outlier), [1, 1, 0])
})

test('the counters of old have 5xx and success rates, enforced or not, and no gateway failures', () => {
  const { answer, host, stats } = scene({
    enforcingConsecutive5xx: 0,
    enforcingConsecutiveGatewayFailure: 100,
  })
  answer(host, 500, 5)
  assert.equal(host.isEjected, false)
  assert.deepEqual(legacyOf(stats.outlier), [1, 1, 0])
  answer(host, 200)
  answer(host, 503, 4)
  assert.deepEqual(legacyOf(stats.outlier), [1, 1, 0])
})

/** All, 5xx in a row, success rates. */
function legacyOf({ legacy }: OutlierStats): readonly number[] {
  return [legacy.ejectionsTotal.value(), legacy.consecutive5xx.value(), legacy.successRate.value()]
}

test('a judgement over an interval is told with what it compared', () => {
  const one = scene({ consecutive5xx: 999, enforcingFailurePercentage: 0 }, 5)
  for (const host of one.hosts) one.answer(host, host === one.host ? 503 : 200, 200)
  one.clock.advance(10_000)
  assert.equal(one.host.isEjected, true)
  const rated = one.events.find(({ reason }) => reason === 'success_rate')
  assert.equal(rated?.rate?.host, 0)
  assert.equal(rated.rate.average, 80)
  assert.ok(rated.rate.threshold > 0 && rated.rate.threshold < 80)
  assert.deepEqual(one.detector.averages().external, {
    average: rated.rate.average,
    threshold: rated.rate.threshold,
  })
  one.clock.advance(10_000)
  assert.deepEqual(one.detector.averages().external, { average: -1, threshold: -1 })
})

test('what ends with its detector is no event', () => {
  const { answer, host, events, detector } = scene()
  answer(host, 500, 5)
  detector.close()
  assert.equal(host.isEjected, false)
  assert.equal(events.length, 1)
})

test('one good answer starts the count again', () => {
  const { answer, host } = scene()
  answer(host, 500, 4)
  answer(host, 200)
  answer(host, 500, 4)
  assert.equal(host.isEjected, false)
})

test('a 4xx is a good answer', () => {
  const { answer, host } = scene()
  answer(host, 500, 4)
  answer(host, 404)
  answer(host, 500)
  assert.equal(host.isEjected, false)
})

test('connect failures, resets and time-outs count as 5xx where they are not split off', () => {
  const { fail, host } = scene()
  fail(host, 'connect-failure', 2)
  fail(host, 'reset', 2)
  fail(host, 'timeout')
  assert.equal(host.isEjected, true)
})

test('gateway failures are 502, 503, 504 and what never arrived, and only those', () => {
  const { answer, fail, host, stats } = scene({
    consecutive5xx: 99,
    consecutiveGatewayFailure: 3,
    enforcingConsecutiveGatewayFailure: 100,
  })
  answer(host, 502, 2)
  answer(host, 500)
  answer(host, 503)
  assert.equal(host.isEjected, false)
  fail(host, 'connect-failure')
  answer(host, 200)
  answer(host, 504)
  fail(host, 'timeout')
  answer(host, 502)
  assert.equal(host.isEjected, true)
  assert.equal(stats.outlier.enforced.consecutive_gateway_failure.value(), 1)
})

test('a detection that is not enforced is counted and ejects nobody', () => {
  const { answer, host, stats, events } = scene({ consecutive5xx: 99 })
  answer(host, 503, 5)
  assert.equal(host.isEjected, false)
  assert.equal(stats.outlier.detected.consecutive_gateway_failure.value(), 1)
  assert.equal(stats.outlier.enforced.consecutive_gateway_failure.value(), 0)
  assert.equal(events[0]?.enforced, false)
})

test('enforcing draws: 40 percent let a draw of 0.39 through and not one of 0.40', () => {
  const low = scene({ enforcingConsecutive5xx: 40 }, 4, () => 0.39)
  low.answer(low.host, 500, 5)
  assert.equal(low.host.isEjected, true)
  const high = scene({ enforcingConsecutive5xx: 40 }, 4, () => 0.4)
  high.answer(high.host, 500, 5)
  assert.equal(high.host.isEjected, false)
  high.answer(high.host, 500, 5)
  assert.equal(high.stats.outlier.detected.consecutive_5xx.value(), 2, 'the count began again')
})

test('the sweep brings a host back when its time is over', () => {
  const { answer, host, clock, changed, stats, detector } = scene()
  answer(host, 500, 5)
  clock.advance(15_000)
  assert.equal(detector.state(host)?.ejectionRemainingMs, 15_000)
  clock.advance(14_999)
  assert.equal(host.isEjected, true)
  clock.advance(1)
  assert.equal(host.isEjected, false)
  assert.deepEqual(changed, [host, host])
  assert.equal(stats.outlier.ejectionsActive.value(), 0)
})

test('between sweeps an ejection whose time is over goes on', () => {
  const { answer, host, clock } = scene({ baseEjectionTimeMs: 12_000 })
  answer(host, 500, 5)
  clock.advance(19_999)
  assert.equal(host.isEjected, true)
  clock.advance(1)
  assert.equal(host.isEjected, false)
})

/** How long the host stays out when it fails again as soon as it is back. */
function ejectionMs(one: Scene): number {
  one.answer(one.host, 500, 5)
  assert.equal(one.host.isEjected, true)
  let ms = 0
  while (one.host.isEjected) {
    one.clock.advance(1000)
    ms += 1000
  }
  return ms
}

test('ejections in a row last 30, 60 and 90 seconds, up to the ceiling', () => {
  const one = scene()
  const times = Array.from({ length: 12 }, () => ejectionMs(one) / 1000)
  assert.deepEqual(times, [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300])
})

test('each healthy interval takes one step off the next ejection', () => {
  const one = scene()
  ejectionMs(one)
  ejectionMs(one)
  assert.equal(ejectionMs(one), 90_000)
  one.clock.advance(20_000)
  assert.equal(one.detector.state(one.host)?.ejectionsInARow, 1)
  assert.equal(ejectionMs(one), 60_000)
})

test('jitter is added to the time of an ejection', () => {
  const { answer, host, clock } = scene(
    { maxEjectionTimeJitterMs: 9999, enforcingConsecutive5xx: 100 },
    4,
    () => 0.99,
  )
  answer(host, 500, 5)
  clock.advance(30_000)
  assert.equal(host.isEjected, true)
  clock.advance(10_000)
  assert.equal(host.isEjected, false)
})

test('counts start again when a host comes back', () => {
  const { answer, host, clock } = scene({ consecutiveGatewayFailure: 6 })
  answer(host, 503, 5)
  clock.advance(30_000)
  answer(host, 503, 4)
  assert.equal(host.isEjected, false)
})

for (const { hosts, percent, always, ejected } of [
  { hosts: 4, percent: 10, always: false, ejected: 0 },
  { hosts: 4, percent: 10, always: true, ejected: 1 },
  { hosts: 10, percent: 10, always: false, ejected: 1 },
  { hosts: 19, percent: 10, always: false, ejected: 1 },
  { hosts: 20, percent: 10, always: false, ejected: 2 },
  { hosts: 4, percent: 50, always: false, ejected: 2 },
  { hosts: 4, percent: 50, always: true, ejected: 2 },
  { hosts: 3, percent: 99, always: false, ejected: 2 },
  { hosts: 3, percent: 100, always: false, ejected: 3 },
  { hosts: 4, percent: 0, always: false, ejected: 0 },
]) {
  test(`of ${hosts} failing hosts ${ejected} are ejected at ${percent} percent, ${always ? 'one at least' : 'no least'}`, () => {
    const one = scene({ maxEjectionPercent: percent, alwaysEjectOneHost: always }, hosts)
    for (const host of one.hosts) one.answer(host, 500, 5)
    assert.equal(one.hosts.filter((host) => host.isEjected).length, ejected)
    assert.equal(one.stats.outlier.ejectionsOverflow.value(), hosts - ejected)
    assert.equal(one.stats.outlier.ejectionsActive.value(), ejected)
  })
}

test('split: a host that cannot be reached has a count of its own', () => {
  const { fail, answer, detector, host, stats } = scene({
    splitExternalLocalOriginErrors: true,
    consecutiveLocalOriginFailure: 3,
  })
  fail(host, 'connect-failure', 2)
  answer(host, 500, 4)
  assert.equal(host.isEjected, false)
  detector.report(host, { kind: 'connected' })
  fail(host, 'connect-failure', 2)
  assert.equal(host.isEjected, false, 'a connection starts the count again')
  fail(host, 'timeout')
  assert.equal(host.isEjected, true)
  assert.equal(stats.outlier.enforced.consecutive_local_origin_failure.value(), 1)
})

test('without the split a connection says nothing', () => {
  const { fail, detector, host } = scene()
  fail(host, 'connect-failure', 4)
  detector.report(host, { kind: 'connected' })
  fail(host, 'connect-failure')
  assert.equal(host.isEjected, true)
})

test('without the split a TCP connection is a good answer', () => {
  const { fail, detector, host } = scene()
  fail(host, 'connect-failure', 4)
  detector.report(host, { kind: 'connected', isFinal: true })
  fail(host, 'connect-failure', 4)
  assert.equal(host.isEjected, false)
})

test('a host far below the others is ejected by its success rate', () => {
  const { hosts, answer, clock, stats, detector } = scene({ consecutive5xx: 0 }, 5)
  for (const [index, host] of hosts.entries()) {
    answer(host, 200, index === 0 ? 50 : 100)
    if (index === 0) answer(host, 500, 50)
  }
  clock.advance(10_000)
  // 50, 100, 100, 100, 100: mean 90, deviation 20, threshold 52.
  assert.deepEqual(
    hosts.map((host) => host.isEjected),
    [true, false, false, false, false],
  )
  assert.equal(stats.outlier.enforced.success_rate.value(), 1)
  assert.deepEqual([legacyOf(stats.outlier)[0], legacyOf(stats.outlier)[2]], [1, 1])
  assert.equal(detector.state(hosts[1] as Host)?.successRate, 100)
})

test('success rates need hosts and volume', () => {
  const few = scene({ consecutive5xx: 0 }, 4)
  for (const host of few.hosts) few.answer(host, 200, 100)
  few.answer(few.host, 500, 100)
  few.clock.advance(10_000)
  assert.equal(few.host.isEjected, false, 'four hosts are too few')
  const quiet = scene({ consecutive5xx: 0 }, 5)
  for (const host of quiet.hosts) quiet.answer(host, 200, 40)
  quiet.answer(quiet.host, 500, 40)
  quiet.clock.advance(10_000)
  assert.equal(quiet.host.isEjected, false, 'eighty requests are too few')
})

test('the failure percentage ejects at its threshold, where it is enforced', () => {
  const one = scene(
    { consecutive5xx: 0, enforcingSuccessRate: 0, enforcingFailurePercentage: 100 },
    5,
  )
  for (const host of one.hosts) one.answer(host, 200, 100)
  const [first, second] = one.hosts as [Host, Host]
  one.answer(first, 500, 567)
  one.answer(second, 500, 566)
  one.clock.advance(10_000)
  assert.equal(first.isEjected, true, '85.007 percent')
  assert.equal(second.isEjected, false, '84.98 percent')
  assert.equal(one.stats.outlier.enforced.failure_percentage.value(), 1)
})

test('only the interval that has just ended is judged', () => {
  const one = scene({ consecutive5xx: 0 }, 5)
  for (const host of one.hosts) one.answer(host, 200, 100)
  one.clock.advance(10_000)
  one.answer(one.host, 500, 99)
  one.clock.advance(10_000)
  assert.equal(one.host.isEjected, false)
})

test('a host that leaves is forgotten, and its ejection with it', () => {
  const { hosts, host, answer, detector, stats } = scene()
  answer(host, 500, 5)
  detector.update(hosts.slice(1))
  assert.equal(stats.outlier.ejectionsActive.value(), 0)
  assert.equal(detector.state(host), undefined)
  answer(host, 500, 5)
  assert.equal(stats.outlier.ejectionsEnforcedTotal.value(), 1)
  detector.update(hosts)
  assert.equal(host.isEjected, false)
  assert.equal(detector.state(host)?.ejections, 0)
})

test('hosts that stay keep their counts', () => {
  const { hosts, host, answer, detector } = scene()
  answer(host, 500, 4)
  detector.update([...hosts])
  answer(host, 500)
  assert.equal(host.isEjected, true)
})

test('new settings keep counts and ejections, and move the sweep', () => {
  const { host, hosts, answer, detector, clock } = scene()
  const second = hosts[1] as Host
  answer(host, 500, 5)
  answer(second, 500, 4)
  detector.configure({ ...settings, intervalMs: 1000, baseEjectionTimeMs: 2000 })
  answer(second, 500)
  assert.equal(second.isEjected, true)
  clock.advance(2000)
  assert.equal(host.isEjected, false)
})

test('closing ends ejections and timers', () => {
  const { host, answer, detector, clock, changed } = scene()
  answer(host, 500, 5)
  detector.close()
  assert.equal(host.isEjected, false)
  assert.deepEqual(changed, [host, host])
  assert.equal(clock.pendingTimers, 0)
})

test('the state of a host says what /clusters shows', () => {
  const { host, answer, detector, clock } = scene()
  answer(host, 503, 5)
  clock.advance(5000)
  assert.deepEqual(detector.state(host), {
    isEjected: true,
    ejectionRemainingMs: 25_000,
    ejections: 1,
    ejectionsInARow: 1,
    consecutive5xx: 0,
    consecutiveGatewayFailure: 0,
    consecutiveLocalOriginFailure: 0,
    successRate: -1,
    localOriginSuccessRate: -1,
  })
})
