/**
 * The stats that the request path writes, made by Envoy's names: of a cluster, a host, a connection manager and a
 * TCP proxy. Handles are made once, when configuration is compiled.
 */
import type {
  AcceptStats,
  ClusterStats,
  Counter,
  DnsStats,
  DownstreamStats,
  EjectionKind,
  Gauge,
  HealthCheckStats,
  HostStats,
  Http2Stats,
  ListenerStats,
  MembershipStats,
  OutlierStats,
  RouterStats,
  TcpStats,
  ZoneStats,
} from './cluster-stats.ts'
import { closable, createTlsStats } from './create-tls-stats.ts'
import { http2StatsIn } from './http2-stats.ts'
import { responseCounters } from './response-counters.ts'
import type { Slots } from './slots.ts'
import type { StatNaming, StatScope, StatsRegistry } from './stats-registry.ts'

function clusterScope(registry: StatsRegistry, clusterName: string): StatScope {
  return registry.scope({
    path: `cluster.${clusterName}`,
    metric: 'envoy_cluster',
    labels: [['envoy_cluster_name', clusterName]],
  })
}

/** Who is in a cluster, whether or not it is called. */
export function createMembershipStats(
  registry: StatsRegistry,
  clusterName: string,
): MembershipStats {
  const scope = clusterScope(registry, clusterName)
  return {
    total: scope.gauge('membership_total'),
    healthy: scope.gauge('membership_healthy'),
    degraded: scope.gauge('membership_degraded'),
    excluded: scope.gauge('membership_excluded'),
    change: scope.counter('membership_change'),
    close: () => scope.close(),
  }
}

export function createDnsStats(registry: StatsRegistry, clusterName: string): DnsStats {
  const scope = clusterScope(registry, clusterName)
  return {
    attempt: scope.counter('update_attempt'),
    success: scope.counter('update_success'),
    failure: scope.counter('update_failure'),
    noRebuild: scope.counter('update_no_rebuild'),
    close: () => scope.close(),
  }
}

