/**
 * What a data plane fetches when it is first asked for: virtual hosts of the tables that say so (VHDS), and clusters.
 *
 * A table with `vhds` is joined from what RDS holds and one small table for each virtual host that has come, so that one
 * more host compiles nothing again. A host takes its place when the clusters that it names serve, at the latest after
 * `clusterWaitMsMax`; until then the one before it stays (make before break), and who asked for it waits.
 *
 * What is asked for is kept by name (`<table>/<authority>`); the main thread tells the control plane (ads-session.ts). A
 * host that nobody has asked for in two turns of the sweep is given up, and when there are too many the first that has not
 * been used of late. Requests wait no longer than `hostTimeoutMs`.
 */
import type { Clock, Timer } from '../../lib/clock.ts'
import type { RouteConfiguration } from '../../xds/proto/generated/envoy/config/route/v3/route.ts'
import type { VirtualHost } from '../../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import type { ClusterTable } from '../cluster/cluster-table.ts'
import type { Demand, DemandOutcome, OnDemand } from '../filter/on-demand-filter.ts'
import { type CompiledTable, marked } from '../route/compile-route-configuration.ts'
import type { RouteTable } from '../route/route-table.ts'
import type { OnDemandTableStats } from '../telemetry/create-stats.ts'
import type { Compiled } from './compiled.ts'
import type { DemandedNames, Rejection } from './data-plane.ts'
import { hostAlias, routesOfHost } from './on-demand-name.ts'
import { Waiters } from './on-demand-waiters.ts'
import { type RouteSwap, clustersNamed } from './route-swap.ts'

export interface OnDemandLimits {
  /** Names of virtual hosts, and of clusters, that are asked for at a time. */
  readonly namesMax: number
  /** How long a request waits for a virtual host. */
  readonly hostTimeoutMs: number
  /** What has not been used for so long, or up to twice as long, is given up. */
  readonly idleMs: number
}

export const onDemandLimitsDefault: OnDemandLimits = {
  namesMax: 1_000,
  hostTimeoutMs: 5_000,
  idleMs: 3_600_000,
}

export interface OnDemandOptions {
  readonly clock: Clock
  readonly clusters: ClusterTable
  readonly swap: RouteSwap
  readonly limits: OnDemandLimits
  readonly stats: OnDemandTableStats
  readonly compile: (message: RouteConfiguration) => Compiled<CompiledTable>
  /** What is asked for has changed. */
  readonly onNames: () => void
}

/** One virtual host that the control plane gave. */
export interface GivenHost {
  readonly name: string
  readonly aliases: readonly string[]
  readonly message: VirtualHost
}

interface LiveHost {
  readonly aliases: readonly string[]
  readonly table: CompiledTable
  readonly clusters: ReadonlySet<string>
  readonly mark: { used: boolean }
}

interface DemandTable {
  message: RouteConfiguration
  base: CompiledTable
  joined: RouteTable
  readonly hosts: Map<string, LiveHost>
  /** Accepted, and waiting for their clusters. */
  readonly coming: Map<string, { readonly host: LiveHost; readonly timer: Timer }>
}

const clusterWaitMsMax = 15_000

export class OnDemandHosts implements OnDemand {
  readonly #options: OnDemandOptions
  readonly #tables = new Map<string, DemandTable>()
  /** Names that the control plane is asked for. */
  readonly #asked = new Set<string>()
  readonly #hostWaiters: Waiters
  /** With the requests that each had had when the sweep last looked. */
  readonly #clustersAsked = new Map<string, number>()
  readonly #clusterWaiters: Waiters
  #sweep: Timer | undefined

  constructor(options: OnDemandOptions) {
    this.#options = options
    this.#hostWaiters = new Waiters(options.clock)
    this.#clusterWaiters = new Waiters(options.clock)
  }

