/**
 * Counters of a cluster and of a host, named as Envoy names them (`cluster.<name>.upstream_rq_total`, and
 * the columns of admin `/clusters`). Handles are found once, when the cluster is compiled; the request path
 * only adds.
 */

import type { TlsReason } from '../tls/tls-reason.ts'

export interface Counter {
  add(amount: number): void
  value(): number
}

export interface Gauge {
  add(amount: number): void
  set(value: number): void
  value(): number
}

export interface Histogram {
  record(value: number): void
}

/** Responses by class, and by code. */
export interface ResponseCounters {
  add(status: number): void
  /** How many there were of one status; without one, of all. */
  count(status?: number): number
}

export interface HostStats {
  readonly cxTotal: Counter
  readonly cxConnectFail: Counter
  readonly cxActive: Gauge
  readonly rqTotal: Counter
  readonly rqSuccess: Counter
  readonly rqError: Counter
  readonly rqTimeout: Counter
  readonly rqActive: Gauge
  /** The host is gone: its slots may be used again. */
  close(): void
}

/** Those of a cluster's stats that it has before it is called. */
export interface MembershipStats {
  readonly total: Gauge
  readonly healthy: Gauge
  readonly degraded: Gauge
  /** Those that EDS or checks say nothing about yet, or that wait to leave. */
  readonly excluded: Gauge
  readonly change: Counter
  close(): void
}

/** How the names of a cluster are answered (Envoy's ConfigUpdateStats, of STRICT_DNS and LOGICAL_DNS). */
export interface DnsStats {
  readonly attempt: Counter
  readonly success: Counter
  readonly failure: Counter
  /** Answers that changed nothing. */
  readonly noRebuild: Counter
  close(): void
}

export interface ClusterStats {
  readonly cxTotal: Counter
  readonly cxActive: Gauge
  readonly cxConnectFail: Counter
  readonly cxConnectTimeout: Counter
  readonly cxOverflow: Counter
  readonly cxDestroy: Counter
  readonly cxDestroyLocal: Counter
  readonly cxDestroyRemote: Counter
  /** Of those that ended with a request on them. */
  readonly cxDestroyWithActiveRq: Counter
  readonly cxDestroyLocalWithActiveRq: Counter
  readonly cxDestroyRemoteWithActiveRq: Counter
  readonly cxProtocolError: Counter
  readonly cxConnectAttemptsExceeded: Counter
  readonly cxHttp1Total: Counter
  readonly cxIdleTimeout: Counter
  readonly cxMaxRequests: Counter
  /** Connections that were as old as they may be. */
  readonly cxMaxDuration: Counter
  readonly cxHttp2Total: Counter
  /** Connections that the upstream ended with a GOAWAY. */
  readonly cxCloseNotify: Counter
  readonly cxNoneHealthy: Counter
  readonly rqTotal: Counter
  readonly rqActive: Gauge
  readonly rqPendingTotal: Counter
  readonly rqPendingActive: Gauge
  readonly rqPendingOverflow: Counter
  /** Requests that waited for a connection that was not had. */
  readonly rqPendingFailureEject: Counter
  /** Requests beyond `max_requests`; Envoy 1.40 counts them apart from those that wait. */
  readonly rqActiveOverflow: Counter
  readonly rqTimeout: Counter
  readonly rqPerTryTimeout: Counter
  readonly rqPerTryIdleTimeout: Counter
  readonly rqMaxDuration: Counter
  readonly rqRetry: Counter
  readonly rqRetrySuccess: Counter
  readonly rqRetryBackoffExponential: Counter
  readonly rqRetryBackoffRatelimited: Counter
  readonly rqRetryOverflow: Counter
  /** Bodies beyond what may be held, which cannot be sent again. */
  readonly retryAbandoned: Counter
  readonly rqRetryLimitExceeded: Counter
  readonly internalRedirectSucceeded: Counter
  readonly internalRedirectFailed: Counter
  readonly rqTxReset: Counter
  readonly rqRxReset: Counter
  /** Given up before they had a connection. */
  readonly rqCancelled: Counter
  /** All answers; those to requests that began inside of the mesh, and outside; those that were retried. */
  readonly answers: ResponseCounters
  readonly internalAnswers: ResponseCounters
  readonly externalAnswers: ResponseCounters
  readonly retriedAnswers: ResponseCounters
  /** Milliseconds. */
  readonly rqTime: Histogram
  readonly rxBytes: Counter
  readonly txBytes: Counter
  /** Picks made while a priority was in panic. */
  readonly lbHealthyPanic: Counter
  readonly outlier: OutlierStats
  /** Made when first asked for: few sidecars say what cluster they are a member of. */
  zone(): ZoneStats
  /** Made when first asked for: most clusters are not checked. */
  healthCheck(): HealthCheckStats
  /** Made when first asked for: most clusters speak HTTP/1. */
  http2(): Http2Stats
  /** The cluster is gone: forgets its stats. */
  close(): void
}

