/**
 * Fault injection (Envoy `envoy.filters.http.fault`): a request waits, or is answered with an error, or first the one
 * and then the other, as often as the configuration says. In place of an answer the client's stream may be reset. What
 * the route says takes the filter's own place.
 *
 * Flags `DI` and `FI`, details `fault_filter_abort` and `fault_filter_reset`. A request that is delayed holds its body like
 * any that waits for an upstream, so its ceiling is the connection's. `max_active_faults` counts over all of the filter's
 * routes.
 */
import type { Clock, Timer } from '../../lib/clock.ts'
import type { Random } from '../../lib/random.ts'
import { addFlag } from '../exchange-record.ts'
import type { RequestHead } from '../http/message.ts'
import type { FaultStats } from '../telemetry/filter-stats.ts'
import type { FaultSettings } from './fault-settings.ts'
import { draws } from './fraction.ts'
import type { FilterContext, FilterVerdict, HttpFilter, LocalReply } from './http-filter.ts'

export interface FaultFilterOptions {
  readonly name: string
  /** Undefined: only routes inject faults. */
  readonly settings: FaultSettings | undefined
  readonly isOffByDefault: boolean
  readonly clock: Clock
  readonly random: Random
  readonly stats: FaultStats
}

export class FaultFilter implements HttpFilter {
  readonly name: string
  readonly isRouteOnly: boolean
  readonly isOffByDefault: boolean
  readonly #own: FaultSettings | undefined
  readonly #clock: Clock
  readonly #random: Random
  readonly #stats: FaultStats
  /** Exchanges with a fault, and the timer of those that wait. */
  readonly #active = new Map<FilterContext, Timer | undefined>()

  constructor(options: FaultFilterOptions) {
    this.name = options.name
    this.#own = options.settings
    this.isRouteOnly = options.settings === undefined || options.isOffByDefault
    this.isOffByDefault = options.isOffByDefault
    this.#clock = options.clock
    this.#random = options.random
    this.#stats = options.stats
  }

  onRequest(context: FilterContext): FilterVerdict {
    const settings = this.#settingsOf(context)
    if (settings === undefined || !isMeant(settings, context)) return 'continue'
    this.#limit(settings, context)
    return this.#delay(settings, context)
      ? 'suspend'
      : (this.#abort(settings, context) ?? 'continue')
  }

  #settingsOf(context: FilterContext): FaultSettings | undefined {
    const said = context.filterConfig(this.name)
    const isFault = typeof said === 'object' && said.kind === 'fault'
    return isFault ? (said as FaultSettings) : this.#own // of that kind
  }

  #limit(settings: FaultSettings, context: FilterContext): void {
    const { rate } = settings
    const { headers } = context.request
    if (rate === undefined || !draws(rate.shareOf(headers), this.#random)) return
    const kibPerSecond = rate.valueOf(headers)
    if (kibPerSecond === undefined || !this.#activate(settings, context)) return
    this.#stats.responseRatesInjected.add(1)
    context.limitResponse?.(kibPerSecond)
  }

  #delay(settings: FaultSettings, context: FilterContext): boolean {
    const { delay } = settings
    const { headers } = context.request
    if (delay === undefined || !draws(delay.shareOf(headers), this.#random)) return false
    const delayMs = delay.valueOf(headers) ?? 0
    if (delayMs <= 0 || !this.#activate(settings, context)) return false
    this.#stats.delaysInjected.add(1)
    addFlag(context.record, 'DI')
    const timer = this.#clock.setTimer(delayMs, () => {
      this.#active.set(context, undefined)
      context.resume(this.#abort(settings, context))
    })
    this.#active.set(context, timer)
    return true
  }

  #abort(settings: FaultSettings, context: FilterContext): LocalReply | undefined {
    const { abort } = settings
    const { headers } = context.request
    if (abort === undefined || !draws(abort.shareOf(headers), this.#random)) return undefined
    const status = abort.valueOf(headers)
    if (status === undefined || !this.#activate(settings, context)) return undefined
    this.#stats.abortsInjected.add(1)
    const { grpcStatus } = status
    if (status.isReset) return { failure: 'fault-reset' }
    return {
      failure: 'fault-abort',
      status: status.status,
      ...(grpcStatus !== undefined && { grpcStatus }),
    }
  }

  /** Counts one fault for an exchange, however many parts it has. */
  #activate(settings: FaultSettings, context: FilterContext): boolean {
    if (this.#active.has(context)) return true
    if (this.#stats.activeFaults.value() >= settings.activeFaultsMax) {
      this.#stats.faultsOverflow.add(1)
      return false
    }
    this.#stats.activeFaults.add(1)
    this.#active.set(context, undefined)
    return true
  }

  onEnd(context: FilterContext): void {
    if (this.#active.size === 0 || !this.#active.has(context)) return
    this.#active.get(context)?.cancel()
    this.#active.delete(context)
    this.#stats.activeFaults.add(-1)
  }
}

function isMeant(settings: FaultSettings, { request, clusterName }: FilterContext): boolean {
  const { upstreamCluster, downstreamNodes, headers } = settings
  if (upstreamCluster !== '' && clusterName !== upstreamCluster) return false
  if (downstreamNodes.size !== 0 && !isFrom(downstreamNodes, request)) return false
  return headers.every((matches) => matches(request))
}

function isFrom(nodes: ReadonlySet<string>, { headers }: RequestHead): boolean {
  const node = headers.get('x-envoy-downstream-service-node')
  return node !== undefined && nodes.has(node)
}
