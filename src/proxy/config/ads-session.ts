/**
 * The sidecar's side of the ADS stream: subscribes in Envoy's order (clusters, then listeners, with endpoints and routes
 * as these ask for them), hands every response to the store, and answers with what was refused.
 */
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Random } from '../../lib/random.ts'
import { AdsClient, type AdsClientStatus, type AdsUpdate } from '../../xds/ads-client.ts'
import type { Node } from '../../xds/proto/generated/envoy/config/core/v3/base.ts'
import { typeUrls } from '../../xds/resource-set.ts'
import type { Counter, Gauge } from '../telemetry/cluster-stats.ts'
import type { StatScope, StatsRegistry } from '../telemetry/stats-registry.ts'
import type { AdsAddress, AdsTarget } from './bootstrap.ts'
import {
  nothingDemanded,
  type DemandedNames,
  type Rejection,
  type WantedNames,
} from './data-plane.ts'
import { routesOfHost } from './on-demand-name.ts'
import type { ResourceStore } from './resource-store.ts'

export interface AdsSessionOptions {
  readonly target: AdsTarget
  readonly node: Node
  readonly store: ResourceStore
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly stats: StatsRegistry
}

/** Envoy's names of the subscriptions, for statistics. */
const statNames: Readonly<Record<string, string>> = {
  [typeUrls.cluster]: 'cluster_manager.cds',
  [typeUrls.listener]: 'listener_manager.lds',
  [typeUrls.endpoint]: 'cluster_manager.eds',
  [typeUrls.route]: 'http.rds',
  [typeUrls.virtualHost]: 'http.vhds',
  [typeUrls.secret]: 'sds',
}

export class AdsSession {
  readonly #options: AdsSessionOptions
  readonly #client: AdsClient
  readonly #scope: StatScope
  readonly #connected: Gauge
  readonly #counters = new Map<string, Counter>()
  readonly #answered = new Map<string, () => void>()
  readonly #first = new Map<string, Promise<void>>()
  /** Types of which everything is wanted, and clusters that are beside that. */
  readonly #whole = new Set<string>()
  #demanded = nothingDemanded

