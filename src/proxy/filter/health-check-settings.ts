/** The configuration of the health check filter → its settings, with Envoy's words. */
import { HealthCheck } from '../../xds/proto/generated/envoy/extensions/filters/http/health_check/v3/health_check.ts'
import type { Any } from '../../xds/proto/generated/google/protobuf/any.ts'
import { acceptedEach } from '../config/compiled.ts'
import {
  type FieldReport,
  type MessageRule,
  at,
  checkFields,
  refuse,
  used,
} from '../config/field-rule.ts'
import { decodeTyped, durationMs } from '../config/message-value.ts'
import { compileRequestMatcher } from '../route/header-matcher.ts'
import type { HealthCheckFilterSettings } from './health-check-filter.ts'

export const healthCheckFilterRule: MessageRule = {
  type: 'envoy.extensions.filters.http.health_check.v3.HealthCheck',
  fields: {
    passThroughMode: used(),
    cacheTime: used(),
    clusterMinHealthyPercentages: used(undefined, 'not read with pass_through_mode'),
    headers: used(),
  },
}

export function compileHealthCheckFilter(
  any: Any,
  report: FieldReport,
): HealthCheckFilterSettings | undefined {
  const config = decodeTyped(any, HealthCheck, report)
  if (config === undefined) return undefined
  checkFields(config, healthCheckFilterRule, report)
  const passesThrough = config.passThroughMode
  if (passesThrough === undefined) refuse(at(report, 'pass_through_mode'), 'value is required')
  const cacheMs = durationMs(config.cacheTime, { absentMs: 0 }, at(report, 'cache_time'))
  if (passesThrough === false && cacheMs > 0) {
    refuse(
      at(report, 'cache_time'),
      'cache_time_ms must not be set when path_through_mode is disabled',
    )
  }
  const matchers = acceptedEach(config.headers, compileRequestMatcher, at(report, 'headers'))
  return {
    passesThrough: passesThrough ?? false,
    cacheMs,
    clusters: passesThrough === true ? [] : leastPercents(config, report),
    matchers,
  }
}

function leastPercents(
  { clusterMinHealthyPercentages }: HealthCheck,
  report: FieldReport,
): readonly (readonly [string, number])[] {
  return Object.entries(clusterMinHealthyPercentages).map(([name, percent]) => {
    const value = percent?.value ?? 0
    if (value < 0 || value > 100) {
      const here = at(report, `cluster_min_healthy_percentages[${name}]`)
      refuse(here, `value must be inside range [0, 100], got ${value}`)
    }
    return [name, value] as const
  })
}
