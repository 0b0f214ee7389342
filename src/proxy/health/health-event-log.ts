/**
 * The event log of health checks (Envoy `event_log_path`, `event_logger`): one line of JSON for each event, as Envoy
 * prints its HealthCheckEvent, so that what reads Envoy's reads ours. Metadata of the endpoint is left out.
 */
import { unreachable } from '../../lib/assert.ts'
import { eventTime } from '../telemetry/event-time.ts'
import type { Host } from '../upstream/host.ts'
import type { WireAddress } from '../wire/wire.ts'
import type { ProbeSettings } from './health-settings.ts'

/** Why a check failed, in the words of Envoy's event log. */
export type CheckFailure = 'ACTIVE' | 'PASSIVE' | 'NETWORK' | 'NETWORK_TIMEOUT'

export type HealthEvent =
  | { readonly kind: 'eject'; readonly failure: CheckFailure; readonly status: number }
  | { readonly kind: 'add-healthy'; readonly isFirst: boolean }
  | {
      readonly kind: 'failure'
      readonly failure: CheckFailure
      readonly isFirst: boolean
      /** Of an answer by HTTP; otherwise 0. */
      readonly status: number
    }
  | { readonly kind: 'success' | 'degraded' | 'no-longer-degraded' }

export interface HealthEventPlace {
  readonly host: Host
  readonly clusterName: string
  readonly probe: ProbeSettings['kind']
  readonly nowMs: number
}

export function healthEventLine(event: HealthEvent, place: HealthEventPlace): string {
  const { host, clusterName, probe, nowMs } = place
  const { region = '', zone = '', subZone = '' } = host.locality ?? {}
  const [field, value] = eventField(event)
  const isBeforeTime = field === 'eject_unhealthy_event' || field === 'add_healthy_event'
  const isLast = field === 'successful_health_check_event'
  return `${JSON.stringify({
    health_checker_type: probe.toUpperCase(),
    host: eventAddress(host.address),
    cluster_name: clusterName,
    ...(isBeforeTime && { [field]: value }),
    timestamp: eventTime(nowMs),
    ...(!isBeforeTime && !isLast && { [field]: value }),
    locality: { region, zone, sub_zone: subZone },
    ...(isLast && { [field]: value }),
  })}\n`
}

function eventField(event: HealthEvent): readonly [name: string, value: object] {
  switch (event.kind) {
    case 'eject':
      return [
        'eject_unhealthy_event',
        { failure_type: event.failure, http_status_code: event.status },
      ]
    case 'add-healthy':
      return ['add_healthy_event', { first_check: event.isFirst }]
    case 'failure':
      return [
        'health_check_failure_event',
        {
          failure_type: event.failure,
          first_check: event.isFirst,
          http_status_code: event.status,
        },
      ]
    case 'success':
      return ['successful_health_check_event', {}]
    case 'degraded':
      return ['degraded_healthy_host', {}]
    case 'no-longer-degraded':
      return ['no_longer_degraded_host', {}]
    default:
      return unreachable(event)
  }
}

function eventAddress(address: WireAddress): object {
  if (address.kind === 'unix') return { pipe: { path: address.path, mode: 0 } }
  if (address.kind === 'internal') {
    return {
      envoy_internal_address: { server_listener_name: address.listener, endpoint_id: '' },
    }
  }
  return {
    socket_address: {
      protocol: 'TCP',
      address: address.address,
      port_value: address.port,
      resolver_name: '',
      ipv4_compat: false,
      network_namespace_filepath: '',
    },
  }
}
