/**
 * `http_filters` → the ordered stages of a connection manager (law 2 of the design): each filter that we know compiles to
 * a stage or an observer; the router is last and mandatory; an unknown filter is refused by name unless it is optional.
 *
 * Filters are known by the type of their configuration, as in Envoy; names are free.
 */
import { typeNameOf } from '../../xds/any.ts'
import { FilterConfig as ForwardProxyFilter } from '../../xds/proto/generated/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy.ts'
import { Router } from '../../xds/proto/generated/envoy/extensions/filters/http/router/v3/router.ts'
import type { HttpFilter } from '../../xds/proto/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts'
import type { Any } from '../../xds/proto/generated/google/protobuf/any.ts'
import { bufferPerRouteRule, bufferRule, compileBufferPerRoute } from '../filter/buffer-filter.ts'
import { CorsFilter } from '../filter/cors-filter.ts'
import { compileCors, corsFilterRule, corsPolicyRule } from '../filter/cors-policy.ts'
import { FaultFilter } from '../filter/fault-filter.ts'
import { compileFault, faultRule, isIdle } from '../filter/fault-settings.ts'
import { HealthCheckFilter } from '../filter/health-check-filter.ts'
import { compileHealthCheckFilter, healthCheckFilterRule } from '../filter/health-check-settings.ts'
import { compileLocalRateLimit, localRateLimitRule } from '../filter/local-rate-limit.ts'
import { OnDemandFilter } from '../filter/on-demand-filter.ts'
import type { RouteFilterConfig } from '../filter/route-config.ts'
import type { HttpConnectionManager } from '../listener/listener-config.ts'
import { strictHeaders } from '../resilience/strict-header.ts'
import {
  createCorsStats,
  createFaultStats,
  createOnDemandStats,
} from '../telemetry/filter-stats.ts'
import { dnsCacheRule } from './cluster-fields.ts'
import { compileDnsCache } from './compile-dns.ts'
import { compileIstioHttpStats, isTypedStruct, typedStructName } from './compile-istio-stats.ts'
import {
  compileOnDemand,
  compileOnDemandRoute,
  onDemandRouteRule,
  onDemandRule,
} from './compile-on-demand.ts'
import { type Compiled, compiled, refused } from './compiled.ts'
import {
  type FieldReport,
  type MessageRule,
  at,
  checkFields,
  refuse,
  refusedField,
  showValue,
  used,
} from './field-rule.ts'
import type { CompileFilter, FilterInput, FilterScope } from './filter-input.ts'
import { routerRule } from './listener-fields.ts'
import type { HttpFilterPlan } from './listener-plan.ts'
import { decodeTyped } from './message-value.ts'
import {
  grpcStatsRule,
  grpcWebRule,
  planBuffer,
  planGrpcStats,
  planGrpcWeb,
  planLocalRateLimit,
} from './plan-filters.ts'

export interface HttpFilterChain {
  /** Without the router. */
  readonly filters: readonly HttpFilterPlan[]
  readonly router: RouterSettings
}

/** What the router says of the whole connection manager. */
export type RouterSettings = Pick<
  HttpConnectionManager,
  'suppressEnvoyHeaders' | 'strictCheckHeaders' | 'respectExpectedTimeout'
>

export function compileHttpFilters(
  filters: readonly HttpFilter[],
  scope: FilterScope,
  report: FieldReport,
): HttpFilterChain {
  const plans: HttpFilterPlan[] = []
  let router: RouterSettings = {}
  const last = filters.length - 1
  if (last < 0) refuse(report, 'at least the router is required')
  filters.forEach((filter, index) => {
    const here = at(report, index)
    const any = filter.configType?.$case === 'typedConfig' ? filter.configType.value : undefined
    const isRouter = typeNameOf(any?.typeUrl ?? '') === routerRule.type
    checkOrder(filter, { isRouter, isLast: index === last }, here)
    if (isRouter && any !== undefined) router = compileRouter(any, here)
    else plans.push(...compileFilter({ filter, any, scope }, here))
  })
  return { filters: plans, router }
}

interface FilterOrder {
  readonly isRouter: boolean
  readonly isLast: boolean
}