export function createClusterStats(registry: StatsRegistry, clusterName: string): ClusterStats {
  const scope = clusterScope(registry, clusterName)
  const counter = (name: string): Counter => scope.counter(name)
  const gauge = (name: string): Gauge => scope.gauge(name)
  const answers = (name: string) => responseCounters(scope, { name, hasCodes: true })
  let http2: Http2Stats | undefined
  let outlier: OutlierStats | undefined
  let healthCheck: HealthCheckStats | undefined
  let zone: ZoneStats | undefined
  return {
    cxTotal: counter('upstream_cx_total'),
    cxActive: gauge('upstream_cx_active'),
    cxConnectFail: counter('upstream_cx_connect_fail'),
    cxConnectTimeout: counter('upstream_cx_connect_timeout'),
    cxOverflow: counter('upstream_cx_overflow'),
    cxDestroy: counter('upstream_cx_destroy'),
    cxDestroyLocal: counter('upstream_cx_destroy_local'),
    cxDestroyRemote: counter('upstream_cx_destroy_remote'),
    cxDestroyWithActiveRq: counter('upstream_cx_destroy_with_active_rq'),
    cxDestroyLocalWithActiveRq: counter('upstream_cx_destroy_local_with_active_rq'),
    cxDestroyRemoteWithActiveRq: counter('upstream_cx_destroy_remote_with_active_rq'),
    cxProtocolError: counter('upstream_cx_protocol_error'),
    cxConnectAttemptsExceeded: counter('upstream_cx_connect_attempts_exceeded'),
    cxHttp1Total: counter('upstream_cx_http1_total'),
    cxIdleTimeout: counter('upstream_cx_idle_timeout'),
    cxMaxRequests: counter('upstream_cx_max_requests'),
    cxMaxDuration: counter('upstream_cx_max_duration_reached'),
    cxHttp2Total: counter('upstream_cx_http2_total'),
    cxCloseNotify: counter('upstream_cx_close_notify'),
    cxNoneHealthy: counter('upstream_cx_none_healthy'),
    rqTotal: counter('upstream_rq_total'),
    rqActive: gauge('upstream_rq_active'),
    rqPendingTotal: counter('upstream_rq_pending_total'),
    rqPendingActive: gauge('upstream_rq_pending_active'),
    rqPendingOverflow: counter('upstream_rq_pending_overflow'),
    rqPendingFailureEject: counter('upstream_rq_pending_failure_eject'),
    rqActiveOverflow: counter('upstream_rq_active_overflow'),
    rqTimeout: counter('upstream_rq_timeout'),
    rqPerTryTimeout: counter('upstream_rq_per_try_timeout'),
    rqPerTryIdleTimeout: counter('upstream_rq_per_try_idle_timeout'),
    rqMaxDuration: counter('upstream_rq_max_duration_reached'),
    rqRetry: counter('upstream_rq_retry'),
    rqRetrySuccess: counter('upstream_rq_retry_success'),
    rqRetryBackoffExponential: counter('upstream_rq_retry_backoff_exponential'),
    retryAbandoned: counter('retry_or_shadow_abandoned'),
    rqRetryBackoffRatelimited: counter('upstream_rq_retry_backoff_ratelimited'),
    rqRetryOverflow: counter('upstream_rq_retry_overflow'),
    rqRetryLimitExceeded: counter('upstream_rq_retry_limit_exceeded'),
    internalRedirectSucceeded: counter('upstream_internal_redirect_succeeded_total'),
    internalRedirectFailed: counter('upstream_internal_redirect_failed_total'),
    rqTxReset: counter('upstream_rq_tx_reset'),
    rqRxReset: counter('upstream_rq_rx_reset'),
    rqCancelled: counter('upstream_rq_cancelled'),
    answers: answers('upstream_rq'),
    internalAnswers: answers('internal.upstream_rq'),
    externalAnswers: answers('external.upstream_rq'),
    retriedAnswers: answers('retry.upstream_rq'),
    rqTime: scope.histogram('upstream_rq_time'),
    rxBytes: counter('upstream_cx_rx_bytes_total'),
    txBytes: counter('upstream_cx_tx_bytes_total'),
    lbHealthyPanic: counter('lb_healthy_panic'),
    // Only clusters that look for outliers count them.
    get outlier() {
      return (outlier ??= outlierStats(scope))
    },
    zone: () => (zone ??= zoneStats(scope)),
    healthCheck: () => (healthCheck ??= healthCheckStats(scope)),
    http2: () => (http2 ??= http2StatsIn(scope)),
    close: () => scope.close(),
  }
}

function zoneStats(scope: StatScope): ZoneStats {
  return {
    recalculate: scope.counter('lb_recalculate_zone_structures'),
    localClusterNotOk: scope.counter('lb_local_cluster_not_ok'),
    clusterTooSmall: scope.counter('lb_zone_cluster_too_small'),
    noCapacityLeft: scope.counter('lb_zone_no_capacity_left'),
    allDirectly: scope.counter('lb_zone_routing_all_directly'),
    crossZone: scope.counter('lb_zone_routing_cross_zone'),
    sampled: scope.counter('lb_zone_routing_sampled'),
  }
}

function healthCheckStats(scope: StatScope): HealthCheckStats {
  const counter = (name: string): Counter => scope.counter(`health_check.${name}`)
  return {
    attempt: counter('attempt'),
    success: counter('success'),
    failure: counter('failure'),
    passiveFailure: counter('passive_failure'),
    networkFailure: counter('network_failure'),
    verifyCluster: counter('verify_cluster'),
    healthy: scope.gauge('health_check.healthy'),
    degraded: scope.gauge('health_check.degraded'),
  }
}

const ejectionKinds: readonly EjectionKind[] = [
  'consecutive_5xx',
  'consecutive_gateway_failure',
  'consecutive_local_origin_failure',
  'success_rate',
  'local_origin_success_rate',
  'failure_percentage',
  'local_origin_failure_percentage',
]

