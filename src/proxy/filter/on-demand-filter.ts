/**
 * What is not there yet is fetched when it is first asked for (Envoy `envoy.filters.http.on_demand`): the virtual host of
 * an authority that the table does not know (VHDS), then the cluster that the route names (on-demand CDS).
 *
 * The request waits for the control plane's answer, no longer than a limit: 503 `NR` when its virtual host does not come in
 * time, 503 `NC` when its cluster does not. What the control plane does not know answers as always: 404 `NR`, 503 `NC`.
 * Unlike in Envoy a request with a body goes on as well; it is held like that of any request that waits.
 */
import type { OnDemandStats } from '../telemetry/filter-stats.ts'
import type { FilterContext, FilterVerdict, HttpFilter, LocalReply } from './http-filter.ts'
import type { RouteFilterConfig } from './route-config.ts'

/** `answered`: look again. `full`: nothing more may be asked for. */
export type DemandOutcome = 'answered' | 'late' | 'full'

export interface Demand {
  cancel(): void
}

/** What fetches; implemented by the data plane. */
export interface OnDemand {
  /** Whether the virtual hosts of these routes come on demand, and there is none for the authority. */
  canAsk(routes: string, authority: string): boolean
  /** `done` is called later, once, unless it is cancelled. */
  askHost(routes: string, authority: string, done: (outcome: DemandOutcome) => void): Demand
  askCluster(name: string, timeoutMs: number, done: (outcome: DemandOutcome) => void): Demand
}

/** `odcds` of the filter or of a route. */
export interface OnDemandSettings extends RouteFilterConfig {
  readonly kind: 'on-demand'
  /** How long a request waits for a cluster; undefined: clusters are not fetched. */
  readonly clusterTimeoutMs: number | undefined
}

export interface OnDemandFilterOptions {
  readonly name: string
  readonly isOffByDefault: boolean
  readonly settings: OnDemandSettings
  /** The table of RDS that the listener routes by. */
  readonly routes: string | undefined
  readonly onDemand: OnDemand
  readonly nowMs: () => number
  readonly stats: OnDemandStats
}

export class OnDemandFilter implements HttpFilter {
  readonly name: string
  readonly isRouteOnly = true
  readonly runsOnMiss = true
  readonly isOffByDefault: boolean
  readonly #options: OnDemandFilterOptions
  readonly #waiting = new Map<FilterContext, Demand>()

  constructor(options: OnDemandFilterOptions) {
    this.#options = options
    this.name = options.name
    this.isOffByDefault = options.isOffByDefault
  }

  onRequest(context: FilterContext): FilterVerdict {
    const waits = this.#askHost(context) || this.#askCluster(context, new Set())
    return waits ? 'suspend' : 'continue'
  }

  onEnd(context: FilterContext): void {
    this.#waiting.get(context)?.cancel()
    this.#waiting.delete(context)
  }

  #askHost(context: FilterContext): boolean {
    const { routes, onDemand, stats } = this.#options
    const { authority } = context.request
    if (context.route !== undefined || routes === undefined) return false
    if (!onDemand.canAsk(routes, authority)) return false
    stats.hostsAsked.add(1)
    const stop = this.#measure()
    const demand = onDemand.askHost(routes, authority, (outcome) => {
      this.#waiting.delete(context)
      stop()
      if (outcome === 'answered') this.#goOn(context)
      else {
        ;(outcome === 'late' ? stats.hostsLate : stats.hostsRefused).add(1)
        context.resume(outcome === 'late' ? hostLate : hostRefused)
      }
    })
    this.#waiting.set(context, demand)
    return true
  }

  #goOn(context: FilterContext): void {
    context.clearRoute()
    if (context.route === undefined) this.#options.stats.hostsAbsent.add(1)
    if (!this.#askCluster(context, new Set())) context.resume()
  }

  /** Each once: a split draws anew, and may draw another that is not there. */
  #askCluster(context: FilterContext, asked: Set<string>): boolean {
    const { onDemand, stats } = this.#options
    const { clusterName, record } = context
    if (clusterName === '' || record.cluster !== undefined || asked.has(clusterName)) return false
    const timeoutMs = this.#settingsOf(context).clusterTimeoutMs
    if (timeoutMs === undefined) return false
    asked.add(clusterName)
    stats.clustersAsked.add(1)
    const stop = this.#measure()
    const demand = onDemand.askCluster(clusterName, timeoutMs, (outcome) => {
      this.#waiting.delete(context)
      stop()
      if (outcome === 'late') stats.clustersLate.add(1)
      if (outcome === 'full') stats.clustersRefused.add(1)
      if (outcome === 'answered') {
        context.clearRoute()
        if (this.#askCluster(context, asked)) return
      }
      context.resume()
    })
    this.#waiting.set(context, demand)
    return true
  }

  #settingsOf(context: FilterContext): OnDemandSettings {
    const said = context.filterConfig(this.name)
    const isOurs = typeof said === 'object' && said.kind === 'on-demand'
    return isOurs ? (said as OnDemandSettings) : this.#options.settings // of that kind
  }

  #measure(): () => void {
    const { nowMs, stats } = this.#options
    const startMs = nowMs()
    return () => stats.waitMs.record(nowMs() - startMs)
  }
}

const hostLate: LocalReply = {
  failure: 'no-route',
  status: 503,
  details: 'on_demand_virtual_host_timeout',
  body: 'the control plane did not say in time where this host leads',
}

const hostRefused: LocalReply = {
  failure: 'no-route',
  status: 503,
  details: 'on_demand_overflow',
  body: 'too many hosts are being asked for at once',
}
