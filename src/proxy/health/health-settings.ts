/** The compiled form of a cluster's active health check (Envoy `core.HealthCheck`), with every default filled in. */
import type { HeaderEdit } from '../route/route-table.ts'
import type { CheckSecurity } from '../upstream/cluster.ts'
import type { ProxyVersion } from '../wire/proxy-protocol.ts'

export interface HealthCheckSettings {
  /** Two with the same key check alike. */
  readonly key: string
  readonly timeoutMs: number
  readonly intervals: CheckIntervals
  /** Failures of the network in a row that a healthy host may not reach; an unexpected answer counts at once. */
  readonly unhealthyThreshold: number
  /** Passes in a row that an unhealthy host needs, but for its very first check. */
  readonly healthyThreshold: number
  readonly reusesConnection: boolean
  /** Files that get a line of JSON for each event. */
  readonly eventLogPaths: readonly string[]
  readonly logsEveryFailure: boolean
  readonly logsEverySuccess: boolean
  readonly security: CheckSecurity
  readonly probe: ProbeSettings
}

export interface CheckIntervals {
  readonly intervalMs: number
  /** The first check waits for up to this long; 0: it is made at once. */
  readonly initialJitterMs: number
  /** Added to each interval, up to this long. */
  readonly jitterMs: number
  readonly jitterPercent: number
  /** While the cluster has never been used; of healthy hosts, and of the others. */
  readonly noTrafficHealthyMs: number
  readonly noTrafficMs: number
  readonly unhealthyMs: number
  /** Between a healthy host's first failure and the one that puts it out. */
  readonly unhealthyEdgeMs: number
  /** Between an unhealthy host's first pass and the one that brings it back. */
  readonly healthyEdgeMs: number
}

export type ProbeSettings = HttpProbeSettings | TcpProbeSettings | GrpcProbeSettings

export interface StatusRange {
  readonly start: number
  /** Excluded. */
  readonly end: number
}

export interface HttpProbeSettings {
  readonly kind: 'http'
  readonly version: 'http1' | 'http2'
  readonly method: string
  readonly path: string
  /** Authority of the requests; empty: the cluster's name. An endpoint may have its own. */
  readonly host: string
  readonly expected: readonly StatusRange[]
  readonly retriable: readonly StatusRange[]
  readonly editHeaders: HeaderEdit | undefined
  /** Body of the request; undefined: none. */
  readonly send: Buffer | undefined
  /** Must be in the answer's body, in this order. */
  readonly receive: readonly Buffer[]
  /** Bytes of the answer that are looked at; 0: all. */
  readonly responseBytesMax: number
  /** What the far side must say that its cluster is called. */
  readonly matchesService: ((name: string) => boolean) | undefined
}

export interface TcpProbeSettings {
  readonly kind: 'tcp'
  readonly send: Buffer | undefined
  /** Empty: a connection is enough. */
  readonly receive: readonly Buffer[]
  /** A header of the PROXY protocol goes first. */
  readonly proxyHeader: ProxyVersion | undefined
}

export interface GrpcProbeSettings {
  readonly kind: 'grpc'
  /** Empty: the server as a whole. */
  readonly service: string
  readonly host: string
  readonly editHeaders: HeaderEdit | undefined
}
