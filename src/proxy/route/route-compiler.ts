/** What every level of a table (table, virtual host, route, cluster weight) has and is compiled alike. */
import type { Random } from '../../lib/random.ts'
import { typeNameOf } from '../../xds/any.ts'
import type { HeaderValueOption } from '../../xds/proto/generated/envoy/config/core/v3/base.ts'
import { FilterConfig } from '../../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import type { Any } from '../../xds/proto/generated/google/protobuf/any.ts'
import { type Compiled, compiled, refused } from '../config/compiled.ts'
import { type FieldReport, at, refuse } from '../config/field-rule.ts'
import { decodeTyped } from '../config/message-value.ts'
import {
  type FilterConfigs,
  type FilterSetting,
  switchedOff,
  switchedOn,
} from '../filter/route-config.ts'
import type { RouteNames, RouteStats } from '../telemetry/route-stats.ts'
import { compileHeaderEdit } from './header-edit.ts'
import type { HeaderEdit } from './route-table.ts'

export interface RouteOptions {
  readonly random: Random
  /** For `%HOSTNAME%` in header values. */
  readonly hostname?: string
  /** Compiles one entry of `typed_per_filter_config`; without it every entry that is not optional is refused. */
  readonly compileFilterConfig?: (name: string, config: Any) => Compiled<FilterSetting>
  /** Counters of a route with a `stat_prefix`; absent: there are none. */
  readonly routeStats?: (names: RouteNames) => RouteStats | undefined
}

/** The four header fields of a level. */
export interface LevelFields {
  readonly requestHeadersToAdd: readonly HeaderValueOption[]
  readonly requestHeadersToRemove: readonly string[]
  readonly responseHeadersToAdd: readonly HeaderValueOption[]
  readonly responseHeadersToRemove: readonly string[]
}

export interface LevelEdits {
  readonly editRequest: HeaderEdit | undefined
  readonly editResponse: HeaderEdit | undefined
}

export interface RouteCompiler {
  readonly options: RouteOptions
  edits(level: LevelFields, report: FieldReport): LevelEdits
  /** Undefined when there is none. */
  filterConfigs(
    configs: Readonly<Record<string, Any>>,
    report: FieldReport,
  ): FilterConfigs | undefined
}

export function createRouteCompiler(options: RouteOptions): RouteCompiler {
  const editOptions = { hostname: options.hostname ?? '' }
  return {
    options,
    edits: (level, report) => ({
      editRequest: compileHeaderEdit(
        {
          add: level.requestHeadersToAdd,
          remove: level.requestHeadersToRemove,
          fields: ['request_headers_to_add', 'request_headers_to_remove'],
        },
        editOptions,
        report,
      ),
      editResponse: compileHeaderEdit(
        {
          add: level.responseHeadersToAdd,
          remove: level.responseHeadersToRemove,
          fields: ['response_headers_to_add', 'response_headers_to_remove'],
        },
        editOptions,
        report,
      ),
    }),
    filterConfigs(configs, report) {
      const entries = Object.entries(configs)
      if (entries.length === 0) return undefined
      const compiledConfigs = new Map<string, FilterSetting>()
      for (const [name, any] of entries) {
        const here = at(report, 'typed_per_filter_config', name)
        const result = compileFilterConfig(name, any, { options, report: here })
        if (result?.ok === true) compiledConfigs.set(name, result.value)
        else for (const reason of result?.reasons ?? []) refuse(here, reason)
      }
      return compiledConfigs.size === 0 ? undefined : compiledConfigs
    },
  }
}

interface FilterConfigContext {
  readonly options: RouteOptions
  readonly report: FieldReport
}

/** Undefined for an optional entry that nobody knows. */
function compileFilterConfig(
  name: string,
  any: Any,
  context: FilterConfigContext,
): Compiled<FilterSetting> | undefined {
  if (typeNameOf(any.typeUrl) !== 'envoy.config.route.v3.FilterConfig') {
    return compileTyped(name, any, context)
  }
  const wrapper = decodeTyped(any, FilterConfig, context.report)
  if (wrapper === undefined) return undefined
  if (wrapper.disabled) return compiled(switchedOff)
  if (wrapper.config === undefined) {
    // Envoy's own words.
    return refused(`Empty route/virtual host per filter configuration for ${name} filter`)
  }
  // An empty one switches the filter on, whatever a level above says.
  if (wrapper.config.typeUrl === '') return compiled(switchedOn)
  const result = compileTyped(name, wrapper.config, context)
  return !result.ok && wrapper.isOptional ? undefined : result
}

function compileTyped(
  name: string,
  any: Any,
  { options }: FilterConfigContext,
): Compiled<FilterSetting> {
  return (
    options.compileFilterConfig?.(name, any) ??
    refused(`no filter named ${JSON.stringify(name)} takes configuration by route`)
  )
}

/** What a level says to filters, over what the level above it says. */
export function mergeConfigs(
  outer: FilterConfigs | undefined,
  inner: FilterConfigs | undefined,
): FilterConfigs | undefined {
  if (outer === undefined || inner === undefined) return inner ?? outer
  const merged = new Map(outer)
  for (const [name, config] of inner) merged.set(name, inherited(config, outer.get(name)))
  return merged
}

function inherited(inner: FilterSetting, outer: FilterSetting | undefined): FilterSetting {
  if (inner === switchedOn && typeof outer === 'object') return outer
  if (typeof inner !== 'object' || typeof outer !== 'object' || inner.kind !== outer.kind) {
    return inner
  }
  return inner.inherit?.(outer) ?? inner
}
