/**
 * The compiled form of one Cluster message: plain data, no lifetime. live-cluster.ts gives it hosts, a balancer and
 * counters; two configs with the same `transportKey` may follow each other without a connection being closed.
 */
import type { HashingSettings } from '../balance/hashing-balancer.ts'
import type { SlowStartSettings } from '../balance/slow-start.ts'
import type { ZoneSettings } from '../balance/zone-routing.ts'
import type { HealthCheckSettings } from '../health/health-settings.ts'
import type { Http2Options } from '../http2/settings.ts'
import type { BreakerLimits } from '../resilience/circuit-breaker.ts'
import type { OutlierSettings, ResponseTest } from '../resilience/outlier-detector.ts'
import type { TransportsPlan } from '../tls/upstream-transports.ts'
import type { ClusterService, Http1Upstream } from '../upstream/cluster.ts'
import type { FilterMetadata } from '../upstream/host.ts'
import type { KeepaliveProbing } from '../wire/wire.ts'
import type { EndpointList } from './compile-endpoints.ts'

export type ClusterType = 'static' | 'eds' | 'strict-dns' | 'logical-dns' | 'dynamic-forward-proxy'

export interface BalancingConfig {
  readonly policy: 'round-robin' | 'least-request' | 'random' | 'hashing'
  /** Of the policy `hashing`, and of it alone. */
  readonly hashing?: HashingSettings
  /** least-request: how many hosts are drawn. */
  readonly choiceCount: number
  /** least-request with unequal weights: exponent of the active requests. */
  readonly activeRequestBias: number
  /** least-request: looks at every host. */
  readonly isFullScan?: boolean
  readonly slowStart?: SlowStartSettings
  /** 0 switches panic mode off. */
  readonly panicThresholdPercent: number
  /** Zone-aware routing; absent: the policy has none. */
  readonly zone?: ZoneSettings
  /** Localities share the load by their weights (Envoy `locality_weighted_lb_config`). */
  readonly localityWeighted: boolean
}

/** How names become addresses. */
export interface DnsConfig {
  readonly refreshMs: number
  /** An answer holds for its TTL, where it is known and not 0, instead of the refresh rate. */
  readonly respectsTtl: boolean
  /** The least of such a time. */
  readonly ttlMsMin: number
  /** Failures are tried again at the refresh rate, without jitter. */
  readonly failureIsFixed: boolean
  /** Jittered back-off after a failed look-up. */
  readonly failureRefreshBaseMs: number
  readonly failureRefreshMaxMs: number
  readonly family: 'auto' | 'v4-only' | 'v6-only' | 'v4-preferred' | 'all'
}

/** Names found at request time (dynamic forward proxy): a cache with a ceiling. */
export interface DnsCacheConfig extends DnsConfig {
  /** Of authorities without a port: 443 with TLS; absent: 80. */
  readonly defaultPort?: number
  readonly hostTtlMs: number
  readonly hostsMax: number
  readonly pendingMax: number
  readonly queryTimeoutMs: number
}

export interface ClusterConfig {
  readonly name: string
  readonly type: ClusterType
  /** In the names of statistics; the cluster's name unless `alt_stat_name` is set. */
  readonly statName: string
  readonly service: ClusterService
  readonly filterMetadata?: FilterMetadata | undefined
  /** The EDS resource; the cluster's name unless `service_name` is set. */
  readonly edsName: string
  /** 0: waits for ever. */
  readonly edsInitialFetchTimeoutMs: number
  /** From `load_assignment`; undefined for EDS and the dynamic forward proxy. */
  readonly endpoints: EndpointList | undefined
  readonly connectTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly requestsPerConnectionMax: number
  /** 0: connections may grow as old as they like. */
  readonly connectionDurationMsMax: number
  readonly protocol: 'http1' | 'http2' | 'use-downstream'
  readonly http2: Http2Options
  /** Absent: the defaults. */
  readonly http1?: Http1Upstream
  readonly maxStreamDurationMs?: number
  readonly bufferLimitBytes: number
  readonly tcpKeepaliveMs: number | undefined
  readonly tcpKeepaliveProbing?: KeepaliveProbing
  readonly balancing: BalancingConfig
  readonly breakerLimits: BreakerLimits
  readonly outlier: OutlierSettings | undefined
  /** What outlier detection counts as an error; absent: the statuses from 500 on. */
  readonly isError?: ResponseTest
  /** Active health checks; undefined: none. */
  readonly healthCheck: HealthCheckSettings | undefined
  /** A host that left its source goes at once, even while its checks pass. */
  readonly dropsHealthyHosts: boolean
  /** New hosts are left out of every count until they have been checked. */
  readonly ignoresUncheckedHosts: boolean
  /** TCP connections to a host end when it turns unhealthy. */
  readonly closesOnFailure: boolean
  readonly dns: DnsConfig
  readonly dnsCache: DnsCacheConfig | undefined
  readonly waitForWarmOnInit: boolean
  /** Undefined: plaintext to every endpoint. */
  readonly transports: TransportsPlan | undefined
  /** Whether a change needs new connections: what they are made of, as one string. */
  readonly transportKey: string
}
