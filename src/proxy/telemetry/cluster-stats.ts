/**
 * Counters of a cluster and of a host, named as Envoy names them (`cluster.<name>.upstream_rq_total`, and
 * the columns of admin `/clusters`). Handles are found once, when the cluster is compiled; the request path
 * only adds.
 */

export interface Counter {
  add(amount: number): void
  value(): number
}

export interface Gauge {
  add(amount: number): void
  value(): number
}

export interface Histogram {
  record(value: number): void
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
}

export interface ClusterStats {
  readonly cxTotal: Counter
  readonly cxActive: Gauge
  readonly cxConnectFail: Counter
  readonly cxConnectTimeout: Counter
  readonly cxOverflow: Counter
  readonly cxDestroy: Counter
  readonly cxMaxRequests: Counter
  readonly cxNoneHealthy: Counter
  readonly rqTotal: Counter
  readonly rqActive: Gauge
  readonly rqPendingTotal: Counter
  readonly rqPendingActive: Gauge
  readonly rqPendingOverflow: Counter
  readonly rqTimeout: Counter
  readonly rqPerTryTimeout: Counter
  readonly rqRetry: Counter
  readonly rqRetrySuccess: Counter
  readonly rqRetryOverflow: Counter
  readonly rqRetryLimitExceeded: Counter
  readonly rqTxReset: Counter
  readonly rqRxReset: Counter
  readonly rqCompleted: Counter
  /** Index is the class: 1 for 1xx … 5 for 5xx. */
  readonly rqByClass: readonly Counter[]
  /** Milliseconds. */
  readonly rqTime: Histogram
  readonly rxBytes: Counter
  readonly txBytes: Counter
  readonly outlierEjectionsActive: Gauge
  readonly outlierEjectionsTotal: Counter
  readonly outlierEjectionsOverflow: Counter
  readonly outlierEjectionsConsecutive5xx: Counter
  readonly outlierEjectionsConsecutiveGateway: Counter
  readonly outlierEjectionsConsecutiveLocal: Counter
}

/** Counters of one connection manager: `http.<stat_prefix>.downstream_…`. */
export interface DownstreamStats {
  readonly cxTotal: Counter
  readonly cxActive: Gauge
  readonly cxDestroy: Counter
  readonly cxProtocolError: Counter
  readonly rqTotal: Counter
  readonly rqActive: Gauge
  readonly rqByClass: readonly Counter[]
  readonly rqTime: Histogram
  readonly rqTooLarge: Counter
  readonly rqOverloadClose: Counter
  readonly rxBytes: Counter
  readonly txBytes: Counter
  /** One counter for each reason that a message was refused, by the codec's own name for it. */
  rejected(reason: string): Counter
}

/** Counters of one TCP proxy: `tcp.<stat_prefix>.…`. */
export interface TcpStats {
  readonly cxTotal: Counter
  readonly cxActive: Gauge
  readonly cxNoRoute: Counter
  readonly rxBytes: Counter
  readonly txBytes: Counter
  readonly idleTimeout: Counter
}
