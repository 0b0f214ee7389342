/**
 * Counters of gRPC calls (Envoy `envoy.filters.http.grpc_stats` and `….grpc_web`), by the cluster that they went to:
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
  /** What calls no method counts nowhere; else for its cluster. */
  readonly countsMethodsOnly: boolean
  readonly replacesDots: boolean
  /** Whether the upstream's time is recorded. */
  readonly hasTimes: boolean
}

interface CallStats {
  /** Made when it first counts. */
  count(name: string, amount: number): void
  readonly time: Histogram | undefined
}

/** Service and method of a path, as Envoy reads them: its two parts. */
export function callNames(path: string): readonly [service: string, method: string] | undefined {
  const [service, method, ...others] = (path.split('?', 1)[0] as string) // a split has a first part
    .split('/')
    .filter((part) => part !== '')
  if (service === undefined || method === undefined || others.length > 0) return undefined
  return [service, method]
}

export class GrpcStats implements RequestObserver {
  readonly #calls: GrpcCallTable
  readonly #options: GrpcStatsOptions

  constructor(registry: StatsRegistry, options: GrpcStatsOptions) {
    this.#calls = new GrpcCallTable(registry, { path: 'grpc', hasTimes: options.hasTimes })
    this.#options = options
  }

  onEnd(record: RequestRecord): void {
    const { clusterName, messages, upstreamGrpcStatus, upstreamServiceTimeMs } = record
    if (!record.isGrpc || clusterName === '') return
    const ownPath = this.#ownPath(record.originalPath)
    if (ownPath === '' && this.#options.countsMethodsOnly) return
    const stats = this.#calls.get(clusterName, ownPath)
    stats.count('request_message_count', messages?.received ?? 0)
    stats.count('response_message_count', messages?.sent ?? 0)
    if (upstreamGrpcStatus === undefined) return
    countStatus(stats, String(upstreamGrpcStatus))
    if (upstreamServiceTimeMs !== undefined) stats.time?.record(upstreamServiceTimeMs)
  }

  close(): void {
    this.#calls.close()
  }

  #ownPath(path: string): string {
    const { hasOwnStats, replacesDots } = this.#options
    const [service, method] = callNames(path) ?? []
    if (service === undefined || method === undefined) return ''
    if (!hasOwnStats(service, method)) return ''
    return `${replacesDots ? service.replaceAll('.', '_') : service}.${method}`
  }
}

/** Calls of gRPC-Web (Envoy's filter of that name): `cluster.<name>.grpc-web.<service>.<method>.success`. */
export class GrpcWebStats {
  readonly #calls: GrpcCallTable

  constructor(registry: StatsRegistry) {
    this.#calls = new GrpcCallTable(registry, { path: 'grpc-web', hasTimes: false })
  }

  /** What calls no method of a cluster counts nowhere. */
  onStatus(call: { readonly clusterName: string; readonly path: string }, status: string): void {
    const names = callNames(call.path)
    if (names === undefined || call.clusterName === '') return
    countStatus(this.#calls.get(call.clusterName, names.join('.')), status)
  }

  close(): void {
    this.#calls.close()
  }
}

function countStatus(stats: CallStats, status: string): void {
  // What is no status is no name either.
  if (/^\d{1,2}$/.test(status)) stats.count(status, 1)
  stats.count(status === '0' ? 'success' : 'failure', 1)
  stats.count('total', 1)
}

interface CallTableOptions {
  /** First part of the names. */
  readonly path: string
  readonly hasTimes: boolean
}

/** Counters of calls, by cluster and by method. */
class GrpcCallTable {
  readonly #registry: StatsRegistry
  readonly #options: CallTableOptions
  readonly #scopes = new Map<string, StatScope>()
  readonly #calls = new Map<string, CallStats>()

  constructor(registry: StatsRegistry, options: CallTableOptions) {
    this.#registry = registry
    this.#options = options
  }

  /** `ownPath`: `<service>.<method>`, or empty for all of a cluster. */
  get(clusterName: string, ownPath: string): CallStats {
    const key = `${clusterName}\n${ownPath}`
    const known = this.#calls.get(key)
    if (known !== undefined) return known
    if (ownPath !== '' && this.#calls.size >= methodsMax) return this.get(clusterName, '')
    const { path, hasTimes } = this.#options
    const name = ownPath === '' ? path : `${path}.${ownPath}`
    const made = callStats(this.#scopeOf(clusterName), name, hasTimes)
    this.#calls.set(key, made)
    return made
  }

  close(): void {
    for (const scope of this.#scopes.values()) scope.close()
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
