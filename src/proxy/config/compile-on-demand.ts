/** `envoy.filters.http.on_demand`, of a connection manager and of routes: whether clusters are fetched, and the wait. */
import {
  OnDemand,
  type OnDemandCds,
  PerRouteConfig,
} from '../../xds/proto/generated/envoy/extensions/filters/http/on_demand/v3/on_demand.ts'
import type { Any } from '../../xds/proto/generated/google/protobuf/any.ts'
import type { OnDemandSettings } from '../filter/on-demand-filter.ts'
import { configSourceRule } from './cluster-fields.ts'
import {
  type FieldReport,
  type MessageRule,
  at,
  checkFields,
  refuse,
  refusedField,
  used,
} from './field-rule.ts'
import { decodeTyped, durationMs } from './message-value.ts'

const odcdsRule: MessageRule = {
  type: 'envoy.extensions.filters.http.on_demand.v3.OnDemandCds',
  fields: {
    source: used(configSourceRule),
    resourcesLocator: refusedField('xdstp locators are not implemented'),
    timeout: used(undefined, '5 s when absent; beyond it the request is answered 503 NC'),
  },
}

export const onDemandRule: MessageRule = {
  type: 'envoy.extensions.filters.http.on_demand.v3.OnDemand',
  fields: { odcds: used(odcdsRule) },
}

export const onDemandRouteRule: MessageRule = {
  type: 'envoy.extensions.filters.http.on_demand.v3.PerRouteConfig',
  fields: { odcds: used(odcdsRule, 'absent: clusters are not fetched for this route') },
}

export function compileOnDemand(any: Any, report: FieldReport): OnDemandSettings | undefined {
  return settings(decodeTyped(any, OnDemand, report), onDemandRule, report)
}

export function compileOnDemandRoute(any: Any, report: FieldReport): OnDemandSettings | undefined {
  return settings(decodeTyped(any, PerRouteConfig, report), onDemandRouteRule, report)
}

function settings(
  message: { readonly odcds: OnDemandCds | undefined } | undefined,
  rule: MessageRule,
  report: FieldReport,
): OnDemandSettings | undefined {
  if (message === undefined) return undefined
  checkFields(message, rule, report)
  const { odcds } = message
  if (odcds === undefined) return { kind: 'on-demand', clusterTimeoutMs: undefined }
  const here = at(report, 'odcds')
  if (odcds.source === undefined) refuse(at(here, 'source'), 'is required')
  const timeout = at(here, 'timeout')
  const clusterTimeoutMs = durationMs(odcds.timeout, { absentMs: 5_000 }, timeout)
  return { kind: 'on-demand', clusterTimeoutMs }
}
