/**
 * The compiled form of one RouteConfiguration: what the request path looks up, and nothing is worked out there.
 *
 * Built by config/ when RDS arrives, swapped in with one assignment. Host order as Envoy's: exact, longest
 * `*.suffix`, longest `prefix.*`, `*`; then the first route that matches, in order.
 */
import type { Random } from '../../lib/random.ts'
import type { HeaderList } from '../http/header-list.ts'
import type { RequestHead } from '../http/message.ts'
import type { RetryPolicy } from '../resilience/retry-policy.ts'

export interface RouteTable {
  readonly name: string
  /** The virtual host and route for a request; both undefined-safe results become 404 NR. */
  match(head: RequestHead): MatchedRoute | undefined
}

export interface MatchedRoute {
  readonly virtualHost: string
  readonly route: Route
}

export interface Route {
  /** Istio's route name, for `%ROUTE_NAME%`. */
  readonly name: string
  readonly action: RouteAction
  /** Header changes for this route, applied in order; undefined when there are none. */
  readonly editRequest: HeaderEdit | undefined
  readonly editResponse: HeaderEdit | undefined
}

/** Changes the headers of a message in place. */
export type HeaderEdit = (headers: HeaderList, head: RequestHead) => void

export type RouteAction =
  | { readonly kind: 'forward'; readonly forward: ForwardAction }
  | { readonly kind: 'redirect'; readonly redirect: (head: RequestHead) => RedirectReply }
  | { readonly kind: 'direct'; readonly status: number; readonly body: Uint8Array }
  | { readonly kind: 'connect'; readonly forward: ForwardAction }

export interface RedirectReply {
  readonly status: number
  readonly location: string
}

export interface ForwardAction {
  /** Name of the cluster for this request; a weighted split draws once. */
  readonly pickCluster: (random: Random, head: RequestHead) => PickedCluster
  /** 0 switches it off. The clock starts when the whole request has arrived (Envoy route timeout). */
  readonly timeoutMs: number
  /** 0 switches it off; undefined leaves the listener's stream idle time-out. */
  readonly idleTimeoutMs: number | undefined
  readonly retryPolicy: RetryPolicy | undefined
  /** New path for the upstream, or undefined to forward it as it is. */
  readonly rewritePath: ((path: string) => string) | undefined
  readonly rewriteAuthority: string | undefined
  /** Whether upgrades (websocket) may pass on this route. */
  readonly upgrades: ReadonlySet<string>
  /** Virtual host's `include_request_attempt_count`: adds x-envoy-attempt-count to the request. */
  readonly includeAttemptCount?: boolean
  /** Hash of the request for hashing balancers; undefined where there is no hash policy. */
  readonly hashRequest?: (head: RequestHead, remoteAddress: string) => number | undefined
  /** Envoy `max_stream_duration`; 0 or absent = none. */
  readonly maxStreamDurationMs?: number
}

export interface PickedCluster {
  readonly cluster: string
  readonly editRequest: HeaderEdit | undefined
  readonly editResponse: HeaderEdit | undefined
}
