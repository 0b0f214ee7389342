/**
 * A listener's plan with everything opened that it needs: statistics, filters, observers, routes. `config` is what the
 * transport serves with; `isReady` says whether its routes and secrets have come.
 */
import type { Retirement, Retiring } from '../cluster/retirement.ts'
import type { HttpFilter } from '../filter/http-filter.ts'
import type { FilterChain, ListenerConfig, NetworkFilter } from '../listener/listener-config.ts'
import type { AcceptStats, ListenerStats } from '../telemetry/cluster-stats.ts'
import {
  createAcceptStats,
  createDownstreamStats,
  createListenerStats,
  createTcpStats,
} from '../telemetry/create-stats.ts'
import { createHttp2Stats } from '../telemetry/http2-stats.ts'
import type { RequestObserver, TcpObserver } from '../telemetry/request-record.ts'
import { DownstreamTls } from '../tls/downstream-tls.ts'
import type { DownstreamTlsPlan } from '../tls/tls-plan.ts'
import type {
  ChainPlan,
  HttpPlan,
  ListenerPlan,
  Opener,
  PlanScope,
  RouteSource,
  TcpPlan,
} from './listener-plan.ts'
import { addressText } from './message-value.ts'
import type { RouteStore, RouteUse } from './route-store.ts'

export interface LiveListenerScope extends PlanScope {
  readonly routes: RouteStore
  readonly retirement: Retirement
}

/** Longer than any request that a sane time-out lets live. */
const replacedRetiresInMs = 3_600_000

export class LiveListener {
  readonly plan: ListenerPlan
  readonly config: ListenerConfig
  readonly #scope: LiveListenerScope
  readonly #onChange: () => void
  readonly #opened: { close?(): void }[] = []
  readonly #routeUses: RouteUse[] = []
  readonly #stats: Pick<Retiring, 'isIdle' | 'close'>[] = []
  readonly #tls: DownstreamTls[] = []

  /** `onChange` is called when routes or secrets that were missing have come. */
  constructor(plan: ListenerPlan, scope: LiveListenerScope, onChange: () => void) {
    this.plan = plan
    this.#scope = scope
    this.#onChange = onChange
    const { name, address, bindToPort, connectionsMax, bufferLimitBytes, trafficDirection } = plan
    const { drainsWithHealth, ignoresGlobalLimit, bypassesOverload } = plan
    this.config = {
      name,
      address,
      bindToPort,
      connectionsMax,
      bufferLimitBytes,
      trafficDirection,
      drainsWithHealth,
      ignoresGlobalLimit,
      bypassesOverload,
      ...this.#openChains(),
      inspection: plan.inspection,
      // Only a listener that looks at connections has something to count.
      stats: plan.inspection && this.#openStats(),
      // What comes from inside the process has been let in before.
      acceptStats: address.kind === 'internal' ? undefined : this.#openAcceptStats(),
    }
  }

  /** Whether everything that requests need has come: routes, certificates, trust. */
  get isReady(): boolean {
    return (
      this.#routeUses.every((use) => use.current() !== undefined) &&
      this.#tls.every((tls) => tls.isReady)
    )
  }

  /** Of the first chain that takes its routes from RDS. */
  get routeName(): string | undefined {
    return rdsSources(this.plan)[0]?.name
  }

  /** The TLS contexts of its chains, for /certs. */
  get tls(): readonly DownstreamTls[] {
    return this.#tls
  }

