/** Counters of the HTTP/2 codec by Envoy's names: `http2.…` for clients, `cluster.<name>.http2.…` for upstreams. */
import type { Counter, Http2Stats } from './cluster-stats.ts'
import type { StatScope, StatsRegistry } from './stats-registry.ts'

/** In the scope of a cluster. */
export function http2StatsIn(scope: StatScope, prefix = 'http2.'): Http2Stats {
  const counter = (name: string): Counter => scope.counter(`${prefix}${name}`)
  return {
    droppedHeadersWithUnderscores: counter('dropped_headers_with_underscores'),
    requestsRejectedWithUnderscores: counter('requests_rejected_with_underscores_in_headers'),
    goawaySent: counter('goaway_sent'),
    headerOverflow: counter('header_overflow'),
    inboundEmptyFramesFlood: counter('inbound_empty_frames_flood'),
    inboundPriorityFramesFlood: counter('inbound_priority_frames_flood'),
    inboundWindowUpdateFramesFlood: counter('inbound_window_update_frames_flood'),
    keepaliveTimeout: counter('keepalive_timeout'),
    outboundControlFlood: counter('outbound_control_flood'),
    outboundFlood: counter('outbound_flood'),
    rxMessagingError: counter('rx_messaging_error'),
    rxReset: counter('rx_reset'),
    streamRefusedErrors: counter('stream_refused_errors'),
    trailers: counter('trailers'),
    txFlushTimeout: counter('tx_flush_timeout'),
    txReset: counter('tx_reset'),
    streamsActive: scope.gauge(`${prefix}streams_active`),
    close: () => scope.close(),
  }
}

/** Of all clients of a process, as in Envoy. */
export function createHttp2Stats(registry: StatsRegistry): Http2Stats {
  return http2StatsIn(registry.scope({ path: 'http2', metric: 'envoy_http2', labels: [] }), '')
}
