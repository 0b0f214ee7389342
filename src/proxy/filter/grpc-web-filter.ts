/**
 * Where a request of gRPC-Web becomes gRPC (Envoy `envoy.filters.http.grpc_web`). Filters before it, and the match of the
 * route, see what the client sent; those behind it, and the upstream, see gRPC. grpc-web/ translates both bodies.
 */
import type { HeaderList } from '../http/header-list.ts'
import type { GrpcWebStats } from '../telemetry/grpc-stats.ts'
import type { FilterContext, FilterVerdict, HttpFilter } from './http-filter.ts'

export interface GrpcWebFilterOptions {
  readonly name: string
  readonly isOffByDefault: boolean
  readonly stats: Pick<GrpcWebStats, 'onStatus'>
}

export class GrpcWebFilter implements HttpFilter {
  readonly name: string
  readonly isOffByDefault: boolean
  readonly readsGrpcWeb = true
  readonly #stats: Pick<GrpcWebStats, 'onStatus'>

  constructor(options: GrpcWebFilterOptions) {
    this.name = options.name
    this.isOffByDefault = options.isOffByDefault
    this.#stats = options.stats
  }

  onRequest(context: FilterContext): FilterVerdict {
    const { translation, request, record } = context
    // A second filter of the kind finds gRPC.
    if (translation === undefined || request.translatedFrom !== undefined) return 'continue'
    const { clusterName } = record
    const call = { clusterName, path: request.path }
    const unreadable = translation.begin({
      record,
      isWhole: record.requestEndMs !== 0,
      changeHeld: (change) => context.changeHeld?.(change),
      reject: (reason) => context.reject?.(reason),
      onStatus: (headers) => this.#count(call, headers),
    })
    return unreadable ?? 'continue'
  }

  #count(call: { readonly clusterName: string; readonly path: string }, headers: HeaderList): void {
    const status = headers.get('grpc-status')
    if (status !== undefined) this.#stats.onStatus(call, status)
  }
}
