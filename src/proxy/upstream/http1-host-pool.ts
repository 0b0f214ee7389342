/**
 * Keep-alive connections of HTTP/1.1 to one host: what is idle, what is being opened, and who waits.
 *
 * The connection used last is used first, so that what a quiet host does not need grows old and closes. A
 * request that finds none idle waits in a queue with a ceiling (breaker `pending`) and has one opened for it,
 * unless the cluster has reached `connections`: then it waits for another request to end. A host without any
 * connection may always open one, so that no host starves (Envoy `circuit_breaking`).
 */
import type { Clock, Timer } from '../../lib/clock.ts'
import { ClientConnection, type ClientConnectionOwner } from '../http1/client-connection.ts'
import type { HeaderNames } from '../http1/header-names.ts'
import type { CircuitBreaker } from '../resilience/circuit-breaker.ts'
import { LazyTimer } from '../wire/lazy-timer.ts'
import type { ConnectResult, Connector, Wire, WireTransport } from '../wire/wire.ts'
import { connectOptions, type Cluster } from './cluster.ts'
import {
  type HostPool,
  countClosed,
  countOpenFailure,
  countOpening,
  isRetired,
  startLifetime,
  acquireConnection,
} from './host-pool.ts'
import type { StreamWaiter } from './host-pool.ts'
import type { Host } from './host.ts'
import { WaiterQueue } from './waiter-queue.ts'

const responseLimits = { headBytesMax: 80 * 1024, headersCountMax: 100 }

export interface Http1HostPoolOptions {
  readonly clock: Clock
  readonly connector: Connector
  readonly host: Host
  readonly cluster: Cluster
  readonly transport: WireTransport | undefined
  readonly names: HeaderNames
  readonly onLive: (pool: HostPool, isLive: boolean) => void
}

/** What the pool knows of a connection: whose breaker it counts for, and when it is too old. */
interface Pooled {
  readonly breaker: CircuitBreaker
  readonly cluster: Cluster
  readonly idleTimer: LazyTimer
  readonly lifetime: Timer | undefined
  readonly generation: number
  readonly wire: Wire
  isIdle: boolean
  /** It is as old as it may be. */
  isOver: boolean
}

export class Http1HostPool implements HostPool, ClientConnectionOwner {
  readonly #options: Http1HostPoolOptions
  readonly #host: Host
  #cluster: Cluster
  readonly #connections = new Map<ClientConnection, Pooled>()
  readonly #idle: ClientConnection[] = []
  readonly #waiters = new WaiterQueue()
  readonly #opening = new Set<() => void>()
  /** Counts drains: connections of an older generation end after their response. */
  #generation = 0
  #isLive = false

  constructor(options: Http1HostPoolOptions) {
    this.#options = options
    this.#host = options.host
    this.#cluster = options.cluster
    this.#watchRemoval(options.cluster)
  }