  /**
   * No new request comes here; what is in flight still uses filters and statistics. `replaced`: another config of the
   * same listener goes on.
   */
  retire(reason: 'replaced' | 'removed'): void {
    for (const use of this.#routeUses) use.release()
    const stats = this.#stats
    const opened = this.#opened
    const tls = this.#tls
    this.#scope.retirement.retire({
      isIdle: () => stats.every((one) => one.isIdle()),
      close: () => {
        for (const one of opened) one.close?.()
        // Connections of the old config are judged by its trust until they are gone.
        for (const one of tls) one.close()
        for (const one of stats) one.close()
      },
      ...(reason === 'replaced' && { retiresInMs: replacedRetiresInMs }),
    })
  }

  /** A log file that cannot be opened throws, and what was opened before it is closed. */
  #openChains(): Pick<ListenerConfig, 'chains' | 'defaultChain'> {
    const { chains, defaultChain } = this.plan
    try {
      return {
        chains: chains.map((chain) => this.#openChain(chain)),
        defaultChain: defaultChain && this.#openChain(defaultChain),
      }
    } catch (error) {
      this.retire('removed')
      throw error
    }
  }

  #openChain(plan: ChainPlan): FilterChain {
    const { name, key, match, network } = plan
    const tls = plan.tls && this.#openTls(plan, plan.tls)
    return {
      name,
      key,
      match,
      ...(tls !== undefined && { tls }),
      ...(plan.gates.length > 0 && { gates: plan.gates.map((gate) => this.#open(gate)) }),
      network: network.kind === 'http' ? this.#openHttp(network) : this.#openTcp(network),
    }
  }

  #openTls(chain: ChainPlan, plan: DownstreamTlsPlan): DownstreamTls {
    const tls = new DownstreamTls({
      plan,
      scope: this.#scope.tls,
      handshakeTimeoutMs: chain.handshakeTimeoutMs,
      unspoken: isHttp1Only(chain.network) ? unspokenHttp1 : noProtocols,
      onReady: this.#onChange,
    })
    this.#tls.push(tls)
    return tls
  }

  get #statName(): string {
    return this.plan.statPrefix || addressText(this.plan.address)
  }

  #openAcceptStats(): AcceptStats {
    const stats = createAcceptStats(this.#scope.stats, this.#statName)
    this.#stats.push({ isIdle: () => true, close: () => stats.close() })
    return stats
  }

  #openStats(): ListenerStats {
    const stats = createListenerStats(this.#scope.stats, this.#statName)
    this.#stats.push({ isIdle: () => true, close: () => stats.close() })
    return stats
  }

  #openHttp(plan: HttpPlan): NetworkFilter {
    const stats = createDownstreamStats(this.#scope.stats, plan.settings.statPrefix, this.#statName)
    this.#stats.push({
      isIdle: () => stats.rqActive.value() === 0 && stats.cxActive.value() === 0,
      close: () => stats.close(),
    })
    const filters: HttpFilter[] = []
    const observers: RequestObserver[] = []
    for (const filter of plan.filters) {
      if (filter.openFilter !== undefined) filters.push(this.#open(filter.openFilter))
      if (filter.openObserver !== undefined) observers.push(this.#open(filter.openObserver))
    }
    for (const accessLog of plan.accessLogs) observers.push(this.#open(accessLog))
    const routes = this.#openRoutes(plan)
    const filtersAreRouteOnly = filters.every((filter) => filter.isRouteOnly === true)
    const filtersRunOnMiss = filters.some((filter) => filter.runsOnMiss === true)
    const readsGrpcWeb = filters.some((filter) => filter.readsGrpcWeb === true)
    const { bypassesOverload } = this.plan
    const run = { filtersAreRouteOnly, filtersRunOnMiss, readsGrpcWeb }
    const parts = { routes, filters, ...run, observers, stats, bypassesOverload }
    const { http2, ...settings } = plan.settings
    if (http2 === undefined) return { kind: 'http', manager: { ...settings, ...parts } }
    const http2Stats = createHttp2Stats(this.#scope.stats)
    this.#stats.push({
      isIdle: () => stats.cxActive.value() === 0,
      close: () => http2Stats.close(),
    })
    const manager = { ...settings, ...parts, http2: { ...http2, stats: http2Stats } }
    return { kind: 'http', manager }
  }

  #openRoutes(plan: HttpPlan) {
    const source = plan.routes
    if (source.kind === 'inline') return () => source.table
    const use = this.#scope.routes.use(source.name, this.#onChange)
    this.#routeUses.push(use)
    return () => use.current()
  }

  #openTcp(plan: TcpPlan): NetworkFilter {
    const stats = createTcpStats(this.#scope.stats, plan.settings.statPrefix)
    this.#stats.push({ isIdle: () => stats.cxActive.value() === 0, close: () => stats.close() })
    const observers: TcpObserver[] = plan.observers.map((opener) => this.#open(opener))
    return { kind: 'tcp', proxy: { ...plan.settings, stats, observers } }
  }

  #open<T>(opener: Opener<T>): T {
    const opened = opener(this.#scope)
    this.#opened.push(opened)
    return opened.value
  }
}

/** Protocols that a connection manager of HTTP/1 cannot speak; they are not agreed on. */
const unspokenHttp1: ReadonlySet<string> = new Set(['h2', 'istio-h2'])
const noProtocols: ReadonlySet<string> = new Set()

function isHttp1Only(network: HttpPlan | TcpPlan): boolean {
  return network.kind === 'http' && network.settings.http2 === undefined
}

/** Where the chains of a listener take their routes from, as far as it is RDS. */
export function rdsSources(plan: ListenerPlan): readonly Extract<RouteSource, { kind: 'rds' }>[] {
  const all = plan.defaultChain === undefined ? plan.chains : [...plan.chains, plan.defaultChain]
  return all.flatMap(({ network }) =>
    network.kind === 'http' && network.routes.kind === 'rds' ? [network.routes] : [],
  )
}