function outlierStats(scope: StatScope): OutlierStats {
  const byKind = (verb: string): Record<EjectionKind, Counter> =>
    Object.fromEntries(
      ejectionKinds.map((kind) => [
        kind,
        scope.counter(`outlier_detection.ejections_${verb}_${kind}`),
      ]),
      // Every kind has an entry, because the list above is all of them.
    ) as Record<EjectionKind, Counter>
  return {
    ejectionsActive: scope.gauge('outlier_detection.ejections_active'),
    ejectionsEnforcedTotal: scope.counter('outlier_detection.ejections_enforced_total'),
    ejectionsOverflow: scope.counter('outlier_detection.ejections_overflow'),
    detected: byKind('detected'),
    enforced: byKind('enforced'),
    legacy: {
      ejectionsTotal: scope.counter('outlier_detection.ejections_total'),
      consecutive5xx: scope.counter('outlier_detection.ejections_consecutive_5xx'),
      successRate: scope.counter('outlier_detection.ejections_success_rate'),
    },
  }
}

/**
 * A host's stats show in admin /clusters only, as Envoy's do: they have slots and no name, because a name per host
 * and counter is what makes stats expensive in large meshes. Threads that give the same key have its gauges in common: a
 * host is as busy as all of them make it.
 */
export function createHostStats(slots: Slots, key?: string): HostStats {
  const freed: (() => void)[] = []
  const counter = (): Counter => {
    const slot = slots.counter()
    const cells = slots.counterCells
    freed.push(() => slots.free(slot))
    return {
      add(amount) {
        cells[slot] = (cells[slot] as number) + amount // in bounds: our slot
      },
      value: () => slots.read(slot),
    }
  }
  const gauge = (what: string): Gauge => {
    const slot = slots.gauge(key === undefined ? undefined : `host ${what} ${key}`)
    freed.push(() => slots.free(slot))
    return {
      add(amount) {
        slots.addGauge(slot, amount)
      },
      set(value) {
        slots.setGauge(slot, value)
      },
      value: () => slots.readGauge(slot),
    }
  }
  return {
    cxTotal: counter(),
    cxConnectFail: counter(),
    cxActive: gauge('cx'),
    rqTotal: counter(),
    rqSuccess: counter(),
    rqError: counter(),
    rqTimeout: counter(),
    rqActive: gauge('rq'),
    close() {
      for (const free of freed) free()
      freed.length = 0
    },
  }
}

export function createDownstreamStats(
  registry: StatsRegistry,
  statPrefix: string,
  listenerName?: string,
): DownstreamStats {
  const scope = registry.scope({
    path: `http.${statPrefix}`,
    metric: 'envoy_http',
    labels: [['envoy_http_conn_manager_prefix', statPrefix]],
  })
  const onListener =
    listenerName === undefined ? undefined : registry.scope(managerOn(listenerName, statPrefix))
  const rejected = new Map<string, Counter>()
  return {
    ...connectionStats(scope),
    ...requestStats(scope),
    answers: responseCounters(scope, { name: 'downstream_rq', hasCodes: false }),
    listenerAnswers:
      onListener && responseCounters(onListener, { name: 'downstream_rq', hasCodes: false }),
    router: routerStats(scope),
    rqTime: scope.histogram('downstream_rq_time'),
    rqTooLarge: scope.counter('downstream_rq_too_large'),
    rqOverloadClose: scope.counter('downstream_rq_overload_close'),
    rxBytes: scope.counter('downstream_cx_rx_bytes_total'),
    txBytes: scope.counter('downstream_cx_tx_bytes_total'),
    // Reasons are the codec's own closed set of names, so this map has a ceiling.
    rejected(reason) {
      let counter = rejected.get(reason)
      if (counter === undefined) {
        const naming = {
          metric: 'downstream_rq_rejected',
          labels: [['reason', reason]],
        } as const satisfies StatNaming
        counter = scope.counter(`downstream_rq_rejected.${reason}`, naming)
        rejected.set(reason, counter)
      }
      return counter
    },
    http2: {
      cxTotal: scope.counter('downstream_cx_http2_total'),
      cxActive: scope.gauge('downstream_cx_http2_active'),
      rqTotal: scope.counter('downstream_rq_http2_total'),
      tooManyResets: scope.counter('downstream_rq_too_many_premature_resets'),
    },
    close() {
      scope.close()
      onListener?.close()
    },
  }
}

