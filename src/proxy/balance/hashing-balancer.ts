/**
 * Ring hash and Maglev over priorities: the request's hash chooses the priority too, so that a key stays where it is
 * while loads do not change. Degraded hosts are on no table, as in Envoy. A request without a hash goes anywhere.
 *
 * Tables are built at the first pick after a change of hosts: a hundred changes in a row cost one table.
 */
import type { Random } from '../../lib/random.ts'
import { type Hash64, remainder } from '../../lib/xx-hash.ts'
import type { ClusterStats } from '../telemetry/cluster-stats.ts'
import type { Host } from '../upstream/host.ts'
import type { Balancer, PickContext } from './balancer.ts'
import { withBoundedLoad } from './bounded-load.ts'
import { type HashTable, type RingSettings, buildRing } from './hash-ring.ts'
import { type MaglevSettings, buildMaglev } from './maglev-table.ts'
import { normalizeWeights } from './normalized-weight.ts'
import { type PriorityGroup, groupByPriority } from './priority-groups.ts'
import type { PrioritySettings } from './priority-load.ts'

export interface HashingSettings {
  readonly table: RingSettings | MaglevSettings
  /** Hosts are known by their names, not by their addresses. */
  readonly usesHostname: boolean
  /** Percent of the average load that a host may have; 0: any. */
  readonly balanceFactorPercent: number
}

export interface HashingBalancerOptions extends PrioritySettings {
  readonly hashing: HashingSettings
  readonly localityWeighted: boolean
  readonly random: Random
  readonly hosts: readonly Host[]
  readonly stats:
    | (() => Pick<ClusterStats, 'lbHealthyPanic'> & Partial<Pick<ClusterStats, 'rqActive'>>)
    | undefined
}

export function createHashingBalancer(options: HashingBalancerOptions): Balancer {
  return new HashingBalancer(options)
}

interface Level {
  readonly group: PriorityGroup
  readonly table: HashTable
}

class HashingBalancer implements Balancer {
  readonly #options: HashingBalancerOptions
  #hosts: readonly Host[]
  #levels: readonly Level[] | undefined

  constructor(options: HashingBalancerOptions) {
    this.#options = options
    this.#hosts = options.hosts
  }

  update(hosts: readonly Host[]): void {
    this.#hosts = hosts
    this.#levels = undefined
  }

  pick(context: PickContext): Host | undefined {
    const hash = context.hash ?? this.#anyHash()
    let host = this.#pickOnce(hash, 0)
    if (this.#levelFor(hash)?.group.load.isPanic === true) {
      this.#options.stats?.().lbHealthyPanic.add(1)
    }
    for (let attempt = 1; attempt <= context.avoidAttemptsMax; attempt += 1) {
      if (host === undefined || !context.avoid.includes(host)) return host
      host = this.#pickOnce(hash, attempt)
    }
    return host
  }

  #pickOnce(hash: Hash64, attempt: number): Host | undefined {
    const level = this.#levelFor(hash)
    const host = level?.table.pick(hash, attempt)
    if (host?.isEjected !== true || level?.group.load.isPanic === true) return host
    // It was ejected after the last update.
    this.#levels = undefined
    return this.#levelFor(hash)?.table.pick(hash, attempt)
  }

  #anyHash(): Hash64 {
    const { random } = this.#options
    return { hi: Math.floor(random() * 0x1_0000_0000), lo: Math.floor(random() * 0x1_0000_0000) }
  }

  #levelFor(hash: Hash64): Level | undefined {
    this.#levels ??= this.#build()
    const levels = this.#levels
    if (levels.length < 2) return levels[0]
    // Whole percents, 1 to 100, as Envoy draws them.
    const draw = remainder(hash, 100) + 1
    let end = 0
    for (const level of levels) {
      end += level.group.load.healthy
      if (draw <= end) return level
    }
    for (const level of levels) {
      end += level.group.load.degraded
      if (draw <= end) return level
    }
    return undefined
  }

  #build(): readonly Level[] {
    return groupByPriority(this.#hosts, this.#options).map((group) => ({
      group,
      table: this.#table(group),
    }))
  }

  #table(group: PriorityGroup): HashTable {
    const { hashing, localityWeighted, stats } = this.#options
    const { table: settings, usesHostname, balanceFactorPercent } = hashing
    const usable = group.load.isPanic ? group.all : group.healthy
    const hosts = normalizeWeights(usable, group.all, localityWeighted)
    const input = { hosts, usesHostname }
    const table =
      settings.kind === 'ring' ? buildRing(input, settings) : buildMaglev(input, settings)
    if (balanceFactorPercent === 0) return table
    return withBoundedLoad(table, hosts, {
      factorPercent: balanceFactorPercent,
      activeRequests: () => stats?.().rqActive?.value() ?? 0,
    })
  }
}
