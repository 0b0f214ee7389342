/** What the metrics page reads off the running parts when somebody asks. */
import type { Registry } from '../registry/registry.ts'
import type { Source } from '../store/source.ts'
import type { DiscoveryService } from '../xds/ads-server.ts'
import type { FaultStore } from './fault/fault-store.ts'
import type { ControlPlaneMetrics } from './metrics.ts'

export interface GaugeSources {
  readonly registry: Registry
  readonly source: Source
  readonly ads: DiscoveryService
  readonly faults: FaultStore
}

export function addGauges(metrics: ControlPlaneMetrics, parts: GaugeSources): void {
  const { registry, source, ads, faults } = parts
  const countKind = (kind: string) => {
    let count = 0
    for (const { resource } of source.list().resources.values())
      if (resource.kind === kind) count += 1
    return count
  }
  metrics.gauge('pilot_xds', 'Clients connected over xDS.', () => ads.statuses().length)
  metrics.gauge('pilot_services', 'Services known.', () => registry.snapshot.services.size)
  metrics.gauge('pilot_virt_services', 'VirtualServices known.', () => countKind('VirtualService'))
  metrics.gauge('tulle_workloads', 'Workloads known.', () => registry.snapshot.workloads.size)
  metrics.gauge('tulle_faults', 'Faults that are injected for a while.', () => faults.list().length)
  metrics.gauge(
    'tulle_xds_rejected_proxies',
    'Connected clients whose last answer of some type was a refusal.',
    () =>
      ads.statuses().filter(({ types }) => types.some((type) => type.rejection !== undefined))
        .length,
  )
  metrics.total(
    'process_cpu_seconds_total',
    'CPU time of this process, in seconds.',
    () => (process.cpuUsage().user + process.cpuUsage().system) / 1e6,
  )
  metrics.gauge('process_resident_memory_bytes', 'Resident memory.', () =>
    process.memoryUsage.rss(),
  )
}
