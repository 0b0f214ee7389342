/**
 * Joins a cluster to its active health checks: which hosts are checked and how they are reached, what a new host is until
 * its first check, whether one that left its source stays, and what is told of it all.
 *
 * As in Envoy a host of a STATIC, EDS or STRICT_DNS cluster is out until its first check has passed, and the cluster
 * serves when every host has been checked once. Hosts that served before checks were switched on stay in until their
 * first result, because nothing is wrong with them yet.
 */
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Random } from '../../lib/random.ts'
import type { ClusterConfig } from '../config/cluster-config.ts'
import type { LogFiles, UsedLogFile } from '../config/log-files.ts'
import { HealthChecker } from '../health/health-checker.ts'
import { type HealthEvent, healthEventLine } from '../health/health-event-log.ts'
import type { HealthCheckSettings } from '../health/health-settings.ts'
import type { CheckResult, CheckedHost } from '../health/host-check.ts'
import { openProbe } from '../health/open-probe.ts'
import type { Probe } from '../health/probe.ts'
import type { ClusterStats } from '../telemetry/cluster-stats.ts'
import type { UpstreamTransports } from '../tls/upstream-transports.ts'
import type { Host } from '../upstream/host.ts'
import type { Connector, WireTransport } from '../wire/wire.ts'
import {
  type CheckedLiveHost,
  type LiveHost,
  checkAddress,
  isCheckDisabled,
  isChecked,
  otherCheckAddresses,
} from './live-host.ts'

export interface ClusterHealthScope {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly logFiles: LogFiles
  /** Asked late: who opens wires is made after the clusters. */
  readonly connector: () => Connector
}

export interface ClusterHealthOptions {
  readonly scope: ClusterHealthScope
  readonly stats: ClusterStats
  readonly transports: UpstreamTransports | undefined
  readonly events: ClusterHealthEvents
}

export interface ClusterHealthEvents {
  /** The host's flags changed: balancing must be told. */
  onChange(host: LiveHost): void
  /** A host turned unhealthy. */
  onFailed(host: LiveHost): void
  /** A check passed. */
  onPassed(host: LiveHost): void
  /** A host that was kept although it left its source is not well any more: it goes. */
  onGone(host: LiveHost): void
  /** Every host has been checked once. */
  onReady(): void
}

/** Of which a host is out until it has been checked. */
const startsOut: ReadonlySet<ClusterConfig['type']> = new Set(['static', 'eds', 'strict-dns'])
/** Whose hosts come and go; the others keep what they have. */
const isDynamic: ReadonlySet<ClusterConfig['type']> = new Set(['eds', 'strict-dns'])

export class ClusterHealth {
  readonly #options: ClusterHealthOptions
  readonly #checker: HealthChecker
  #config: ClusterConfig
  #files: readonly UsedLogFile[]