/** What can make a host an outlier, in the words of Envoy's counters. */
export type EjectionKind =
  | 'consecutive_5xx'
  | 'consecutive_gateway_failure'
  | 'consecutive_local_origin_failure'
  | 'success_rate'
  | 'local_origin_success_rate'
  | 'failure_percentage'
  | 'local_origin_failure_percentage'

/** `cluster.<name>.outlier_detection.…` */
export interface OutlierStats {
  readonly ejectionsActive: Gauge
  readonly ejectionsEnforcedTotal: Counter
  readonly ejectionsOverflow: Counter
  /** An outlier was seen, whether or not chance or the ceiling let it be ejected. */
  readonly detected: Readonly<Record<EjectionKind, Counter>>
  readonly enforced: Readonly<Record<EjectionKind, Counter>>
  /** Envoy's names of old, which dashboards still ask for. */
  readonly legacy: LegacyOutlierStats
}

export interface LegacyOutlierStats {
  /** 5xx in a row and success rates within the ceiling, whether or not chance let the host be ejected. */
  readonly ejectionsTotal: Counter
  /** Detected ones; those of local origin are in the success rates. */
  readonly consecutive5xx: Counter
  readonly successRate: Counter
}

/** `cluster.<name>.lb_…`, of zone-aware routing. */
export interface ZoneStats {
  readonly recalculate: Counter
  readonly localClusterNotOk: Counter
  readonly clusterTooSmall: Counter
  readonly noCapacityLeft: Counter
  readonly allDirectly: Counter
  readonly crossZone: Counter
  readonly sampled: Counter
}

/** `cluster.<name>.health_check.…` */
export interface HealthCheckStats {
  readonly attempt: Counter
  readonly success: Counter
  readonly failure: Counter
  /** The host said so itself, in the answer to a request. */
  readonly passiveFailure: Counter
  readonly networkFailure: Counter
  readonly verifyCluster: Counter
  readonly healthy: Gauge
  readonly degraded: Gauge
}

/** Counters of one connection manager: `http.<stat_prefix>.downstream_…`. */
export interface DownstreamStats {
  readonly cxTotal: Counter
  readonly cxActive: Gauge
  readonly cxDestroy: Counter
  readonly cxDestroyLocal: Counter
  readonly cxDestroyRemote: Counter
  readonly cxDestroyActiveRq: Counter
  readonly cxDestroyLocalActiveRq: Counter
  readonly cxDestroyRemoteActiveRq: Counter
  readonly cxProtocolError: Counter
  readonly cxIdleTimeout: Counter
  readonly cxMaxDurationReached: Counter
  readonly cxMaxRequestsReached: Counter
  /** Clients that did not end their side in time, behind the last response. */
  readonly cxDelayedCloseTimeout: Counter
  readonly cxHttp1Total: Counter
  readonly cxHttp1Active: Gauge
  readonly cxUpgradesTotal: Counter
  readonly cxUpgradesActive: Gauge
  readonly rqTotal: Counter
  readonly rqActive: Gauge
  readonly rqHttp1Total: Counter
  readonly rqIdleTimeout: Counter
  readonly rqTimeout: Counter
  readonly rqHeaderTimeout: Counter
  readonly rqMaxDurationReached: Counter
  /** Answered before the request had come to its end. */
  readonly rqResponseBeforeRqComplete: Counter
  readonly rqRxReset: Counter
  readonly rqTxReset: Counter
  readonly rqNonRelativePath: Counter
  /** A path that is refused, and one that is sent back in its normal form. */
  readonly rqFailedPathNormalization: Counter
  readonly rqRedirectedWithNormalizedPath: Counter
  /** An upgrade that neither the manager nor the route allows. */
  readonly rqWsOnNonWsRoute: Counter
  /** Of the manager, and of the manager on its listener. */
  readonly answers: ResponseCounters
  readonly listenerAnswers: ResponseCounters | undefined
  /** What the router decided. */
  readonly router: RouterStats
  readonly rqTime: Histogram
  readonly rqTooLarge: Counter
  readonly rqOverloadClose: Counter
  readonly rxBytes: Counter
  readonly txBytes: Counter
  /** One counter for each reason that a message was refused, by the codec's own name for it. */
  rejected(reason: string): Counter
  readonly http2: DownstreamHttp2Stats
  close(): void
}

