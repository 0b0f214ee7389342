/**
 * Where the endpoints of a cluster come from, by its type. A source gives whole lists, and says once when it is warm: its
 * first list is there, or it has waited long enough (Envoy `initial_fetch_timeout`).
 */
import type { ClusterConfig } from '../config/cluster-config.ts'
import type { EndpointList } from '../config/compile-endpoints.ts'
import { createDnsStats } from '../telemetry/create-stats.ts'
import type { StatsRegistry } from '../telemetry/stats-registry.ts'
import type { Assignments } from './assignments.ts'
import { DnsEndpoints, type DnsScope } from './dns-endpoints.ts'
import type { ResolvedList } from './live-host.ts'

export interface EndpointSourceScope extends DnsScope {
  readonly assignments: Assignments
  readonly stats: StatsRegistry
}

export interface EndpointSourceEvents {
  /** Whether endpoints that EDS gave before are no good: what is known of them may not fit how they are called now. */
  readonly waitsForNew: boolean
  /** Whether the cluster serves with what it had. */
  readonly isServing: boolean
  onEndpoints(list: ResolvedList): void
  onWarm(): void
}

export interface EndpointSource {
  close(): void
}

/** Two configs with the same key have the same source, which then need not start again. */
export function endpointSourceKey(config: ClusterConfig): string {
  const { type, edsName, endpoints, dns } = config
  if (type === 'eds') return `eds ${edsName}`
  if (type === 'dynamic-forward-proxy') return type
  return `${type} ${JSON.stringify([endpoints, type === 'static' ? 0 : dns])}`
}

/** Events may come before this returns. */
export function openEndpointSource(
  config: ClusterConfig,
  scope: EndpointSourceScope,
  events: EndpointSourceEvents,
): EndpointSource {
  if (config.type === 'eds') return openEds(config, scope, events)
  if (config.type === 'strict-dns' || config.type === 'logical-dns') {
    return new DnsEndpoints({
      config,
      scope,
      stats: createDnsStats(scope.stats, config.statName),
      waitsForAll: events.isServing,
      onEndpoints: (list) => events.onEndpoints(list),
      onWarm: () => events.onWarm(),
    })
  }
  if (config.endpoints !== undefined) events.onEndpoints(resolvedList(config.endpoints))
  events.onWarm()
  return { close: () => {} }
}

/**
 * As in Envoy a changed cluster waits for EDS to name it again. A server that does not leaves it with the endpoints that
 * it had: after the time that EDS has for a first answer, or this one where that is without end.
 */
const newListWaitMsMax = 15_000

function openEds(
  config: ClusterConfig,
  scope: EndpointSourceScope,
  events: EndpointSourceEvents,
): EndpointSource {
  let isWarm = false
  const warm = (): void => {
    if (isWarm) return
    isWarm = true
    events.onWarm()
  }
  const { edsName, edsInitialFetchTimeoutMs } = config
  const { assignments, clock } = scope
  const takesKept = !events.waitsForNew
  const timeoutMs = edsInitialFetchTimeoutMs || (takesKept ? 0 : newListWaitMsMax)
  const giveUp = (): void => {
    const kept = assignments.kept(edsName)
    if (kept !== undefined) events.onEndpoints(kept)
    warm()
  }
  const timer = timeoutMs > 0 ? clock.setTimer(timeoutMs, giveUp) : undefined
  const onList = (list: ResolvedList): void => {
    timer?.cancel()
    events.onEndpoints(list)
    warm()
  }
  const stop = assignments.watch(edsName, onList, { takesKept })
  return {
    close() {
      timer?.cancel()
      stop()
    },
  }
}

/** Of endpoints that have addresses only: names were refused when the list was compiled. */
export function resolvedList(list: EndpointList): ResolvedList {
  const endpoints = list.endpoints.flatMap(({ target, ...rest }) =>
    target.kind === 'address' ? [{ ...rest, address: target.address }] : [],
  )
  return { endpoints, overprovisioningPercent: list.overprovisioningPercent }
}
