/**
 * Envoy's `CorsPolicy`, compiled: which origins may read responses, and what a preflight is told. A policy takes what
 * it does not say from the level above it (virtual host, table); whether it is in force at all it says alone.
 */
import type { RuntimeFractionalPercent } from '../../xds/proto/generated/envoy/config/core/v3/base.ts'
import { CorsPolicy as CorsPolicyMessage } from '../../xds/proto/generated/envoy/extensions/filters/http/cors/v3/cors.ts'
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
import { decodeTyped } from '../config/message-value.ts'
import { runtimeFractionRule } from '../config/runtime-fields.ts'
import type { TextMatch } from '../route/regex.ts'
import { compileOctetMatcher } from '../route/string-matcher.ts'
import { type Fraction, always, fractionOf, never } from './fraction.ts'
import type { RouteFilterConfig } from './route-config.ts'

/** Empty texts and undefined say nothing. */
export interface CorsPolicy extends RouteFilterConfig {
  readonly kind: 'cors'
  readonly enabled: Fraction
  /** Only counts, where the policy is not enabled. */
  readonly shadowEnabled: Fraction
  readonly allowsOrigin: TextMatch | undefined
  readonly allowMethods: string
  readonly allowHeaders: string
  readonly exposeHeaders: string
  readonly maxAge: string
  readonly allowCredentials: boolean | undefined
  readonly allowPrivateNetworkAccess: boolean | undefined
  readonly forwardsUnmatched: boolean | undefined
}

const fraction = used(runtimeFractionRule)

export const corsFilterRule: MessageRule = {
  type: 'envoy.extensions.filters.http.cors.v3.Cors',
  fields: {},
}

export const corsPolicyRule: MessageRule = {
  type: 'envoy.extensions.filters.http.cors.v3.CorsPolicy',
  fields: {
    allowOriginStringMatch: used(),
    allowMethods: used(),
    allowHeaders: used(),
    exposeHeaders: used(),
    maxAge: used(),
    allowCredentials: used(),
    filterEnabled: fraction,
    shadowEnabled: fraction,
    allowPrivateNetworkAccess: used(),
    forwardNotMatchingPreflights: used(),
  },
}

export function compileCors(any: Any, report: FieldReport): CorsPolicy | undefined {
  const message = decodeTyped(any, CorsPolicyMessage, report)
  if (message === undefined) return undefined
  checkFields(message, corsPolicyRule, report)
  return policyOf({
    enabled: compileFraction(message.filterEnabled, always, at(report, 'filter_enabled')),
    shadowEnabled: compileFraction(message.shadowEnabled, never, at(report, 'shadow_enabled')),
    allowsOrigin: compileOrigins(message, at(report, 'allow_origin_string_match')),
    allowMethods: message.allowMethods,
    allowHeaders: message.allowHeaders,
    exposeHeaders: message.exposeHeaders,
    maxAge: message.maxAge,
    allowCredentials: message.allowCredentials,
    allowPrivateNetworkAccess: message.allowPrivateNetworkAccess,
    forwardsUnmatched: message.forwardNotMatchingPreflights,
  })
}

function policyOf(fields: Omit<CorsPolicy, 'kind' | 'inherit'>): CorsPolicy {
  const policy: CorsPolicy = {
    ...fields,
    kind: 'cors',
    inherit(outer) {
      const above = outer as CorsPolicy // of the same kind
      return policyOf({
        enabled: policy.enabled,
        shadowEnabled: policy.shadowEnabled,
        allowsOrigin: policy.allowsOrigin ?? above.allowsOrigin,
        allowMethods: policy.allowMethods || above.allowMethods,
        allowHeaders: policy.allowHeaders || above.allowHeaders,
        exposeHeaders: policy.exposeHeaders || above.exposeHeaders,
        maxAge: policy.maxAge || above.maxAge,
        allowCredentials: policy.allowCredentials ?? above.allowCredentials,
        allowPrivateNetworkAccess:
          policy.allowPrivateNetworkAccess ?? above.allowPrivateNetworkAccess,
        forwardsUnmatched: policy.forwardsUnmatched ?? above.forwardsUnmatched,
      })
    },
  }
  return policy
}

function compileFraction(
  value: RuntimeFractionalPercent | undefined,
  absent: Fraction,
  report: FieldReport,
): Fraction {
  if (value === undefined) return absent
  if (value.defaultValue === undefined) refuse(at(report, 'default_value'), 'is required')
  return fractionOf(value.defaultValue)
}

/** A matcher that takes `*` takes every origin, as in Envoy. */
function compileOrigins(message: CorsPolicyMessage, report: FieldReport): TextMatch | undefined {
  const matchers = acceptedEach(message.allowOriginStringMatch, compileOctetMatcher, report)
  if (matchers.length === 0) return undefined
  if (matchers.some((matches) => matches('*'))) return () => true
  return (origin) => matchers.some((matches) => matches(origin))
}