/** The budgets of the process: `server.total_connections` is Envoy's, `server.buffered_bytes` ours. */
export function createOverloadGauges(registry: StatsRegistry): {
  readonly connections: Gauge
  readonly bufferedBytes: Gauge
} {
  const scope = registry.scope({ path: 'server', metric: 'envoy_server', labels: [] })
  return {
    connections: scope.gauge('total_connections'),
    bufferedBytes: scope.gauge('buffered_bytes'),
  }
}

export interface OnDemandTableStats {
  /** Names of virtual hosts and of clusters that the control plane is asked for. */
  readonly hosts: Gauge
  readonly clusters: Gauge
  /** Given up because nobody had used them, or to make room. */
  readonly expired: Counter
  readonly evicted: Counter
  readonly clustersExpired: Counter
}

export function createOnDemandTableStats(registry: StatsRegistry): OnDemandTableStats {
  const scope = registry.scope({ path: 'on_demand', metric: 'envoy_on_demand', labels: [] })
  return {
    hosts: scope.gauge('hosts'),
    clusters: scope.gauge('clusters'),
    expired: scope.counter('hosts_expired'),
    evicted: scope.counter('hosts_evicted'),
    clustersExpired: scope.counter('clusters_expired'),
  }
}

function connectionStats(scope: StatScope) {
  return {
    cxTotal: scope.counter('downstream_cx_total'),
    cxActive: scope.gauge('downstream_cx_active'),
    cxDestroy: scope.counter('downstream_cx_destroy'),
    cxDestroyLocal: scope.counter('downstream_cx_destroy_local'),
    cxDestroyRemote: scope.counter('downstream_cx_destroy_remote'),
    cxDestroyActiveRq: scope.counter('downstream_cx_destroy_active_rq'),
    cxDestroyLocalActiveRq: scope.counter('downstream_cx_destroy_local_active_rq'),
    cxDestroyRemoteActiveRq: scope.counter('downstream_cx_destroy_remote_active_rq'),
    cxProtocolError: scope.counter('downstream_cx_protocol_error'),
    cxIdleTimeout: scope.counter('downstream_cx_idle_timeout'),
    cxMaxDurationReached: scope.counter('downstream_cx_max_duration_reached'),
    cxMaxRequestsReached: scope.counter('downstream_cx_max_requests_reached'),
    cxDelayedCloseTimeout: scope.counter('downstream_cx_delayed_close_timeout'),
    cxHttp1Total: scope.counter('downstream_cx_http1_total'),
    cxHttp1Active: scope.gauge('downstream_cx_http1_active'),
    cxUpgradesTotal: scope.counter('downstream_cx_upgrades_total'),
    cxUpgradesActive: scope.gauge('downstream_cx_upgrades_active'),
  }
}