  request(cluster: Cluster, waiter: StreamWaiter, isClosing: boolean): void {
    if (cluster !== this.#cluster) {
      this.#cluster = cluster
      this.#watchRemoval(cluster)
    }
    if (isClosing) this.#generation += 1
    const idle = this.#takeIdle()
    if (idle !== undefined) {
      this.#give(idle, waiter)
      return
    }
    if (this.#waiters.join(cluster, waiter)) this.#openForWaiters()
  }

  get hasWaiters(): boolean {
    return this.#waiters.length !== 0 || this.#opening.size !== 0
  }

  cancel(waiter: StreamWaiter): void {
    this.#waiters.cancel(this.#cluster, waiter)
  }

  drain(): void {
    this.#generation += 1
    while (this.#idle.length !== 0) this.#idle.pop()?.close()
  }

  // The connections' side.

  onConnectionIdle(connection: ClientConnection): void {
    const pooled = this.#connections.get(connection)
    if (pooled === undefined) return
    const isOld =
      pooled.isOver ||
      pooled.generation !== this.#generation ||
      isRetired(pooled.wire, this.#options.clock)
    if (isOld || this.#isWornOut(connection)) {
      connection.close()
      return
    }
    const waiter = this.#waiters.shift(this.#cluster)
    if (waiter !== undefined) {
      this.#give(connection, waiter)
      return
    }
    this.#idle.push(connection)
    pooled.isIdle = true
    const { idleTimeoutMs } = pooled.cluster
    if (idleTimeoutMs !== 0) pooled.idleTimer.set(idleTimeoutMs, this.#options.clock.monotonicMs())
  }

  onConnectionClose(connection: ClientConnection): void {
    const pooled = this.#connections.get(connection)
    if (pooled === undefined) return
    this.#connections.delete(connection)
    pooled.idleTimer.close()
    pooled.lifetime?.cancel()
    const index = pooled.isIdle ? this.#idle.indexOf(connection) : -1
    if (index !== -1) this.#idle.splice(index, 1)
    countClosed(pooled, this.#host, connection)
    this.#openForWaiters()
    this.#updateLive()
  }

  onProtocolError(): void {
    this.#cluster.stats.cxProtocolError.add(1)
  }

  onCloseNotify(): void {
    this.#cluster.stats.cxCloseNotify.add(1)
  }

  onBytes(received: number, sent: number): void {
    this.#cluster.stats.rxBytes.add(received)
    this.#cluster.stats.txBytes.add(sent)
  }

  /** The connection used last, unless its upstream has ended it meanwhile. */
  #takeIdle(): ClientConnection | undefined {
    for (;;) {
      const idle = this.#idle.pop()
      if (idle === undefined) return undefined
      const pooled = this.#connections.get(idle)
      if (pooled !== undefined && isRetired(pooled.wire, this.#options.clock)) idle.close()
      else if (idle.isUsable) return idle
    }
  }

  #give(connection: ClientConnection, waiter: StreamWaiter): void {
    const pooled = this.#connections.get(connection)
    if (pooled !== undefined) {
      pooled.isIdle = false
      pooled.idleTimer.clear()
    }
    connection.take(waiter)
    waiter.onStream(connection)
  }

  #isWornOut(connection: ClientConnection): boolean {
    const { requestsPerConnectionMax, stats } = this.#cluster
    if (requestsPerConnectionMax === 0 || connection.requests < requestsPerConnectionMax)
      return false
    stats.cxMaxRequests.add(1)
    return true
  }

  /** One connection being opened for each request that waits, as far as the breaker allows. */
  #openForWaiters(): void {
    while (this.#opening.size < this.#waiters.length) {
      const isFirst = this.#connections.size === 0 && this.#opening.size === 0
      if (!acquireConnection(this.#cluster, this.#host, isFirst)) return
      this.#open(this.#cluster.breaker, this.#cluster)
    }
  }

  #open(breaker: CircuitBreaker, cluster: Cluster): void {
    countOpening(cluster, this.#host)
    cluster.stats.cxHttp1Total.add(1)
    const giveUp = this.#options.connector.connect(
      connectOptions(cluster, this.#host, this.#options.transport),
      (result) => {
        this.#opening.delete(giveUp)
        if (result.ok) this.#onOpen(result.wire, breaker, cluster)
        else this.#onOpenFailure(result, breaker, cluster)
        this.#updateLive()
      },
    )
    this.#opening.add(giveUp)
    this.#updateLive()
  }

  #onOpen(wire: Wire, breaker: CircuitBreaker, cluster: Cluster): void {
    const { http1 } = cluster
    const headersCountMax = http1?.headersCountMax ?? responseLimits.headersCountMax
    const connection = new ClientConnection({
      wire,
      parser: {
        names: this.#options.names,
        limits: http1 === undefined ? responseLimits : { ...responseLimits, headersCountMax },
        keepsTrailers: http1?.keepsTrailers === true,
        spelling: http1?.spelling,
      },
      owner: this,
      spelling: http1?.spelling,
      sendsUrl: http1?.sendsUrl === true,
    })
    const idleTimer = new LazyTimer(this.#options.clock, () => {
      cluster.stats.cxIdleTimeout.add(1)
      connection.close()
    })
    const generation = this.#generation
    const lifetime = startLifetime(cluster, this.#options.clock, () => this.#onOver(connection))
    this.#connections.set(connection, {
      breaker,
      cluster,
      idleTimer,
      lifetime,
      generation,
      wire,
      isIdle: false,
      isOver: false,
    })
    this.onConnectionIdle(connection)
  }

  /** It has grown as old as it may: ends now, or after its response. */
  #onOver(connection: ClientConnection): void {
    const pooled = this.#connections.get(connection)
    if (pooled === undefined) return
    pooled.isOver = true
    if (pooled.isIdle) connection.close()
  }

  /** As Envoy: one failed connect fails everyone who waits, so that each can choose another host. */
  #onOpenFailure(
    result: Extract<ConnectResult, { ok: false }>,
    breaker: CircuitBreaker,
    cluster: Cluster,
  ): void {
    const failure = countOpenFailure(result, { breaker, cluster }, this.#host)
    for (const waiter of this.#waiters.empty(this.#cluster)) {
      cluster.stats.rqPendingFailureEject.add(1)
      waiter.onNoStream(failure)
    }
  }

  #watchRemoval(cluster: Cluster): void {
    cluster.removed.addEventListener(
      'abort',
      () => {
        if (cluster === this.#cluster) this.drain()
      },
      { once: true },
    )
  }

  #updateLive(): void {
    const isLive = this.#connections.size !== 0 || this.#opening.size !== 0
    if (isLive === this.#isLive) return
    this.#isLive = isLive
    this.#options.onLive(this, isLive)
  }
}
