/**
 * The event log of outlier detection (Envoy `cluster_manager.outlier_detection.event_log_path`): one line of JSON for each
 * ejection and each end of one, as Envoy prints its OutlierDetectionEvent.
 */
import type { OutlierEvent } from '../resilience/outlier-detector.ts'
import type { EjectionKind } from './cluster-stats.ts'
import { eventTime } from './event-time.ts'

const types = {
  consecutive_5xx: 'CONSECUTIVE_5XX',
  consecutive_gateway_failure: 'CONSECUTIVE_GATEWAY_FAILURE',
  consecutive_local_origin_failure: 'CONSECUTIVE_LOCAL_ORIGIN_FAILURE',
  success_rate: 'SUCCESS_RATE',
  local_origin_success_rate: 'SUCCESS_RATE_LOCAL_ORIGIN',
  failure_percentage: 'FAILURE_PERCENTAGE',
  local_origin_failure_percentage: 'FAILURE_PERCENTAGE_LOCAL_ORIGIN',
} as const satisfies Readonly<Record<EjectionKind, string>>

export interface OutlierEventPlace {
  readonly clusterName: string
  readonly nowMs: number
}

export function outlierEventLine(event: OutlierEvent, place: OutlierEventPlace): string {
  const { action, host, reason, enforced, ejections, sinceLastMs } = event
  const isEjection = action === 'eject'
  return `${JSON.stringify({
    // The end of an ejection has no reason, which Envoy prints as the first of the names.
    type: types[reason ?? 'consecutive_5xx'],
    timestamp: eventTime(place.nowMs),
    ...(sinceLastMs !== undefined && {
      secs_since_last_action: String(Math.floor(sinceLastMs / 1000)),
    }),
    cluster_name: place.clusterName,
    upstream_url: host.addressText,
    action: isEjection ? 'EJECT' : 'UNEJECT',
    num_ejections: ejections,
    enforced: isEjection && enforced,
    ...(isEjection && ejectionJson(event)),
  })}\n`
}

/** Rates are whole numbers there. */
function ejectionJson({ reason, rate }: OutlierEvent): object {
  if (rate === undefined || reason === undefined) return { eject_consecutive_event: {} }
  const host = { host_success_rate: Math.trunc(rate.host) }
  if (reason.endsWith('failure_percentage')) return { eject_failure_percentage_event: host }
  return {
    eject_success_rate_event: {
      ...host,
      cluster_average_success_rate: Math.trunc(rate.average),
      cluster_success_rate_ejection_threshold: Math.trunc(rate.threshold),
    },
  }
}
