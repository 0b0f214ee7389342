/**
 * A cluster that lives: one object from the moment a Cluster message is accepted until it is removed, so that pools,
 * counts and ejections survive every change of its settings and its endpoints.
 *
 * Settings change with one assignment (`configure`), hosts with another (`setEndpoints`); a request that is under way
 * goes on with what it has read. Only a change of what connections are made of (`transportKey`) needs a new object.
 */
import type { Balancer } from '../balance/balancer.ts'
import { createBalancer } from '../balance/create-balancer.ts'
import type { ZoneLocal } from '../balance/zone-routing.ts'
import type { ClusterConfig } from '../config/cluster-config.ts'
import { addressText } from '../config/message-value.ts'
import type { CircuitBreaker } from '../resilience/circuit-breaker.ts'
import { createCircuitBreaker } from '../resilience/create-circuit-breaker.ts'
import { createOutlierDetector } from '../resilience/create-outlier-detector.ts'
import type { OutlierDetector, ResponseTest } from '../resilience/outlier-detector.ts'
import type { OutlierShare } from '../resilience/outlier-share.ts'
import { createBreakerStats } from '../telemetry/breaker-stats.ts'
import type { ClusterStats, MembershipStats } from '../telemetry/cluster-stats.ts'
import { createClusterStats, createMembershipStats } from '../telemetry/create-stats.ts'
import type { LogWriter } from '../telemetry/log-writer.ts'
import { outlierEventLine } from '../telemetry/outlier-event-log.ts'
import type { StatScope, StatsRegistry } from '../telemetry/stats-registry.ts'
import type { TlsScope } from '../tls/live-tls.ts'
import type { UpstreamTransports } from '../tls/upstream-transports.ts'
import type { Cluster, ClusterService, TransportUse } from '../upstream/cluster.ts'
import { type FilterMetadata, type Host, isExcluded } from '../upstream/host.ts'
import type { KeepaliveProbing, WireAddress, WireTransport } from '../wire/wire.ts'
import { ClusterHealth, type ClusterHealthScope } from './cluster-health.ts'
import { ForwardProxyCache } from './forward-proxy-cache.ts'
import {
  LiveHost,
  type ResolvedEndpoint,
  type ResolvedList,
  emptyList,
  hostKey,
  isCheckDisabled,
} from './live-host.ts'
import type { Resolve } from './resolver.ts'
import type { Retirement } from './retirement.ts'

export interface ClusterScope extends ClusterHealthScope {
  readonly stats: StatsRegistry
  readonly resolve: Resolve
  /** Gets a line for each ejection; undefined: nobody asked for one. */
  readonly outlierLog?: Pick<LogWriter, 'write'> | undefined
  readonly retirement: Retirement
  readonly tls: TlsScope
  /** Whether a connection there would come back to this sidecar, to a listener that resolves names. */
  readonly leadsBack: (address: WireAddress) => boolean
  /** A host has left its cluster, or turned unhealthy: its pooled connections end, busy ones after their response. */
  readonly drainHost: (host: Host) => void
  /** The cluster that this proxy is a member of; absent: the bootstrap names none. */
  readonly local?: LocalCluster | undefined
  /** Outlier detection of other threads; absent: there are none. */
  readonly outlierShare?: OutlierShare | undefined
}

export interface LocalCluster extends ZoneLocal {
  readonly name: string
  /** Its hosts, or what is thought of them, changed. */
  readonly onChange: () => void
}

export class LiveCluster implements Cluster {
  readonly name: string
  readonly transports: UpstreamTransports | undefined
  readonly #scope: ClusterScope
  readonly #abort = new AbortController()
  readonly #forwardProxy: ForwardProxyCache | undefined
  readonly members: MembershipStats
  #stats: ClusterStats | undefined
  #breaker: CircuitBreaker | undefined
  #breakerStats: StatScope | undefined
  #config: ClusterConfig
  #balancer: Balancer
  #outlier: OutlierDetector | undefined
  #health: ClusterHealth | undefined
  /** Who waits for every host to have been checked once. */
  #onChecked: (() => void) | undefined
  #isChecked = false
  #hosts: readonly LiveHost[] = []
  #overprovisioningPercent = emptyList.overprovisioningPercent

