/** Connections to one host with one identity, in one version of HTTP. */
import type { Clock, Timer } from '../../lib/clock.ts'
import type { HttpProtocol } from '../http/message.ts'
import type { ResponseEvents, UpstreamStream } from '../http/stream.ts'
import type { CircuitBreaker } from '../resilience/circuit-breaker.ts'
import type { ProxyAddresses } from '../wire/proxy-protocol.ts'
import type { ConnectResult, Wire } from '../wire/wire.ts'
import type { Cluster } from './cluster.ts'
import type { Host } from './host.ts'

export interface HostPool {
  readonly hasWaiters: boolean
  /** `isClosing`: the process ends, so that no connection is kept. */
  request(cluster: Cluster, waiter: StreamWaiter, isClosing: boolean): void
  /** Gives up waiting. */
  cancel(waiter: StreamWaiter): void
  /** Idle connections end now, busy ones after their last response. */
  drain(): void
}

/** Why no stream was had. */
export interface PoolFailure {
  readonly failure: 'overflow' | 'connect-failure' | 'connect-timeout'
  readonly message: string
}

/** Who asks for a stream: told once, perhaps before `request` returns. */
export interface StreamWaiter extends ResponseEvents {
  /** Of the request: where the cluster's TLS takes its names from it. */
  readonly authority?: string
  /** That the client speaks, for clusters that speak the same. */
  readonly protocol?: HttpProtocol
  /** Whose connection the request came by: where the cluster is told so (PROXY protocol), its connections are not shared. */
  readonly downstream?: ProxyAddresses | undefined
  onStream(stream: UpstreamStream): void
  onNoStream(failure: PoolFailure): void
}

/** In whose books a connection stands: what its pool knew when it was opened. */
export interface ConnectionBooks {
  readonly breaker: CircuitBreaker
  readonly cluster: Cluster
}

/** Takes a place for one more connection to the host, or says false, which is counted: of the host, or of its cluster. */
export function tryAcquireConnection({ breaker, stats }: Cluster, host: Host): boolean {
  const max = breaker.limits().connectionsPerHostMax
  if (max === undefined || host.stats.cxActive.value() < max) {
    return breaker.tryAcquire('connections')
  }
  stats.cxOverflow.add(1)
  return false
}

/** The same, but the first one is had whatever the breaker says: without it nobody would ever be answered. */
export function acquireConnection(cluster: Cluster, host: Host, isFirst: boolean): boolean {
  if (tryAcquireConnection(cluster, host)) return true
  if (isFirst) cluster.breaker.acquire('connections')
  return isFirst
}

/** A connection is being opened; the breaker was asked before. */
export function countOpening({ stats }: Cluster, host: Host): void {
  stats.cxTotal.add(1)
  stats.cxActive.add(1)
  host.stats.cxTotal.add(1)
  host.stats.cxActive.add(1)
}

/** How a connection ended. */
export interface ConnectionEnd {
  readonly endedBy: 'local' | 'remote'
  /** A request was on it. */
  readonly wasBusy: boolean
}

/** Who ended one that was never had: the host refused it, or we waited no longer. */
const refused: ConnectionEnd = { endedBy: 'remote', wasBusy: false }
const givenUp: ConnectionEnd = { endedBy: 'local', wasBusy: false }

/** It has ended, or was never had. */
export function countClosed(
  { breaker, cluster }: ConnectionBooks,
  host: Host,
  end: ConnectionEnd,
): void {
  breaker.release('connections')
  countConnectionEnd(cluster, end)
  cluster.stats.cxActive.add(-1)
  cluster.stats.cxDestroy.add(1)
  host.stats.cxActive.add(-1)
}

export function countConnectionEnd({ stats }: Cluster, { endedBy, wasBusy }: ConnectionEnd): void {
  if (wasBusy) stats.cxDestroyWithActiveRq.add(1)
  if (endedBy === 'local') {
    stats.cxDestroyLocal.add(1)
    if (wasBusy) stats.cxDestroyLocalWithActiveRq.add(1)
  } else {
    stats.cxDestroyRemote.add(1)
    if (wasBusy) stats.cxDestroyRemoteWithActiveRq.add(1)
  }
}

/** It was never had; what those who waited for it are told. */
export function countOpenFailure(
  result: Extract<ConnectResult, { ok: false }>,
  books: ConnectionBooks,
  host: Host,
): PoolFailure {
  const { stats } = books.cluster
  const isTimeout = result.reason === 'timeout'
  countClosed(books, host, isTimeout ? givenUp : refused)
  stats.cxConnectFail.add(1)
  if (isTimeout) stats.cxConnectTimeout.add(1)
  host.stats.cxConnectFail.add(1)
  return { failure: isTimeout ? 'connect-timeout' : 'connect-failure', message: result.message }
}

/** Tells when a connection that was just opened has grown as old as the cluster lets it; undefined: it may stay. */
export function startLifetime(
  cluster: Cluster,
  clock: Clock,
  onOver: () => void,
): Timer | undefined {
  const lengthMs = cluster.connectionDurationMsMax ?? 0
  if (lengthMs === 0) return undefined
  return clock.setTimer(lengthMs, () => {
    cluster.stats.cxMaxDuration.add(1)
    onOver()
  })
}

/** Certificates have changed since it was opened, and its stay is over. */
export function isRetired(wire: Wire, clock: Clock): boolean {
  return wire.retireAtMs !== undefined && wire.retireAtMs() <= clock.monotonicMs()
}
