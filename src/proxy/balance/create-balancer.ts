/**
 * Chooses a host: a priority and whether healthy or degraded hosts of it (priority-load.ts), perhaps a locality
 * (locality-picker.ts), then a host by the policy (host-picker.ts). A retry asks again while it gets hosts that it has
 * tried, as often as its policy says.
 *
 * Everything is worked out when hosts change; a pick draws and looks up. A host that was ejected since then is noticed
 * when it is picked; one that came back needs `update`.
 */
import { invariant } from '../../lib/assert.ts'
import type { Random } from '../../lib/random.ts'
import type { ClusterStats } from '../telemetry/cluster-stats.ts'
import type { Host } from '../upstream/host.ts'
import type { Balancer, PickContext } from './balancer.ts'
import { type HashingSettings, createHashingBalancer } from './hashing-balancer.ts'
import {
  type BalancingPolicy,
  type HostPicker,
  type PickerSettings,
  type Round,
  createHostPicker,
} from './host-picker.ts'
import { createLocalityPicker, localityKey } from './locality-picker.ts'
import { type PriorityGroup, groupByPriority } from './priority-groups.ts'
import {
  type PriorityCounts,
  type PriorityLoad,
  type PrioritySettings,
  computeLoadsWithout,
} from './priority-load.ts'
import { SlowStart, type SlowStartSettings } from './slow-start.ts'
import {
  type ZoneLocal,
  type ZoneRouting,
  type ZoneSettings,
  createZoneRouting,
} from './zone-routing.ts'

export interface BalancerOptions {
  readonly policy: BalancingPolicy | 'hashing'
  /** What `hashing` needs. */
  readonly hashing?: HashingSettings | undefined
  readonly random: Random
  readonly hosts?: readonly Host[]
  /** least-request: how many hosts are drawn; 2. */
  readonly choiceCount?: number
  /** least-request with unequal weights; 1. */
  readonly activeRequestBias?: number
  readonly isFullScan?: boolean | undefined
  readonly slowStart?: SlowStartSettings | undefined
  /** Monotonic; what slow start counts by. */
  readonly nowMs?: () => number
  /** 50; 0 switches panic off. */
  readonly panicThresholdPercent?: number
  /** EDS `overprovisioning_factor`; 140. */
  readonly overprovisioningPercent?: number
  /** Zone-aware routing; of use only where the local cluster is known. */
  readonly zone?: ZoneSettings | undefined
  readonly zoneLocal?: ZoneLocal | undefined
  /** Envoy `locality_weighted_lb_config`. */
  readonly localityWeighted?: boolean
  /** Of the cluster: made when first asked for. */
  readonly stats?: () => BalancerStats
}

export type BalancerStats = Pick<ClusterStats, 'lbHealthyPanic'> &
  Partial<Pick<ClusterStats, 'rqActive' | 'zone'>>

export function createBalancer(options: BalancerOptions): Balancer {
  const { policy, hashing } = options
  if (policy !== 'hashing') return new PriorityBalancer({ ...options, policy })
  invariant(hashing !== undefined, 'a hashing balancer has settings')
  return createHashingBalancer({
    hashing,
    localityWeighted: options.localityWeighted ?? false,
    overprovisioningPercent: options.overprovisioningPercent ?? overprovisioningDefault,
    panicThresholdPercent: options.panicThresholdPercent ?? panicDefault,
    random: options.random,
    hosts: options.hosts ?? [],
    stats: options.stats,
  })
}

const overprovisioningDefault = 140
const panicDefault = 50

type PriorityOptions = BalancerOptions & { readonly policy: BalancingPolicy }

function createSlowStart({ slowStart, nowMs }: BalancerOptions): SlowStart | undefined {
  return slowStart && new SlowStart(slowStart, nowMs ?? (() => 0))
}

interface ZonePicking {
  readonly zone: ZoneRouting
  readonly usable: readonly Host[]
  readonly name: string
  readonly plain: HostPicker
}

/** One priority, ready to be picked from. */
interface Level {
  readonly load: PriorityLoad
  readonly counts: PriorityCounts
  readonly healthy: HostPicker
  readonly degraded: HostPicker
  /** Every host, for panic. */
  readonly all: HostPicker
}

class PriorityBalancer implements Balancer {
  readonly #options: PriorityOptions
  readonly #settings: PickerSettings
  readonly #rounds = new Map<string, Round>()
  readonly #firstTurn: number
  #hosts: readonly Host[] = []
  #levels: readonly Level[] = []

