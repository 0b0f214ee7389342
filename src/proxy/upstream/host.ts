/**
 * One endpoint of a cluster. Mutable where requests and EDS change it; its identity is stable while its
 * address stays in EDS, so that pools, counts and ejections survive an update.
 */
import type { HostStats } from '../telemetry/cluster-stats.ts'
import type { WireAddress } from '../wire/wire.ts'

/** What EDS (Envoy `core.HealthStatus`) and active checks say together. Unknown counts as healthy. */
export type HostHealth = 'healthy' | 'unhealthy' | 'draining' | 'degraded'

/** Of a cluster or an endpoint: what the configuration says to filters and logs, by namespace. */
export type FilterMetadata = Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>

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
  /** All of it, for logs and headers; absent where there is none. */
  readonly filterMetadata?: FilterMetadata | undefined
}

/** Where an endpoint runs, as EDS groups endpoints. */
export interface HostLocality {
  readonly region: string
  readonly zone: string
  readonly subZone: string
}

/**
 * What active health checks say of a host, as Envoy's flags. Changed by its checks alone; whoever does that has the host's
 * `health` worked out anew.
 */
export interface ActiveHealth {
  /** FAILED_ACTIVE_HC: checked, and not well; or not checked yet. */
  isFailed: boolean
  /** ACTIVE_HC_TIMEOUT: it failed because it did not answer in time. */
  isTimeout: boolean
  /** DEGRADED_ACTIVE_HC */
  isDegraded: boolean
  /** PENDING_ACTIVE_HC: never checked, and left out of every count until then. */
  isPending: boolean
  /** EXCLUDED_VIA_IMMEDIATE_HC_FAIL: it said itself that it goes; left out of every count. */
  isExcluded: boolean
}

/** One endpoint. Mutable where requests change it; identity is stable while its address stays in EDS. */
export interface Host {
  readonly address: WireAddress
  /** `ip:port` or `unix:path`: what `%UPSTREAM_HOST%`, /clusters and metrics print. */
  readonly addressText: string
  /** Of the same endpoint, tried where there is no connection to the first; absent: none. */
  readonly otherAddresses?: readonly WireAddress[]
  readonly hostname: string
  /** From EDS, at least 1. */
  weight: number
  /** Of EDS and active checks; ejections are apart. */
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
  /** Told when it turns unhealthy; absent: nobody has to know. */
  readonly closers?: Set<() => void> | undefined
  /** Absent: it is not checked actively. */
  active?: ActiveHealth | undefined
  /** Whether new requests may be sent here: healthy, and not ejected. */
  isAvailable(): boolean
}

/** Where a connection to it leads: of an endpoint of several addresses only the connection knows, which is asked then. */
export function reachedAt(
  { addressText, otherAddresses = [] }: Host,
  connection: { readonly remoteAddress: string | undefined },
): string {
  if (otherAddresses.length === 0) return addressText
  return connection.remoteAddress || addressText
}

/** Left out of what the share of healthy hosts is worked out of (Envoy's excluded hosts): it is about to come, or to go. */
export function isExcluded({ active, health }: Host): boolean {
  return health === 'draining' || (active !== undefined && (active.isPending || active.isExcluded))
}
