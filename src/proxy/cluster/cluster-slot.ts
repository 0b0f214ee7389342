/**
 * One cluster name in time: the cluster that serves, and the next settings while they warm.
 *
 * New settings take effect when their endpoints and secrets are there and their hosts have been checked, and until then the
 * old ones serve (make before break). Where
 * connections are made of the same things, the living cluster takes the new settings and nothing is reconnected; where
 * not, a new one takes its place and the old one drains.
 */
import type { ClusterConfig } from '../config/cluster-config.ts'
import { addressText } from '../config/message-value.ts'
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
  /** What the cluster that serves was given of it. */
  shown: ResolvedList
  source: EndpointSource | undefined
  /** Until the cluster that is made of them takes them. */
  transports: UpstreamTransports | undefined
  hasEndpoints: boolean
  /** Made of this phase, and waiting for its hosts to be checked. */
  live: LiveCluster | undefined
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
    const active = this.#active
    if (active?.sourceKey === sourceKey && !this.#isOtherOfSame(config)) {
      this.#stopWarming()
      active.config = config
      this.#serve(active)
      return
    }
    if (this.#warming?.sourceKey === sourceKey) {
      this.#reconfigure(this.#warming, config)
      return
    }
    this.#stopWarming()
    // What was held back for other settings is not held back for these, unless they call endpoints in another way too.
    if (active !== undefined && !this.#isOtherOfSame(config)) this.#show(active)
    this.#warm({
      config,
      sourceKey,
      list: emptyList,
      shown: emptyList,
      source: undefined,
      transports: undefined,
      hasEndpoints: false,
      live: undefined,
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
      waitsForNew: this.#isOtherOfSame(phase.config),
      isServing: this.#live !== undefined,
      onEndpoints: (list) => {
        phase.list = list
        if (this.#active === phase) this.#show(phase)
        else phase.live?.setEndpoints(list)
      },
      onWarm: () => {
        phase.hasEndpoints = true
        this.#activateWhenWarm(phase)
      },
    })
    phase.source = source
  }

  /** Whether the same endpoints are to be called in another way. */
  #isOtherOfSame(config: ClusterConfig): boolean {
    const now = this.#active?.config
    return now?.type === 'eds' && now.edsName === config.edsName && !this.#goesOn(config)
  }

  /**
   * While another way to call them warms, endpoints that come with it are not called in the old way: a host that speaks
   * no HTTP/2, or no TLS, must not be asked for it in between. Those that go, go at once.
   */
  #show(phase: Phase): void {
    const { list, shown } = phase
    const isHolding = this.#warming !== undefined && this.#isOtherOfSame(this.#warming.config)
    phase.shown = isHolding ? commonOf(shown, list) : list
    this.#live?.setEndpoints(phase.shown)
  }

  #openTransports(phase: Phase): UpstreamTransports | undefined {
    const { name, statName, transports: plan } = phase.config
    if (plan === undefined) return undefined
    const scope = this.#scope.tls
    const stats = createUpstreamTlsStats(this.#scope.stats, statName)
    const onReady = (): void => this.#activateWhenWarm(phase)
    return new UpstreamTransports({ plan, scope, stats, clusterName: name, onReady })
  }

  /** Endpoints and secrets first; then every host is checked once, unless the living cluster goes on with what it knows. */
  #activateWhenWarm(phase: Phase): void {
    if (this.#warming !== phase || phase.live !== undefined) return
    if (!phase.hasEndpoints || phase.transports?.isReady === false) return
    if (this.#goesOn(phase.config)) {
      this.#activate(phase)
      return
    }
    const live = this.#open(phase)
    phase.live = live
    live.whenChecked(() => {
      if (phase.live === live) this.#activate(phase)
    })
  }

  /** New settings before the old ones have begun to serve. */
  #reconfigure(phase: Phase, config: ClusterConfig): void {
    const { live } = phase
    phase.config = config
    if (live === undefined) return
    if (live.config.transportKey === config.transportKey) {
      live.configure(config)
      return
    }
    live.remove()
    phase.live = undefined
    phase.transports = this.#openTransports(phase)
    this.#activateWhenWarm(phase)
  }

  /** Whether the living cluster can take these settings. */
  #goesOn(config: ClusterConfig): boolean {
    return this.#live?.config.transportKey === config.transportKey
  }

  #open(phase: Phase): LiveCluster {
    const live = new LiveCluster(phase.config, this.#scope, phase.transports)
    phase.transports = undefined
    if (phase.config.dnsCache === undefined) live.setEndpoints(phase.list)
    return live
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
    if (before !== undefined && phase.live === undefined && this.#goesOn(config)) {
      before.configure(config)
      if (config.dnsCache === undefined) before.setEndpoints(phase.list)
      phase.shown = phase.list
      // The living cluster has the same ones already.
      phase.transports?.close()
      phase.transports = undefined
      return
    }
    const live = phase.live ?? this.#open(phase)
    phase.live = undefined
    phase.shown = phase.list
    this.#live = live
    this.#onActive(live)
    before?.remove()
  }

  #stopWarming(): void {
    this.#warming?.source?.close()
    this.#warming?.transports?.close()
    this.#warming?.live?.remove()
    this.#warming = undefined
  }
}

/** Of the endpoints before, those that are still there. */
function commonOf(before: ResolvedList, now: ResolvedList): ResolvedList {
  const addresses = new Set(now.endpoints.map(({ address }) => addressText(address)))
  const endpoints = before.endpoints.filter(({ address }) => addresses.has(addressText(address)))
  return { ...now, endpoints }
}
