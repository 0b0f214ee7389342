/**
 * What `tulle explain` finds out, as data: the answer of the proxy's own compiled configuration for one request, and
 * what stands behind it. Times are milliseconds, 0 means none; shares are per cent of the requests of the route.
 */
import type { ExplainedCondition, ExplainedHost } from '../route/explain-route.ts'

export interface ProxyExplanation {
  /** Undefined: no listener takes the request. */
  readonly listener: ExplainedListener | undefined
  readonly virtualHost: ExplainedHost | undefined
  /** In order, up to the one that matched. */
  readonly tried: readonly ExplainedRoute[]
  readonly action: ExplainedAction | undefined
  readonly verdict: Verdict
}

export interface ExplainedListener {
  readonly name: string
  /** `127.0.0.1:15001` */
  readonly address: string
  /** Name of the route configuration. */
  readonly routes: string
}

export interface ExplainedRoute {
  readonly name: string
  /** Undefined: the route was made from no VirtualService. */
  readonly provenance: Provenance | undefined
  readonly isMatch: boolean
  readonly conditions: readonly ExplainedCondition[]
}

export interface Provenance {
  readonly kind: string
  readonly namespace: string
  readonly name: string
  /** `spec.http[0].match[1]`; empty when it was not sent. */
  readonly path: string
  /** The VirtualService that names the host, of a route that stands in a delegate. */
  readonly delegatedBy?: { readonly namespace: string; readonly name: string }
}

export type ExplainedAction =
  | ExplainedForward
  | ExplainedBytes
  | {
      readonly kind: 'redirect'
      readonly status: number
      readonly location: string
      readonly responseHeaders: HeaderChanges
    }
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly body: string
      readonly responseHeaders: HeaderChanges
    }

/** The listener passes connections on and looks at no request. */
export interface ExplainedBytes {
  readonly kind: 'bytes'
  readonly by: string
  readonly destinations: readonly ByteDestination[]
}

export interface ExplainedForward {
  /** `tunnel`: CONNECT, whose bytes go to the destination as they are. */
  readonly kind: 'forward' | 'tunnel'
  readonly timeoutMs: number
  readonly idleTimeoutMs: number | undefined
  readonly maxDurationMs: number
  readonly retries: ExplainedRetries | undefined
  /** Injected by the route, into this request's likes. */
  readonly fault: ExplainedFault | undefined
  readonly hasCors: boolean
  /** What the CORS policy makes of the request's origin; absent: it names none, or there is no policy. */
  readonly cors: ExplainedCors | undefined
  /** What a hashing balancer chooses the endpoint by: `header x-user`; empty: no hash. */
  readonly hashedBy: readonly string[]
  readonly mirrors: readonly { readonly cluster: ClusterReference; readonly percent: number }[]
  readonly destinations: readonly ExplainedDestination[]
  /** Where the tunnel ends in the sidecar itself, which looks into it. */
  readonly inside: ExplainedInside | undefined
}

export interface ExplainedInside {
  readonly listener: string
  /** `requests` are routed one by one, as if they had come without a tunnel. */
  readonly kind: 'requests' | 'bytes'
  /** Why these bytes go there: `server name a.test`. */
  readonly by: string
  readonly destinations: readonly ByteDestination[]
}

/** Where bytes go: nothing is rewritten in them. */
export type ByteDestination = Omit<ExplainedDestination, 'request' | 'responseHeaders'>

export interface ExplainedFault {
  readonly delay?: { readonly ms: number; readonly percent: number }
  readonly abort?: {
    readonly status: number
    readonly grpcStatus: number | undefined
    /** In place of an answer. */
    readonly isReset?: true
    readonly percent: number
  }
}

export interface ExplainedCors {
  readonly origin: string
  /** A script of this origin may read the response. */
  readonly isAllowed: boolean
  /** Of a preflight that the sidecar answers itself. */
  readonly status?: number
}

export interface ExplainedRetries {
  readonly attempts: number
  readonly on: readonly string[]
  readonly statusCodes: readonly number[]
  readonly perTryTimeoutMs: number
  readonly backoffMs: { readonly base: number; readonly max: number }
  readonly avoidsPreviousHosts: boolean
}

export interface HeaderChanges {
  readonly set: Readonly<Record<string, string>>
  readonly removed: readonly string[]
}

/** A cluster by the parts of its name; only `cluster` when it is no `outbound|port|subset|host`. */
export interface ClusterReference {
  readonly cluster: string
  readonly host: string
  readonly port: number | undefined
  readonly subset: string
}

export interface ExplainedDestination extends ClusterReference {
  readonly share: number
  /** What the destination is asked. */
  readonly request: {
    readonly method: string
    readonly authority: string
    readonly path: string
    readonly headers: HeaderChanges
  }
  readonly responseHeaders: HeaderChanges
  /** Undefined: the sidecar has no such cluster. */
  readonly settings: ClusterSettings | undefined
  readonly endpoints: readonly ExplainedEndpoint[]
  /** What keeps requests from arriving: `no-cluster` or `no-healthy-upstream`. */
  readonly failure: DestinationFailure | undefined
}

export type DestinationFailure = 'no-cluster' | 'no-healthy-upstream'

export interface ClusterSettings {
  readonly discovery: string
  readonly destinationRule: Provenance | undefined
  readonly balancer: string
  /** `HTTP/1.1`, `HTTP/2`, or `as the client speaks`. */
  readonly protocol: string
  readonly connectTimeoutMs: number
  /** Absent: unlimited. */
  readonly limits: {
    readonly connections?: number
    readonly pendingRequests?: number
    readonly requests?: number
    readonly retries?: number
  }
  readonly outlierDetection:
    | {
        readonly consecutive5xx: number
        readonly consecutiveGatewayErrors: number
        readonly intervalMs: number
        readonly baseEjectionMs: number
        readonly maxEjectionPercent: number
        /** One endpoint may be ejected whatever the percentage. */
        readonly alwaysEjectsOne: boolean
      }
    | undefined
  /** `plaintext`, `TLS`, `mutual TLS`, or `by endpoint`. */
  readonly security: string
}

export interface ExplainedEndpoint {
  readonly address: string
  /** `healthy`, or why it gets no requests. */
  readonly health: string
  readonly weight: number
  readonly workload: string
  readonly locality: string
  readonly security: string
}

export interface Verdict {
  readonly outcome: 'forwarded' | 'answered' | 'redirected' | 'fails'
  /** Of the response that the sidecar makes itself. */
  readonly status: number | undefined
  /** Envoy's response flag, `NR` or `UH`; empty for none. */
  readonly flag: string
  readonly message: string
}
