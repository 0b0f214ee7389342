/**
 * The data plane in the main thread: decodes, compiles and swaps in what a batch brings.
 *
 * Each resource stands for itself, as in Envoy's CDS and LDS: what is valid of a batch is in force, what is not is
 * reported and leaves the last good one. A resource whose bytes are the same as before is not compiled again; that is
 * the main thread's work (resource-store.ts), which sends only what changed.
 */
import type { Clock } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import { describeError } from '../../lib/mesh-error.ts'
import type { Random } from '../../lib/random.ts'
import { Cluster } from '../../xds/proto/generated/envoy/config/cluster/v3/cluster.ts'
import { ClusterLoadAssignment } from '../../xds/proto/generated/envoy/config/endpoint/v3/endpoint.ts'
import { Listener } from '../../xds/proto/generated/envoy/config/listener/v3/listener.ts'
import { RouteConfiguration } from '../../xds/proto/generated/envoy/config/route/v3/route.ts'
import { VirtualHost } from '../../xds/proto/generated/envoy/config/route/v3/route_components.ts'
import { Secret } from '../../xds/proto/generated/envoy/extensions/transport_sockets/tls/v3/secret.ts'
import { typeUrls } from '../../xds/resource-set.ts'
import { ClusterTable } from '../cluster/cluster-table.ts'
import { resolvedList } from '../cluster/endpoint-source.ts'
import type { Resolve } from '../cluster/resolver.ts'
import { Retirement } from '../cluster/retirement.ts'
import type { OutlierShare } from '../resilience/outlier-share.ts'
import { type ProxyRuntime, createProxyRuntime } from '../runtime.ts'
import { createOnDemandTableStats, createOverloadGauges } from '../telemetry/create-stats.ts'
import { type RouteNames, RouteStatsTable } from '../telemetry/route-stats.ts'
import type { StatsRegistry } from '../telemetry/stats-registry.ts'
import { HandshakePacer } from '../tls/handshake-pacer.ts'
import type { TlsScope } from '../tls/live-tls.ts'
import { RefusalLog } from '../tls/refusal-log.ts'
import { SecretStore } from '../tls/secret-store.ts'
import { SecureContexts } from '../tls/secure-contexts.ts'
import type { HandleInternals } from '../wire/node-handle.ts'
import { certificateStatus } from './certificate-status.ts'
import { compileCluster } from './compile-cluster.ts'
import { compileEndpoints, wrongAssignment } from './compile-endpoints.ts'
import { compileListener } from './compile-listener.ts'
import { compileRouteTable } from './compile-route-table.ts'
import type { CompileScope } from './compile-scope.ts'
import { compileSecret } from './compile-secret.ts'
import { clusterStatus, listenerStatus } from './data-plane-status.ts'
import type {
  ApplyResult,
  CertificateStatus,
  DataPlane,
  DataPlaneEvents,
  DataPlaneProgress,
  DataPlaneStatus,
  DrainRequest,
  Rejection,
  WantedNames,
} from './data-plane.ts'
import { ListenerTable, type TakeSocket } from './listener-table.ts'
import { LogFiles, type UsedLogFile } from './log-files.ts'
import {
  type GivenHost,
  OnDemandHosts,
  type OnDemandLimits,
  onDemandLimitsDefault,
} from './on-demand-hosts.ts'
import { type ResourceBatch, type ResourcePlace, entryBytes } from './resource-batch.ts'
import { RouteStore } from './route-store.ts'
import { RouteSwap } from './route-swap.ts'

export interface LocalDataPlaneOptions {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly stats: StatsRegistry
  readonly resolve: Resolve
  readonly compileScope: CompileScope
  readonly takeSocket: TakeSocket
  readonly drainTimeMs: number
  readonly events: DataPlaneEvents
  /** Outlier detection of other threads; absent: this is the only one. */
  readonly outlierShare?: OutlierShare | undefined
  /** What its wires stand on; undefined keeps to `net`. */
  readonly handles?: HandleInternals | undefined
  readonly onDemand?: Partial<OnDemandLimits>
}

