/**
 * The active checks of one host: when the next one is made, and what the results so far make of the host. Envoy's
 * ActiveHealthCheckSession, rule for rule:
 *
 * - An unexpected answer puts a host out at once; failures of the network, time-outs among them, and answers of a
 *   retriable status do so when `unhealthy_threshold` of them came in a row.
 * - A host that is out comes back after `healthy_threshold` passes in a row; the very first check of a host needs one.
 * - How long until the next check depends on whether the cluster has ever been used, on the result, and on whether a
 *   change is near (`…_edge_interval`).
 */
import { unreachable } from '../../lib/assert.ts'
import type { Clock, Timer } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'
import type { HealthCheckStats } from '../telemetry/cluster-stats.ts'
import type { ActiveHealth, Host } from '../upstream/host.ts'
import type { CheckFailure, HealthEvent } from './health-event-log.ts'
import type { CheckIntervals, HealthCheckSettings } from './health-settings.ts'
import type { Probe, ProbeOutcome } from './probe.ts'

/** A host with the flags that checks change. */
export type CheckedHost = Host & { active: ActiveHealth }

/** `changed`: the flags of the host; `pending`: they will, when the results go on like this. */
export type Transition = 'unchanged' | 'pending' | 'changed'

export interface CheckResult {
  readonly transition: Transition
  readonly isPass: boolean
}

export interface HostCheckOptions {
  readonly host: CheckedHost
  readonly settings: HealthCheckSettings
  readonly probe: Probe
  readonly clock: Clock
  readonly random: Random
  readonly stats: HealthCheckStats
  /** Whether the cluster has ever been used. */
  readonly hasTraffic: () => boolean
  readonly onResult: (result: CheckResult) => void
  readonly onEvent: (event: HealthEvent) => void
}

interface Failed {
  readonly failure: CheckFailure
  /** Counted, instead of believed at once. */
  readonly isRetriable: boolean
  /** Of an answer by HTTP; otherwise 0. */
  readonly status: number
}

const failures = {
  network: { failure: 'NETWORK', isRetriable: false, status: 0 },
  timeout: { failure: 'NETWORK_TIMEOUT', isRetriable: false, status: 0 },
  passive: { failure: 'PASSIVE', isRetriable: false, status: 0 },
} as const satisfies Record<string, Failed>

export class HostCheck {
  readonly #options: HostCheckOptions
  readonly host: CheckedHost
  #settings: HealthCheckSettings
  #probe: Probe
  #passes = 0
  #failures = 0
  #isFirst = true
  #interval: Timer | undefined
  #timeout: Timer | undefined
  #isClosed = false

  constructor(options: HostCheckOptions) {
    this.#options = options
    this.host = options.host
    this.#settings = options.settings
    this.#probe = options.probe
    const { active } = this.host
    if (!active.isFailed) options.stats.healthy.add(1)
    if (active.isDegraded) options.stats.degraded.add(1)
  }

  /** No result has come yet. */
  get isFirst(): boolean {
    return this.#isFirst
  }

  start(): void {
    const { initialJitterMs } = this.#settings.intervals
    if (initialJitterMs === 0) this.#check()
    else this.#wait(jittered({ baseMs: 0, percent: 0, jitterMs: initialJitterMs }, this.#options))
  }

  /** New settings hold from the next check on; what was counted towards a threshold begins anew, which may be below it now. */
  configure(settings: HealthCheckSettings, probe: Probe): void {
    const isUnderWay = this.#timeout !== undefined
    this.#settings = settings
    this.#passes = 0
    this.#failures = 0
    this.#probe.close()
    this.#probe = probe
    if (isUnderWay) this.#check()
  }

  /** The host said in the answer to a request that it must not get any more (x-envoy-immediate-health-check-fail). */
  failNow(): void {
    this.host.active.isExcluded = true
    this.#setUnhealthy(failures.passive)
  }