  constructor(options: PriorityOptions) {
    this.#options = options
    this.#settings = {
      policy: options.policy,
      choiceCount: options.choiceCount ?? 2,
      activeRequestBias: options.activeRequestBias ?? 1,
      random: options.random,
      isFullScan: options.isFullScan,
      slowStart: createSlowStart(options),
    }
    this.#firstTurn = Math.floor(options.random() * 0x1_0000)
    this.update(options.hosts ?? [])
  }

  update(hosts: readonly Host[]): void {
    this.#hosts = hosts
    this.#settings.slowStart?.update(hosts)
    const groups = groupByPriority(hosts, this.#prioritySettings())
    this.#levels = groups.map((group, priority) => ({
      load: group.load,
      counts: {
        hosts: group.all.length,
        counted: group.counted,
        healthy: group.healthy.length,
        degraded: group.degraded.length,
      },
      ...this.#pickers(group, priority),
      all: createHostPicker(group.all, this.#settings, this.#roundOf(`${priority} all`)),
    }))
  }

  #pickers(
    { healthy, degraded, all }: PriorityGroup,
    priority: number,
  ): Pick<Level, 'healthy' | 'degraded'> {
    const zone = priority === 0 ? this.#zoneRouting(all, healthy) : undefined
    const pick = (usable: readonly Host[], name: string): HostPicker => {
      const plain = this.#picker(usable, all, name)
      return zone === undefined ? plain : this.#zonePicker({ zone, usable, name, plain })
    }
    return {
      healthy: pick(healthy, `${priority} healthy`),
      degraded: pick(degraded, `${priority} degraded`),
    }
  }

  #zoneRouting(hosts: readonly Host[], healthy: readonly Host[]): ZoneRouting | undefined {
    const { zone: settings, zoneLocal: local, stats, random } = this.#options
    if (settings === undefined || local === undefined) return undefined
    const zoneStats = stats?.().zone?.()
    if (zoneStats === undefined) return undefined
    const { panicThresholdPercent } = this.#prioritySettings()
    return createZoneRouting({
      settings,
      local,
      hosts,
      healthy,
      panicThresholdPercent,
      random,
      stats: () => zoneStats,
    })
  }

  #zonePicker({ zone, usable, name, plain }: ZonePicking): HostPicker {
    const byLocality = Map.groupBy(usable, (host) => localityKey(host.locality))
    const pickers = zone.localities.map((key) =>
      createHostPicker(byLocality.get(key) ?? [], this.#settings, this.#roundOf(`${name} ${key}`)),
    )
    return () => {
      const chosen = zone.choose()
      if (chosen === 'none') return undefined
      return chosen === 'any' ? plain() : pickers[chosen]?.()
    }
  }

  #prioritySettings(): PrioritySettings {
    return {
      overprovisioningPercent: this.#options.overprovisioningPercent ?? overprovisioningDefault,
      panicThresholdPercent: this.#options.panicThresholdPercent ?? panicDefault,
    }
  }

  pick(context: PickContext): Host | undefined {
    const { leftOut } = context
    let host = this.#pickOnce(leftOut)
    if (context.avoid.length === 0) return host
    for (let again = context.avoidAttemptsMax; again > 0; again -= 1) {
      if (host === undefined || !context.avoid.includes(host)) return host
      host = this.#pickOnce(leftOut)
    }
    return host
  }

  #pickOnce(leftOut: Set<number> | undefined): Host | undefined {
    const host = this.#pickCurrent(leftOut)
    if (host === undefined || !host.isEjected || this.#isPanicking()) return host
    // It was ejected after the last update.
    this.update(this.#hosts)
    return this.#pickCurrent(leftOut)
  }

  #isPanicking(): boolean {
    return this.#levels.some((level) => level.load.isPanic)
  }

  #pickCurrent(leftOut: Set<number> | undefined): Host | undefined {
    const [first] = this.#levels
    if (first === undefined) return undefined
    if (this.#levels.length === 1 && first.load.degraded === 0) return this.#pickHealthy(first)
    // Whole percents, 1 to 100, as Envoy draws them.
    const draw = Math.floor(this.#options.random() * 100) + 1
    return this.#pickAt(draw, leftOut === undefined ? undefined : this.#without(leftOut))
  }

  /** `loads` in place of the levels' own. */
  #pickAt(draw: number, loads: ReturnType<typeof computeLoadsWithout>): Host | undefined {
    let end = 0
    for (const [index, level] of this.#levels.entries()) {
      end += (loads?.[index] ?? level.load).healthy
      if (draw <= end) return this.#pickHealthy(level)
    }
    for (const [index, level] of this.#levels.entries()) {
      end += (loads?.[index] ?? level.load).degraded
      if (draw <= end) return level.load.isPanic ? this.#pickHealthy(level) : level.degraded()
    }
    return undefined
  }

  #without(leftOut: Set<number>): ReturnType<typeof computeLoadsWithout> {
    if (leftOut.size === 0) return undefined
    const counts = this.#levels.map((level) => level.counts)
    const loads = computeLoadsWithout(leftOut, counts, this.#prioritySettings())
    if (loads === undefined) leftOut.clear()
    return loads
  }

  #pickHealthy(level: Level): Host | undefined {
    if (!level.load.isPanic) return level.healthy()
    this.#options.stats?.().lbHealthyPanic.add(1)
    return this.#options.zone?.failsOnPanic === true ? undefined : level.all()
  }

  #picker(usable: readonly Host[], hosts: readonly Host[], name: string): HostPicker {
    if (this.#options.localityWeighted === true) {
      const byLocality = createLocalityPicker({
        hosts,
        usable,
        overprovisioningPercent: this.#options.overprovisioningPercent ?? overprovisioningDefault,
        settings: this.#settings,
        roundOf: (locality) => this.#roundOf(`${name} ${locality}`),
      })
      if (byLocality !== undefined) return byLocality
    }
    return createHostPicker(usable, this.#settings, this.#roundOf(name))
  }

  #roundOf(name: string): Round {
    const round = this.#rounds.get(name) ?? { next: this.#firstTurn }
    this.#rounds.set(name, round)
    return round
  }
}