/** Envoy's own words. */
function checkOrder(filter: HttpFilter, order: FilterOrder, report: FieldReport): void {
  const type = `envoy.filters.http.router`
  if (order.isRouter && !order.isLast) {
    refuse(
      report,
      `terminal filter named ${filter.name} of type ${type} must be the last filter in a http filter chain`,
    )
  }
  if (!order.isRouter && order.isLast) {
    refuse(
      report,
      `non-terminal filter named ${filter.name} is the last filter in a http filter chain`,
    )
  }
  if (order.isRouter && filter.disabled) {
    refuse(at(report, 'disabled'), 'the router cannot be disabled')
  }
}

function compileRouter(any: Any, report: FieldReport): RouterSettings {
  const here = at(report, 'typed_config')
  const router = decodeTyped(any, Router, here)
  if (router === undefined) return {}
  checkFields(router, routerRule, here)
  const { suppressEnvoyHeaders, strictCheckHeaders, respectExpectedRqTimeout } = router
  strictCheckHeaders.forEach((name, index) => {
    if (strictHeaders.includes(name)) return
    const where = at(here, 'strict_check_headers', index)
    refuse(where, `value must be in list [${strictHeaders.join(' ')}], got ${showValue(name)}`)
  })
  return {
    suppressEnvoyHeaders,
    ...(strictCheckHeaders.length > 0 && { strictCheckHeaders }),
    ...(respectExpectedRqTimeout && { respectExpectedTimeout: true }),
  }
}

const known: Readonly<Record<string, CompileFilter>> = {
  'envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig': compileForwardProxy,
  [faultRule.type]: planFault,
  [corsFilterRule.type]: planCors,
  [onDemandRule.type]: planOnDemand,
  [grpcWebRule.type]: planGrpcWeb,
  [grpcStatsRule.type]: planGrpcStats,
  [localRateLimitRule.type]: planLocalRateLimit,
  [bufferRule.type]: planBuffer,
  [healthCheckFilterRule.type]: planHealthCheck,
}

/** What routes may say to filters, by the type of what they say. */
const knownByRoute: Readonly<
  Record<string, (any: Any, report: FieldReport) => RouteFilterConfig | undefined>
> = {
  [faultRule.type]: compileFault,
  [corsPolicyRule.type]: compileCors,
  [onDemandRouteRule.type]: compileOnDemandRoute,
  [localRateLimitRule.type]: compileLocalRateLimit,
  [bufferPerRouteRule.type]: compileBufferPerRoute,
}

/** One entry of a `typed_per_filter_config`. */
export function compileRouteFilterConfig(name: string, any: Any): Compiled<RouteFilterConfig> {
  const type = typeNameOf(any.typeUrl)
  const compile = knownByRoute[type]
  if (compile === undefined) return refused(`${type} for the filter ${name} is not implemented`)
  const report: FieldReport = { path: '', reasons: [] }
  const config = compile(any, report)
  return config === undefined || report.reasons.length > 0
    ? refused(...report.reasons)
    : compiled(config)
}

/** Filters that a mesh knows and this version has not built: named in the message, so that nobody searches. */
const notYet: Readonly<Record<string, string>> = {
  'envoy.extensions.filters.http.rbac.v3.RBAC': 'authorization (RBAC)',
  'envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication': 'JWT authentication',
  'envoy.extensions.filters.http.ext_authz.v3.ExtAuthz': 'external authorization',
  'envoy.extensions.filters.http.ratelimit.v3.RateLimit': 'rate limiting',
  'envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor': 'external processing',
  'envoy.extensions.filters.http.lua.v3.Lua': 'Lua',
  'envoy.extensions.filters.http.wasm.v3.Wasm': 'Wasm',
}

/** For the reference page. */
export const filterFeatures: readonly { readonly type: string; readonly state: string }[] = [
  { type: routerRule.type, state: 'used' },
  ...Object.keys(known).map((type) => ({ type, state: 'used' })),
  {
    type: corsPolicyRule.type,
    state: 'used, in `typed_per_filter_config`: the policy of routes',
  },
  { type: 'stats.PluginConfig', state: 'used, as a TypedStruct: Istio’s standard metrics' },
  ...Object.entries(notYet).map(([type, name]) => ({
    type,
    state: `refused: ${name} is not implemented yet`,
  })),
]

function compileFilter(
  input: Omit<FilterInput, 'any'> & { readonly any: Any | undefined },
  report: FieldReport,
): readonly HttpFilterPlan[] {
  const { filter, any, scope } = input
  const compile = any && known[typeNameOf(any.typeUrl)]
  if (any !== undefined && compile !== undefined) return compile({ filter, any, scope }, report)
  // Disabled, it could only be switched on by what a route says to it, and that is refused where the filter is unknown.
  if (filter.disabled) return []
  if (any !== undefined) {
    const stats = isTypedStruct(any) && compileIstioHttpStats(filter.name, any, report)
    if (stats) return [stats]
  }
  if (!filter.isOptional) refuse(report, unknownFilter(filter, any))
  return []
}

