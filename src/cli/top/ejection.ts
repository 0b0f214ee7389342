/** How many endpoints of each service and version callers have ejected now, from what their sidecars say. */
import type { WorkloadObject } from '../../api/view.ts'
import type { HostState } from '../proxy-config/config-dump.ts'

export interface EndpointCount {
  /** That some caller's sidecar knows. */
  readonly total: number
  /** That at least one caller has ejected. */
  readonly ejected: number
}

/** By `namespace/service/version`. A workload's service is its label `app`, as in Istio's canonical service. */
export function countEndpoints(
  hosts: readonly HostState[],
  workloads: readonly WorkloadObject[],
): ReadonlyMap<string, EndpointCount> {
  const ejected = new Set<string>()
  const known = new Set<string>()
  for (const { cluster, address, health } of hosts) {
    if (!cluster.startsWith('outbound|')) continue
    known.add(address)
    if (health.includes('ejected')) ejected.add(address)
  }
  const counts = new Map<string, EndpointCount>()
  for (const { metadata, status } of workloads) {
    const labels = metadata.labels ?? {}
    const key = `${metadata.namespace ?? ''}/${labels['app'] ?? status.workload}/${labels['version'] ?? ''}`
    const addresses = status.ports.map(({ meshPort }) => `${status.address}:${meshPort}`)
    if (!addresses.some((address) => known.has(address))) continue
    const count = counts.get(key) ?? { total: 0, ejected: 0 }
    counts.set(key, {
      total: count.total + 1,
      ejected: count.ejected + (addresses.some((address) => ejected.has(address)) ? 1 : 0),
    })
  }
  return counts
}
