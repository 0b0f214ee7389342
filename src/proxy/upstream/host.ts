/**
 * One endpoint of a cluster. Mutable where requests and EDS change it; its identity is stable while its
 * address stays in EDS, so that pools, counts and ejections survive an update.
 */
import type { HostStats } from '../telemetry/cluster-stats.ts'
import type { WireAddress } from '../wire/wire.ts'

/** Health as EDS reports it (Envoy `core.HealthStatus`). Unknown counts as healthy. */
export type HostHealth = 'healthy' | 'unhealthy' | 'draining' | 'degraded'

/** Endpoint metadata that Istio writes: `workload;namespace;canonical name;revision;cluster`. */
export interface HostMetadata {
  readonly workload: string
  readonly namespace: string
  readonly canonicalName: string
  readonly canonicalRevision: string
  readonly cluster: string
  /** `tlsMode` from `envoy.transport_socket_match`; undefined means plaintext. */
  readonly tlsMode: string | undefined
  /** All of `envoy.transport_socket_match`: what a cluster's `transport_socket_matches` look at. */
  readonly socketMatch?: Readonly<Record<string, unknown>> | undefined
  /** `hash_key` of `envoy.lb`: what hashing balancers know the host by, instead of its address. */
  readonly hashKey?: string | undefined
}

/** Where an endpoint runs, as EDS groups endpoints. */
export interface HostLocality {
  readonly region: string
  readonly zone: string
  readonly subZone: string
}

/** One endpoint. Mutable where requests change it; identity is stable while its address stays in EDS. */
export interface Host {
  readonly address: WireAddress
  /** `ip:port` or `unix:path`: what `%UPSTREAM_HOST%`, /clusters and metrics print. */
  readonly addressText: string
  readonly hostname: string
  /** From EDS, at least 1. */
  weight: number
  health: HostHealth
  metadata: HostMetadata
  /** From EDS: 0, the first, when absent. Lower ones are used while they are healthy. */
  priority?: number
  locality?: HostLocality
  /** Weight of its locality among those of its priority; for locality-weighted balancing. */
  localityWeight?: number
  /** When it came, or passed its first active health check; on the monotonic clock. Set by slow start. */
  readySinceMs?: number | undefined
  readonly stats: HostStats
  /** Set by the outlier detector; read by the balancer. */
  isEjected: boolean
  /** Whether new requests may be sent here: healthy in EDS and not ejected. */
  isAvailable(): boolean
}