  /** `transports` becomes the cluster's own; undefined: plaintext. */
  constructor(config: ClusterConfig, scope: ClusterScope, transports?: UpstreamTransports) {
    this.name = config.name
    this.transports = transports
    this.#config = config
    this.#scope = scope
    this.members = createMembershipStats(scope.stats, config.statName)
    this.#balancer = this.#openBalancer()
    this.#outlier = this.#openOutlier(config)
    this.#health = this.#openHealth(config)
    this.#forwardProxy =
      config.dnsCache &&
      new ForwardProxyCache({
        config: config.dnsCache,
        scope,
        leadsBack: scope.leadsBack,
        createHost: (endpoint) => this.#createHost(endpoint),
        onHostsChanged: (hosts, removed) => this.#setHosts(hosts, removed),
      })
  }

  /**
   * Made when first asked for, as Envoy does with deferred stats: most clusters of a mesh are never called from here,
   * and sixty stats with their names are what such a cluster would mostly consist of.
   */
  get stats(): ClusterStats {
    return (this.#stats ??= createClusterStats(this.#scope.stats, this.#config.statName))
  }

  get breaker(): CircuitBreaker {
    return (this.#breaker ??= this.#openBreaker())
  }

  #openBreaker(): CircuitBreaker {
    const { stats: registry, clock } = this.#scope
    const { breakerLimits: limits, statName } = this.#config
    const { name, stats } = this
    const breaker = createCircuitBreaker({ name, slots: registry.slots, clock, limits, stats })
    this.#breakerStats = createBreakerStats(registry, statName, breaker)
    return breaker
  }

  get config(): ClusterConfig {
    return this.#config
  }

  get service(): ClusterService {
    return this.#config.service
  }

  get filterMetadata(): FilterMetadata | undefined {
    return this.#config.filterMetadata
  }

  get connectTimeoutMs(): number {
    return this.#config.connectTimeoutMs
  }

  get idleTimeoutMs(): number {
    return this.#config.idleTimeoutMs
  }

  get requestsPerConnectionMax(): number {
    return this.#config.requestsPerConnectionMax
  }

  get connectionDurationMsMax(): number {
    return this.#config.connectionDurationMsMax
  }

  get protocol(): Cluster['protocol'] {
    return this.#config.protocol
  }

  get http2(): Cluster['http2'] {
    return this.#config.http2
  }

  get http1(): Cluster['http1'] {
    return this.#config.http1
  }

  get maxStreamDurationMs(): number {
    return this.#config.maxStreamDurationMs ?? 0
  }

  get bufferLimitBytes(): number {
    return this.#config.bufferLimitBytes
  }

  get tcpKeepaliveMs(): number | undefined {
    return this.#config.tcpKeepaliveMs
  }

  get tcpKeepaliveProbing(): KeepaliveProbing | undefined {
    return this.#config.tcpKeepaliveProbing
  }

  get balancer(): Balancer {
    return this.#balancer
  }

  get outlierDetector(): OutlierDetector | undefined {
    return this.#outlier
  }

  get isError(): ResponseTest | undefined {
    return this.#config.isError
  }

  /** A host said in an answer that it goes. */
  failHost(host: Host): void {
    this.#health?.failNow(host)
  }

  get hosts(): readonly LiveHost[] {
    return this.#hosts
  }

  get resolveHost(): Cluster['resolveHost'] {
    return this.#forwardProxy?.resolveHost
  }

  /** How connections to a host are secured; undefined: plaintext. */
  transportOf(host: Host, use: TransportUse): WireTransport | undefined {
    return this.transports?.transportOf(host, use)
  }

  get removed(): AbortSignal {
    return this.#abort.signal
  }

  /** Takes new settings of the same transport key; hosts, connections, counts and ejections stay. */
  configure(config: ClusterConfig): void {
    const before = this.#config
    this.#config = config
    this.#breaker?.setLimits(config.breakerLimits)
    if (JSON.stringify(before.balancing) !== JSON.stringify(config.balancing)) {
      this.#balancer = this.#openBalancer()
    }
    this.#configureOutlier(config)
    this.#configureHealth(config)
    if (before.closesOnFailure !== config.closesOnFailure) {
      for (const host of this.#hosts) host.closers = config.closesOnFailure ? new Set() : undefined
    }
    if (config.dnsCache !== undefined) this.#forwardProxy?.configure(config.dnsCache)
  }

  /**
   * The whole list of endpoints; hosts whose address stays are kept. The first of two alike counts, as in Envoy. A host
   * that is gone from the list and passes its checks is kept until it does not.
   */
  setEndpoints(list: ResolvedList): void {
    const isChecked = this.#health !== undefined
    const keyOf = (one: LiveHost | ResolvedEndpoint): string => hostKey(one, isChecked)
    const known = new Map(this.#hosts.map((host) => [keyOf(host), host]))
    const next = new Map<string, LiveHost>()
    for (const endpoint of list.endpoints) {
      const key = keyOf(endpoint)
      if (next.has(key)) continue
      const host = known.get(key)
      host?.update(endpoint)
      next.set(key, host ?? this.#createHost(endpoint))
    }
    const left = this.#hosts.filter((host) => next.get(keyOf(host)) !== host)
    const kept = this.#keptOf(left, list)
    for (const host of kept) host.isPendingRemoval = true
    const removed = kept.length === 0 ? left : left.filter((host) => !kept.includes(host))
    if (list.overprovisioningPercent !== this.#overprovisioningPercent) {
      this.#overprovisioningPercent = list.overprovisioningPercent
      this.#balancer = this.#openBalancer()
    }
    this.#setHosts([...next.values(), ...kept], removed)
  }

  /** Calls back when every host has been checked once, perhaps at once; at once too where hosts are not checked. */
  whenChecked(onChecked: () => void): void {
    this.#onChecked = onChecked
    if (this.#health === undefined || this.#isChecked) this.#tellChecked()
  }

  #tellChecked(): void {
    const onChecked = this.#onChecked
    this.#onChecked = undefined
    onChecked?.()
  }

  /**
   * Of those that left the list: an address that is still there is another host now, and takes its place, unless it is
   * only checked elsewhere; then the first stays beside it, so that nothing is lost until the new check has passed.
   */
  #keptOf(left: readonly LiveHost[], list: ResolvedList): readonly LiveHost[] {
    const health = this.#health
    if (health === undefined || left.length === 0) return []
    const present = new Map(list.endpoints.map((one) => [addressText(one.address), one]))
    return left.filter((host) => {
      if (!health.keeps(host)) return false
      const successor = present.get(host.addressText)
      return successor === undefined || isCheckedElsewhere(host, successor)
    })
  }

  /** The cluster left the configuration: its pools drain, and its slots are given back when all is quiet. */
  remove(): void {
    this.#abort.abort()
    this.transports?.close()
    this.#forwardProxy?.close()
    this.#outlier?.close()
    this.#health?.close()
    const hosts = this.#hosts
    for (const host of hosts) this.#scope.drainHost(host)
    this.#scope.retirement.retire({
      isIdle: () => hosts.every(({ isIdle }) => isIdle) && isClusterIdle(this.#stats),
      close: () => {
        for (const host of hosts) host.close()
        this.#breakerStats?.close()
        this.#breaker?.close()
        this.#stats?.close()
        this.members.close()
      },
    })
  }

  #setHosts(hosts: readonly LiveHost[], removed: readonly LiveHost[]): void {
    const before = this.#hosts
    this.#hosts = hosts
    this.#balancer.update(hosts)
    this.#outlier?.update(hosts)
    this.#health?.update(hosts)
    if (this.#isLocal) this.#scope.local?.onChange()
    if (removed.length > 0 || hosts.length !== before.length) this.members.change.add(1)
    this.#countMembers()
    for (const host of removed) {
      this.#scope.drainHost(host)
      this.#scope.retirement.retire({ isIdle: () => host.isIdle, close: () => host.close() })
    }
  }

  #countMembers(): void {
    let healthy = 0
    let degraded = 0
    let excluded = 0
    for (const host of this.#hosts) {
      if (isExcluded(host)) excluded += 1
      if (!host.isAvailable()) continue
      if (host.health === 'degraded') degraded += 1
      else healthy += 1
    }
    this.members.total.set(this.#hosts.length)
    this.members.healthy.set(healthy)
    this.members.degraded.set(degraded)
    this.members.excluded.set(excluded)
  }

  #createHost(endpoint: ResolvedEndpoint): LiveHost {
    const host = new LiveHost(endpoint, { slots: this.#scope.stats.slots, cluster: this.name })
    if (this.#config.closesOnFailure) host.closers = new Set()
    this.#health?.prepare(host)
    return host
  }

  get #isLocal(): boolean {
    return this.#scope.local?.name === this.name
  }

  /** The hosts of the local cluster changed: zones have other shares. */
  rebalance(): void {
    this.#balancer.update(this.#hosts)
  }

  #onHostsChanged(): void {
    this.#balancer.update(this.#hosts)
    if (this.#isLocal) this.#scope.local?.onChange()
    this.#countMembers()
  }

  /** As Envoy: new connections may go another way through the network, and TCP connections end where that is asked for. */
  #onHostFailed(host: Host): void {
    this.#scope.drainHost(host)
    // Each leaves the set while it is walked, which a set allows.
    for (const close of host.closers ?? []) close()
  }

  #openBalancer(): Balancer {
    const { clock, random } = this.#scope
    const { balancing } = this.#config
    const overprovisioningPercent = this.#overprovisioningPercent
    return createBalancer({
      ...balancing,
      random,
      nowMs: () => clock.monotonicMs(),
      hosts: this.#hosts,
      overprovisioningPercent,
      zoneLocal: this.#isLocal ? undefined : this.#scope.local,
      stats: () => this.stats,
    })
  }

  #configureOutlier(config: ClusterConfig): void {
    if (config.outlier === undefined) {
      this.#outlier?.close()
      this.#outlier = undefined
    } else if (this.#outlier === undefined) {
      this.#outlier = this.#openOutlier(config)
    } else {
      this.#outlier.configure(config.outlier)
    }
  }

