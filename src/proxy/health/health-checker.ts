/**
 * The active health checks of one cluster: one for each host that does not forbid it, started and ended as hosts come and
 * go. What a result means for balancing is the cluster's business.
 *
 * Each thread of a sidecar checks for itself. Memory follows the number of hosts: a check holds at most one connection,
 * and of an answer no more than is looked at.
 */
import type { Clock } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'
import type { HealthCheckStats } from '../telemetry/cluster-stats.ts'
import type { Host } from '../upstream/host.ts'
import type { HealthEvent } from './health-event-log.ts'
import type { HealthCheckSettings } from './health-settings.ts'
import { type CheckResult, type CheckedHost, HostCheck } from './host-check.ts'
import type { Probe } from './probe.ts'

export interface HealthCheckerOptions {
  readonly settings: HealthCheckSettings
  readonly clock: Clock
  readonly random: Random
  readonly stats: HealthCheckStats
  readonly hasTraffic: () => boolean
  /** Makes what asks a host; `onLost` is for connections that end between checks. */
  readonly openProbe: (
    host: CheckedHost,
    settings: HealthCheckSettings,
    onLost: () => void,
  ) => Probe
  readonly onResult: (host: CheckedHost, result: CheckResult) => void
  readonly onEvent: (host: CheckedHost, event: HealthEvent) => void
  /** Every host that was there has had its first result, or has gone; told once, perhaps at once. */
  readonly onReady: () => void
}

export class HealthChecker {
  readonly #options: HealthCheckerOptions
  readonly #checks = new Map<Host, HostCheck>()
  #settings: HealthCheckSettings
  #isReady = false

  constructor(options: HealthCheckerOptions) {
    this.#options = options
    this.#settings = options.settings
  }

  get settings(): HealthCheckSettings {
    return this.#settings
  }

  /** The hosts that are to be checked: all of the cluster's that may be. */
  update(hosts: readonly CheckedHost[]): void {
    const staying = new Set<Host>(hosts)
    for (const [host, check] of this.#checks) {
      if (staying.has(host)) continue
      this.#checks.delete(host)
      check.close()
    }
    const added = hosts.filter((host) => !this.#checks.has(host)).map((host) => this.#open(host))
    for (const check of added) check.start()
    this.#tellReady()
  }

  /** New settings; what is known of the hosts stays. */
  configure(settings: HealthCheckSettings): void {
    this.#settings = settings
    for (const check of this.#checks.values()) {
      check.configure(
        settings,
        this.#openProbe(check.host, () => check),
      )
    }
  }

  /** The host said in an answer that it goes (x-envoy-immediate-health-check-fail). */
  failNow(host: Host): void {
    this.#checks.get(host)?.failNow()
  }

  close(): void {
    for (const check of this.#checks.values()) check.close()
    this.#checks.clear()
  }

  #open(host: CheckedHost): HostCheck {
    const { clock, random, stats, hasTraffic, onResult, onEvent } = this.#options
    const check: HostCheck = new HostCheck({
      host,
      settings: this.#settings,
      probe: this.#openProbe(host, () => check),
      clock,
      random,
      stats,
      hasTraffic,
      onResult: (result) => {
        onResult(host, result)
        this.#tellReady()
      },
      onEvent: (event) => onEvent(host, event),
    })
    this.#checks.set(host, check)
    return check
  }

  #openProbe(host: CheckedHost, check: () => HostCheck): Probe {
    return this.#options.openProbe(host, this.#settings, () => check().onConnectionLost())
  }

  #tellReady(): void {
    if (this.#isReady) return
    for (const check of this.#checks.values()) if (check.isFirst) return
    this.#isReady = true
    this.#options.onReady()
  }
}
