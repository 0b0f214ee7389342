/**
 * Counters of gRPC calls (Envoy `envoy.filters.http.grpc_stats`), by the cluster that they went to:
 * `cluster.<name>.grpc.success`, or `cluster.<name>.grpc.<service>.<method>.success` for the methods that were asked for.
 * Calls are counted by their status: `0`, `14`, `success`, `failure`, `total`; messages in both directions.
 *
 * Names that clients make up are bounded: beyond `methodsMax` calls count for their cluster only.
 */
import type { Counter, Histogram } from './cluster-stats.ts'
import type { RequestObserver, RequestRecord } from './request-record.ts'
import type { StatScope, StatsRegistry } from './stats-registry.ts'

const methodsMax = 1000

export interface GrpcStatsOptions {
  /** Whether calls of a method have counters of their own. */
  readonly hasOwnStats: (service: string, method: string) => boolean
  readonly replacesDots: boolean
  /** Whether the upstream's time is recorded. */
  readonly hasTimes: boolean
}

interface CallStats {
  /** Made when it first counts. */
  count(name: string, amount: number): void
  readonly time: Histogram | undefined
}

export class GrpcStats implements RequestObserver {
  readonly #registry: StatsRegistry
  readonly #options: GrpcStatsOptions
  readonly #scopes = new Map<string, StatScope>()
  readonly #calls = new Map<string, CallStats>()

  constructor(registry: StatsRegistry, options: GrpcStatsOptions) {
    this.#registry = registry
    this.#options = options
  }

  onEnd(record: RequestRecord): void {
    const { clusterName, messages, upstreamGrpcStatus, upstreamServiceTimeMs } = record
    if (!record.isGrpc || clusterName === '') return
    const stats = this.#statsOf(record)
    stats.count('request_message_count', messages?.received ?? 0)
    stats.count('response_message_count', messages?.sent ?? 0)
    if (upstreamGrpcStatus === undefined) return
    stats.count(String(upstreamGrpcStatus), 1)
    stats.count(upstreamGrpcStatus === 0 ? 'success' : 'failure', 1)
    stats.count('total', 1)
    if (upstreamServiceTimeMs !== undefined) stats.time?.record(upstreamServiceTimeMs)
  }

  close(): void {
    for (const scope of this.#scopes.values()) scope.close()
  }

  #statsOf({ clusterName, originalPath }: RequestRecord): CallStats {
    const { hasOwnStats, replacesDots } = this.#options
    const [, service = '', method = ''] = /^\/([^/?]+)\/([^/?]+)$/.exec(originalPath) ?? []
    const isOwn = service !== '' && hasOwnStats(service, method)
    const name = replacesDots ? service.replaceAll('.', '_') : service
    const path = isOwn ? `grpc.${name}.${method}` : 'grpc'
    const key = `${clusterName}\n${path}`
    const known = this.#calls.get(key)
    if (known !== undefined) return known
    const isFull = isOwn && this.#calls.size >= methodsMax
    if (isFull) return this.#statsOf({ clusterName, originalPath: '' } as RequestRecord)
    const made = callStats(this.#scopeOf(clusterName), path, this.#options.hasTimes)
    this.#calls.set(key, made)
    return made
  }

  #scopeOf(clusterName: string): StatScope {
    let scope = this.#scopes.get(clusterName)
    if (scope === undefined) {
      scope = this.#registry.scope({
        path: `cluster.${clusterName}`,
        metric: 'envoy_cluster',
        labels: [['envoy_cluster_name', clusterName]],
      })
      this.#scopes.set(clusterName, scope)
    }
    return scope
  }
}

function callStats(scope: StatScope, path: string, hasTimes: boolean): CallStats {
  const counters = new Map<string, Counter>()
  return {
    count(name, amount) {
      if (amount === 0) return
      let counter = counters.get(name)
      if (counter === undefined) {
        counter = scope.counter(`${path}.${name}`)
        counters.set(name, counter)
      }
      counter.add(amount)
    },
    time: hasTimes ? scope.histogram(`${path}.upstream_rq_time`) : undefined,
  }
}