  #openHealth(config: ClusterConfig): ClusterHealth | undefined {
    const { healthCheck } = config
    if (healthCheck === undefined) return undefined
    return new ClusterHealth(config, healthCheck, {
      scope: this.#scope,
      stats: this.stats,
      transports: this.transports,
      events: {
        onChange: () => this.#onHostsChanged(),
        onFailed: (host) => this.#onHostFailed(host),
        onPassed: (host) => this.#outlier?.onCheckPassed(host),
        onGone: (gone) =>
          this.#setHosts(
            this.#hosts.filter((host) => host !== gone),
            [gone],
          ),
        onReady: () => {
          this.#isChecked = true
          this.#tellChecked()
        },
      },
    })
  }

  /** Checks that are switched off leave no mark; hosts that served before checks were there serve until their first result. */
  #configureHealth(config: ClusterConfig): void {
    const { healthCheck } = config
    if (this.#health !== undefined && healthCheck !== undefined) {
      this.#health.configure(config, healthCheck)
    } else if (healthCheck !== undefined) {
      this.#health = this.#openHealth(config)
      for (const host of this.#hosts) this.#health?.prepare(host, true)
      this.#health?.update(this.#hosts)
    } else if (this.#health !== undefined) {
      this.#health.close()
      this.#health = undefined
      for (const host of this.#hosts) {
        host.active = undefined
        host.refreshHealth()
      }
      this.#setHosts(
        this.#hosts.filter((host) => !host.isPendingRemoval),
        this.#hosts.filter((host) => host.isPendingRemoval),
      )
    }
  }

  #openOutlier(config: ClusterConfig): OutlierDetector | undefined {
    if (config.outlier === undefined) return undefined
    const { clock, random, log } = this.#scope
    return createOutlierDetector({
      settings: config.outlier,
      hosts: this.#hosts,
      stats: () => this.stats.outlier,
      cluster: this.name,
      share: this.#scope.outlierShare,
      clock,
      random,
      onChange: (host) => {
        this.#onHostsChanged()
        if (host.isEjected) this.#onHostFailed(host)
      },
      onEvent: (event) => {
        const { action, host, reason, enforced } = event
        const fields = { cluster: this.name, host: host.addressText, reason, enforced }
        log.info(fields, action === 'eject' ? 'endpoint ejected' : 'endpoint came back')
        const place = { clusterName: this.name, nowMs: clock.nowMs() }
        this.#scope.outlierLog?.write(outlierEventLine(event, place))
      },
    })
  }
}

/** The same endpoint of the same priority, but for the address of its checks. */
function isCheckedElsewhere(host: LiveHost, successor: ResolvedEndpoint): boolean {
  return (
    host.hostname === successor.hostname &&
    host.priority === successor.priority &&
    isCheckDisabled(host) === isCheckDisabled(successor)
  )
}

function isClusterIdle(stats: ClusterStats | undefined): boolean {
  if (stats === undefined) return true
  return (
    stats.rqActive.value() === 0 &&
    stats.cxActive.value() === 0 &&
    stats.rqPendingActive.value() === 0
  )
}
