/**
 * Envoy's outlier detection (source/common/upstream/outlier_detection_impl.cc), rule for rule.
 *
 * - Consecutive failures are judged as they come. The count starts again when it fires, whether or not the host
 *   could be ejected, and when the ejection ends.
 * - A host is ejected when `100 × (ejected + 1) / hosts` does not pass max_ejection_percent, or it would be the only
 *   one and always_eject_one_host is set; otherwise the overflow is counted. The enforcing percentage draws after that.
 * - It stays out for base × (ejections in a row), at most max_ejection_time, plus jitter; the sweep ends it.
 *   The factor shrinks by one for each interval in which the host stays in.
 * - Success rates and failure percentages are judged by the sweep over the interval that has just ended.
 */
import type { Clock, Timer } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'
import type { EjectionKind, OutlierStats } from '../telemetry/cluster-stats.ts'
import type { Host } from '../upstream/host.ts'
import { HostMonitor } from './host-monitor.ts'
import type {
  HostOutcome,
  OutlierAverages,
  OutlierDetector,
  OutlierEvent,
  OutlierSettings,
  OutlierState,
} from './outlier-detector.ts'
import { judgeRates, noThreshold } from './success-rate.ts'

export interface OutlierDetectorOptions {
  readonly settings: OutlierSettings
  readonly hosts: readonly Host[]
  /** Made when first asked for. */
  readonly stats: () => OutlierStats
  readonly clock: Clock
  readonly random: Random
  /** A host was ejected or came back: the balancer must be told. */
  readonly onChange?: (host: Host) => void
  readonly onEvent?: (event: OutlierEvent) => void
}

export function createOutlierDetector(options: OutlierDetectorOptions): OutlierDetector {
  return new Detector(options)
}

class Detector implements OutlierDetector {
  readonly #options: OutlierDetectorOptions
  readonly #monitors = new Map<Host, HostMonitor>()
  #settings: OutlierSettings
  #ejected = 0
  #averages: OutlierAverages = { external: noThreshold, local: noThreshold }
  #sweep: Timer

  constructor(options: OutlierDetectorOptions) {
    this.#options = options
    this.#settings = options.settings
    for (const host of options.hosts) this.#monitors.set(host, new HostMonitor())
    this.#sweep = this.#armSweep()
  }

  report(host: Host, outcome: HostOutcome): void {
    const monitor = this.#monitors.get(host)
    // The host left the cluster while the attempt ran.
    if (monitor === undefined) return
    const fired = monitor.count(outcome, this.#settings)
    if (fired === undefined) return
    for (const kind of fired) this.#onConsecutive(host, monitor, kind)
  }

  onCheckPassed(host: Host): void {
    const monitor = this.#monitors.get(host)
    if (!this.#settings.checksUneject || monitor?.isEjected !== true) return
    if (host.active?.isFailed !== true) this.#uneject(host, monitor)
  }

  update(hosts: readonly Host[]): void {
    const staying = new Set(hosts)
    for (const [host, monitor] of this.#monitors) {
      if (staying.has(host)) continue
      this.#monitors.delete(host)
      if (!monitor.isEjected) continue
      this.#countEjected(-1)
      host.isEjected = false
    }
    for (const host of hosts) {
      if (!this.#monitors.has(host)) this.#monitors.set(host, new HostMonitor())
    }
  }

  configure(settings: OutlierSettings): void {
    const intervalChanged = settings.intervalMs !== this.#settings.intervalMs
    this.#settings = settings
    if (!intervalChanged) return
    this.#sweep.cancel()
    this.#sweep = this.#armSweep()
  }

  averages(): OutlierAverages {
    return this.#averages
  }

  state(host: Host): OutlierState | undefined {
    const monitor = this.#monitors.get(host)
    if (monitor === undefined) return undefined
    const remaining = monitor.ejectedForMs(this.#settings) - this.#sinceMs(monitor.ejectedAtMs)
    return {
      isEjected: monitor.isEjected,
      ejectionRemainingMs: monitor.isEjected ? Math.max(0, remaining) : 0,
      ejections: monitor.ejections,
      ejectionsInARow: monitor.ejectionsInARow,
      consecutive5xx: monitor.consecutive5xx,
      consecutiveGatewayFailure: monitor.consecutiveGateway,
      consecutiveLocalOriginFailure: monitor.consecutiveLocal,
      successRate: monitor.external.shownRate,
      localOriginSuccessRate: monitor.local.shownRate,
    }
  }

  close(): void {
    this.#sweep.cancel()
    for (const [host, monitor] of this.#monitors) {
      if (monitor.isEjected) this.#bringBack(host, monitor)
    }
    this.#monitors.clear()
  }

  #armSweep(): Timer {
    return this.#options.clock.setTimer(this.#settings.intervalMs, () => {
      this.#sweepHosts()
      this.#sweep = this.#armSweep()
    })
  }

  #onConsecutive(host: Host, monitor: HostMonitor, kind: EjectionKind): void {
    if (!monitor.isEjected) {
      this.#options.stats().detected[kind].add(1)
      this.#eject(host, monitor, kind)
    }
    monitor.restart(kind)
  }

