/**
 * How much of the traffic each priority gets, and which are in panic. Envoy's load_balancer_base: a priority's health
 * is `min(100, factor × healthy / hosts)`; lower priorities take what higher ones cannot; when all together cannot take
 * everything, shares are scaled up, and priorities whose own share of usable hosts is below the panic threshold use
 * all of their hosts.
 *
 * Whole percents and integer division, as in Envoy: 71 % healthy gives 99 and 1.
 */
export interface PriorityCounts {
  readonly hosts: number
  /** Without those that are left out (not checked yet, or going by their own word); absent: all. */
  readonly counted?: number
  readonly healthy: number
  readonly degraded: number
}

export interface PriorityLoad {
  /** Percent of all picks that go to healthy hosts of this priority. */
  healthy: number
  /** Percent of all picks that go to its degraded hosts. */
  degraded: number
  isPanic: boolean
}

export interface PrioritySettings {
  /** 140: seven healthy of ten take everything. */
  readonly overprovisioningPercent: number
  /** 0 switches panic off. */
  readonly panicThresholdPercent: number
}

export function computePriorityLoads(
  counts: readonly PriorityCounts[],
  settings: PrioritySettings,
): readonly PriorityLoad[] {
  const healths = counts.map((one) => availability(one.healthy, countedOf(one), settings))
  const degradeds = counts.map((one) => availability(one.degraded, countedOf(one), settings))
  const total = Math.min(100, sum(healths) + sum(degradeds))
  const loads = counts.map(() => ({ healthy: 0, degraded: 0, isPanic: false }))
  const [first] = loads
  if (first === undefined) return loads
  if (total > 0) spread(loads, { healths, degradeds, total })
  if (total === 0 && settings.panicThresholdPercent === 0) {
    // Nothing can be picked; the load has to stand somewhere.
    first.healthy = 100
    return loads
  }
  counts.forEach((one, index) => {
    const load = loads[index]
    if (load !== undefined) load.isPanic = total < 100 && isBelowThreshold(one, settings)
  })
  if (loads.every((load) => load.isPanic)) spreadByHosts(loads, counts)
  return loads
}

/** Shares when some priorities are left out; undefined when nothing else can be used. */
export function computeLoadsWithout(
  leftOut: ReadonlySet<number>,
  counts: readonly PriorityCounts[],
  settings: PrioritySettings,
): readonly Omit<PriorityLoad, 'isPanic'>[] | undefined {
  const available = (priority: number, usable: number, hosts: number): number =>
    leftOut.has(priority) ? 0 : availability(usable, hosts, settings)
  const healths = counts.map((one, index) => available(index, one.healthy, countedOf(one)))
  const degradeds = counts.map((one, index) => available(index, one.degraded, countedOf(one)))
  const total = Math.min(100, sum(healths) + sum(degradeds))
  if (total === 0) return undefined
  const loads = counts.map(() => ({ healthy: 0, degraded: 0, isPanic: false }))
  spread(loads, { healths, degradeds, total })
  return loads
}

function countedOf({ hosts, counted }: PriorityCounts): number {
  return counted ?? hosts
}

function availability(usable: number, hosts: number, settings: PrioritySettings): number {
  if (hosts === 0) return 0
  return Math.min(100, Math.floor((settings.overprovisioningPercent * usable) / hosts))
}

interface Shares {
  readonly healths: readonly number[]
  readonly degradeds: readonly number[]
  readonly total: number
}

/** Healthy hosts of all priorities come before degraded ones of any. */
function spread(loads: PriorityLoad[], shares: Shares): void {
  const { healths, degradeds, total } = shares
  let left = 100
  const take = (available: number): number => {
    const share = Math.min(left, Math.floor((available * 100) / total))
    left -= share
    return share
  }
  for (const [index, load] of loads.entries()) load.healthy = take(healths[index] ?? 0)
  for (const [index, load] of loads.entries()) load.degraded = take(degradeds[index] ?? 0)
  if (left === 0) return
  // Only rounding is left over.
  const firstHealthy = loads[healths.findIndex((health) => health > 0)]
  const firstDegraded = loads[degradeds.findIndex((degraded) => degraded > 0)]
  if (firstHealthy !== undefined) firstHealthy.healthy += left
  else if (firstDegraded !== undefined) firstDegraded.degraded += left
}

function isBelowThreshold(counts: PriorityCounts, settings: PrioritySettings): boolean {
  const usable = counts.healthy + counts.degraded
  const counted = countedOf(counts)
  const percent = counted === 0 ? 0 : (100 * usable) / counted
  return percent < Math.min(100, settings.panicThresholdPercent)
}

/** Every priority is in panic: health says nothing any more, the number of hosts does. */
function spreadByHosts(loads: PriorityLoad[], counts: readonly PriorityCounts[]): void {
  const hosts = sum(counts.map((one) => one.hosts))
  let left = 100
  for (const [index, load] of loads.entries()) {
    load.degraded = 0
    load.healthy = hosts === 0 ? 0 : Math.floor((100 * (counts[index]?.hosts ?? 0)) / hosts)
    left -= load.healthy
  }
  const firstWithHosts = loads[counts.findIndex((one) => one.hosts > 0)] ?? loads[0]
  if (firstWithHosts !== undefined) firstWithHosts.healthy += left
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
