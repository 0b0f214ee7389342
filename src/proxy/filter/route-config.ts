/** What a level of the route table says to an HTTP filter, compiled; kept under the filter's name. */
export interface RouteFilterConfig {
  /** Tells the filter that it is meant. */
  readonly kind: string
  /** Fills in what this level leaves open from the one above it; absent: this level stands alone. */
  inherit?(outer: RouteFilterConfig): RouteFilterConfig
}

/** In the place of a configuration: the filter is switched off here (`route.v3.FilterConfig`). */
export const switchedOff: unique symbol = Symbol('switched off')

/** In the place of a configuration: the filter is switched on here, and told nothing. */
export const switchedOn: RouteFilterConfig = { kind: 'switched on' }

export type FilterSetting = RouteFilterConfig | typeof switchedOff

/** By filter name. */
export type FilterConfigs = ReadonlyMap<string, FilterSetting>
