/** A RouteConfiguration compiled with what its levels say to the filters that we have. */
import { systemRandom } from '../../lib/random.ts'
import type { RouteConfiguration } from '../../xds/proto/generated/envoy/config/route/v3/route.ts'
import {
  compileRouteConfiguration,
  type CompiledTable,
} from '../route/compile-route-configuration.ts'
import type { RouteOptions } from '../route/route-compiler.ts'
import { compileRouteFilterConfig } from './compile-http-filter.ts'
import type { Compiled } from './compiled.ts'

export function compileRouteTable(
  message: RouteConfiguration,
  options: RouteOptions = { random: systemRandom },
): Compiled<CompiledTable> {
  return compileRouteConfiguration(message, withFilters(options))
}

/** For whoever compiles routes by himself: without it a route that says something to a filter is refused. */
export function withFilters(options: RouteOptions): RouteOptions {
  const { random, hostname, routeStats } = options
  return {
    random,
    ...(hostname !== undefined && { hostname }),
    ...(routeStats && { routeStats }),
    compileFilterConfig: compileRouteFilterConfig,
  }
}