  #eject(host: Host, monitor: HostMonitor, kind: EjectionKind): void {
    const { random, onChange, onEvent } = this.#options
    const stats = this.#options.stats()
    const settings = this.#settings
    if (!this.#mayEject()) {
      stats.ejectionsOverflow.add(1)
      return
    }
    const enforced = Math.floor(random() * 100) < enforcingPercent(settings, kind)
    const tell = (): void => onEvent?.(this.#ejection({ host, monitor, kind, enforced }))
    if (!enforced) {
      tell()
      return
    }
    const jitterMs = Math.floor(random() * (settings.maxEjectionTimeJitterMs + 1))
    monitor.eject(this.#options.clock.monotonicMs(), jitterMs, settings)
    host.isEjected = true
    this.#countEjected(1)
    stats.ejectionsEnforcedTotal.add(1)
    stats.enforced[kind].add(1)
    onChange?.(host)
    tell()
  }

  #ejection({ host, monitor, kind, enforced }: EjectionFacts): OutlierEvent {
    const { unejectedAtMs, ejections } = monitor
    const sinceLastMs = unejectedAtMs === undefined ? undefined : this.#sinceMs(unejectedAtMs)
    const common = {
      action: 'eject',
      host,
      reason: kind,
      enforced,
      ejections,
      sinceLastMs,
    } as const
    if (kind.startsWith('consecutive')) return { ...common, rate: undefined }
    const origin = kind.startsWith('local_origin') ? 'local' : 'external'
    const rate = { host: monitor[origin].shownRate, ...this.#averages[origin] }
    return { ...common, rate }
  }

  /** Not per priority, as in Envoy: all hosts of one priority may be out. */
  #mayEject(): boolean {
    const { maxEjectionPercent, alwaysEjectOneHost } = this.#settings
    if (alwaysEjectOneHost && this.#ejected === 0) return true
    const percent = (100 * (this.#ejected + 1)) / this.#monitors.size
    return percent <= Math.min(100, maxEjectionPercent)
  }

  #uneject(host: Host, monitor: HostMonitor): void {
    this.#bringBack(host, monitor)
    this.#options.onEvent?.({
      action: 'uneject',
      host,
      reason: undefined,
      enforced: true,
      ejections: monitor.ejections,
      sinceLastMs: this.#sinceMs(monitor.ejectedAtMs),
      rate: undefined,
    })
  }

  #bringBack(host: Host, monitor: HostMonitor): void {
    monitor.uneject(this.#options.clock.monotonicMs())
    host.isEjected = false
    this.#countEjected(-1)
    this.#options.onChange?.(host)
  }

  #countEjected(change: number): void {
    this.#ejected += change
    this.#options.stats().ejectionsActive.add(change)
  }

  #sweepHosts(): void {
    for (const [host, monitor] of this.#monitors) {
      const isOver =
        monitor.isEjected &&
        monitor.ejectedForMs(this.#settings) <= this.#sinceMs(monitor.ejectedAtMs)
      if (isOver) this.#uneject(host, monitor)
      monitor.external.turn()
      monitor.local.turn()
    }
    this.#judge('external')
    this.#judge('local')
    for (const monitor of this.#monitors.values()) this.#forgive(monitor)
  }

  #judge(origin: 'external' | 'local'): void {
    const rates = [...this.#monitors].flatMap(([host, monitor]) =>
      monitor.isEjected ? [] : [{ host, monitor, rate: monitor[origin] }],
    )
    const { judgements, compared } = judgeRates(rates, this.#monitors.size, this.#settings)
    this.#averages = { ...this.#averages, [origin]: compared }
    for (const { subject, kind } of judgements) {
      const { host, monitor } = subject
      const named = nameKind(kind, origin)
      this.#options.stats().detected[named].add(1)
      // The other judgement may have ejected it a moment ago.
      if (!monitor.isEjected) this.#eject(host, monitor, named)
    }
  }

  /** One step less for each interval that a host has stayed in. */
  #forgive(monitor: HostMonitor): void {
    if (monitor.isEjected || monitor.unejectedAtMs === undefined) return
    if (this.#sinceMs(monitor.unejectedAtMs) < this.#settings.intervalMs) return
    monitor.ejectionsInARow = Math.max(0, monitor.ejectionsInARow - 1)
  }

  #sinceMs(thenMs: number): number {
    return this.#options.clock.monotonicMs() - thenMs
  }
}

interface EjectionFacts {
  readonly host: Host
  readonly monitor: HostMonitor
  readonly kind: EjectionKind
  readonly enforced: boolean
}

function nameKind(
  kind: 'success_rate' | 'failure_percentage',
  origin: 'external' | 'local',
): EjectionKind {
  return origin === 'external' ? kind : `local_origin_${kind}`
}

const enforcingFields = {
  consecutive_5xx: 'enforcingConsecutive5xx',
  consecutive_gateway_failure: 'enforcingConsecutiveGatewayFailure',
  consecutive_local_origin_failure: 'enforcingConsecutiveLocalOriginFailure',
  success_rate: 'enforcingSuccessRate',
  local_origin_success_rate: 'enforcingLocalOriginSuccessRate',
  failure_percentage: 'enforcingFailurePercentage',
  local_origin_failure_percentage: 'enforcingFailurePercentageLocalOrigin',
} as const satisfies Readonly<Record<EjectionKind, keyof OutlierSettings>>

function enforcingPercent(settings: OutlierSettings, kind: EjectionKind): number {
  return settings[enforcingFields[kind]]
}
