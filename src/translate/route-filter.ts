/** What a route says to HTTP filters (`typed_per_filter_config`): faults and CORS, as Istio writes them. */
import { durationMs } from '../model/duration.ts'
import { grpcStatusNames } from '../model/istio/http-fault-shape.ts'
import type {
  CorsPolicy,
  FaultAbort,
  FaultDelay,
  HttpFaultInjection,
  HttpRoute,
  Percent,
  StringMatch,
} from '../model/istio/virtual-service.ts'
import { CorsPolicy as CorsPolicyMessage } from '../xds/proto/generated/envoy/extensions/filters/http/cors/v3/cors.ts'
import { HTTPFault } from '../xds/proto/generated/envoy/extensions/filters/http/fault/v3/fault.ts'
import { FractionalPercent_DenominatorType as Denominator } from '../xds/proto/generated/envoy/type/v3/percent.ts'
import { durationOfText, packed } from './message.ts'
import { pattern } from './route-match.ts'

export const faultFilterName = 'envoy.filters.http.fault'
export const corsFilterName = 'envoy.filters.http.cors'
export const faultTypeName = 'envoy.extensions.filters.http.fault.v3.HTTPFault'

export function filterConfigs({ fault, corsPolicy }: HttpRoute) {
  const faultMessage = fault && faultFields(fault)
  return {
    ...(faultMessage !== undefined && {
      [faultFilterName]: packed(HTTPFault, faultTypeName, faultMessage),
    }),
    ...(corsPolicy !== undefined && {
      [corsFilterName]: packed(
        CorsPolicyMessage,
        'envoy.extensions.filters.http.cors.v3.CorsPolicy',
        corsFields(corsPolicy),
      ),
    }),
  }
}

/** Whole millionths, as Istio cuts them. */
export function fractionOfPercent(percent: Percent) {
  return { numerator: Math.trunc((percent.value ?? 0) * 10_000), denominator: Denominator.MILLION }
}

export function fractionOfWhole(percent: number) {
  return { numerator: percent, denominator: Denominator.HUNDRED }
}

/** Undefined when nothing would ever be injected that Envoy knows. */
export function faultFields({ delay, abort }: HttpFaultInjection) {
  const delayFields = delay && faultDelay(delay)
  const abortFields = abort && faultAbort(abort)
  if (delayFields === undefined && abortFields === undefined) return undefined
  return {
    ...(delayFields !== undefined && { delay: delayFields }),
    ...(abortFields !== undefined && { abort: abortFields }),
  }
}

function faultDelay({ fixedDelay, percentage, percent }: FaultDelay) {
  if (fixedDelay === undefined) return undefined
  return {
    faultDelaySecifier: { $case: 'fixedDelay' as const, value: durationOfText(fixedDelay) },
    percentage:
      percentage === undefined ? fractionOfWhole(percent ?? 0) : fractionOfPercent(percentage),
  }
}

function faultAbort({ httpStatus, grpcStatus, percentage }: FaultAbort) {
  const share = percentage !== undefined && { percentage: fractionOfPercent(percentage) }
  if (httpStatus !== undefined) {
    return { errorType: { $case: 'httpStatus' as const, value: sendable(httpStatus) }, ...share }
  }
  const code = grpcStatusNames.indexOf(grpcStatus ?? '')
  if (code < 0) return undefined
  return { errorType: { $case: 'grpcStatus' as const, value: code }, ...share }
}

/** Istio allows 600, which Envoy refuses together with every route beside it. */
export function sendable(status: number): number {
  return Math.min(status, 599)
}

function corsFields(policy: CorsPolicy) {
  const { allowMethods, allowHeaders, exposeHeaders, maxAge, allowCredentials } = policy
  return {
    allowOriginStringMatch: allowedOrigins(policy).map((origin) => ({
      matchPattern: pattern(origin),
    })),
    allowMethods: (allowMethods ?? []).join(','),
    allowHeaders: (allowHeaders ?? []).join(','),
    exposeHeaders: (exposeHeaders ?? []).join(','),
    ...(maxAge !== undefined && { maxAge: String(Math.trunc(durationMs(maxAge) / 1000)) }),
    allowCredentials,
    filterEnabled: { defaultValue: fractionOfWhole(100) },
    forwardNotMatchingPreflights: policy.unmatchedPreflights !== 'IGNORE',
  }
}

/** The deprecated list counts where there is no other. */
function allowedOrigins({ allowOrigins, allowOrigin }: CorsPolicy): readonly StringMatch[] {
  return allowOrigins ?? (allowOrigin ?? []).map((exact) => ({ exact }))
}
