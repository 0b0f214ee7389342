/**
 * The `istio.stats` filter: a TypedStruct of `stats.PluginConfig` → Istio's standard metrics. What the proxy says in
 * Istio's words comes to it here, as filter configuration.
 *
 * Fields: `reporter` ("source" or "destination"), `labels` (constant labels of this sidecar's side),
 * `disable_host_header_fallback`. Another field is refused by name.
 */
import { typeNameOf } from '../../xds/any.ts'
import type { Any } from '../../xds/proto/generated/google/protobuf/any.ts'
import { TypedStruct } from '../../xds/proto/generated/udpa/type/v1/typed_struct.ts'
import { istioLabelNames } from '../telemetry/istio-labels.ts'
import { type IstioMetrics, createIstioMetrics } from '../telemetry/istio-metrics.ts'
import type { TcpObserver } from '../telemetry/request-record.ts'
import { type FieldReport, at, refuse, showValue } from './field-rule.ts'
import type { HttpFilterPlan, Opened, Opener, PlanScope } from './listener-plan.ts'
import { decodeTyped } from './message-value.ts'

const structNames = new Set(['udpa.type.v1.TypedStruct', 'xds.type.v3.TypedStruct'])
const pluginName = 'stats.PluginConfig'

export function isTypedStruct(any: Any): boolean {
  return structNames.has(typeNameOf(any.typeUrl))
}

/** The type that a TypedStruct stands for; both kinds of TypedStruct have the same fields. */
export function typedStructName(any: Any): string {
  return typeNameOf(readStruct(any)?.typeUrl ?? '')
}

/** Undefined when the struct is of another type. */
export function compileIstioHttpStats(
  name: string,
  any: Any,
  report: FieldReport,
): HttpFilterPlan | undefined {
  const open = compileStats(any, report)
  if (open === undefined) return undefined
  return {
    name,
    openObserver: (scope) => {
      const opened = open(scope)
      return { value: opened.value.http, close: () => opened.close?.() }
    },
  }
}

/** The same for `tcp_proxy`; undefined when the filter is another. */
export function compileIstioTcpStats(
  any: Any,
  report: FieldReport,
): Opener<TcpObserver> | undefined {
  if (!isTypedStruct(any)) return undefined
  const open = compileStats(any, report)
  if (open === undefined) return undefined
  return (scope) => {
    const opened = open(scope)
    return { value: opened.value.tcp, close: () => opened.close?.() }
  }
}

function readStruct(any: Any): TypedStruct | undefined {
  return decodeTyped(any, TypedStruct, { path: '', reasons: [] })
}

function compileStats(any: Any, report: FieldReport): Opener<IstioMetrics> | undefined {
  const struct = readStruct(any)
  if (struct === undefined || typeNameOf(struct.typeUrl) !== pluginName) return undefined
  const here = at(report, 'typed_config', 'value')
  const { reporter, labels, disable_host_header_fallback: noFallback, ...rest } = struct.value ?? {}
  for (const [field, value] of Object.entries(rest)) {
    refuse(at(here, field), `not implemented (value ${showValue(value)})`)
  }
  if (reporter !== 'source' && reporter !== 'destination') {
    refuse(at(here, 'reporter'), `must be "source" or "destination", got ${showValue(reporter)}`)
    return undefined
  }
  const constant = compileLabels(labels, at(here, 'labels'))
  const hostHeaderFallback = noFallback !== true
  return ({ stats: registry }: PlanScope): Opened<IstioMetrics> => {
    const value = createIstioMetrics({ registry, reporter, labels: constant, hostHeaderFallback })
    return { value, close: () => value.close() }
  }
}

const knownLabels: ReadonlySet<string> = new Set(istioLabelNames)

function compileLabels(value: unknown, report: FieldReport): Readonly<Record<string, string>> {
  if (value === undefined || value === null) return {}
  if (typeof value !== 'object') {
    refuse(report, `must be an object, got ${showValue(value)}`)
    return {}
  }
  const labels: Record<string, string> = {}
  for (const [name, text] of Object.entries(value)) {
    if (!knownLabels.has(name)) refuse(at(report, name), 'is no label of Istio’s standard metrics')
    else if (typeof text !== 'string')
      refuse(at(report, name), `must be text, got ${showValue(text)}`)
    else labels[name] = text
  }
  return labels
}
