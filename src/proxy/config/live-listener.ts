/**
 * A listener's plan with everything opened that it needs: statistics, filters, observers, routes. `config` is what the
 * transport serves with; `isReady` says whether its routes have come.
 */
import type { Retirement, Retiring } from '../cluster/retirement.ts'
import type { HttpFilter } from '../filter/http-filter.ts'
import type { ListenerConfig, NetworkFilter } from '../listener/listener-config.ts'
import { createDownstreamStats, createTcpStats } from '../telemetry/create-stats.ts'
import type { RequestObserver, TcpObserver } from '../telemetry/request-record.ts'
import type { HttpPlan, ListenerPlan, Opener, PlanScope, TcpPlan } from './listener-plan.ts'
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
  readonly #opened: { close?(): void }[] = []
  #routeUse: RouteUse | undefined
  #stats: Pick<Retiring, 'isIdle' | 'close'> | undefined

  /** `onRoutes` is called when the routes that were missing have come. */
  constructor(plan: ListenerPlan, scope: LiveListenerScope, onRoutes: () => void) {
    this.plan = plan
    this.#scope = scope
    const network = this.#openNetwork(onRoutes)
    this.config = {
      name: plan.name,
      address: plan.address,
      bindToPort: plan.bindToPort,
      connectionsMax: plan.connectionsMax,
      bufferLimitBytes: plan.bufferLimitBytes,
      trafficDirection: plan.trafficDirection,
      chains: [{ name: plan.chainName, network }],
    }
  }

  get isReady(): boolean {
    return this.#routeUse === undefined || this.#routeUse.current() !== undefined
  }

  get routeName(): string | undefined {
    const { network } = this.plan
    return network.kind === 'http' && network.routes.kind === 'rds'
      ? network.routes.name
      : undefined
  }

  /**
   * No new request comes here; what is in flight still uses filters and statistics. `replaced`: another config of the
   * same listener goes on.
   */
  retire(reason: 'replaced' | 'removed'): void {
    this.#routeUse?.release()
    const stats = this.#stats
    const opened = this.#opened
    this.#scope.retirement.retire({
      isIdle: () => stats?.isIdle() ?? true,
      close: () => {
        for (const one of opened) one.close?.()
        stats?.close()
      },
      ...(reason === 'replaced' && { retiresInMs: replacedRetiresInMs }),
    })
  }

  /** A log file that cannot be opened throws, and what was opened before it is closed. */
  #openNetwork(onRoutes: () => void): NetworkFilter {
    const { network } = this.plan
    try {
      return network.kind === 'http' ? this.#openHttp(network, onRoutes) : this.#openTcp(network)
    } catch (error) {
      this.retire('removed')
      throw error
    }
  }

  #openHttp(plan: HttpPlan, onRoutes: () => void): NetworkFilter {
    const stats = createDownstreamStats(this.#scope.stats, plan.settings.statPrefix)
    this.#stats = {
      isIdle: () => stats.rqActive.value() === 0 && stats.cxActive.value() === 0,
      close: () => stats.close(),
    }
    const filters: HttpFilter[] = []
    const observers: RequestObserver[] = []
    for (const filter of plan.filters) {
      if (filter.openFilter !== undefined) filters.push(this.#open(filter.openFilter))
      if (filter.openObserver !== undefined) observers.push(this.#open(filter.openObserver))
    }
    for (const accessLog of plan.accessLogs) observers.push(this.#open(accessLog))
    const routes = this.#openRoutes(plan, onRoutes)
    return { kind: 'http', manager: { ...plan.settings, routes, filters, observers, stats } }
  }

  #openRoutes(plan: HttpPlan, onRoutes: () => void) {
    const source = plan.routes
    if (source.kind === 'inline') return () => source.table
    const use = this.#scope.routes.use(source.name, onRoutes)
    this.#routeUse = use
    return () => use.current()
  }

  #openTcp(plan: TcpPlan): NetworkFilter {
    const stats = createTcpStats(this.#scope.stats, plan.settings.statPrefix)
    this.#stats = {
      isIdle: () => stats.cxActive.value() === 0,
      close: () => stats.close(),
    }
    const observers: TcpObserver[] = plan.observers.map((opener) => this.#open(opener))
    return { kind: 'tcp', proxy: { ...plan.settings, stats, observers } }
  }

  #open<T>(opener: Opener<T>): T {
    const opened = opener(this.#scope)
    this.#opened.push(opened)
    return opened.value
  }
}
