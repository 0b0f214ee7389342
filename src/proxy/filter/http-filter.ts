/**
 * The contract of an HTTP filter: one stage of the ordered `http_filters` list, compiled from its
 * configuration. Stages are synchronous; one that must wait (a delay, an external call, a key fetch)
 * suspends the request and resumes it later. The router is the exchange itself and is always last.
 */
import type { Failure } from '../failure.ts'
import type { RequestHead, ResponseHead } from '../http/message.ts'
import type { Translation } from '../http/stream.ts'
import type { MatchedRoute } from '../route/route-table.ts'
import type { RequestRecord } from '../telemetry/request-record.ts'
import type { FilterSetting } from './route-config.ts'

/** A response that a filter gives instead of the upstream's. */
export interface LocalReply {
  readonly failure: Failure
  /** Overrides the table's status, details or body. */
  readonly status?: number
  readonly details?: string
  readonly body?: string
  readonly headers?: readonly (readonly [name: string, value: string])[]
  /** What a gRPC client is told; absent: what the status stands for. */
  readonly grpcStatus?: number
}

/** A response that is no failure, without a body: a filter knows the answer. */
export interface FilterAnswer {
  readonly answer: ResponseHead
  readonly details: string
}

/** What a filter sees of the request; owned by the exchange, valid until the exchange ends. */
export interface FilterContext {
  readonly request: RequestHead
  /** The route chosen when the filters started; a filter that changes the path asks for another match. */
  readonly route: MatchedRoute | undefined
  readonly record: RequestRecord
  /** The cluster that the route drew, there or not; empty where it forwards nothing. */
  readonly clusterName: string
  /** URI SAN of the peer's certificate, or undefined on plaintext. */
  readonly peerPrincipal: string | undefined
  clearRoute(): void
  /** What the upstream answers leaves at this rate. */
  limitResponse?(kibPerSecond: number): void
  /** So many bytes of the request may be held while it is suspended. */
  holdRequest?(bytesMax: number): void
  /** For a filter that changes the form of both bodies; absent where there is none. */
  readonly translation?: Translation | undefined
  /** For what has come of the body, and waits. */
  changeHeld?(change: (chunk: Uint8Array) => Uint8Array): void
  /** Ends the request with a reply, whatever it is doing. */
  reject?(reply: LocalReply): void
  /** What route, virtual host or the chosen part of a split say to a filter by its name; undefined: nothing. */
  filterConfig(name: string): FilterSetting | undefined
  /** Continues a suspended request; a reply ends it. Ignored when the exchange has ended meanwhile. */
  resume(reply?: LocalReply): void
}

export type FilterVerdict = 'continue' | 'suspend' | LocalReply | FilterAnswer

export interface HttpFilter {
  /** The name in `http_filters`, for config_dump and errors. */
  readonly name: string
  /** Has nothing to do for a request whose route says nothing to it. */
  readonly isRouteOnly?: boolean
  /** Has something to do for a request that has no route, or whose cluster is not there. */
  readonly runsOnMiss?: boolean
  /** `disabled` in `http_filters`: runs only where a route says something to it. */
  readonly isOffByDefault?: boolean
  /** Some requests come in gRPC-Web; see grpc-web/. */
  readonly readsGrpcWeb?: boolean
  onRequest?(context: FilterContext): FilterVerdict
  /** Bytes of the request's body have come; they are held while the request is suspended. */
  onRequestData?(context: FilterContext, bytes: number): void
  onRequestEnd?(context: FilterContext): void
  onResponse?(context: FilterContext, response: ResponseHead): void
  /** The exchange has ended, whatever the reason; cancel what is pending. */
  onEnd?(context: FilterContext): void
}
