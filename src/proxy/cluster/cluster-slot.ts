/**
 * One cluster name in time: the cluster that serves, and the next settings while they warm.
 *
 * New settings take effect when their endpoints and secrets are there, and until then the old ones serve (make before break). Where
 * connections are made of the same things, the living cluster takes the new settings and nothing is reconnected; where
 * not, a new one takes its place and the old one drains.
 */
import type { ClusterConfig } from '../config/cluster-config.ts'
import { createUpstreamTlsStats } from '../telemetry/create-tls-stats.ts'
import { UpstreamTransports } from '../tls/upstream-transports.ts'
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
  /** Until the cluster that is made of them takes them. */
  transports: UpstreamTransports | undefined
  hasEndpoints: boolean
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
    // New transport sockets wait for their secrets, so they need a phase of their own too.
    const sourceKey = `${endpointSourceKey(config)} ${config.transports?.key ?? ''}`
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
    this.#warm({
      config,
      sourceKey,
      list: emptyList,
      source: undefined,
      transports: undefined,
      hasEndpoints: false,
    })
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
    phase.transports = this.#openTransports(phase)
    const source = openEndpointSource(phase.config, this.#scope, {
      onEndpoints: (list) => {
        phase.list = list
        if (this.#active === phase) this.#live?.setEndpoints(list)
      },
      onWarm: () => {
        phase.hasEndpoints = true
        this.#activateWhenWarm(phase)
      },
    })
    phase.source = source
  }

  #openTransports(phase: Phase): UpstreamTransports | undefined {
    const { name, statName, transports: plan } = phase.config
    if (plan === undefined) return undefined
    const scope = this.#scope.tls
    const stats = createUpstreamTlsStats(this.#scope.stats, statName)
    const onReady = (): void => this.#activateWhenWarm(phase)
    return new UpstreamTransports({ plan, scope, stats, clusterName: name, onReady })
  }

  #activateWhenWarm(phase: Phase): void {
    if (phase.hasEndpoints && phase.transports?.isReady !== false) this.#activate(phase)
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
      // The living cluster has the same ones already.
      phase.transports?.close()
      phase.transports = undefined
      return
    }
    const live = new LiveCluster(config, this.#scope, phase.transports)
    phase.transports = undefined
    if (config.dnsCache === undefined) live.setEndpoints(phase.list)
    this.#live = live
    this.#onActive(live)
    before?.remove()
  }

  #stopWarming(): void {
    this.#warming?.source?.close()
    this.#warming?.transports?.close()
    this.#warming = undefined
  }
}
