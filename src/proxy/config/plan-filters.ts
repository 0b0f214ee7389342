/** Filters that stand by themselves → stages of a connection manager: gRPC-Web, gRPC statistics, rate limits, buffers. */
import { FilterConfig as GrpcStatsConfig } from '../../xds/proto/generated/envoy/extensions/filters/http/grpc_stats/v3/config.ts'
import { GrpcWeb } from '../../xds/proto/generated/envoy/extensions/filters/http/grpc_web/v3/grpc_web.ts'
import { BufferFilter, compileBuffer } from '../filter/buffer-filter.ts'
import { GrpcWebFilter } from '../filter/grpc-web-filter.ts'
import { LocalRateLimitFilter, compileLocalRateLimit } from '../filter/local-rate-limit.ts'
import { type LocalRateLimitStats, createLocalRateLimitStats } from '../telemetry/filter-stats.ts'
import { GrpcStats, GrpcWebStats, type GrpcStatsOptions } from '../telemetry/grpc-stats.ts'
import {
  type FieldReport,
  type MessageRule,
  at,
  checkFields,
  ignored,
  refuse,
  used,
} from './field-rule.ts'
import type { FilterInput } from './filter-input.ts'
import type { HttpFilterPlan } from './listener-plan.ts'
import { decodeTyped } from './message-value.ts'

export const grpcStatsRule: MessageRule = {
  type: 'envoy.extensions.filters.http.grpc_stats.v3.FilterConfig',
  fields: {
    emitFilterState: ignored('nothing here reads the state of filters'),
    individualMethodStatsAllowlist: used({
      type: 'envoy.config.core.v3.GrpcMethodList',
      fields: {
        services: used({
          type: 'envoy.config.core.v3.GrpcMethodList.Service',
          fields: { name: used(), methodNames: used() },
        }),
      },
    }),
    statsForAllMethods: used(),
    enableUpstreamStats: used(),
    replaceDotsInGrpcServiceName: used(),
  },
}

export function planGrpcStats(
  { filter, any }: FilterInput,
  report: FieldReport,
): readonly HttpFilterPlan[] {
  const here = at(report, 'typed_config')
  const config = decodeTyped(any, GrpcStatsConfig, here)
  if (config === undefined || filter.disabled) return []
  checkFields(config, grpcStatsRule, here)
  const options: GrpcStatsOptions = {
    hasOwnStats: methodsOf(config, here),
    countsMethodsOnly: countsAll(config),
    replacesDots: config.replaceDotsInGrpcServiceName,
    hasTimes: config.enableUpstreamStats,
  }
  return [
    {
      name: filter.name,
      openObserver({ stats }) {
        const value = new GrpcStats(stats, options)
        return { value, close: () => value.close() }
      },
    },
  ]
}

function countsAll({ perMethodStatSpecifier: specifier }: GrpcStatsConfig): boolean {
  return specifier?.$case === 'statsForAllMethods' && specifier.value === true
}

function methodsOf(config: GrpcStatsConfig, report: FieldReport): GrpcStatsOptions['hasOwnStats'] {
  const specifier = config.perMethodStatSpecifier
  if (specifier?.$case === 'statsForAllMethods') return () => specifier.value === true
  if (specifier === undefined) return () => false
  const listed = new Set<string>()
  specifier.value.services.forEach(({ name, methodNames }, index) => {
    const here = at(report, 'individual_method_stats_allowlist', 'services', index)
    if (name === '') refuse(at(here, 'name'), 'value length must be at least 1 characters')
    if (methodNames.length === 0) {
      refuse(at(here, 'method_names'), 'value must contain at least 1 item(s)')
    }
    for (const method of methodNames) listed.add(`${name}/${method}`)
  })
  return (service, method) => listed.has(`${service}/${method}`)
}

export const grpcWebRule: MessageRule = {
  type: 'envoy.extensions.filters.http.grpc_web.v3.GrpcWeb',
  fields: {},
}

export function planGrpcWeb(
  { filter, any }: FilterInput,
  report: FieldReport,
): readonly HttpFilterPlan[] {
  if (decodeTyped(any, GrpcWeb, at(report, 'typed_config')) === undefined) return []
  const { name, disabled: isOffByDefault } = filter
  return [
    {
      name,
      openFilter({ stats: registry }) {
        const stats = new GrpcWebStats(registry)
        const value = new GrpcWebFilter({ name, isOffByDefault, stats })
        return { value, close: () => stats.close() }
      },
    },
  ]
}

export function planLocalRateLimit(
  { filter, any, scope }: FilterInput,
  report: FieldReport,
): readonly HttpFilterPlan[] {
  const settings = compileLocalRateLimit(any, at(report, 'typed_config'))
  if (settings === undefined) return []
  return [
    {
      name: filter.name,
      openFilter({ clock, stats: registry }) {
        const opened = new Map<string, LocalRateLimitStats>()
        const statsOf = (statPrefix: string): LocalRateLimitStats => {
          const known = opened.get(statPrefix)
          if (known !== undefined) return known
          const made = createLocalRateLimitStats(registry, statPrefix)
          opened.set(statPrefix, made)
          return made
        }
        // They are there before the first request is limited.
        statsOf(settings.statPrefix)
        const value = new LocalRateLimitFilter({
          name: filter.name,
          settings,
          isOffByDefault: filter.disabled,
          clock,
          random: scope.random,
          statsOf,
        })
        return { value, close: () => opened.forEach((stats) => stats.close()) }
      },
    },
  ]
}

export function planBuffer(
  { filter, any }: FilterInput,
  report: FieldReport,
): readonly HttpFilterPlan[] {
  const settings = compileBuffer(any, at(report, 'typed_config'))
  if (settings === undefined) return []
  const { name, disabled: isOffByDefault } = filter
  return [
    {
      name,
      openFilter: () => ({ value: new BufferFilter({ name, settings, isOffByDefault }) }),
    },
  ]
}
