/**
 * Chooses a host: a priority and whether healthy or degraded hosts of it (priority-load.ts), perhaps a locality
 * (locality-picker.ts), then a host by the policy (host-picker.ts). A retry asks again while it gets hosts that it has
 * tried, as often as its policy says.
 *
 * Everything is worked out when hosts change; a pick draws and looks up. A host that was ejected since then is noticed
 * when it is picked; one that came back needs `update`.
 */
import type { Random } from '../../lib/random.ts'
import type { ClusterStats } from '../telemetry/cluster-stats.ts'
import type { Host } from '../upstream/host.ts'
import type { Balancer, PickContext } from './balancer.ts'
import {
  type BalancingPolicy,
  type HostPicker,
  type PickerSettings,
  type Round,
  createHostPicker,
} from './host-picker.ts'
import { createLocalityPicker } from './locality-picker.ts'
import { type PriorityLoad, computePriorityLoads } from './priority-load.ts'

export interface BalancerOptions {
  readonly policy: BalancingPolicy
  readonly random: Random
  readonly hosts?: readonly Host[]
  /** least-request: how many hosts are drawn; 2. */
  readonly choiceCount?: number
  /** least-request with unequal weights; 1. */
  readonly activeRequestBias?: number
  /** 50; 0 switches panic off. */
  readonly panicThresholdPercent?: number
  /** EDS `overprovisioning_factor`; 140. */
  readonly overprovisioningPercent?: number
  /** Envoy `locality_weighted_lb_config`. */
  readonly localityWeighted?: boolean
  readonly stats?: Pick<ClusterStats, 'lbHealthyPanic'>
}

export function createBalancer(options: BalancerOptions): Balancer {
  return new PriorityBalancer(options)
}

/** One priority, ready to be picked from. */
interface Level {
  readonly load: PriorityLoad
  readonly healthy: HostPicker
  readonly degraded: HostPicker
  /** Every host, for panic. */
  readonly all: HostPicker
}

class PriorityBalancer implements Balancer {
  readonly #options: BalancerOptions
  readonly #settings: PickerSettings
  readonly #rounds = new Map<string, Round>()
  readonly #firstTurn: number
  #hosts: readonly Host[] = []
  #levels: readonly Level[] = []

  constructor(options: BalancerOptions) {
    this.#options = options
    this.#settings = {
      policy: options.policy,
      choiceCount: options.choiceCount ?? 2,
      activeRequestBias: options.activeRequestBias ?? 1,
      random: options.random,
    }
    this.#firstTurn = Math.floor(options.random() * 0x1_0000)
    this.update(options.hosts ?? [])
  }

  update(hosts: readonly Host[]): void {
    this.#hosts = hosts
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
    }))
    const loads = computePriorityLoads(
      groups.map(({ all, healthy, degraded }) => ({
        hosts: all.length,
        healthy: healthy.length,
        degraded: degraded.length,
      })),
      {
        overprovisioningPercent: this.#options.overprovisioningPercent ?? 140,
        panicThresholdPercent: this.#options.panicThresholdPercent ?? 50,
      },
    )
    this.#levels = groups.map((group, priority) => ({
      // One load for each group.
      load: loads[priority] as PriorityLoad,
      healthy: this.#picker(group.healthy, group.all, `${priority} healthy`),
      degraded: this.#picker(group.degraded, group.all, `${priority} degraded`),
      all: createHostPicker(group.all, this.#settings, this.#roundOf(`${priority} all`)),
    }))
  }

  pick(context: PickContext): Host | undefined {
    let host = this.#pickOnce()
    if (context.avoid.length === 0) return host
    for (let again = context.avoidAttemptsMax; again > 0; again -= 1) {
      if (host === undefined || !context.avoid.includes(host)) return host
      host = this.#pickOnce()
    }
    return host
  }

  #pickOnce(): Host | undefined {
    const host = this.#pickCurrent()
    if (host === undefined || !host.isEjected || this.#isPanicking()) return host
    // It was ejected after the last update.
    this.update(this.#hosts)
    return this.#pickCurrent()
  }

  #isPanicking(): boolean {
    return this.#levels.some((level) => level.load.isPanic)
  }

  #pickCurrent(): Host | undefined {
    const [first] = this.#levels
    if (first === undefined) return undefined
    if (this.#levels.length === 1 && first.load.degraded === 0) return this.#pickHealthy(first)
    // Whole percents, 1 to 100, as Envoy draws them.
    const draw = Math.floor(this.#options.random() * 100) + 1
    let end = 0
    for (const level of this.#levels) {
      end += level.load.healthy
      if (draw <= end) return this.#pickHealthy(level)
    }
    for (const level of this.#levels) {
      end += level.load.degraded
      if (draw <= end) return level.load.isPanic ? this.#pickHealthy(level) : level.degraded()
    }
    return undefined
  }

  #pickHealthy(level: Level): Host | undefined {
    if (!level.load.isPanic) return level.healthy()
    this.#options.stats?.lbHealthyPanic.add(1)
    return level.all()
  }

  #picker(usable: readonly Host[], hosts: readonly Host[], name: string): HostPicker {
    if (this.#options.localityWeighted === true) {
      const byLocality = createLocalityPicker({
        hosts,
        usable,
        overprovisioningPercent: this.#options.overprovisioningPercent ?? 140,
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