function unknownFilter(filter: HttpFilter, any: Any | undefined): string {
  if (any === undefined) return `filter ${filter.name} has no typed_config`
  const type = typeNameOf(any.typeUrl)
  const inner = isTypedStruct(any) ? ` of ${typedStructName(any)}` : ''
  const what = `filter ${filter.name} (${type}${inner})`
  const feature = notYet[type]
  return feature === undefined
    ? `${what} is not implemented`
    : `${what}: ${feature} is not implemented yet`
}

export const forwardProxyFilterRule: MessageRule = {
  type: 'envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig',
  fields: {
    dnsCacheConfig: used(dnsCacheRule),
    subClusterConfig: refusedField('sub clusters are not implemented'),
    saveUpstreamAddress: refusedField('saving the upstream address is not implemented'),
  },
}

/** The cluster of the same name resolves the request’s authority; the filter only says that it may. */
function compileForwardProxy(
  { filter, any }: FilterInput,
  report: FieldReport,
): readonly HttpFilterPlan[] {
  if (filter.disabled) return []
  const here = at(report, 'typed_config')
  const config = decodeTyped(any, ForwardProxyFilter, here)
  if (config === undefined) return []
  checkFields(config, forwardProxyFilterRule, here)
  const specifier = config.implementationSpecifier
  const cache = specifier?.$case === 'dnsCacheConfig' ? specifier.value : undefined
  compileDnsCache(cache, at(here, 'dns_cache_config'))
  return [{ name: filter.name, resolvesNames: true }]
}

function planFault(
  { filter, any, scope }: FilterInput,
  report: FieldReport,
): readonly HttpFilterPlan[] {
  const settings = compileFault(any, at(report, 'typed_config'))
  if (settings === undefined) return []
  const { statPrefix, random } = scope
  return [
    {
      name: filter.name,
      openFilter({ clock, stats: registry }) {
        const stats = createFaultStats(registry, statPrefix)
        const value = new FaultFilter({
          name: filter.name,
          settings: isIdle(settings) ? undefined : settings,
          isOffByDefault: filter.disabled,
          clock,
          random,
          stats,
        })
        return { value, close: () => stats.close() }
      },
    },
  ]
}

function planOnDemand(
  { filter, any, scope }: FilterInput,
  report: FieldReport,
): readonly HttpFilterPlan[] {
  const settings = compileOnDemand(any, at(report, 'typed_config'))
  if (settings === undefined) return []
  const { statPrefix, routesName: routes } = scope
  const { name, disabled: isOffByDefault } = filter
  return [
    {
      name,
      openFilter({ clock, stats: registry, onDemand }) {
        const stats = createOnDemandStats(registry, statPrefix)
        const nowMs = () => clock.monotonicMs()
        const options = { name, isOffByDefault, settings, routes, onDemand, nowMs, stats }
        return { value: new OnDemandFilter(options), close: () => stats.close() }
      },
    },
  ]
}

function planHealthCheck(
  { filter, any }: FilterInput,
  report: FieldReport,
): readonly HttpFilterPlan[] {
  const settings = compileHealthCheckFilter(any, at(report, 'typed_config'))
  if (settings === undefined) return []
  const { name, disabled: isOffByDefault } = filter
  return [
    {
      name,
      openFilter: ({ clock, clusters, isFailing, nodeCluster }) => ({
        value: new HealthCheckFilter({
          name,
          isOffByDefault,
          settings,
          nowMs: () => clock.monotonicMs(),
          isFailing,
          clusters,
          nodeCluster,
        }),
      }),
    },
  ]
}

/** Its policies are the routes'. */
function planCors({ filter, scope }: FilterInput): readonly HttpFilterPlan[] {
  const { statPrefix, random } = scope
  return [
    {
      name: filter.name,
      openFilter({ stats: registry }) {
        const stats = createCorsStats(registry, statPrefix)
        const { name, disabled: isOffByDefault } = filter
        const value = new CorsFilter({ name, isOffByDefault, random, stats })
        return { value, close: () => stats.close() }
      },
    },
  ]
}
