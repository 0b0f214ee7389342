/**
 * Make before break, between clusters and route tables.
 *
 * The server sends routes as soon as they change, but asks nobody whether a new cluster's endpoints have come; Envoy then
 * answers 503 NC for a moment. Here a new table takes the place of an old one when every cluster it names serves or does
 * not exist, at the latest after `holdMsMax`: a cluster that never warms has its own time-out.
 *
 * A removed cluster goes when no table in force names it any more. Envoy takes it out at once; the table that no longer
 * names it is at most a moment behind, hence `leaveAfterMs`. A route that still names it then is meant to: 503 NC.
 */
import type { Clock, Timer } from '../../lib/clock.ts'
import type { RouteConfiguration } from '../../xds/proto/generated/envoy/config/route/v3/route.ts'
import type { Route } from '../../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import type { ClusterTable } from '../cluster/cluster-table.ts'
import type { RouteTable } from '../route/route-table.ts'
import type { RouteStore } from './route-store.ts'

interface NamedTable {
  readonly table: RouteTable
  readonly clusters: ReadonlySet<string>
}

const holdMsMax = 15_000
const leaveAfterMs = 1_000

export class RouteSwap {
  readonly #clock: Clock
  readonly #routes: RouteStore
  readonly #clusters: ClusterTable
  readonly #current = new Map<string, NamedTable>()
  readonly #held = new Map<string, NamedTable & { readonly timer: Timer }>()
  readonly #leaving = new Map<string, Timer>()

  constructor(clock: Clock, routes: RouteStore, clusters: ClusterTable) {
    this.#clock = clock
    this.#routes = routes
    this.#clusters = clusters
  }

  setTable(table: RouteTable, clusters: ReadonlySet<string>): void {
    this.#held.get(table.name)?.timer.cancel()
    const timer = this.#clock.setTimer(holdMsMax, () => this.#swap(table.name))
    this.#held.set(table.name, { table, clusters, timer })
    this.onClustersChanged()
  }

  /** Without waiting for clusters: they are there, or were waited for elsewhere. */
  swapNow(table: RouteTable, clusters: ReadonlySet<string>): void {
    this.#held.get(table.name)?.timer.cancel()
    this.#held.delete(table.name)
    this.#current.set(table.name, { table, clusters })
    this.#routes.set(table)
    this.#removeUnnamed()
  }

  removeCluster(name: string): void {
    if (this.#leaving.has(name)) return
    this.#leaveLater(name)
    this.#removeUnnamed()
  }

  /** It has come back before it went. */
  keepCluster(name: string): void {
    this.#leaving.get(name)?.cancel()
    this.#leaving.delete(name)
  }

  onClustersChanged(): void {
    for (const [name, { clusters }] of this.#held) {
      const isFirst = !this.#current.has(name)
      if (isFirst || ![...clusters].some((cluster) => this.#isComing(cluster))) this.#swap(name)
    }
  }

  close(): void {
    for (const { timer } of this.#held.values()) timer.cancel()
    for (const timer of this.#leaving.values()) timer.cancel()
  }

  /** Accepted, and not serving yet. */
  #isComing(cluster: string): boolean {
    return this.#clusters.get(cluster) === undefined && this.#clusters.warming.includes(cluster)
  }

  #swap(name: string): void {
    const held = this.#held.get(name)
    if (held === undefined) return
    held.timer.cancel()
    this.#held.delete(name)
    this.#current.set(name, held)
    this.#routes.set(held.table)
    this.#removeUnnamed()
  }

  #removeUnnamed(): void {
    const inUse = new Set(this.#routes.names)
    for (const name of this.#current.keys()) if (!inUse.has(name)) this.#current.delete(name)
    const tables = [...this.#current.values()]
    for (const name of this.#leaving.keys()) {
      if (!tables.some(({ clusters }) => clusters.has(name))) this.#leave(name)
    }
  }

  /** Not while a newer table waits for its clusters: it may no longer name this one. */
  #leaveLater(name: string): void {
    const timer = this.#clock.setTimer(leaveAfterMs, () => {
      if (this.#held.size === 0) this.#leave(name)
      else this.#leaveLater(name)
    })
    this.#leaving.set(name, timer)
  }

  #leave(name: string): void {
    this.keepCluster(name)
    this.#clusters.remove(name)
  }
}

/** The clusters that a route configuration names. */
export function clustersNamed(message: RouteConfiguration): ReadonlySet<string> {
  const names = new Set<string>(mirrorsOf(message))
  for (const host of message.virtualHosts) {
    for (const name of mirrorsOf(host)) names.add(name)
    for (const route of host.routes) for (const name of clustersOfRoute(route)) names.add(name)
  }
  return names
}

function mirrorsOf(level: {
  readonly requestMirrorPolicies: readonly { readonly cluster: string }[]
}): readonly string[] {
  return level.requestMirrorPolicies.map(({ cluster }) => cluster).filter((name) => name !== '')
}

function clustersOfRoute(route: Route): readonly string[] {
  if (route.action?.$case !== 'route') return []
  const action = route.action.value
  const mirrors = mirrorsOf(action)
  const specifier = action.clusterSpecifier
  if (specifier?.$case === 'cluster') return [specifier.value, ...mirrors]
  if (specifier?.$case !== 'weightedClusters') return mirrors
  return [...specifier.value.clusters.map((cluster) => cluster.name), ...mirrors]
}
