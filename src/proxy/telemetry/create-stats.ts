/**
 * The stats that the request path writes, made by Envoy's names: of a cluster, a host, a connection manager and a
 * TCP proxy. Handles are made once, when configuration is compiled.
 */
import type {
  AcceptStats,
  ClusterStats,
  Counter,
  DownstreamStats,
  EjectionKind,
  Gauge,
  HealthCheckStats,
  HostStats,
  Http2Stats,
  ListenerStats,
  OutlierStats,
  TcpStats,
} from './cluster-stats.ts'
import { closable, createTlsStats } from './create-tls-stats.ts'
import { http2StatsIn } from './http2-stats.ts'
import type { Slots } from './slots.ts'
import type { StatNaming, StatScope, StatsRegistry } from './stats-registry.ts'

export function createClusterStats(registry: StatsRegistry, clusterName: string): ClusterStats {
  const scope = registry.scope({
    path: `cluster.${clusterName}`,
    metric: 'envoy_cluster',
    labels: [['envoy_cluster_name', clusterName]],
  })
  const counter = (name: string): Counter => scope.counter(name)
  const gauge = (name: string): Gauge => scope.gauge(name)
  let http2: Http2Stats | undefined
  let healthCheck: HealthCheckStats | undefined
  return {
    cxTotal: counter('upstream_cx_total'),
    cxActive: gauge('upstream_cx_active'),
    cxConnectFail: counter('upstream_cx_connect_fail'),
    cxConnectTimeout: counter('upstream_cx_connect_timeout'),
    cxOverflow: counter('upstream_cx_overflow'),
    cxDestroy: counter('upstream_cx_destroy'),
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
    rqActiveOverflow: counter('upstream_rq_active_overflow'),
    rqTimeout: counter('upstream_rq_timeout'),
    rqPerTryTimeout: counter('upstream_rq_per_try_timeout'),
    rqRetry: counter('upstream_rq_retry'),
    rqRetrySuccess: counter('upstream_rq_retry_success'),
    rqRetryOverflow: counter('upstream_rq_retry_overflow'),
    rqRetryLimitExceeded: counter('upstream_rq_retry_limit_exceeded'),
    rqTxReset: counter('upstream_rq_tx_reset'),
    rqRxReset: counter('upstream_rq_rx_reset'),
    rqCompleted: counter('upstream_rq_completed'),
    rqByClass: classCounters(scope, 'upstream_rq'),
    rqByCode: codeCounters(scope, 'upstream_rq'),
    rqTime: scope.histogram('upstream_rq_time'),
    rxBytes: counter('upstream_cx_rx_bytes_total'),
    txBytes: counter('upstream_cx_tx_bytes_total'),
    membershipTotal: gauge('membership_total'),
    membershipHealthy: gauge('membership_healthy'),
    membershipDegraded: gauge('membership_degraded'),
    membershipExcluded: gauge('membership_excluded'),
    membershipChange: counter('membership_change'),
    lbHealthyPanic: counter('lb_healthy_panic'),
    outlier: outlierStats(scope),
    healthCheck: () => (healthCheck ??= healthCheckStats(scope)),
    http2: () => (http2 ??= http2StatsIn(scope)),
    close: () => scope.close(),
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
  }
}

/**
 * A host's stats show in admin /clusters only, as Envoy's do: they have slots and no name, because a name per host
 * and counter is what makes stats expensive in large meshes.
 */
export function createHostStats(slots: Slots): HostStats {
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
  const gauge = (): Gauge => {
    const slot = slots.gauge()
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
    cxActive: gauge(),
    rqTotal: counter(),
    rqSuccess: counter(),
    rqError: counter(),
    rqTimeout: counter(),
    rqActive: gauge(),
    close() {
      for (const free of freed) free()
      freed.length = 0
    },
  }
}

export function createDownstreamStats(
  registry: StatsRegistry,
  statPrefix: string,
): DownstreamStats {
  const scope = registry.scope({
    path: `http.${statPrefix}`,
    metric: 'envoy_http',
    labels: [['envoy_http_conn_manager_prefix', statPrefix]],
  })
  const rejected = new Map<string, Counter>()
  return {
    cxTotal: scope.counter('downstream_cx_total'),
    cxActive: scope.gauge('downstream_cx_active'),
    cxDestroy: scope.counter('downstream_cx_destroy'),
    cxProtocolError: scope.counter('downstream_cx_protocol_error'),
    rqTotal: scope.counter('downstream_rq_total'),
    rqActive: scope.gauge('downstream_rq_active'),
    rqByClass: classCounters(scope, 'downstream_rq'),
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
    close: () => scope.close(),
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

export function createAcceptStats(registry: StatsRegistry, address: string): AcceptStats {
  const scope = registry.scope(listenerNaming(address))
  return {
    overflow: scope.counter('downstream_cx_overflow'),
    globalOverflow: scope.counter('downstream_global_cx_overflow'),
    overloadReject: scope.counter('downstream_cx_overload_reject'),
    close: () => scope.close(),
  }
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
    close: () => scope.close(),
  }
}

/** Index is the class; there is no class 0, and what is added there goes nowhere. */
function classCounters(scope: StatScope, name: string): readonly Counter[] {
  const classes = ['1', '2', '3', '4', '5'].map((digit) =>
    scope.counter(`${name}_${digit}xx`, {
      metric: `${name}_xx`,
      labels: [['envoy_response_code_class', digit]],
    }),
  )
  return [noCounter, ...classes]
}

const noCounter: Counter = { add() {}, value: () => 0 }

/** Made when a code is first seen: at most 600 of them. */
function codeCounters(scope: StatScope, name: string): (status: number) => Counter {
  const byCode: (Counter | undefined)[] = []
  return (status) => {
    const code = status >= 100 && status < 600 ? status : 0
    const known = byCode[code]
    if (known !== undefined) return known
    const made = scope.counter(`${name}_${code}`, {
      metric: name,
      labels: [['envoy_response_code', String(code)]],
    })
    byCode[code] = made
    return made
  }
}