/** `http.<stat_prefix>.…` of the router. */
export interface RouterStats {
  readonly noRoute: Counter
  readonly noCluster: Counter
  readonly rqTotal: Counter
  readonly rqDirectResponse: Counter
  /** Redirects that were to be followed here, and went to the client. */
  readonly redirectRefused: Readonly<Record<RedirectRefusal, Counter>>
}

export type RedirectRefusal =
  | 'bad-location'
  | 'unsafe-scheme'
  | 'too-many-redirects'
  | 'no-route'
  | 'predicate'

/** What of a connection manager's work is HTTP/2. */
export interface DownstreamHttp2Stats {
  readonly cxTotal: Counter
  readonly cxActive: Gauge
  readonly rqTotal: Counter
  readonly tooManyResets: Counter
}

/** Counters of the HTTP/2 codec: `http2.…` for clients, `cluster.<name>.http2.…` for upstreams. */
export interface Http2Stats {
  readonly droppedHeadersWithUnderscores: Counter
  readonly requestsRejectedWithUnderscores: Counter
  readonly goawaySent: Counter
  readonly headerOverflow: Counter
  readonly inboundEmptyFramesFlood: Counter
  readonly inboundPriorityFramesFlood: Counter
  readonly inboundWindowUpdateFramesFlood: Counter
  readonly keepaliveTimeout: Counter
  readonly outboundControlFlood: Counter
  readonly outboundFlood: Counter
  readonly rxMessagingError: Counter
  readonly rxReset: Counter
  readonly streamRefusedErrors: Counter
  readonly trailers: Counter
  readonly txFlushTimeout: Counter
  readonly txReset: Counter
  readonly streamsActive: Gauge
  close(): void
}

/** Counters of one listener: `listener.<address>.…`. */
/** Connections that a listener refused, by reason. */
export interface AcceptStats {
  readonly cxTotal: Counter
  readonly cxActive: Gauge
  /** Connections whose first bytes are waited for. */
  readonly preCxActive: Gauge
  readonly cxDestroy: Counter
  /** Above the listener's own ceiling. */
  readonly overflow: Counter
  /** Above that of the process. */
  readonly globalOverflow: Counter
  /** An overload action or a load-shed point said so. */
  readonly overloadReject: Counter
  close(): void
}

export interface ListenerStats {
  readonly tls: TlsStats
  readonly noFilterChainMatch: Counter
  /** Connections that said nothing while their first bytes were waited for. */
  readonly preCxTimeout: Counter
  /** Clients that left meanwhile. */
  readonly listenerFilterRemoteClose: Counter
  /** Connections whose PROXY header was missing or broken. */
  readonly proxyHeaderError: Counter
  close(): void
}

/** Counters of one side of TLS, `…ssl.…`, by Envoy's names and by our reasons. */
export interface TlsStats {
  readonly handshake: Counter
  readonly sessionReused: Counter
  /** Connections without a certificate where none was needed. */
  readonly noCertificate: Counter
  readonly connectionError: Counter
  readonly failVerifyNoCert: Counter
  readonly failVerifyError: Counter
  readonly failVerifySan: Counter
  readonly failVerifyCertHash: Counter
  readonly secretsNotReady: Counter
  /** One for each reason of the closed set. */
  refused(reason: TlsReason): Counter
  /** `versions.TLSv1.3` and its like: made when first seen, and a handful at most. */
  version(name: string): Counter
  cipher(name: string): Counter
  close(): void
}

/** Counters of one TCP proxy: `tcp.<stat_prefix>.…`. */
export interface TcpStats {
  readonly cxTotal: Counter
  readonly cxActive: Gauge
  readonly cxNoRoute: Counter
  readonly rxBytes: Counter
  readonly txBytes: Counter
  readonly idleTimeout: Counter
  readonly maxDuration: Counter
  close(): void
}
