/**
 * `internal_redirect_policy` of a route: which of its upstream's redirects the proxy follows itself, in place of the client.
 * exchange-redirect.ts follows them.
 */
import { typeNameOf } from '../../xds/any.ts'
import type { TypedExtensionConfig } from '../../xds/proto/generated/envoy/config/core/v3/extension.ts'
import {
  type InternalRedirectPolicy as PolicyMessage,
  type RouteAction,
  RouteAction_InternalRedirectAction as Action,
} from '../../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import { AllowListedRoutesConfig } from '../../xds/proto/generated/envoy/extensions/internal_redirect/allow_listed_routes/v3/allow_listed_routes_config.ts'
import { PreviousRoutesConfig } from '../../xds/proto/generated/envoy/extensions/internal_redirect/previous_routes/v3/previous_routes_config.ts'
import { SafeCrossSchemeConfig } from '../../xds/proto/generated/envoy/extensions/internal_redirect/safe_cross_scheme/v3/safe_cross_scheme_config.ts'
import { type FieldReport, type MessageRule, at, refuse, used } from '../config/field-rule.ts'
import { checkHeaderName } from '../config/header-text.ts'
import { decodeTyped } from '../config/message-value.ts'

export interface InternalRedirectPolicy {
  readonly redirectsMax: number
  readonly statuses: readonly number[]
  /** From http to https and back. */
  readonly allowsOtherScheme: boolean
  /** Of the response that redirects, for the next request. */
  readonly copiedHeaders: readonly string[]
  /** All must take the route that the redirect leads to. */
  readonly predicates: readonly RedirectPredicate[]
}

export interface RedirectTarget {
  /** Name of the route that redirects. */
  readonly from: string
  /** Name of the route that it leads to. */
  readonly to: string
  readonly isHttps: boolean
  readonly leadsToHttps: boolean
  /** Where redirects of this request have led before: from and to, in turn. */
  readonly before: string[]
}

export type RedirectPredicate = (target: RedirectTarget) => boolean

export const internalRedirectRule: MessageRule = {
  type: 'envoy.config.route.v3.InternalRedirectPolicy',
  fields: {
    maxInternalRedirects: used(),
    redirectResponseCodes: used(),
    predicates: used(undefined, 'previous_routes, allow_listed_routes, safe_cross_scheme'),
    allowCrossSchemeRedirect: used(),
    responseHeadersToCopy: used(),
  },
}

type RedirectFields = Pick<
  RouteAction,
  'internalRedirectPolicy' | 'internalRedirectAction' | 'maxInternalRedirects'
>

/** The deprecated fields count where there is no policy. */
export function compileInternalRedirect(
  action: RedirectFields,
  report: FieldReport,
): InternalRedirectPolicy | undefined {
  const { internalRedirectPolicy: policy, maxInternalRedirects } = action
  if (policy !== undefined) return compilePolicy(policy, at(report, 'internal_redirect_policy'))
  if (action.internalRedirectAction !== Action.HANDLE_INTERNAL_REDIRECT) return undefined
  return { ...untold, redirectsMax: maxInternalRedirects ?? untold.redirectsMax }
}

const untold: InternalRedirectPolicy = {
  redirectsMax: 1,
  statuses: [302],
  allowsOtherScheme: false,
  copiedHeaders: [],
  predicates: [],
}

const redirectStatuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

function compilePolicy(policy: PolicyMessage, report: FieldReport): InternalRedirectPolicy {
  const codes = policy.redirectResponseCodes
  if (codes.length > 5) {
    refuse(at(report, 'redirect_response_codes'), 'value must contain no more than 5 item(s)')
  }
  const names = policy.responseHeadersToCopy.map((name, index) =>
    checkHeaderName(name.toLowerCase(), 'copied', at(report, 'response_headers_to_copy', index)),
  )
  if (new Set(names).size < names.length) {
    refuse(at(report, 'response_headers_to_copy'), 'repeated value must contain unique items')
  }
  return {
    redirectsMax: policy.maxInternalRedirects ?? untold.redirectsMax,
    // As Envoy: what is no redirect says nothing.
    statuses:
      codes.length === 0 ? untold.statuses : codes.filter((code) => redirectStatuses.has(code)),
    allowsOtherScheme: policy.allowCrossSchemeRedirect,
    copiedHeaders: names,
    predicates: policy.predicates.flatMap(
      (predicate, index) => compilePredicate(predicate, at(report, 'predicates', index)) ?? [],
    ),
  }
}

const ext = 'envoy.extensions.internal_redirect'

function compilePredicate(
  { name, typedConfig: any }: TypedExtensionConfig,
  report: FieldReport,
): RedirectPredicate | undefined {
  const here = at(report, 'typed_config')
  if (any === undefined) {
    refuse(here, 'is required')
    return undefined
  }
  const type = typeNameOf(any.typeUrl)
  switch (type) {
    case `${ext}.previous_routes.v3.PreviousRoutesConfig`:
      decodeTyped(any, PreviousRoutesConfig, here)
      return isNewRoute
    case `${ext}.safe_cross_scheme.v3.SafeCrossSchemeConfig`:
      decodeTyped(any, SafeCrossSchemeConfig, here)
      return ({ isHttps, leadsToHttps }) => isHttps || !leadsToHttps
    case `${ext}.allow_listed_routes.v3.AllowListedRoutesConfig`: {
      const config = decodeTyped(any, AllowListedRoutesConfig, here)
      const allowed = new Set(config?.allowedRouteNames)
      return ({ to }) => allowed.has(to)
    }
    default:
      refuse(here, `predicate ${name} (${type}) is not implemented`)
      return undefined
  }
}

/** As Envoy, whose routes without a name are one. */
function isNewRoute({ from, to, before }: RedirectTarget): boolean {
  for (let index = 0; index < before.length; index += 2) {
    if (before[index] === from && before[index + 1] === to) return false
  }
  before.push(from, to)
  return true
}
