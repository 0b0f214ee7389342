/**
 * CORS (Envoy `envoy.filters.http.cors`): answers preflights and adds what lets a browser's script read the response.
 *
 * The policy is the route's. It protects nobody: a request whose origin is not allowed goes on, and its response lacks
 * the headers. Details of an answered preflight: `cors_response`.
 */
import type { Random } from '../../lib/random.ts'
import { HeaderList } from '../http/header-list.ts'
import type { RequestHead, ResponseHead } from '../http/message.ts'
import type { CorsStats } from '../telemetry/filter-stats.ts'
import type { CorsPolicy } from './cors-policy.ts'
import { draws } from './fraction.ts'
import type { FilterAnswer, FilterContext, FilterVerdict, HttpFilter } from './http-filter.ts'

export interface CorsFilterOptions {
  readonly name: string
  readonly isOffByDefault: boolean
  readonly random: Random
  readonly stats: CorsStats
}

interface AllowedOrigin {
  readonly origin: string
  readonly policy: CorsPolicy
}

export class CorsFilter implements HttpFilter {
  readonly name: string
  readonly isRouteOnly = true
  readonly isOffByDefault: boolean
  readonly #random: Random
  readonly #stats: CorsStats
  /** Exchanges whose response may be read by the origin. */
  readonly #allowed = new Map<FilterContext, AllowedOrigin>()

  constructor(options: CorsFilterOptions) {
    this.name = options.name
    this.isOffByDefault = options.isOffByDefault
    this.#random = options.random
    this.#stats = options.stats
  }

  onRequest(context: FilterContext): FilterVerdict {
    const policy = this.#policyOf(context)
    const { request } = context
    const origin = request.headers.getAll('origin') ?? ''
    if (policy === undefined || origin === '') return 'continue'
    const isEnabled = draws(policy.enabled, this.#random)
    if (!isEnabled && !draws(policy.shadowEnabled, this.#random)) return 'continue'
    const isAllowed = this.#judge(policy, origin)
    if (!isEnabled) return 'continue'
    if (isAllowed) this.#allowed.set(context, { origin, policy })
    return preflightAnswer(request, policy, isAllowed ? origin : undefined) ?? 'continue'
  }

  #judge(policy: CorsPolicy, origin: string): boolean {
    const isAllowed = policy.allowsOrigin?.(origin) === true
    if (isAllowed) this.#stats.originValid.add(1)
    else this.#stats.originInvalid.add(1)
    return isAllowed
  }

  #policyOf(context: FilterContext): CorsPolicy | undefined {
    // As in Envoy, a route that answers by itself has no policy.
    const kind = context.route?.route.action.kind
    if (kind !== 'forward' && kind !== 'connect') return undefined
    const said = context.filterConfig(this.name)
    if (typeof said !== 'object' || said.kind !== 'cors') return undefined
    return said as CorsPolicy // of that kind
  }

  onResponse(context: FilterContext, { headers }: ResponseHead): void {
    const allowed = this.#allowed.get(context)
    if (allowed === undefined) return
    const { origin, policy } = allowed
    headers.set('access-control-allow-origin', origin)
    if (policy.allowCredentials === true) headers.set('access-control-allow-credentials', 'true')
    if (policy.exposeHeaders !== '') {
      headers.set('access-control-expose-headers', policy.exposeHeaders)
    }
  }

  onEnd(context: FilterContext): void {
    if (this.#allowed.size !== 0) this.#allowed.delete(context)
  }
}

/**
 * What a policy in force answers in place of the route; undefined: the request goes on.
 *
 * `origin`: undefined where the policy does not allow the request's.
 */
export function preflightAnswer(
  request: RequestHead,
  policy: CorsPolicy,
  origin: string | undefined,
): FilterAnswer | undefined {
  const isAnswered = origin !== undefined || policy.forwardsUnmatched === false
  return isAnswered && isPreflight(request) ? answerPreflight(request, policy, origin) : undefined
}

function isPreflight({ method, headers }: RequestHead): boolean {
  return method === 'OPTIONS' && (headers.get('access-control-request-method') ?? '') !== ''
}

function answerPreflight(
  request: RequestHead,
  policy: CorsPolicy,
  origin: string | undefined,
): FilterAnswer {
  const headers = new HeaderList()
  const add = (name: string, value: string | undefined): void => {
    if (value !== undefined && value !== '') headers.append(`access-control-${name}`, value)
  }
  const asked = (name: string) => request.headers.getAll(`access-control-request-${name}`)
  add('allow-origin', origin)
  add('allow-credentials', policy.allowCredentials === true ? 'true' : undefined)
  add('allow-methods', policy.allowMethods === '*' ? asked('method') : policy.allowMethods)
  add('allow-headers', policy.allowHeaders === '*' ? asked('headers') : policy.allowHeaders)
  add('max-age', policy.maxAge)
  const isPrivate = policy.allowPrivateNetworkAccess === true
  if (isPrivate && asked('private-network') === 'true') add('allow-private-network', 'true')
  return {
    answer: { status: 200, headers, bodyLength: 0, protocol: 'HTTP/1.1' },
    details: 'cors_response',
  }
}
