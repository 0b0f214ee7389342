/** Hosts by priority, by what may be picked of each, and how much of the traffic each priority gets. */
import { type Host, isExcluded } from '../upstream/host.ts'
import { type PriorityLoad, type PrioritySettings, computePriorityLoads } from './priority-load.ts'

export interface PriorityGroup {
  /** Every host, for panic. */
  readonly all: readonly Host[]
  readonly healthy: readonly Host[]
  readonly degraded: readonly Host[]
  /** How many count where the share of usable hosts is worked out. */
  readonly counted: number
  readonly load: PriorityLoad
}

export function groupByPriority(
  hosts: readonly Host[],
  settings: PrioritySettings,
): readonly PriorityGroup[] {
  const byPriority: Host[][] = []
  for (const host of hosts) {
    const priority = host.priority ?? 0
    while (byPriority.length <= priority) byPriority.push([])
    byPriority[priority]?.push(host)
  }
  const groups = byPriority.map((all) => ({
    all,
    healthy: all.filter((host) => host.health === 'healthy' && !host.isEjected),
    degraded: all.filter((host) => host.health === 'degraded' && !host.isEjected),
    counted: all.reduce((count, host) => (isExcluded(host) ? count : count + 1), 0),
  }))
  const loads = computePriorityLoads(
    groups.map(({ all, healthy, degraded, counted }) => ({
      hosts: all.length,
      counted,
      healthy: healthy.length,
      degraded: degraded.length,
    })),
    settings,
  )
  // One load for each group.
  return groups.map((group, priority) => ({ ...group, load: loads[priority] as PriorityLoad }))
}
