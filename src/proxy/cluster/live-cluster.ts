/**
 * A cluster that lives: one object from the moment a Cluster message is accepted until it is removed, so that pools,
 * counts and ejections survive every change of its settings and its endpoints.
 *
 * Settings change with one assignment (`configure`), hosts with another (`setEndpoints`); a request that is under way
 * goes on with what it has read. Only a change of what connections are made of (`transportKey`) needs a new object.
 */
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Random } from '../../lib/random.ts'
import type { Balancer } from '../balance/balancer.ts'
import { createBalancer } from '../balance/create-balancer.ts'
import type { ClusterConfig } from '../config/cluster-config.ts'
import type { CircuitBreaker } from '../resilience/circuit-breaker.ts'
import { createCircuitBreaker } from '../resilience/create-circuit-breaker.ts'
import { createOutlierDetector } from '../resilience/create-outlier-detector.ts'
import type { OutlierDetector } from '../resilience/outlier-detector.ts'
import type { ClusterStats } from '../telemetry/cluster-stats.ts'
import { createClusterStats, createHostStats } from '../telemetry/create-stats.ts'
import type { StatsRegistry } from '../telemetry/stats-registry.ts'
import type { TlsScope } from '../tls/live-tls.ts'
import type { UpstreamTransports } from '../tls/upstream-transports.ts'
import type { Cluster, ClusterService, TransportUse } from '../upstream/cluster.ts'
import type { Host } from '../upstream/host.ts'
import type { KeepaliveProbing, WireAddress, WireTransport } from '../wire/wire.ts'
import { ForwardProxyCache } from './forward-proxy-cache.ts'
import {
  LiveHost,
  type ResolvedEndpoint,
  type ResolvedList,
  emptyList,
  hostKey,
} from './live-host.ts'
import type { Resolve } from './resolver.ts'
import type { Retirement } from './retirement.ts'

export interface ClusterScope {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly stats: StatsRegistry
  readonly resolve: Resolve
  readonly retirement: Retirement
  readonly tls: TlsScope
  /** Whether a connection there would come back to this sidecar, to a listener that resolves names. */
  readonly leadsBack: (address: WireAddress) => boolean
  /** A host has left its cluster: its pooled connections end. */
  readonly onHostRemoved: (host: Host) => void
}

export class LiveCluster implements Cluster {
  readonly name: string
  readonly stats: ClusterStats
  readonly breaker: CircuitBreaker
  readonly transports: UpstreamTransports | undefined
  readonly #scope: ClusterScope
  readonly #abort = new AbortController()
  readonly #forwardProxy: ForwardProxyCache | undefined
  #config: ClusterConfig
  #balancer: Balancer
  #outlier: OutlierDetector | undefined
  #hosts: readonly LiveHost[] = []
  #overprovisioningPercent = emptyList.overprovisioningPercent

