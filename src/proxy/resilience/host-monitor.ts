/**
 * What outlier detection knows of one host: failures in a row, successes in this interval and the last, ejections.
 * Envoy's DetectorHostMonitorImpl. It counts and says what fired; the detector decides.
 */
import { unreachable } from '../../lib/assert.ts'
import type { EjectionKind } from '../telemetry/cluster-stats.ts'
import { type HostTally, OwnTally, tallyCells as cells } from './host-tally.ts'
import type { HostOutcome, OutlierSettings } from './outlier-detector.ts'
import { SuccessRate } from './success-rate.ts'

export class HostMonitor {
  readonly #tally: HostTally
  /** Answers of the host, and in non-split mode failures to reach it. */
  readonly external: SuccessRate
  /** Whether it could be reached; split mode only. */
  readonly local: SuccessRate
  isEjected = false
  ejections = 0
  ejectionsInARow = 0
  ejectedAtMs = 0
  unejectedAtMs: number | undefined
  jitterMs = 0

  constructor(tally: HostTally = new OwnTally()) {
    this.#tally = tally
    this.external = new SuccessRate(tally, cells.externalTotal, cells.externalSuccesses)
    this.local = new SuccessRate(tally, cells.localTotal, cells.localSuccesses)
  }

  get consecutive5xx(): number {
    return this.#tally.read(cells.consecutive5xx)
  }

  get consecutiveGateway(): number {
    return this.#tally.read(cells.consecutiveGateway)
  }

  get consecutiveLocal(): number {
    return this.#tally.read(cells.consecutiveLocal)
  }

  close(): void {
    this.#tally.close()
  }

  /** Counts one outcome; the kinds whose threshold it reached, or undefined (nearly always). */
  count(outcome: HostOutcome, settings: OutlierSettings): readonly EjectionKind[] | undefined {
    switch (outcome.kind) {
      case 'response':
        return this.#countStatus(outcome.status, settings)
      case 'connected':
        if (settings.splitExternalLocalOriginErrors) this.#countReached()
        // Without the split a connection says nothing where a response will.
        else if (outcome.isFinal === true) return this.#countStatus(200, settings)
        return undefined
      case 'local-failure':
        if (settings.splitExternalLocalOriginErrors) return this.#countUnreached(settings)
        return this.#countStatus(outcome.reason === 'timeout' ? 504 : 503, settings)
      default:
        return unreachable(outcome)
    }
  }

  /** Starts the count of that kind again. */
  restart(kind: EjectionKind): void {
    if (kind === 'consecutive_5xx') this.#tally.clear(cells.consecutive5xx)
    else if (kind === 'consecutive_gateway_failure') this.#tally.clear(cells.consecutiveGateway)
    else if (kind === 'consecutive_local_origin_failure') this.#tally.clear(cells.consecutiveLocal)
  }

  eject(nowMs: number, jitterMs: number, settings: OutlierSettings): void {
    this.isEjected = true
    this.ejections += 1
    this.ejectedAtMs = nowMs
    this.jitterMs = jitterMs
    // The factor stops growing one step past the ceiling, so that it takes few healthy intervals to come down.
    const { baseEjectionTimeMs, maxEjectionTimeMs } = settings
    if (this.ejectionsInARow * baseEjectionTimeMs < maxEjectionTimeMs + baseEjectionTimeMs) {
      this.ejectionsInARow += 1
    }
  }

  uneject(nowMs: number): void {
    this.isEjected = false
    this.unejectedAtMs = nowMs
    this.#tally.clear(cells.consecutive5xx)
    this.#tally.clear(cells.consecutiveGateway)
    this.#tally.clear(cells.consecutiveLocal)
  }

  ejectedForMs(settings: OutlierSettings): number {
    const grown = settings.baseEjectionTimeMs * this.ejectionsInARow
    return Math.min(grown, settings.maxEjectionTimeMs) + this.jitterMs
  }

  #countStatus(status: number, settings: OutlierSettings): readonly EjectionKind[] | undefined {
    if (status < 500 || status > 599) {
      this.external.count(true)
      this.#tally.clear(cells.consecutive5xx)
      this.#tally.clear(cells.consecutiveGateway)
      return undefined
    }
    this.external.count(false)
    let fired: EjectionKind[] | undefined
    if (status >= 502 && status <= 504) {
      const count = this.#tally.add(cells.consecutiveGateway)
      if (count === settings.consecutiveGatewayFailure) {
        fired = ['consecutive_gateway_failure']
      }
    } else {
      this.#tally.clear(cells.consecutiveGateway)
    }
    const count = this.#tally.add(cells.consecutive5xx)
    if (count === settings.consecutive5xx) {
      fired = [...(fired ?? []), 'consecutive_5xx']
    }
    return fired
  }

  #countReached(): void {
    this.local.count(true)
    this.#tally.clear(cells.consecutiveLocal)
  }

  #countUnreached(settings: OutlierSettings): readonly EjectionKind[] | undefined {
    this.local.count(false)
    const count = this.#tally.add(cells.consecutiveLocal)
    const fires = count === settings.consecutiveLocalOriginFailure
    return fires ? ['consecutive_local_origin_failure'] : undefined
  }
}
