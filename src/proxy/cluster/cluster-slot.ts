/**
 * One cluster name in time: the cluster that serves, and the next settings while they warm.
 *
 * New settings take effect when their endpoints are there, and until then the old ones serve (make before break). Where
 * connections are made of the same things, the living cluster takes the new settings and nothing is reconnected; where
 * not, a new one takes its place and the old one drains.
 */
import type { ClusterConfig } from '../config/cluster-config.ts'
import {
  type EndpointSource,
  type EndpointSourceScope,
  endpointSourceKey,
  openEndpointSource,
} from './endpoint-source.ts'
import { type ClusterScope, LiveCluster } from './live-cluster.ts'
import { type ResolvedList, emptyList } from './live-host.ts'

export type ClusterSlotScope = ClusterScope & EndpointSourceScope

interface Phase {
  config: ClusterConfig
  readonly sourceKey: string
  list: ResolvedList
  source: EndpointSource | undefined
}

export class ClusterSlot {
  readonly #scope: ClusterSlotScope
  readonly #onActive: (live: LiveCluster) => void
  #live: LiveCluster | undefined
  #active: Phase | undefined
  #warming: Phase | undefined

  constructor(scope: ClusterSlotScope, onActive: (live: LiveCluster) => void) {
    this.#scope = scope
    this.#onActive = onActive
  }

  get live(): LiveCluster | undefined {
    return this.#live
  }

  get isWarming(): boolean {
    return this.#warming !== undefined
  }

  /** The settings that were accepted last, whether they serve yet or not. */
  get config(): ClusterConfig | undefined {
    return this.#warming?.config ?? this.#active?.config
  }

  apply(config: ClusterConfig): void {
    const sourceKey = endpointSourceKey(config)
    if (this.#warming?.sourceKey === sourceKey) {
      this.#warming.config = config
      return
    }
    this.#stopWarming()
    if (this.#active?.sourceKey === sourceKey) {
      this.#active.config = config
      this.#serve(this.#active)
      return
    }
    this.#warm({ config, sourceKey, list: emptyList, source: undefined })
  }

  remove(): void {
    this.#stopWarming()
    this.#active?.source?.close()
    this.#active = undefined
    this.#live?.remove()
    this.#live = undefined
  }

  #warm(phase: Phase): void {
    this.#warming = phase
    const source = openEndpointSource(phase.config, this.#scope, {
      onEndpoints: (list) => {
        phase.list = list
        if (this.#active === phase) this.#live?.setEndpoints(list)
      },
      onWarm: () => this.#activate(phase),
    })
    phase.source = source
  }

  #activate(phase: Phase): void {
    if (this.#warming !== phase) return
    this.#warming = undefined
    this.#active?.source?.close()
    this.#active = phase
    this.#serve(phase)
  }

  #serve(phase: Phase): void {
    const { config } = phase
    const before = this.#live
    if (before !== undefined && before.config.transportKey === config.transportKey) {
      before.configure(config)
      if (config.dnsCache === undefined) before.setEndpoints(phase.list)
      return
    }
    const live = new LiveCluster(config, this.#scope)
    if (config.dnsCache === undefined) live.setEndpoints(phase.list)
    this.#live = live
    this.#onActive(live)
    before?.remove()
  }

  #stopWarming(): void {
    this.#warming?.source?.close()
    this.#warming = undefined
  }
}