  /** `transports` becomes the cluster's own; undefined: plaintext. */
  constructor(config: ClusterConfig, scope: ClusterScope, transports?: UpstreamTransports) {
    this.name = config.name
    this.transports = transports
    this.#config = config
    this.#scope = scope
    this.stats = createClusterStats(scope.stats, config.statName)
    this.breaker = createCircuitBreaker({
      name: config.name,
      slots: scope.stats.slots,
      limits: config.breakerLimits,
      stats: this.stats,
    })
    this.#balancer = this.#openBalancer()
    this.#outlier = this.#openOutlier(config)
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

  get config(): ClusterConfig {
    return this.#config
  }

  get service(): ClusterService {
    return this.#config.service
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
    this.breaker.setLimits(config.breakerLimits)
    if (JSON.stringify(before.balancing) !== JSON.stringify(config.balancing)) {
      this.#balancer = this.#openBalancer()
    }
    this.#configureOutlier(config)
    if (config.dnsCache !== undefined) this.#forwardProxy?.configure(config.dnsCache)
  }

  /** The whole list of endpoints; hosts whose address stays are kept. The first of two alike counts, as in Envoy. */
  setEndpoints(list: ResolvedList): void {
    const known = new Map(this.#hosts.map((host) => [hostKey(host), host]))
    const next = new Map<string, LiveHost>()
    for (const endpoint of list.endpoints) {
      const key = hostKey(endpoint)
      if (next.has(key)) continue
      const host = known.get(key)
      host?.update(endpoint)
      next.set(key, host ?? this.#createHost(endpoint))
    }
    const removed = this.#hosts.filter((host) => next.get(hostKey(host)) !== host)
    if (list.overprovisioningPercent !== this.#overprovisioningPercent) {
      this.#overprovisioningPercent = list.overprovisioningPercent
      this.#balancer = this.#openBalancer()
    }
    this.#setHosts([...next.values()], removed)
  }

  /** The cluster left the configuration: its pools drain, and its slots are given back when all is quiet. */
  remove(): void {
    this.#abort.abort()
    this.transports?.close()
    this.#forwardProxy?.close()
    this.#outlier?.close()
    const hosts = this.#hosts
    for (const host of hosts) this.#scope.onHostRemoved(host)
    this.#scope.retirement.retire({
      isIdle: () => hosts.every(isHostIdle) && isClusterIdle(this.stats),
      close: () => {
        for (const host of hosts) host.stats.close()
        this.breaker.close()
        this.stats.close()
      },
    })
  }

  #setHosts(hosts: readonly LiveHost[], removed: readonly LiveHost[]): void {
    const before = this.#hosts
    this.#hosts = hosts
    this.#balancer.update(hosts)
    this.#outlier?.update(hosts)
    if (removed.length > 0 || hosts.length !== before.length) this.stats.membershipChange.add(1)
    this.#countMembers()
    for (const host of removed) {
      this.#scope.onHostRemoved(host)
      const isIdle = (): boolean => isHostIdle(host)
      this.#scope.retirement.retire({ isIdle, close: () => host.stats.close() })
    }
  }

  #countMembers(): void {
    let healthy = 0
    let degraded = 0
    for (const host of this.#hosts) {
      if (!host.isAvailable()) continue
      if (host.health === 'degraded') degraded += 1
      else healthy += 1
    }
    this.stats.membershipTotal.set(this.#hosts.length)
    this.stats.membershipHealthy.set(healthy)
    this.stats.membershipDegraded.set(degraded)
  }

  #createHost(endpoint: ResolvedEndpoint): LiveHost {
    return new LiveHost(endpoint, createHostStats(this.#scope.stats.slots))
  }

  #openBalancer(): Balancer {
    const { clock, random } = this.#scope
    const { balancing } = this.#config
    const overprovisioningPercent = this.#overprovisioningPercent
    const stats = this.stats
    return createBalancer({
      ...balancing,
      random,
      nowMs: () => clock.monotonicMs(),
      hosts: this.#hosts,
      overprovisioningPercent,
      stats,
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

  #openOutlier(config: ClusterConfig): OutlierDetector | undefined {
    if (config.outlier === undefined) return undefined
    const { clock, random, log } = this.#scope
    return createOutlierDetector({
      settings: config.outlier,
      hosts: this.#hosts,
      stats: this.stats.outlier,
      clock,
      random,
      onChange: () => {
        this.#balancer.update(this.#hosts)
        this.#countMembers()
      },
      onEvent: ({ action, host, reason, enforced }) => {
        const fields = { cluster: this.name, host: host.addressText, reason, enforced }
        log.info(fields, action === 'eject' ? 'endpoint ejected' : 'endpoint came back')
      },
    })
  }
}

function isHostIdle(host: LiveHost): boolean {
  return host.stats.rqActive.value() === 0 && host.stats.cxActive.value() === 0
}

function isClusterIdle(stats: ClusterStats): boolean {
  return (
    stats.rqActive.value() === 0 &&
    stats.cxActive.value() === 0 &&
    stats.rqPendingActive.value() === 0
  )
}