  /** A connection that was kept between two checks is gone. */
  onConnectionLost(): void {
    if (!this.#isClosed) this.#fail(failures.network)
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#interval?.cancel()
    this.#timeout?.cancel()
    this.#probe.close()
    const { active } = this.host
    const { stats } = this.#options
    if (!active.isFailed) stats.healthy.add(-1)
    if (active.isDegraded) stats.degraded.add(-1)
  }

  #check(): void {
    this.#interval?.cancel()
    this.#timeout?.cancel()
    this.#timeout = this.#options.clock.setTimer(this.#settings.timeoutMs, () => {
      this.#timeout = undefined
      this.#probe.giveUp()
      this.#fail(failures.timeout)
    })
    this.#options.stats.attempt.add(1)
    const probe = this.#probe
    probe.check((outcome) => {
      // Of another probe, whose settings hold no more, or of a host that has gone.
      if (!this.#isClosed && probe === this.#probe) this.#onOutcome(outcome)
    })
  }

  #onOutcome(outcome: ProbeOutcome): void {
    switch (outcome.kind) {
      case 'pass':
        this.#pass(outcome.isDegraded)
        return
      case 'fail':
        if (outcome.isExcluding) this.host.active.isExcluded = true
        this.#fail({ failure: 'ACTIVE', isRetriable: outcome.isRetriable, status: outcome.status })
        return
      case 'network':
        this.#fail(failures.network)
        return
      default:
        unreachable(outcome)
    }
  }

  #pass(isDegraded: boolean): void {
    const { stats, onEvent } = this.#options
    this.#failures = 0
    let transition = this.#countPass()
    if (transition !== 'changed' && this.#settings.logsEverySuccess) onEvent({ kind: 'success' })
    transition = this.#clearPending(transition)
    const { active } = this.host
    if (isDegraded !== active.isDegraded) {
      active.isDegraded = isDegraded
      stats.degraded.add(isDegraded ? 1 : -1)
      onEvent({ kind: isDegraded ? 'degraded' : 'no-longer-degraded' })
      if (transition === 'unchanged') transition = 'changed'
    }
    stats.success.add(1)
    this.#isFirst = false
    this.#options.onResult({ transition, isPass: true })
    this.#waitAfter(true, transition)
  }

  /** What a pass does to a host that is out. */
  #countPass(): Transition {
    const { active } = this.host
    if (!active.isFailed) return 'unchanged'
    const { clock, stats, onEvent } = this.#options
    this.host.readySinceMs = clock.monotonicMs()
    if (!this.#isFirst) {
      this.#passes += 1
      if (this.#passes !== this.#settings.healthyThreshold) return 'pending'
    }
    active.isTimeout = false
    active.isExcluded = false
    active.isFailed = false
    stats.healthy.add(1)
    onEvent({ kind: 'add-healthy', isFirst: this.#isFirst })
    return 'changed'
  }

  #fail(failed: Failed): void {
    const transition = this.#setUnhealthy(failed)
    this.#waitAfter(false, transition)
  }

  #setUnhealthy(failed: Failed): Transition {
    const { stats, onEvent, onResult } = this.#options
    const { failure, status } = failed
    this.#passes = 0
    const transition = this.#clearPending(this.#countFailure(failed))
    if (this.#isFirst || this.#settings.logsEveryFailure) {
      onEvent({ kind: 'failure', failure, isFirst: this.#isFirst, status })
    }
    stats.failure.add(1)
    if (isOfNetwork(failure)) stats.networkFailure.add(1)
    else if (failure === 'PASSIVE') stats.passiveFailure.add(1)
    this.#isFirst = false
    onResult({ transition, isPass: false })
    return transition
  }

  #countFailure({ failure, isRetriable, status }: Failed): Transition {
    const { stats, onEvent } = this.#options
    const { active } = this.host
    let transition: Transition = 'unchanged'
    if (!active.isFailed) {
      const isCounted = isOfNetwork(failure) || isRetriable
      if (isCounted) this.#failures += 1
      if (!isCounted || this.#failures === this.#settings.unhealthyThreshold) {
        active.isFailed = true
        stats.healthy.add(-1)
        transition = 'changed'
        onEvent({ kind: 'eject', failure, status })
      } else {
        transition = 'pending'
      }
    }
    active.isTimeout = failure === 'NETWORK_TIMEOUT' && active.isFailed
    return transition
  }

  /** Whatever the first result is, the host is one of those that are counted from now on. */
  #clearPending(transition: Transition): Transition {
    const { active } = this.host
    if (!active.isPending) return transition
    active.isPending = false
    return 'changed'
  }

  #waitAfter(isPass: boolean, transition: Transition): void {
    this.#timeout?.cancel()
    this.#timeout = undefined
    // The result may have removed the host.
    if (this.#isClosed) return
    const { hasTraffic } = this.#options
    const { intervals } = this.#settings
    const baseMs = baseInterval(intervals, { isPass, transition, hasTraffic: hasTraffic() })
    const { jitterMs, jitterPercent } = intervals
    this.#wait(jittered({ baseMs, percent: jitterPercent, jitterMs }, this.#options))
  }

  #wait(delayMs: number): void {
    this.#interval?.cancel()
    this.#interval = this.#options.clock.setTimer(delayMs, () => this.#check())
  }
}

function isOfNetwork(failure: CheckFailure): boolean {
  return failure === 'NETWORK' || failure === 'NETWORK_TIMEOUT'
}

interface Situation {
  readonly isPass: boolean
  readonly transition: Transition
  readonly hasTraffic: boolean
}

function baseInterval(intervals: CheckIntervals, situation: Situation): number {
  const { isPass, transition, hasTraffic } = situation
  const isNear = transition === 'pending'
  if (!hasTraffic) return isPass && !isNear ? intervals.noTrafficHealthyMs : intervals.noTrafficMs
  if (isPass) return isNear ? intervals.healthyEdgeMs : intervals.intervalMs
  return isNear ? intervals.unhealthyEdgeMs : intervals.unhealthyMs
}

interface Jitter {
  readonly baseMs: number
  readonly percent: number
  readonly jitterMs: number
}

/** Whole milliseconds below the jitter, as Envoy draws them; at least one, so that checks never spin. */
function jittered({ baseMs, percent, jitterMs }: Jitter, { random }: { random: Random }): number {
  const percentMs = Math.floor((percent * baseMs) / 100)
  const ofPercent = percentMs > 0 ? Math.floor(random() * percentMs) : 0
  const ofJitter = jitterMs > 0 ? Math.floor(random() * jitterMs) : 0
  return Math.max(1, baseMs + ofPercent + ofJitter)
}
