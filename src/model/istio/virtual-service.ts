/**
 * Spec of Istio's `VirtualService` (networking.istio.io v1, v1beta1, v1alpha3), shaped as its YAML.
 *
 * Durations stay text as written (`10s`): `durationMs` in model/duration.ts reads them. A field that is absent
 * in the YAML is absent here: defaults belong to the translation, which knows whose default it is.
 */

/** Exactly one of the three is set. A regex is RE2 and must match the whole value. */
export interface StringMatch {
  readonly exact?: string
  readonly prefix?: string
  readonly regex?: string
}

export interface VirtualServiceSpec {
  readonly hosts?: readonly string[]
  readonly gateways?: readonly string[]
  readonly http?: readonly HttpRoute[]
  readonly tls?: readonly TlsRoute[]
  readonly tcp?: readonly TcpRoute[]
  readonly exportTo?: readonly string[]
}

export interface HttpRoute {
  readonly name?: string
  readonly match?: readonly HttpMatchRequest[]
  readonly route?: readonly HttpRouteDestination[]
  readonly redirect?: HttpRedirect
  readonly directResponse?: HttpDirectResponse
  readonly delegate?: Delegate
  readonly rewrite?: HttpRewrite
  readonly timeout?: string
  readonly retries?: HttpRetry
  readonly fault?: HttpFaultInjection
  readonly mirror?: Destination
  readonly mirrors?: readonly HttpMirrorPolicy[]
  /** Deprecated: `mirrorPercentage`. The CRD has both spellings. */
  readonly mirrorPercent?: number
  readonly mirror_percent?: number
  readonly mirrorPercentage?: Percent
  readonly corsPolicy?: CorsPolicy
  readonly headers?: Headers
}

export interface HttpMatchRequest {
  readonly name?: string
  readonly uri?: StringMatch
  readonly scheme?: StringMatch
  readonly method?: StringMatch
  readonly authority?: StringMatch
  /** An empty match (`{}`) asks for presence. */
  readonly headers?: Readonly<Record<string, StringMatch>>
  readonly withoutHeaders?: Readonly<Record<string, StringMatch>>
  readonly queryParams?: Readonly<Record<string, StringMatch>>
  readonly port?: number
  readonly sourceLabels?: Readonly<Record<string, string>>
  readonly sourceNamespace?: string
  readonly gateways?: readonly string[]
  readonly ignoreUriCase?: boolean
  readonly statPrefix?: string
}

export interface PortSelector {
  readonly number?: number
}

export interface Destination {
  readonly host: string
  readonly subset?: string
  readonly port?: PortSelector
}

export interface HttpRouteDestination {
  readonly destination: Destination
  readonly weight?: number
  readonly headers?: Headers
}

export interface RouteDestination {
  readonly destination: Destination
  readonly weight?: number
}

export interface Headers {
  readonly request?: HeaderOperations
  readonly response?: HeaderOperations
}

export interface HeaderOperations {
  readonly set?: Readonly<Record<string, string>>
  readonly add?: Readonly<Record<string, string>>
  readonly remove?: readonly string[]
}

export interface HttpRedirect {
  readonly uri?: string
  readonly prefixRewrite?: string
  readonly authority?: string
  readonly port?: number
  readonly derivePort?: 'FROM_PROTOCOL_DEFAULT' | 'FROM_REQUEST_PORT'
  readonly scheme?: string
  readonly redirectCode?: number
}

export interface HttpDirectResponse {
  readonly status: number
  readonly body?: HttpBody
}

/** Exactly one of the two; `bytes` is base64. */
export interface HttpBody {
  readonly string?: string
  readonly bytes?: string
}

export interface Delegate {
  readonly name?: string
  readonly namespace?: string
}

export interface HttpRewrite {
  readonly uri?: string
  readonly authority?: string
  readonly uriRegexRewrite?: RegexRewrite
}

export interface RegexRewrite {
  readonly match?: string
  readonly rewrite?: string
}

export interface HttpRetry {
  readonly attempts?: number
  readonly perTryTimeout?: string
  /** Comma-separated, as Envoy's `x-envoy-retry-on` and `x-envoy-retry-grpc-on`, plus bare status codes. */
  readonly retryOn?: string
  readonly retryRemoteLocalities?: boolean
  readonly retryIgnorePreviousHosts?: boolean
  readonly backoff?: string
}

export interface Percent {
  readonly value?: number
}

export interface HttpFaultInjection {
  readonly delay?: FaultDelay
  readonly abort?: FaultAbort
}

export interface FaultDelay {
  readonly fixedDelay?: string
  readonly exponentialDelay?: string
  readonly percentage?: Percent
  /** Deprecated: whole per cent. */
  readonly percent?: number
}

export interface FaultAbort {
  readonly httpStatus?: number
  readonly grpcStatus?: string
  readonly http2Error?: string
  readonly percentage?: Percent
}

export interface HttpMirrorPolicy {
  readonly destination: Destination
  readonly percentage?: Percent
}

export interface CorsPolicy {
  readonly allowOrigins?: readonly StringMatch[]
  /** Deprecated: exact origins, or `*`. */
  readonly allowOrigin?: readonly string[]
  readonly allowMethods?: readonly string[]
  readonly allowHeaders?: readonly string[]
  readonly exposeHeaders?: readonly string[]
  readonly maxAge?: string
  readonly allowCredentials?: boolean
  readonly unmatchedPreflights?: 'UNSPECIFIED' | 'FORWARD' | 'IGNORE'
}

export interface TlsRoute {
  readonly match: readonly TlsMatchAttributes[]
  readonly route?: readonly RouteDestination[]
}

export interface TlsMatchAttributes {
  readonly sniHosts: readonly string[]
  readonly destinationSubnets?: readonly string[]
  readonly port?: number
  readonly sourceLabels?: Readonly<Record<string, string>>
  readonly sourceNamespace?: string
  readonly gateways?: readonly string[]
}

export interface TcpRoute {
  readonly match?: readonly L4MatchAttributes[]
  readonly route?: readonly RouteDestination[]
}

export interface L4MatchAttributes {
  readonly destinationSubnets?: readonly string[]
  readonly port?: number
  /** Deprecated and ignored, as in Istio. */
  readonly sourceSubnet?: string
  readonly sourceLabels?: Readonly<Record<string, string>>
  readonly sourceNamespace?: string
  readonly gateways?: readonly string[]
}