  get names(): DemandedNames {
    return {
      routes: [...this.#tables.keys()],
      hosts: [...this.#asked],
      clusters: [...this.#clustersAsked.keys()],
    }
  }

  // What requests ask.

  canAsk(routes: string, authority: string): boolean {
    return authority !== '' && this.#tables.get(routes)?.joined.hasHost(authority) === false
  }

  askHost(routes: string, authority: string, done: (outcome: DemandOutcome) => void): Demand {
    const alias = hostAlias(routes, authority)
    const { hostTimeoutMs } = this.#options.limits
    if (!this.#asked.has(alias) && !this.#hasRoom()) {
      return this.#hostWaiters.add(alias, 0, () => done('full'))
    }
    this.#ask(alias)
    return this.#hostWaiters.add(alias, hostTimeoutMs, (outcome) => {
      // Asked anew by the next, for an answer may have been lost.
      if (outcome === 'late') this.#giveUp([alias])
      done(outcome)
    })
  }

  askCluster(name: string, timeoutMs: number, done: (outcome: DemandOutcome) => void): Demand {
    const { clusters, limits } = this.#options
    const isKnown = this.#clustersAsked.has(name) || clusters.warming.includes(name)
    if (!isKnown && this.#clustersAsked.size >= limits.namesMax) {
      return this.#clusterWaiters.add(name, 0, () => done('full'))
    }
    if (!isKnown) {
      this.#clustersAsked.set(name, 0)
      this.#changed()
      this.#sweepLater()
    }
    return this.#clusterWaiters.add(name, timeoutMs, (outcome) => {
      if (outcome === 'late') this.#giveUpCluster(name)
      done(outcome)
    })
  }

  // What the control plane says.

  /** A table of RDS: joined with what has come for it, when its virtual hosts come on demand; otherwise as it is. */
  setBase(message: RouteConfiguration, base: CompiledTable): void {
    const { swap } = this.#options
    if (message.vhds === undefined) {
      this.#drop(message.name)
      swap.setTable(base, clustersNamed(message))
      return
    }
    let table = this.#tables.get(message.name)
    if (table === undefined) {
      table = { message, base, joined: base, hosts: new Map(), coming: new Map() }
      this.#tables.set(message.name, table)
      this.#changed()
    }
    table.message = message
    table.base = base
    this.#join(table)
    swap.setTable(table.joined, clustersOf(table))
  }

  /** Only tables that a listener uses are kept. */
  keepOnly(routes: readonly string[]): void {
    for (const name of this.#tables.keys()) if (!routes.includes(name)) this.#drop(name)
  }

  /** Removals first: what comes may have a domain of what goes. */
  applyHosts(
    given: readonly GivenHost[],
    gone: { readonly removed: readonly string[]; readonly answered: readonly string[] },
  ): readonly Rejection[] {
    const touched = new Set<DemandTable>()
    for (const name of gone.removed) this.#remove(name, touched)
    const rejected = given.flatMap((host) => this.#take(host, touched) ?? [])
    for (const table of touched) this.#swapIn(table)
    this.#settle(gone.answered)
    return rejected
  }

  onClustersAnswered(names: readonly string[]): void {
    const { clusters } = this.#options
    for (const name of names) {
      if (clusters.get(name) !== undefined || clusters.warming.includes(name)) continue
      this.#giveUpCluster(name)
      this.#clusterWaiters.settle(name)
    }
  }

  /** A cluster began to serve, or stopped. */
  onClustersChanged(): void {
    for (const name of this.#clusterWaiters.names) {
      if (this.#options.clusters.get(name) !== undefined) this.#clusterWaiters.settle(name)
    }
    for (const table of this.#tables.values()) {
      for (const [name, { host }] of table.coming) {
        if (!this.#isWaiting(host)) this.#install(table, name)
      }
    }
  }

  close(): void {
    this.#sweep?.cancel()
    this.#hostWaiters.close()
    this.#clusterWaiters.close()
    for (const name of this.#tables.keys()) this.#drop(name)
  }

  #ask(alias: string): void {
    if (this.#asked.has(alias)) return
    this.#asked.add(alias)
    this.#changed()
  }

  #giveUp(aliases: readonly string[]): void {
    let isChanged = false
    for (const alias of aliases) isChanged = this.#asked.delete(alias) || isChanged
    if (isChanged) this.#changed()
  }

  #giveUpCluster(name: string): void {
    if (this.#clustersAsked.delete(name)) this.#changed()
  }

  #changed(): void {
    const { stats, onNames } = this.#options
    stats.hosts.set(this.#asked.size)
    stats.clusters.set(this.#clustersAsked.size)
    onNames()
  }

  #take({ name, aliases, message }: GivenHost, touched: Set<DemandTable>): Rejection | undefined {
    const table = this.#tables.get(routesOfHost(name))
    // Of a table that is not there, or is no more: nothing is kept.
    if (table === undefined) return undefined
    const wrong = message.name === name ? undefined : `is named ${message.name}`
    const only: RouteConfiguration = { ...table.message, virtualHosts: [message] }
    const result = this.#options.compile(only)
    const reasons = result.ok ? this.#conflicts(table, name, result.value) : result.reasons
    if (!result.ok || wrong !== undefined || reasons.length > 0) {
      return { name, reason: [...(wrong === undefined ? [] : [wrong]), ...reasons].join('; ') }
    }
    const mark = { used: true }
    const compiledHost = marked(result.value, mark)
    const clusters = clustersNamed(only)
    const host: LiveHost = { aliases, table: compiledHost, clusters, mark }
    for (const alias of aliases) this.#ask(alias)
    table.coming.get(name)?.timer.cancel()
    const timer = this.#options.clock.setTimer(clusterWaitMsMax, () => this.#install(table, name))
    table.coming.set(name, { host, timer })
    if (!this.#isWaiting(host)) this.#place(table, name, touched)
    return undefined
  }

  #conflicts(table: DemandTable, name: string, own: CompiledTable): readonly string[] {
    const taken = new Set(table.base.entries.map(({ domain }) => domain))
    for (const [other, host] of table.hosts) {
      if (other !== name) for (const { domain } of host.table.entries) taken.add(domain)
    }
    return own.entries.flatMap(({ domain }) =>
      taken.has(domain)
        ? [`domains must be unique, ${JSON.stringify(domain)} is another's already`]
        : [],
    )
  }

  #isWaiting({ clusters }: LiveHost): boolean {
    const { clusters: live } = this.#options
    const { warming } = live
    return [...clusters].some((name) => live.get(name) === undefined && warming.includes(name))
  }

  #place(table: DemandTable, name: string, touched: Set<DemandTable>): void {
    const coming = table.coming.get(name)
    if (coming === undefined) return
    coming.timer.cancel()
    table.coming.delete(name)
    table.hosts.set(name, coming.host)
    touched.add(table)
    this.#sweepLater()
  }

  #install(table: DemandTable, name: string): void {
    const aliases = table.coming.get(name)?.host.aliases ?? []
    this.#place(table, name, new Set())
    this.#swapIn(table)
    this.#settle([name, ...aliases])
  }

  #remove(name: string, touched: Set<DemandTable>): void {
    const table = this.#tables.get(routesOfHost(name))
    if (table === undefined) return
    const coming = table.coming.get(name)
    coming?.timer.cancel()
    table.coming.delete(name)
    const host = table.hosts.get(name)
    table.hosts.delete(name)
    if (host !== undefined) touched.add(table)
    this.#giveUp([...(coming?.host.aliases ?? []), ...(host?.aliases ?? [])])
  }

  /** Who waits for these names looks again, unless what they mean still waits for its clusters. */
  #settle(names: readonly string[]): void {
    for (const name of names) {
      const table = this.#tables.get(routesOfHost(name))
      const isComing =
        table !== undefined &&
        [...table.coming].some(([own, { host }]) => own === name || host.aliases.includes(name))
      if (isComing) continue
      const authority = name.slice(routesOfHost(name).length + 1)
      // Nothing behind it: the next request asks again.
      if (table?.joined.hasHost(authority) !== true) this.#giveUp([name])
      this.#hostWaiters.settle(name)
    }
  }

  #join(table: DemandTable): void {
    table.joined = table.base.join([...table.hosts.values()].map((host) => host.table))
  }

  #swapIn(table: DemandTable): void {
    this.#join(table)
    this.#options.swap.swapNow(table.joined, clustersOf(table))
  }

  #drop(name: string): void {
    const table = this.#tables.get(name)
    if (table === undefined) return
    for (const { timer } of table.coming.values()) timer.cancel()
    this.#tables.delete(name)
    this.#giveUp([...this.#asked].filter((alias) => routesOfHost(alias) === name))
    for (const alias of this.#hostWaiters.names) {
      if (routesOfHost(alias) === name) this.#hostWaiters.settle(alias)
    }
    this.#changed()
  }

  // What is not used goes.

  #hasRoom(): boolean {
    if (this.#asked.size < this.#options.limits.namesMax) return true
    // Second chance: a mark that is set is taken away, and the next round finds it without.
    for (let round = 0; round < 2; round += 1) {
      for (const host of this.#hosts()) {
        if (host.mark.used) host.mark.used = false
        else if (host.aliases.some((alias) => this.#asked.has(alias))) {
          this.#options.stats.evicted.add(1)
          this.#giveUp(host.aliases)
          return true
        }
      }
    }
    return false
  }

  *#hosts(): Generator<LiveHost> {
    for (const table of this.#tables.values()) yield* table.hosts.values()
  }

  #sweepLater(): void {
    const { clock, limits } = this.#options
    this.#sweep ??= clock.setTimer(limits.idleMs, () => {
      this.#sweep = undefined
      this.#sweepClusters()
      let count = this.#clustersAsked.size
      for (const host of this.#hosts()) {
        count += 1
        this.#look(host)
      }
      if (count > 0) this.#sweepLater()
    })
  }

  /** Those without a request since the last look, and without one under way; routes that need them ask anew. */
  #sweepClusters(): void {
    const { clusters, stats } = this.#options
    for (const [name, before] of this.#clustersAsked) {
      const used = clusters.get(name)?.stats
      if (used === undefined) continue
      const total = used.rqTotal.value()
      if (total !== before || used.rqActive.value() > 0) this.#clustersAsked.set(name, total)
      else {
        stats.clustersExpired.add(1)
        this.#giveUpCluster(name)
      }
    }
  }

  #look(host: LiveHost): void {
    const { mark, aliases } = host
    if (mark.used) {
      mark.used = false
      for (const alias of aliases) this.#ask(alias)
      return
    }
    if (!aliases.some((alias) => this.#asked.has(alias))) return
    this.#options.stats.expired.add(1)
    this.#giveUp(aliases)
  }
}

function clustersOf(table: DemandTable): ReadonlySet<string> {
  const names = new Set(clustersNamed(table.message))
  for (const host of table.hosts.values()) for (const name of host.clusters) names.add(name)
  return names
}
