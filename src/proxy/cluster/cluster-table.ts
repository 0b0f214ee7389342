/** All clusters of one sidecar, by name: what the request path looks up, and what CDS and EDS change. */
import type { ClusterConfig } from '../config/cluster-config.ts'
import { Waiters } from '../config/on-demand-waiters.ts'
import type { ClusterSet } from '../upstream/cluster.ts'
import type { HostLocality } from '../upstream/host.ts'
import { Assignments } from './assignments.ts'
import { ClusterSlot } from './cluster-slot.ts'
import type { EndpointSourceScope } from './endpoint-source.ts'
import type { ClusterScope, LiveCluster, LocalCluster } from './live-cluster.ts'
import type { ResolvedList } from './live-host.ts'

export type ClusterTableScope = Omit<ClusterScope, 'local'> &
  Omit<EndpointSourceScope, 'assignments'> & {
    /** The cluster that this proxy is a member of, and where it is itself; absent: the bootstrap names none. */
    readonly localCluster?: { readonly name: string; readonly locality: HostLocality } | undefined
  }

export interface ClusterTableEvents {
  /** The names that EDS must be asked for have changed. */
  onAssignmentNames(): void
  /** A cluster began to serve, or stopped. */
  onChange(): void
}

/** How long a TCP connection waits for a cluster that has been accepted. */
const serveTimeoutMs = 5_000

export class ClusterTable implements ClusterSet {
  readonly #scope: ClusterTableScope
  readonly #events: ClusterTableEvents
  readonly #assignments: Assignments
  readonly #slots = new Map<string, ClusterSlot>()
  readonly #local: LocalCluster | undefined
  /** What the request path reads. */
  readonly #live = new Map<string, LiveCluster>()
  readonly #waiters: Waiters

  constructor(scope: ClusterTableScope, events: ClusterTableEvents) {
    this.#scope = scope
    this.#events = events
    this.#waiters = new Waiters(scope.clock)
    this.#assignments = new Assignments(() => events.onAssignmentNames())
    const { localCluster } = scope
    this.#local = localCluster && {
      ...localCluster,
      members: () => this.#live.get(localCluster.name)?.hosts,
      onChange: () => this.#rebalance(),
    }
  }

  get(name: string): LiveCluster | undefined {
    return this.#live.get(name)
  }

  whenServing(name: string, done: () => void): { cancel(): void } | undefined {
    if (this.#slots.get(name)?.isWarming !== true) return undefined
    return this.#waiters.add(name, serveTimeoutMs, done)
  }

  /** Those that serve, sorted by name. */
  list(): readonly LiveCluster[] {
    return [...this.#live.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  get assignmentNames(): readonly string[] {
    return this.#assignments.names
  }

  /** Names of clusters that have been accepted and wait for their endpoints. */
  get warming(): readonly string[] {
    return [...this.#slots].filter(([, slot]) => slot.isWarming).map(([name]) => name)
  }

  /** Whether nothing that start-up must wait for is still warming. */
  get isWarm(): boolean {
    for (const slot of this.#slots.values()) {
      if (slot.isWarming && slot.config?.waitForWarmOnInit === true) return false
    }
    return true
  }

  apply(config: ClusterConfig): void {
    let slot = this.#slots.get(config.name)
    if (slot === undefined) {
      const scope = { ...this.#scope, assignments: this.#assignments, local: this.#local }
      slot = new ClusterSlot(scope, (live) => {
        this.#live.set(live.name, live)
        if (live.name === this.#local?.name) this.#rebalance()
        this.#events.onChange()
        this.#waiters.settle(live.name)
      })
      this.#slots.set(config.name, slot)
    }
    slot.apply(config)
  }

  /** Shares of zones follow the local cluster. */
  #rebalance(): void {
    for (const live of this.#live.values()) if (live.name !== this.#local?.name) live.rebalance()
  }

  remove(name: string): void {
    const slot = this.#slots.get(name)
    if (slot === undefined) return
    this.#slots.delete(name)
    this.#live.delete(name)
    slot.remove()
    this.#events.onChange()
    this.#waiters.settle(name)
  }

  /** It has come again as it was. */
  confirmAssignment(name: string): void {
    this.#assignments.confirm(name)
  }

  setAssignment(name: string, list: ResolvedList): void {
    this.#assignments.set(name, list)
    this.#events.onChange()
  }

  close(): void {
    this.#waiters.close()
    for (const name of this.#slots.keys()) this.remove(name)
  }
}
