/** A RouteConfiguration compiled with what its levels say to the filters that we have. */
import type { RouteConfiguration } from '../../xds/proto/generated/envoy/config/route/v3/route.ts'
import { compileRouteConfiguration } from '../route/compile-route-configuration.ts'
import type { RouteTable } from '../route/route-table.ts'
import { compileRouteFilterConfig } from './compile-http-filter.ts'
import type { CompileScope } from './compile-scope.ts'
import type { Compiled } from './compiled.ts'

export function compileRouteTable(
  message: RouteConfiguration,
  scope: CompileScope,
): Compiled<RouteTable> {
  const { random, hostname } = scope
  const compileFilterConfig = compileRouteFilterConfig
  return compileRouteConfiguration(message, { random, hostname, compileFilterConfig })
}
