/**
 * Envoy's outlier detection (source/common/upstream/outlier_detection_impl.cc), rule for rule.
 *
 * - Consecutive failures are judged as they come. The count starts again when it fires, whether or not the host
 *   could be ejected, and when the ejection ends.
 * - A host is ejected when `100 × (ejected + 1) / hosts` does not pass max_ejection_percent, or it would be the only
 *   one and always_eject_one_host is set; otherwise the overflow is counted. The enforcing percentage draws after that.
 * - It stays out for base × (ejections in a row), at most max_ejection_time, plus jitter; the sweep ends it.
 *   The factor shrinks by one for each interval in which the host stays in.
 * - Where several threads carry traffic they count together, and one decides (outlier-share.ts).
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
import type { OutlierMessage, OutlierShare } from './outlier-share.ts'
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
  /** Detectors of other threads, of the same cluster; absent: there are none. */
  readonly share?: OutlierShare | undefined
  /** What they know the cluster by. */
  readonly cluster?: string
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
  #sweep: Timer | undefined
  readonly #unlisten: () => void
  #isClosed = false

  constructor(options: OutlierDetectorOptions) {
    this.#options = options
    this.#settings = options.settings
    for (const host of options.hosts) this.#monitors.set(host, this.#createMonitor(host))
    if (this.#decides) this.#sweep = this.#armSweep()
    const { share, cluster = '' } = options
    this.#unlisten = share?.listen(cluster, (message) => this.#onMessage(message)) ?? nothing
    if (!this.#decides) share?.send({ kind: 'ask', cluster })
  }

  /** Where another thread decides, this one counts, and does as it is told. */
  get #decides(): boolean {
    return this.#options.share?.isLeader !== false
  }

  report(host: Host, outcome: HostOutcome): void {
    const monitor = this.#monitors.get(host)
    // The host left the cluster while the attempt ran.
    if (monitor === undefined) return
    const fired = monitor.count(outcome, this.#settings)
    if (fired === undefined) return
    const { share, cluster = '' } = this.#options
    if (this.#decides) for (const kind of fired) this.#onConsecutive(host, monitor, kind)
    else {
      share?.send({ kind: 'fired', cluster, host: nameOf(host), reasons: fired })
      for (const kind of fired) monitor.restart(kind)
    }
  }

  onCheckPassed(host: Host): void {
    const monitor = this.#monitors.get(host)
    if (!this.#settings.checksUneject || monitor?.isEjected !== true || !this.#decides) return
    if (host.active?.isFailed !== true) this.#uneject(host, monitor)
  }

  update(hosts: readonly Host[]): void {
    const staying = new Set(hosts)
    for (const [host, monitor] of this.#monitors) {
      if (staying.has(host)) continue
      this.#monitors.delete(host)
      monitor.close()
      if (!monitor.isEjected) continue
      this.#countEjected(-1)
      host.isEjected = false
    }
    for (const host of hosts) {
      if (!this.#monitors.has(host)) this.#monitors.set(host, this.#createMonitor(host))
    }
  }

  configure(settings: OutlierSettings): void {
    const intervalChanged = settings.intervalMs !== this.#settings.intervalMs
    this.#settings = settings
    if (!intervalChanged || this.#sweep === undefined) return
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
    this.#sweep?.cancel()
    this.#unlisten()
    this.#isClosed = true
    for (const [host, monitor] of this.#monitors) {
      if (monitor.isEjected) this.#bringBack(host, monitor)
      monitor.close()
    }
    this.#monitors.clear()
  }

  #createMonitor(host: Host): HostMonitor {
    const { share, cluster = '' } = this.#options
    return new HostMonitor(share?.tallyOf(cluster, nameOf(host)))
  }

  #onMessage(message: OutlierMessage): void {
    if (message.kind === 'ask') this.#tellEjections()
    else if (message.kind === 'reset') this.#forgetAll()
    else {
      const host = [...this.#monitors.keys()].find((one) => nameOf(one) === message.host)
      const monitor = host && this.#monitors.get(host)
      if (host === undefined || monitor === undefined) return
      if (message.kind === 'verdict') this.#obey(host, monitor, message)
      else if (this.#decides) {
        for (const kind of message.reasons) this.#onConsecutive(host, monitor, kind)
      }
    }
  }

  /** For a detector of another thread that has just been made. */
  #tellEjections(): void {
    if (!this.#decides) return
    for (const [host, monitor] of this.#monitors) if (monitor.isEjected) this.#tell(host, monitor)
  }

  /** To the detectors of other threads. */
  #tell(host: Host, { isEjected, jitterMs }: HostMonitor): void {
    const { share, cluster = '' } = this.#options
    share?.send({ kind: 'verdict', cluster, host: nameOf(host), isEjected, jitterMs })
  }

  #obey(host: Host, monitor: HostMonitor, verdict: { isEjected: boolean; jitterMs: number }): void {
    if (verdict.isEjected === monitor.isEjected) return
    const nowMs = this.#options.clock.monotonicMs()
    if (verdict.isEjected) monitor.eject(nowMs, verdict.jitterMs, this.#settings)
    else monitor.uneject(nowMs)
    host.isEjected = verdict.isEjected
    this.#countEjected(verdict.isEjected ? 1 : -1)
    this.#options.onChange?.(host)
  }

  /** Whoever has decided is gone, and with it who would end what it decided. */
  #forgetAll(): void {
    for (const [host, monitor] of this.#monitors) {
      this.#obey(host, monitor, { isEjected: false, jitterMs: 0 })
    }
  }

  #armSweep(): Timer {
    return this.#options.clock.setTimer(this.#settings.intervalMs, () => {
      this.#sweepHosts()
      this.#sweep = this.#armSweep()
    })
  }

  #onConsecutive(host: Host, monitor: HostMonitor, kind: EjectionKind): void {
    if (!monitor.isEjected) {
      this.#countDetected(kind)
      this.#eject(host, monitor, kind)
    }
    monitor.restart(kind)
  }

  #countDetected(kind: EjectionKind): void {
    const { detected, legacy } = this.#options.stats()
    detected[kind].add(1)
    if (kind === 'consecutive_5xx') legacy.consecutive5xx.add(1)
    else if (kind.endsWith('success_rate')) legacy.successRate.add(1)
  }

  #eject(host: Host, monitor: HostMonitor, kind: EjectionKind): void {
    const { random, onChange, onEvent } = this.#options
    const stats = this.#options.stats()
    const settings = this.#settings
    if (!this.#mayEject()) {
      stats.ejectionsOverflow.add(1)
      return
    }
    if (kind === 'consecutive_5xx' || kind === 'success_rate') stats.legacy.ejectionsTotal.add(1)
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
    this.#tell(host, monitor)
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
    // Detectors of other threads are closed for the same reason.
    if (this.#decides && !this.#isClosed) this.#tell(host, monitor)
    this.#options.onChange?.(host)
  }

  #countEjected(change: number): void {
    this.#ejected += change
    // One number for all threads.
    if (this.#decides) this.#options.stats().ejectionsActive.add(change)
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
      this.#countDetected(named)
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

/** What detectors of other threads know a host by. */
function nameOf({ addressText, hostname }: Host): string {
  return `${addressText} ${hostname}`
}

function nothing(): void {}
