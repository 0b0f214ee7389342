/**
 * The compiled form of one RouteConfiguration: what the request path looks up, and nothing is worked out there.
 *
 * Built by config/ when RDS arrives, swapped in with one assignment. Host order as Envoy's: exact, longest
 * `*.suffix`, longest `prefix.*`, `*`; then the first route that matches, in order.
 */
import type { Random } from '../../lib/random.ts'
import type { ConnectionSecurity } from '../connection-security.ts'
import type { Fraction } from '../filter/fraction.ts'
import type { FilterConfigs } from '../filter/route-config.ts'
import type { HeaderList } from '../http/header-list.ts'
import type { RequestHead } from '../http/message.ts'
import type { RetryPolicy } from '../resilience/retry-policy.ts'
import type { LogSource } from '../telemetry/log-source.ts'
import type { RouteStats } from '../telemetry/route-stats.ts'
import type { HashRequest } from './hash-policy.ts'
import type { InternalRedirectPolicy } from './internal-redirect.ts'

export interface RouteTable {
  readonly name: string
  /** The virtual host and route for a request; both undefined-safe results become 404 NR. `security`: of the client. */
  match(head: RequestHead, security?: ConnectionSecurity): MatchedRoute | undefined
  /** Whether there is a virtual host for an authority, be it without a route for the request. */
  hasHost(authority: string): boolean
}

export interface MatchedRoute {
  readonly virtualHost: string
  readonly route: Route
}

export interface Route {
  /** Istio's route name, for `%ROUTE_NAME%`. */
  readonly name: string
  readonly action: RouteAction
  /** Header changes for this route, applied in order; undefined when there are none. */
  readonly editRequest: HeaderEdit | undefined
  readonly editResponse: HeaderEdit | undefined
  /** Of a route with a `stat_prefix`. */
  readonly stats?: RouteStats
  /** In place of `stats` where its virtual host has virtual clusters. */
  readonly count?: CountRoute
  /** Compiled `typed_per_filter_config`, the most specific of route, virtual host and table, by filter name. */
  readonly filterConfigs?: FilterConfigs
}

/** By what a request is counted besides its cluster. */
export interface RouteCount {
  /** For `%VIRTUAL_CLUSTER_NAME%`; undefined where no virtual cluster matches. */
  readonly virtualCluster: string | undefined
  /** The virtual cluster's and the route's. */
  readonly stats: RouteStats | undefined
}

/** Asked once for each request. */
export type CountRoute = (head: RequestHead) => RouteCount

/**
 * Changes the headers of a message in place. `head` is the request, also when a response is edited; the record is what
 * values such as `%UPSTREAM_HOST%` are read from (of a response edit, with its `response` set).
 */
export type HeaderEdit = (headers: HeaderList, head: RequestHead, record?: LogSource) => void

/** `connect`: CONNECT ends here and its payload goes to the cluster as raw bytes (`connect_config`). */
export type RouteAction =
  | { readonly kind: 'forward'; readonly forward: ForwardAction }
  | { readonly kind: 'redirect'; readonly redirect: (head: RequestHead) => RedirectReply }
  | { readonly kind: 'direct'; readonly status: number; readonly body: Uint8Array }
  | { readonly kind: 'connect'; readonly forward: ForwardAction }

export interface RedirectReply {
  readonly status: number
  readonly location: string
}

export interface ForwardAction {
  /** Name of the cluster for this request; a weighted split draws once. */
  readonly pickCluster: (random: Random, head: RequestHead) => PickedCluster
  /** 0 switches it off. The clock starts when the whole request has arrived (Envoy route timeout). */
  readonly timeoutMs: number
  /** 0 switches it off; undefined leaves the listener's stream idle time-out. */
  readonly idleTimeoutMs: number | undefined
  readonly retryPolicy: RetryPolicy | undefined
  /** New path for the upstream, or undefined to forward it as it is. Applied after the header edits. */
  readonly rewritePath: ((path: string) => string | undefined) | undefined
  readonly rewriteAuthority: string | undefined
  /** `host_rewrite_header` and `host_rewrite_path_regex`: the new authority, or undefined to leave it. */
  readonly rewriteAuthorityFrom?: (head: RequestHead) => string | undefined
  /** `auto_host_rewrite`: the authority becomes the chosen host's `hostname`, where it has one. */
  readonly autoHostRewrite?: boolean
  /** A rewrite of the authority appends the old one to x-forwarded-host. */
  readonly appendForwardedHost?: boolean
  /** Whether upgrades (websocket, connect) may pass on this route; adds to the listener's. */
  readonly upgrades: ReadonlySet<string>
  /** Upgrades that this route refuses although the listener allows them. */
  readonly refusedUpgrades?: ReadonlySet<string>
  /** Status when the chosen cluster does not exist; 503 unless set. */
  readonly clusterNotFoundStatus?: number
  /** How a gRPC request's own deadline counts; see request-timeout.ts, which reads it. */
  readonly grpcTimeout?: GrpcTimeout
  /** Envoy `max_stream_duration` is set: it also says what gRPC upstreams are told. */
  readonly limitsStream?: boolean
  /** Virtual host's `include_request_attempt_count`: adds x-envoy-attempt-count to the request. */
  readonly includeAttemptCount?: boolean
  /** Hash of the request for hashing balancers; undefined where there is no hash policy. */
  readonly hashRequest?: HashRequest
  /** Envoy `max_stream_duration`; 0 = none whatever the listener says, absent = the listener's. */
  readonly maxStreamDurationMs?: number
  /** Ceiling of what is held for a retry; absent = the listener's. */
  readonly requestBufferLimitBytes?: number
  /** Virtual host's `include_attempt_count_in_response`. */
  readonly includeAttemptCountInResponse?: boolean
  /** Envoy `request_mirror_policies`; absent: none. */
  readonly mirrors?: readonly MirrorPolicy[]
  /** Which redirects of the upstream are followed here; absent: none. */
  readonly internalRedirect?: InternalRedirectPolicy
  /** A retry after a per-try time-out says so in x-envoy-is-timeout-retry. */
  readonly includeTimeoutRetryHeader?: boolean
}

/** A copy of requests for another cluster. */
export interface MirrorPolicy {
  /** Empty where a header should name it, and does not. */
  readonly clusterOf: (head: RequestHead) => string
  readonly share: Fraction
  /** Without `-shadow` behind the host. */
  readonly keepsHost: boolean
}

/** Envoy `max_grpc_timeout` (deprecated, and what Istio sends) or `max_stream_duration.grpc_timeout_header_*`. */
export interface GrpcTimeout {
  /** `request`: replaces the route's time-out of gRPC requests. `stream`: limits the stream's duration. */
  readonly limits: 'request' | 'stream'
  /** 0: the header counts as it is. */
  readonly maxMs: number
  /** Taken off the header's value. */
  readonly offsetMs: number
}

/** The edits of a weighted cluster come before those of its route, as Envoy applies them. */
export interface PickedCluster {
  readonly cluster: string
  readonly editRequest: HeaderEdit | undefined
  readonly editResponse: HeaderEdit | undefined
  /** Of this part of a weighted split; wins over the route's. */
  readonly rewriteAuthority?: string
  /** Per-filter configuration of this part, with what it inherits from the route; absent: the route's. */
  readonly filterConfigs?: FilterConfigs
}
