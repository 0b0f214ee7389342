/** The filters of one exchange: how far it has come through their list, and who hears of its response and its end. */
import type { FilterContext, FilterVerdict, HttpFilter } from './filter/http-filter.ts'
import { switchedOff, type FilterConfigs, type FilterSetting } from './filter/route-config.ts'
import type { ResponseHead } from './http/message.ts'
import type { HttpConnectionManager } from './listener/listener-config.ts'
import type { MatchedRoute, PickedCluster } from './route/route-table.ts'
import type { Cluster } from './upstream/cluster.ts'

interface FilterTarget {
  readonly route: MatchedRoute | undefined
  readonly picked: PickedCluster | undefined
  /** The one that was picked, if it is there. */
  readonly cluster?: Cluster | undefined
}

function isMiss({ route, picked, cluster }: FilterTarget): boolean {
  return route === undefined || (picked !== undefined && cluster === undefined)
}

/** Undefined where no filter has anything to do, as for most requests of a sidecar. */
export function openFilters(
  manager: HttpConnectionManager,
  target: FilterTarget,
): FilterRun | undefined {
  if (manager.filters.length === 0) return undefined
  if (manager.filtersAreRouteOnly === true && filterConfigsOf(target) === undefined) {
    if (manager.filtersRunOnMiss !== true || !isMiss(target)) return undefined
  }
  return new FilterRun(manager.filters)
}

/** What the request's route says to the filter of a name. */
export function filterConfigOf(target: FilterTarget, name: string): FilterSetting | undefined {
  return filterConfigsOf(target)?.get(name)
}

/** Those of a split's part hold what it inherits from its route. */
function filterConfigsOf({ route, picked }: FilterTarget): FilterConfigs | undefined {
  return picked?.filterConfigs ?? route?.route.filterConfigs
}

export class FilterRun {
  readonly #filters: readonly HttpFilter[]
  #run = 0
  #isSuspended = false

  constructor(filters: readonly HttpFilter[]) {
    this.#filters = filters
  }

  /** Runs each filter once, in order, until one does more than continue. */
  run(context: FilterContext): FilterVerdict {
    while (this.#run < this.#filters.length) {
      const filter = this.#filters[this.#run] as HttpFilter // in bounds
      this.#run += 1
      if (isOff(filter, context)) continue
      const verdict = filter.onRequest?.(context) ?? 'continue'
      if (verdict === 'continue') continue
      this.#isSuspended = verdict === 'suspend'
      return verdict
    }
    return 'continue'
  }

  /** Whether a filter waits; it may wake the exchange once. */
  wake(): boolean {
    const isSuspended = this.#isSuspended
    this.#isSuspended = false
    return isSuspended
  }

  onRequestData(context: FilterContext, bytes: number): void {
    for (let index = 0; index < this.#run; index += 1) {
      this.#filters[index]?.onRequestData?.(context, bytes)
    }
  }

  onRequestEnd(context: FilterContext): void {
    for (let index = 0; index < this.#run; index += 1) this.#filters[index]?.onRequestEnd?.(context)
  }

  /** Those that saw the request, the last one first. */
  onResponse(context: FilterContext, head: ResponseHead): void {
    for (let index = this.#run - 1; index >= 0; index -= 1) {
      const filter = this.#filters[index]
      if (filter?.onResponse === undefined || isOff(filter, context)) continue
      filter.onResponse(context, head)
    }
  }

  onEnd(context: FilterContext): void {
    for (let index = 0; index < this.#run; index += 1) this.#filters[index]?.onEnd?.(context)
  }
}

function isOff(filter: HttpFilter, context: FilterContext): boolean {
  const config = context.filterConfig(filter.name)
  return config === switchedOff || (config === undefined && filter.isOffByDefault === true)
}