  /** Checks begin with `update`. */
  constructor(config: ClusterConfig, settings: HealthCheckSettings, options: ClusterHealthOptions) {
    this.#options = options
    this.#config = config
    this.#files = this.#openFiles(settings)
    const { scope, stats, events } = options
    this.#checker = new HealthChecker({
      settings,
      clock: scope.clock,
      random: scope.random,
      stats: stats.healthCheck(),
      hasTraffic: () =>
        stats.cxTotal.value() > 0 || stats.txBytes.value() > 0 || stats.rxBytes.value() > 0,
      openProbe: (host, current, onLost) => this.#openProbe(host, current, onLost),
      onResult: (host, result) => this.#onResult(host as CheckedLiveHost, result), // we gave it
      onEvent: (host, event) => this.#onEvent(host, event),
      onReady: () => events.onReady(),
    })
  }

  configure(config: ClusterConfig, settings: HealthCheckSettings): void {
    this.#config = config
    if (settings.key === this.#checker.settings.key) return
    const files = this.#openFiles(settings)
    this.#closeFiles()
    this.#files = files
    this.#checker.configure(settings)
  }

  /** Gives a new host the flags that it has until its first check. `isServing`: it was there before checks were. */
  prepare(host: LiveHost, isServing = false): void {
    const { type, ignoresUncheckedHosts } = this.#config
    if (isCheckDisabled(host)) return
    host.active = {
      isFailed: startsOut.has(type),
      isTimeout: false,
      isDegraded: false,
      isPending: !isServing && ignoresUncheckedHosts && isDynamic.has(type),
      isExcluded: false,
    }
    host.isTrusted = isServing
    host.refreshHealth()
  }

  /** All hosts of the cluster. */
  update(hosts: readonly LiveHost[]): void {
    this.#checker.update(hosts.filter(isChecked))
  }

  /** Whether a host that left its source stays while its checks pass. */
  keeps(host: LiveHost): boolean {
    const { type, dropsHealthyHosts } = this.#config
    if (dropsHealthyHosts || !isDynamic.has(type) || host.active === undefined) return false
    return !host.active.isFailed && host.edsHealth !== 'unhealthy'
  }

  /** The host said in an answer that it goes (x-envoy-immediate-health-check-fail). */
  failNow(host: Host): void {
    this.#checker.failNow(host)
  }

  close(): void {
    this.#checker.close()
    this.#closeFiles()
  }

  #onResult(host: CheckedLiveHost, { transition, isPass }: CheckResult): void {
    const { events } = this.#options
    if (host.isTrusted) {
      host.isTrusted = false
      host.refreshHealth()
      events.onChange(host)
    }
    if (isPass) events.onPassed(host)
    if (transition !== 'changed') return
    host.refreshHealth()
    if (host.active.isFailed && host.isPendingRemoval) events.onGone(host)
    else events.onChange(host)
    if (host.active.isFailed) events.onFailed(host)
  }

  #onEvent(host: CheckedHost, event: HealthEvent): void {
    const { scope } = this.#options
    const { name, healthCheck } = this.#config
    if (event.kind === 'eject') {
      const { failure, status } = event
      const fields = { cluster: name, host: host.addressText, failure, status }
      scope.log.info(fields, 'endpoint fails its health checks')
    } else if (event.kind === 'add-healthy' && !event.isFirst) {
      scope.log.info({ cluster: name, host: host.addressText }, 'endpoint passes its health checks')
    }
    if (this.#files.length === 0) return
    const probe = healthCheck?.probe.kind ?? 'http'
    const line = healthEventLine(event, {
      host,
      clusterName: name,
      probe,
      nowMs: scope.clock.nowMs(),
    })
    for (const { writer } of this.#files) writer.write(line)
  }

  #openProbe(host: CheckedHost, settings: HealthCheckSettings, onLost: () => void): Probe {
    const { scope, stats, transports } = this.#options
    const { name, http2 } = this.#config
    const live = host as CheckedLiveHost // we gave it
    const { clock, random } = scope
    const transport = (version: 'http1' | 'http2' | 'tcp'): WireTransport | undefined => {
      const { security } = settings
      const use = { downstream: undefined, check: security }
      // No name of a request: as in Envoy, a check has only the names that the cluster's TLS has itself.
      return version === 'tcp'
        ? transports?.transportOf(host, { kind: 'tcp', ...use })
        : transports?.transportOf(host, { kind: 'http', authority: '', version, ...use })
    }
    return openProbe(
      settings.probe,
      {
        host,
        address: checkAddress(live),
        // These may change while the host stays.
        get otherAddresses() {
          return otherCheckAddresses(live)
        },
        get hostname() {
          return live.check?.hostname ?? ''
        },
        clusterName: name,
        reusesConnection: settings.reusesConnection,
        timeoutMs: settings.timeoutMs,
        http2,
        transport,
        onVerify: () => stats.healthCheck().verifyCluster.add(1),
        http2Stats: () => stats.http2(),
        onLost,
      },
      { clock, random, connector: scope.connector() },
    )
  }

  #openFiles({ eventLogPaths }: HealthCheckSettings): readonly UsedLogFile[] {
    return eventLogPaths.map((path) => this.#options.scope.logFiles.use(path))
  }

  #closeFiles(): void {
    for (const file of this.#files) file.release()
    this.#files = []
  }
}