  constructor(options: AdsSessionOptions) {
    this.#options = options
    const { target, node, clock, random, log, stats } = options
    this.#scope = stats.scope({ path: '', metric: 'envoy', labels: [] })
    this.#connected = this.#scope.gauge('control_plane.connected_state')
    for (const type of [typeUrls.cluster, typeUrls.listener]) {
      this.#first.set(type, new Promise((resolve) => this.#answered.set(type, resolve)))
    }
    this.#client = new AdsClient({
      target: targetText(target.address),
      variant: target.mode === 'delta' ? 'delta' : 'sotw',
      node,
      authority: target.authority,
      metadata: target.initialMetadata,
      clock,
      random,
      log,
      events: {
        onUpdate: (update) => this.#take(update),
        onConnection: ({ state }) => this.#connected.set(state === 'connected' ? 1 : 0),
      },
    })
  }

  subscribeAll(typeUrl: string): void {
    this.#whole.add(typeUrl)
    if (typeUrl === typeUrls.cluster) this.#subscribeClusters()
    else this.#client.subscribe(typeUrl, '*')
  }

  #subscribeClusters(): void {
    const { clusters } = this.#demanded
    const isWhole = this.#whole.has(typeUrls.cluster)
    if (clusters.length > 0) {
      this.#client.subscribe(typeUrls.cluster, isWhole ? ['*', ...clusters] : clusters)
    } else this.#client.subscribe(typeUrls.cluster, isWhole ? '*' : [])
  }

  /** Virtual hosts are asked for by whoever has a route configuration that says so (VHDS), first with no name at all. */
  #demand(demanded: DemandedNames): void {
    const before = this.#demanded
    this.#demanded = demanded
    if (!isSameList(before.clusters, demanded.clusters)) this.#subscribeClusters()
    const { store } = this.#options
    if (demanded.routes.length + before.routes.length > 0) {
      this.#client.subscribe(typeUrls.virtualHost, demanded.hosts)
      void this.#forgetHosts(before.hosts, new Set(demanded.hosts))
      store.keepOnly(typeUrls.virtualHost, demanded.routes, routesOfHost)
    }
  }

  /** What is no longer asked for is gone, whether the server says so or not. */
  async #forgetHosts(before: readonly string[], now: ReadonlySet<string>): Promise<void> {
    const dropped = new Set(before.filter((name) => !now.has(name)))
    if (dropped.size === 0) return
    const typeUrl = typeUrls.virtualHost
    const removed = this.#options.store.list(typeUrl).flatMap(({ name, accepted }) => {
      const aliases = accepted?.aliases ?? []
      const isDropped = aliases.some((alias) => dropped.has(alias))
      return isDropped && !aliases.some((alias) => now.has(alias)) ? [name] : []
    })
    if (removed.length === 0) return
    this.#client.forget(typeUrl, removed)
    await this.#options.store.update({ typeUrl, resources: [], removed }, 'dynamic')
  }

  /** Follows what clusters and listeners refer to. */
  want(wanted: WantedNames): void {
    this.#client.subscribe(typeUrls.endpoint, wanted.endpoint)
    this.#client.subscribe(typeUrls.route, wanted.route)
    const secrets = wanted.secret.flatMap(({ name, origin }) => (origin.kind === 'ads' ? name : []))
    this.#client.subscribe(typeUrls.secret, secrets)
    this.#options.store.keepOnly(typeUrls.endpoint, wanted.endpoint)
    this.#options.store.keepOnly(typeUrls.route, wanted.route)
    this.#demand(wanted.onDemand)
  }

  /** Resolves with the first answer for CDS or LDS, or when it has been waited for long enough (0: never). */
  async firstAnswer(typeUrl: string, timeoutMs: number): Promise<'answered' | 'timed-out'> {
    const answered = this.#first.get(typeUrl)?.then(() => 'answered' as const)
    if (answered === undefined || timeoutMs === 0) {
      await answered
      return 'answered'
    }
    const { clock } = this.#options
    let cancel = (): void => {}
    const timedOut = new Promise<'timed-out'>((resolve) => {
      const timer = clock.setTimer(timeoutMs, () => resolve('timed-out'))
      cancel = () => timer.cancel()
    })
    const first = await Promise.race([answered, timedOut])
    cancel()
    return first
  }

  /** A listener that was accepted could not be opened. */
  reject(typeUrl: string, failure: Rejection): void {
    this.#client.reject(typeUrl, failure)
  }

  status(): AdsClientStatus {
    return this.#client.status()
  }

  close(): void {
    this.#client.close()
    this.#scope.close()
  }

  #count(name: string): void {
    const counter = this.#counters.get(name) ?? this.#scope.counter(name)
    this.#counters.set(name, counter)
    counter.add(1)
  }

  /** Names of an answer that requests may wait for. */
  #answers({ typeUrl, resources, removed, unresolved }: AdsUpdate): readonly string[] {
    if (typeUrl === typeUrls.virtualHost) {
      return [
        ...resources.flatMap(({ name, aliases = [] }) => [name, ...aliases]),
        ...removed,
        ...unresolved,
      ]
    }
    const { clusters } = this.#demanded
    if (typeUrl !== typeUrls.cluster || clusters.length === 0) return []
    const named = new Set([...resources.map(({ name }) => name), ...removed])
    return clusters.filter((name) => named.has(name))
  }

  async #take(update: AdsUpdate): Promise<readonly Rejection[]> {
    const { store } = this.#options
    const { typeUrl, version, resources, removed } = update
    const answered = this.#answers(update)
    const rejected = await store.update({ typeUrl, resources, removed, answered }, 'dynamic')
    const stat = statNames[typeUrl]
    if (stat !== undefined) {
      const outcome = rejected.length === 0 ? 'update_success' : 'update_rejected'
      this.#count(`${stat}.${outcome}`)
    }
    if (rejected.length === 0) store.noteVersion(typeUrl, version)
    this.#answered.get(typeUrl)?.()
    return rejected
  }
}

function isSameList(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((name, index) => name === right[index])
}

/** As a gRPC client reads it. */
export function targetText(address: AdsAddress): string {
  return address.kind === 'tcp' ? `${address.host}:${address.port}` : `unix:${address.path}`
}
