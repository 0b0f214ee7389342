/**
 * The compiled form of one Listener message before it lives: plain data and functions that open what has a lifetime
 * (statistics, log files). live-listener.ts makes a `ListenerConfig` of it. Compiling has no effect, so a resource that
 * is refused leaves nothing behind.
 */
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { HttpFilter } from '../filter/http-filter.ts'
import type { OnDemand } from '../filter/on-demand-filter.ts'
import type { ConnectionGate } from '../listener/connection-gate.ts'
import type {
  ChainMatch,
  ConnectionInspection,
  DownstreamHttp2,
  HttpConnectionManager,
  TcpProxyConfig,
} from '../listener/listener-config.ts'
import type { RouteTable } from '../route/route-table.ts'
import type { RequestObserver, TcpObserver } from '../telemetry/request-record.ts'
import type { StatsRegistry } from '../telemetry/stats-registry.ts'
import type { TlsScope } from '../tls/live-tls.ts'
import type { DownstreamTlsPlan } from '../tls/tls-plan.ts'
import type { ClusterSet } from '../upstream/cluster.ts'
import type { WireAddress } from '../wire/wire.ts'
import type { LogFiles } from './log-files.ts'

/** What filters and logs of one sidecar share when they are opened. */
export interface PlanScope {
  readonly clock: Clock
  readonly log: Log
  readonly stats: StatsRegistry
  readonly logFiles: LogFiles
  readonly tls: TlsScope
  readonly onDemand: OnDemand
  readonly clusters: ClusterSet
  /** Whether somebody said that the sidecar is to fail its health checks. */
  readonly isFailing: () => boolean
  /** `node.cluster` of the bootstrap. */
  readonly nodeCluster: string
}

/** Something opened from a plan, with what must be released when its listener goes. */
export interface Opened<T> {
  readonly value: T
  close?(): void
}

export type Opener<T> = (scope: PlanScope) => Opened<T>

/** One entry of `http_filters`, the router left out; entries that only observe have no stage. */
export interface HttpFilterPlan {
  readonly name: string
  /** What comes in here may go to any name (Envoy's dynamic forward proxy). */
  readonly resolvesNames?: boolean
  readonly openFilter?: Opener<HttpFilter>
  readonly openObserver?: Opener<RequestObserver>
}

export type RouteSource =
  | { readonly kind: 'inline'; readonly table: RouteTable }
  | { readonly kind: 'rds'; readonly name: string; readonly initialFetchTimeoutMs: number }

export interface HttpSettings extends Omit<
  HttpConnectionManager,
  | 'routes'
  | 'filters'
  | 'filtersAreRouteOnly'
  | 'filtersRunOnMiss'
  | 'readsGrpcWeb'
  | 'observers'
  | 'stats'
  | 'http2'
  | 'bypassesOverload'
> {
  /** Absent: HTTP/1 only. */
  readonly http2?: Omit<DownstreamHttp2, 'stats'>
}

export interface HttpPlan {
  readonly kind: 'http'
  readonly settings: HttpSettings
  readonly routes: RouteSource
  readonly filters: readonly HttpFilterPlan[]
  readonly accessLogs: readonly Opener<RequestObserver>[]
}

export type TcpSettings = Omit<TcpProxyConfig, 'stats' | 'observers'>

export interface TcpPlan {
  readonly kind: 'tcp'
  readonly settings: TcpSettings
  readonly observers: readonly Opener<TcpObserver>[]
}

export interface ListenerPlan {
  readonly name: string
  readonly address: WireAddress
  /** Mode of a Unix socket; 0 leaves the process's umask. */
  readonly pipeMode: number
  readonly bindToPort: boolean
  readonly connectionsMax: number
  readonly bufferLimitBytes: number
  readonly trafficDirection: 'inbound' | 'outbound' | 'unspecified'
  readonly statPrefix: string
  readonly drainsWithHealth: boolean
  readonly ignoresGlobalLimit: boolean
  readonly bypassesOverload: boolean
  readonly chains: readonly ChainPlan[]
  readonly defaultChain: ChainPlan | undefined
  readonly inspection: ConnectionInspection | undefined
}

export interface ChainPlan {
  readonly name: string
  readonly key: string
  readonly match: ChainMatch
  readonly tls: DownstreamTlsPlan | undefined
  readonly handshakeTimeoutMs: number
  readonly network: HttpPlan | TcpPlan
  /** What lets connections in, in order. */
  readonly gates: readonly Opener<ConnectionGate>[]
}

/** Whether requests that come in by it may go to whatever name they ask for. */
export function resolvesNames({ chains, defaultChain }: ListenerPlan): boolean {
  return [...chains, ...(defaultChain === undefined ? [] : [defaultChain])].some(
    ({ network }) =>
      network.kind === 'http' && network.filters.some((filter) => filter.resolvesNames === true),
  )
}
