/** What every level of a table (table, virtual host, route, cluster weight) has and is compiled alike. */
import type { Random } from '../../lib/random.ts'
import type { HeaderValueOption } from '../../xds/proto/generated/envoy/config/core/v3/base.ts'
import { FilterConfig } from '../../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import type { Any } from '../../xds/proto/generated/google/protobuf/any.ts'
import { type Compiled } from '../config/compiled.ts'
import { type FieldReport, at, refuse } from '../config/field-rule.ts'
import { decodeTyped, typeName } from '../config/message-value.ts'
import { compileHeaderEdit } from './header-edit.ts'
import type { HeaderEdit } from './route-table.ts'

export interface RouteOptions {
  readonly random: Random
  /** For `%HOSTNAME%` in header values. */
  readonly hostname?: string
  /** Compiles one entry of `typed_per_filter_config`; without it every entry that is not optional is refused. */
  readonly compileFilterConfig?: (name: string, config: Any) => Compiled<unknown>
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
  ): ReadonlyMap<string, unknown> | undefined
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
      const compiledConfigs = new Map<string, unknown>()
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
): Compiled<unknown> | undefined {
  const { options, report } = context
  const isWrapped = typeName(any.typeUrl) === 'envoy.config.route.v3.FilterConfig'
  const wrapper = isWrapped ? decodeTyped(any, FilterConfig, report) : undefined
  if (wrapper?.disabled === true) {
    refuse(at(report, 'disabled'), 'switching a filter off by route is not implemented')
  }
  const config = isWrapped ? wrapper?.config : any
  const isOptional = wrapper?.isOptional === true
  if (config === undefined) return undefined
  const result = options.compileFilterConfig?.(name, config) ?? {
    ok: false as const,
    reasons: [`no filter named ${JSON.stringify(name)} takes configuration by route`],
  }
  return !result.ok && isOptional ? undefined : result
}