/** The reason why a resource is refused; undefined when it is in force. */
type Outcome = string | undefined

export class LocalDataPlane implements DataPlane {
  readonly isServing = true
  readonly runtime: ProxyRuntime
  readonly #options: LocalDataPlaneOptions
  readonly #retirement: Retirement
  readonly #clusters: ClusterTable
  readonly #routes: RouteStore
  readonly #swap: RouteSwap
  readonly #onDemand: OnDemandHosts
  readonly #listeners: ListenerTable
  readonly #logFiles: LogFiles
  readonly #secrets: SecretStore
  readonly #tls: TlsScope
  #isAnnouncing = false

  constructor(options: LocalDataPlaneOptions) {
    const { clock, random, log, stats, events, handles } = options
    const routeStats = new RouteStatsTable(stats)
    const compileScope = {
      ...options.compileScope,
      routeStats: (names: RouteNames) => routeStats.of(names),
    }
    this.#options = { ...options, compileScope }
    const refusals = new RefusalLog(clock, log)
    this.#secrets = new SecretStore(() => events.onWanted(this.#wanted()))
    this.#tls = {
      clock,
      random,
      log,
      secrets: this.#secrets,
      contexts: new SecureContexts(),
      pacer: new HandshakePacer({ clock }),
      refusals,
    }
    this.#logFiles = new LogFiles(clock, stats, log)
    this.#retirement = new Retirement(clock, () => stats.slots.reclaim())
    this.#clusters = this.#createClusters()
    const { connectionsMax } = options.compileScope.runtime
    const clusters = this.#clusters
    this.runtime = createProxyRuntime({
      clock,
      random,
      log,
      clusters,
      connectionsMax,
      refusals,
      handles,
      overloadGauges: createOverloadGauges(stats),
    })
    this.#routes = new RouteStore(() => this.#onRouteNames())
    this.#swap = new RouteSwap(clock, this.#routes, clusters)
    this.#onDemand = this.#openOnDemand()
    this.#listeners = new ListenerTable({
      runtime: this.runtime,
      scope: {
        clock,
        log,
        stats,
        logFiles: this.#logFiles,
        routes: this.#routes,
        retirement: this.#retirement,
        tls: this.#tls,
        onDemand: this.#onDemand,
        clusters,
        isFailing: () => this.runtime.health.isFailing,
        nodeCluster: options.compileScope.runtime.manager?.nodeCluster ?? '',
      },
      takeSocket: options.takeSocket,
      drainTimeMs: options.drainTimeMs,
      onChange: () => events.onChange(),
      onFailed: (failure) => events.onListenerFailed(failure),
    })
  }

  #onRouteNames(): void {
    this.#onDemand.keepOnly(this.#routes.names)
    this.#announceWanted()
  }

  #onClustersChanged(): void {
    this.#swap.onClustersChanged()
    this.#onDemand.onClustersChanged()
    this.#options.events.onChange()
  }

  #openOnDemand(): OnDemandHosts {
    const { clock, stats, onDemand, compileScope } = this.#options
    return new OnDemandHosts({
      clock,
      clusters: this.#clusters,
      swap: this.#swap,
      limits: { ...onDemandLimitsDefault, ...onDemand },
      stats: createOnDemandTableStats(stats),
      compile: (message) => compileRouteTable(message, compileScope),
      onNames: () => this.#announceWanted(),
    })
  }

  #createClusters(): ClusterTable {
    const { clock, random, log, stats, resolve, outlierShare } = this.#options
    return new ClusterTable(
      {
        clock,
        random,
        log,
        stats,
        resolve,
        retirement: this.#retirement,
        tls: this.#tls,
        leadsBack: (address) => this.#listeners.isForwardProxyAt(address),
        drainHost: (host) => this.runtime.pools.drainHost(host),
        connector: () => this.runtime.connector,
        logFiles: this.#logFiles,
        outlierLog: this.#openOutlierLog(),
        localCluster: this.#localCluster(),
        outlierShare,
      },
      {
        onAssignmentNames: () => this.#announceWanted(),
        onChange: () => this.#onClustersChanged(),
      },
    )
  }

  async apply(batch: ResourceBatch): Promise<ApplyResult> {
    if (batch.typeUrl === typeUrls.virtualHost) return this.#applyHosts(batch)
    const rejected: Rejection[] = []
    const outcomes = await Promise.all(
      batch.entries.map(async (place) => this.#applyOne(batch, place)),
    )
    for (const [index, place] of batch.entries.entries()) {
      const reason = outcomes[index]
      if (reason !== undefined) rejected.push({ name: place.name, reason })
    }
    for (const name of batch.removed) this.#remove(batch.typeUrl, name)
    if (batch.answered !== undefined) this.#onAnswered(batch.typeUrl, batch.answered)
    return { rejected }
  }

  #onAnswered(typeUrl: string, names: readonly string[]): void {
    if (typeUrl !== typeUrls.endpoint) this.#onDemand.onClustersAnswered(names)
    else for (const name of names) this.#clusters.confirmAssignment(name)
  }

  #applyHosts(batch: ResourceBatch): ApplyResult {
    const rejected: Rejection[] = []
    const given: GivenHost[] = []
    for (const place of batch.entries) {
      const { name, aliases = [] } = place
      const bytes = entryBytes(batch, place)
      const take = (message: VirtualHost): undefined => {
        given.push({ name, aliases, message })
      }
      const reason = decoded(VirtualHost, bytes, take)
      if (typeof reason === 'string') rejected.push({ name, reason })
    }
    const { removed, answered = [] } = batch
    rejected.push(...this.#onDemand.applyHosts(given, { removed, answered }))
    return { rejected }
  }

  async progress(): Promise<DataPlaneProgress> {
    return {
      clustersWarm: this.#clusters.isWarm,
      listenersWarm: this.#listeners.warming.length === 0,
      wanted: this.#wanted(),
    }
  }

  async status(): Promise<DataPlaneStatus> {
    return {
      ...(await this.progress()),
      clusters: this.#clusters.list().map(clusterStatus),
      warmingClusters: this.#clusters.warming,
      listeners: this.#listeners.list().map(listenerStatus),
      warmingListeners: this.#listeners.warming,
    }
  }

  async certificates(): Promise<readonly CertificateStatus[]> {
    const clusters = this.#clusters.list().flatMap(({ transports }) => transports?.contexts ?? [])
    const listeners = this.#listeners.list().flatMap(({ live }) => live.tls)
    return certificateStatus([...listeners, ...clusters].map(({ live }) => live))
  }

  reopenLogs(): void {
    this.#logFiles.reopen()
  }

  async drain(request: DrainRequest): Promise<void> {
    await this.#listeners.drain(request)
  }

  async descriptors(): Promise<ReadonlyMap<string, number>> {
    return this.#listeners.descriptors()
  }

  async release(): Promise<void> {
    this.#listeners.release()
  }

  failHealthCheck(isFailing: boolean): void {
    this.runtime.health.isFailing = isFailing
  }

  async close(): Promise<void> {
    await this.#listeners.close()
    this.#onDemand.close()
    this.#swap.close()
    this.runtime.pools.close()
    this.#clusters.close()
    this.#retirement.close()
    this.#logFiles.close()
  }

  /** Once for all that a batch changes: a thousand clusters ask for a thousand names together. */
  #announceWanted(): void {
    if (this.#isAnnouncing) return
    this.#isAnnouncing = true
    queueMicrotask(() => {
      this.#isAnnouncing = false
      this.#options.events.onWanted(this.#wanted())
    })
  }

  #wanted(): WantedNames {
    return {
      endpoint: this.#clusters.assignmentNames,
      route: this.#routes.names,
      secret: this.#secrets.wanted,
      onDemand: this.#onDemand.names,
    }
  }

  #applyOne(batch: ResourceBatch, place: ResourcePlace): Outcome | Promise<Outcome> {
    const bytes = entryBytes(batch, place)
    switch (batch.typeUrl) {
      case typeUrls.cluster:
        return decoded(Cluster, bytes, (message) => this.#applyCluster(message))
      case typeUrls.endpoint:
        return decoded(ClusterLoadAssignment, bytes, (message) =>
          this.#applyAssignment(place.name, message),
        )
      case typeUrls.route:
        return decoded(RouteConfiguration, bytes, (message) => this.#applyRoutes(message))
      case typeUrls.listener:
        return decoded(Listener, bytes, (message) => this.#applyListener(message))
      case typeUrls.secret:
        return decoded(Secret, bytes, (message) => this.#applySecret(place, message))
      default:
        return `resources of type ${batch.typeUrl} are not implemented`
    }
  }

  #applyCluster(message: Cluster): Outcome {
    const { secrets, hostname } = this.#options.compileScope
    const result = compileCluster(message, { hostname, ...(secrets && { secrets }) })
    if (!result.ok) return result.reasons.join('; ')
    const unwritable = this.#unwritable(result.value.healthCheck?.eventLogPaths ?? [])
    if (unwritable !== undefined) return `health_checks[0]: ${unwritable}`
    this.#swap.keepCluster(message.name)
    this.#clusters.apply(result.value)
    return undefined
  }

  /** The whole sidecar has one, for all of its life; a path that cannot be written ends its start. */
  #openOutlierLog(): UsedLogFile['writer'] | undefined {
    const path = this.#options.compileScope.runtime.manager?.outlierLogPath ?? ''
    return path === '' ? undefined : this.#logFiles.use(path).writer
  }

  #localCluster() {
    const manager = this.#options.compileScope.runtime.manager
    if (manager === undefined || manager.localCluster === '') return undefined
    return { name: manager.localCluster, locality: manager.nodeLocality }
  }

  /** Why an event log cannot be written; undefined: all can. */
  #unwritable(paths: readonly string[]): string | undefined {
    try {
      for (const path of paths) this.#logFiles.use(path).release()
      return undefined
    } catch (error) {
      return describeError(error)
    }
  }

  #applySecret(place: ResourcePlace, message: Secret): Outcome {
    const result = compileSecret(message)
    if (!result.ok) return result.reasons.join('; ')
    const isStatic =
      place.version === '' && this.#options.compileScope.secrets?.hasStatic(place.name) === true
    if (isStatic) this.#secrets.setStatic(place.name, result.value)
    this.#secrets.set(place.name, result.value)
    return undefined
  }

  #applyAssignment(name: string, message: ClusterLoadAssignment): Outcome {
    const result = compileEndpoints(message, 'refuse')
    if (!result.ok) return result.reasons.join('; ')
    if (result.value.clusterName !== name) return wrongAssignment(name, result.value.clusterName)
    this.#clusters.setAssignment(name, resolvedList(result.value))
    return undefined
  }

  #applyRoutes(message: RouteConfiguration): Outcome {
    const result = compileRouteTable(message, this.#options.compileScope)
    if (!result.ok) return result.reasons.join('; ')
    this.#onDemand.setBase(message, result.value)
    return undefined
  }

  async #applyListener(message: Listener): Promise<Outcome> {
    const result = compileListener(message, this.#options.compileScope)
    if (!result.ok) return result.reasons.join('; ')
    return this.#listeners.apply(result.value)
  }

  #remove(typeUrl: string, name: string): void {
    if (typeUrl === typeUrls.cluster) this.#swap.removeCluster(name)
    if (typeUrl === typeUrls.listener) this.#listeners.remove(name)
    // Assignments and route tables live as long as something refers to them (Envoy ignores their removal).
  }
}

/** What `use` says of the message, or that the bytes are none. */
function decoded<T>(
  codec: { decode(bytes: Uint8Array): T },
  bytes: Uint8Array,
  use: (message: T) => Outcome | Promise<Outcome>,
): Outcome | Promise<Outcome> {
  let message: T
  try {
    message = codec.decode(bytes)
  } catch (error) {
    return `cannot be decoded: ${describeError(error)}`
  }
  return use(message)
}