function requestStats(scope: StatScope) {
  return {
    rqTotal: scope.counter('downstream_rq_total'),
    rqActive: scope.gauge('downstream_rq_active'),
    rqHttp1Total: scope.counter('downstream_rq_http1_total'),
    rqIdleTimeout: scope.counter('downstream_rq_idle_timeout'),
    rqTimeout: scope.counter('downstream_rq_timeout'),
    rqHeaderTimeout: scope.counter('downstream_rq_header_timeout'),
    rqFailedPathNormalization: scope.counter('downstream_rq_failed_path_normalization'),
    rqRedirectedWithNormalizedPath: scope.counter('downstream_rq_redirected_with_normalized_path'),
    rqMaxDurationReached: scope.counter('downstream_rq_max_duration_reached'),
    rqResponseBeforeRqComplete: scope.counter('downstream_rq_response_before_rq_complete'),
    rqRxReset: scope.counter('downstream_rq_rx_reset'),
    rqTxReset: scope.counter('downstream_rq_tx_reset'),
    rqNonRelativePath: scope.counter('downstream_rq_non_relative_path'),
    rqWsOnNonWsRoute: scope.counter('downstream_rq_ws_on_non_ws_route'),
  }
}

function routerStats(scope: StatScope): RouterStats {
  const redirect = (reason: string) => scope.counter(`passthrough_internal_redirect_${reason}`)
  return {
    noRoute: scope.counter('no_route'),
    noCluster: scope.counter('no_cluster'),
    rqTotal: scope.counter('rq_total'),
    rqDirectResponse: scope.counter('rq_direct_response'),
    redirectRefused: {
      'bad-location': redirect('bad_location'),
      'unsafe-scheme': redirect('unsafe_scheme'),
      'too-many-redirects': redirect('too_many_redirects'),
      'no-route': redirect('no_route'),
      predicate: redirect('predicate'),
    },
  }
}

export function createAcceptStats(registry: StatsRegistry, address: string): AcceptStats {
  const scope = registry.scope(listenerNaming(address))
  return {
    cxTotal: scope.counter('downstream_cx_total'),
    cxActive: scope.gauge('downstream_cx_active'),
    preCxActive: scope.gauge('downstream_pre_cx_active'),
    cxDestroy: scope.counter('downstream_cx_destroy'),
    overflow: scope.counter('downstream_cx_overflow'),
    globalOverflow: scope.counter('downstream_global_cx_overflow'),
    overloadReject: scope.counter('downstream_cx_overload_reject'),
    close: () => scope.close(),
  }
}

function managerOn(address: string, statPrefix: string) {
  const { path, metric, labels } = listenerNaming(address)
  return {
    path: `${path}.http.${statPrefix}`,
    metric: `${metric}_http`,
    labels: [['envoy_http_conn_manager_prefix', statPrefix], ...labels],
  } as const
}

function listenerNaming(address: string) {
  return {
    path: `listener.${address.replaceAll(':', '_')}`,
    metric: 'envoy_listener',
    labels: [['envoy_listener_address', address]],
  } as const
}

/** `address` is the listener's as it is configured, or its `stat_prefix`. */
export function createListenerStats(registry: StatsRegistry, address: string): ListenerStats {
  const scope = closable(registry.scope(listenerNaming(address)))
  return {
    tls: createTlsStats(scope, 'downstream'),
    noFilterChainMatch: scope.counter('no_filter_chain_match'),
    preCxTimeout: scope.counter('downstream_pre_cx_timeout'),
    listenerFilterRemoteClose: scope.counter('downstream_listener_filter_remote_close'),
    proxyHeaderError: scope.counter('downstream_cx_proxy_proto_error'),
    close: () => scope.close(),
  }
}

export function createTcpStats(registry: StatsRegistry, statPrefix: string): TcpStats {
  const scope = registry.scope({
    path: `tcp.${statPrefix}`,
    metric: 'envoy_tcp',
    labels: [['envoy_tcp_prefix', statPrefix]],
  })
  return {
    cxTotal: scope.counter('downstream_cx_total'),
    cxActive: scope.gauge('downstream_cx_active'),
    cxNoRoute: scope.counter('downstream_cx_no_route'),
    rxBytes: scope.counter('downstream_cx_rx_bytes_total'),
    txBytes: scope.counter('downstream_cx_tx_bytes_total'),
    idleTimeout: scope.counter('idle_timeout'),
    maxDuration: scope.counter('max_downstream_connection_duration'),
    close: () => scope.close(),
  }
}
