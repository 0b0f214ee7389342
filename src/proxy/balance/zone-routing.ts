/**
 * Zone-aware routing (Envoy's ZoneAwareLoadBalancerBase): requests stay in the client's own locality as far as its share of
 * the upstream's hosts allows, so that no locality gets more than its hosts can take.
 *
 * The shares are those of healthy hosts by locality, of the cluster that this proxy is a member of (`local_cluster_name`)
 * and of the upstream's first priority, in hundredths of a percent. Where the upstream has at least the local share here,
 * everything stays; otherwise what fits does, and the rest goes to localities with room to spare, by how much they have.
 */
import type { Random } from '../../lib/random.ts'
import type { ZoneStats } from '../telemetry/cluster-stats.ts'
import type { Host, HostLocality } from '../upstream/host.ts'
import { localityKey } from './locality-picker.ts'

/** Envoy `zone_aware_lb_config`, with its defaults filled in. */
export interface ZoneSettings {
  readonly routingEnabledPercent: number
  /** Healthy hosts that the upstream has at least. */
  readonly minClusterSize: number
  /** No host at all, instead of any host, while the upstream or the local cluster is in panic. */
  readonly failsOnPanic: boolean
}

/** The cluster that this proxy is a member of. */
export interface ZoneLocal {
  readonly locality: HostLocality
  /** Its hosts now; undefined while there is no such cluster. */
  readonly members: () => readonly Host[] | undefined
}

export interface ZoneInput {
  readonly settings: ZoneSettings
  readonly local: ZoneLocal
  /** All hosts of the upstream's first priority, and the healthy ones of them. */
  readonly hosts: readonly Host[]
  readonly healthy: readonly Host[]
  readonly panicThresholdPercent: number
  readonly random: Random
  readonly stats: () => ZoneStats
}

export interface ZoneRouting {
  /** Keys of the upstream's localities, the client's own first where there is one. */
  readonly localities: readonly string[]
  /** The index of the locality that this pick is for; 'any': all of them; 'none': no host. */
  choose(): number | 'any' | 'none'
}

/** Undefined where localities play no part. */
export function createZoneRouting(input: ZoneInput): ZoneRouting | undefined {
  const members = input.local.members()?.filter(({ priority = 0 }) => priority === 0)
  if (members === undefined) return undefined
  const own = localityKey(input.local.locality)
  const localities = orderedLocalities(input.hosts, own)
  input.stats().recalculate.add(1)
  if (localities.length < 2 || !isWorthwhile(members, own, input)) return undefined
  const shares = sharesOf(localities, members, input.healthy)
  const hasOwn = localities[0] === own
  return new Router(input, {
    localities,
    isLocalInPanic: isInPanic(members, input.panicThresholdPercent),
    ...routesOf(shares, hasOwn),
  })
}

function isWorthwhile(members: readonly Host[], own: string, input: ZoneInput): boolean {
  const places = new Set(members.map(({ locality }) => localityKey(locality)))
  if (places.size < 2) return false
  if (!places.has(own)) {
    input.stats().localClusterNotOk.add(1)
    return false
  }
  if (input.healthy.length >= input.settings.minClusterSize) return true
  input.stats().clusterTooSmall.add(1)
  return false
}

function orderedLocalities(hosts: readonly Host[], own: string): readonly string[] {
  const keys = [...new Set(hosts.map(({ locality }) => localityKey(locality)))]
  return keys.sort((a, b) => Number(b === own) - Number(a === own) || (a < b ? -1 : 1))
}

interface Share {
  /** In hundredths of a percent. */
  readonly local: number
  readonly upstream: number
}

function sharesOf(
  localities: readonly string[],
  members: readonly Host[],
  healthy: readonly Host[],
): readonly Share[] {
  const localCounts = countByLocality(members.filter(isHealthy))
  const upstreamCounts = countByLocality(healthy)
  const localTotal = sum(localCounts.values())
  return localities.map((key) => {
    const upstream = upstreamCounts.get(key) ?? 0
    if (upstream === 0) return { local: 0, upstream: 0 }
    const local = localCounts.get(key) ?? 0
    return {
      local: localTotal === 0 ? 0 : Math.floor((10_000 * local) / localTotal),
      upstream: Math.floor((10_000 * upstream) / healthy.length),
    }
  })
}

interface Routes {
  /** Everything stays in the client's locality. */
  readonly isDirect: boolean
  /** Of ten thousand requests those that stay. */
  readonly stays: number
  /** Running sums of what each locality can take beside its own. */
  readonly capacities: readonly number[]
}

function routesOf(shares: readonly Share[], hasOwn: boolean): Routes {
  const own = hasOwn ? shares[0] : undefined
  const isDirect = own !== undefined && own.upstream > 0 && own.upstream >= own.local
  const stays =
    own !== undefined && own.local > 0 ? Math.floor((own.upstream * 10_000) / own.local) : 0
  let total = 0
  const capacities = shares.map(({ local, upstream }, index) => {
    const isOwn = hasOwn && index === 0
    if (!isOwn && upstream > local) total += upstream - local
    return total
  })
  return { isDirect, stays, capacities }
}

interface RouterState extends Routes {
  readonly localities: readonly string[]
  readonly isLocalInPanic: boolean
}

class Router implements ZoneRouting {
  readonly #input: ZoneInput
  readonly #state: RouterState

  constructor(input: ZoneInput, state: RouterState) {
    this.#input = input
    this.#state = state
  }

  get localities(): readonly string[] {
    return this.#state.localities
  }

  choose(): number | 'any' | 'none' {
    const { settings, stats, random } = this.#input
    if (settings.routingEnabledPercent < 100 && random() * 100 >= settings.routingEnabledPercent) {
      return 'any'
    }
    const { isLocalInPanic, isDirect, stays } = this.#state
    if (isLocalInPanic) {
      stats().localClusterNotOk.add(1)
      return settings.failsOnPanic ? 'none' : 'any'
    }
    if (isDirect) {
      stats().allDirectly.add(1)
      return 0
    }
    if (Math.floor(random() * 10_000) < stays) {
      stats().sampled.add(1)
      return 0
    }
    return this.#choosePlaceElsewhere()
  }

  #choosePlaceElsewhere(): number {
    const { stats, random } = this.#input
    const { capacities } = this.#state
    stats().crossZone.add(1)
    const total = capacities.at(-1) ?? 0
    if (total === 0) {
      // Only rounding can lead here.
      stats().noCapacityLeft.add(1)
      return Math.floor(random() * capacities.length)
    }
    const draw = Math.floor(random() * total)
    return capacities.findIndex((capacity) => draw < capacity)
  }
}

function isInPanic(members: readonly Host[], thresholdPercent: number): boolean {
  const usable = members.filter((host) => host.isAvailable()).length
  const percent = members.length === 0 ? 0 : (100 * usable) / members.length
  return percent < Math.min(100, thresholdPercent)
}

function isHealthy(host: Host): boolean {
  return host.health === 'healthy' && !host.isEjected
}

function countByLocality(hosts: readonly Host[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const { locality } of hosts) {
    const key = localityKey(locality)
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return counts
}

function sum(values: Iterable<number>): number {
  let total = 0
  for (const value of values) total += value
  return total
}
