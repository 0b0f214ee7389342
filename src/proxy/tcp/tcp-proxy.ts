/**
 * Bytes between a client and one host of a cluster (Envoy `tcp_proxy`): each direction ends on its own, neither
 * side is read faster than the other one takes.
 *
 * The client is not read until the upstream connection stands, so nothing is buffered for a host that is not
 * there, and a failed connect can go to another host.
 */
import type { Timer } from '../../lib/clock.ts'
import { type Hash64, xxHash64 } from '../../lib/xx-hash.ts'
import { failureReplies, type Failure } from '../failure.ts'
import type { ConnectionHost, OpenConnection } from '../listener/connection.ts'
import type { TcpProxyConfig } from '../listener/listener-config.ts'
import type { TcpRecord } from '../telemetry/request-record.ts'
import { connectOptions, type Cluster } from '../upstream/cluster.ts'
import { connectFailureText } from '../upstream/connect-failure.ts'
import { countConnectionEnd, tryAcquireConnection } from '../upstream/host-pool.ts'
import { type Host, reachedAt } from '../upstream/host.ts'
import { endText, remoteText } from '../wire/end-text.ts'
import { LazyTimer } from '../wire/lazy-timer.ts'
import type { ConnectResult, Wire, WireEvents } from '../wire/wire.ts'
import { openTunnel, type TunnelResult, type TunnelSettings } from './open-tunnel.ts'
import { openStreamTunnel } from './stream-tunnel.ts'

export function openTcpConnection(
  wire: Wire,
  host: ConnectionHost,
  config: TcpProxyConfig,
): OpenConnection {
  const connection = new TcpConnection(wire, host, config)
  connection.start()
  return connection
}

/** Istio's `tcp_reporting_duration`. */
const reportMs = 5_000

class TcpConnection implements OpenConnection {
  place = -1
  readonly #downstream: Wire
  readonly #owner: ConnectionHost
  readonly #config: TcpProxyConfig
  readonly #record: TcpRecord
  readonly #startMs: number
  readonly #idle: LazyTimer
  readonly #lifetime: LazyTimer
  /** Runs while there are bytes that observers have not been told of. */
  #report: Timer | undefined
  #upstream: Wire | undefined
  #cluster: Cluster | undefined
  readonly #tried: Host[] = []
  #attempts = 0
  #giveUp: (() => void) | undefined
  #isAnnounced = false
  #isOver = false
  #openWires = 1
  #isDownstreamEnded = false
  /** Who ended the upstream connection first. */
  #endedBy: 'local' | 'remote' = 'local'

  constructor(wire: Wire, owner: ConnectionHost, config: TcpProxyConfig) {
    const { runtime } = owner
    this.#downstream = wire
    this.#owner = owner
    this.#config = config
    this.#startMs = runtime.clock.monotonicMs()
    this.#idle = new LazyTimer(runtime.clock, () => this.#onIdle())
    this.#lifetime = new LazyTimer(runtime.clock, () => this.#onTooOld())
    const { direct } = wire
    this.#record = {
      startMs: runtime.clock.nowMs(),
      durationMs: 0,
      bytesReceived: 0,
      bytesSent: 0,
      newBytesReceived: 0,
      newBytesSent: 0,
      flags: '-',
      details: '',
      cluster: undefined,
      clusterName: '',
      host: undefined,
      downstreamLocalAddress: endText(wire.localAddress, wire.localPort),
      downstreamRemoteAddress: endText(wire.remoteAddress, wire.remotePort),
      downstreamDirectLocalAddress: direct && endText(direct.localAddress, direct.localPort),
      downstreamDirectRemoteAddress: direct && endText(direct.remoteAddress, direct.remotePort),
      filterChainName: config.filterChainName,
      requestedServerName: wire.requestedServerName,
      downstreamSecurity: wire.security,
      connectionId: runtime.nextConnectionId(),
      filterState: config.filterState,
    }
  }

  start(): void {
    const { stats, maxDurationMs, pickCluster } = this.#config
    const { runtime } = this.#owner
    stats.cxTotal.add(1)
    stats.cxActive.add(1)
    this.#downstream.pause()
    this.#downstream.listen(this.#downstreamEvents())
    if (maxDurationMs !== 0) this.#lifetime.set(maxDurationMs, this.#startMs)
    this.#touch()
    this.#await(pickCluster(runtime.random()))
  }

  /** What came on demand a moment ago may still ask for its endpoints, and is waited for as a request waits. */
  #await(name: string): void {
    const { clusters } = this.#owner.runtime
    const wait =
      clusters.get(name) === undefined
        ? clusters.whenServing?.(name, () => {
            this.#giveUp = undefined
            this.#begin(name)
          })
        : undefined
    if (wait === undefined) this.#begin(name)
    else this.#giveUp = () => wait.cancel()
  }

  #begin(name: string): void {
    const cluster = this.#owner.runtime.clusters.get(name)
    if (cluster === undefined) {
      this.#config.stats.cxNoRoute.add(1)
      this.#fail('no-cluster')
      return
    }
    this.#cluster = cluster
    this.#record.cluster = cluster
    this.#record.clusterName = cluster.name
    this.#connect(cluster)
  }

  /** A TCP connection has no pause between messages: it goes on until the deadline cuts it. */
  closeWhenIdle(): void {}

  destroy(): void {
    this.#end('-', 'local_close')
  }

  #connect(cluster: Cluster): void {
    const host = cluster.balancer.pick({
      avoid: this.#tried,
      avoidAttemptsMax: 3,
      hash: this.#hash(),
    })
    if (host === undefined) {
      cluster.stats.cxNoneHealthy.add(1)
      this.#fail('no-healthy-upstream')
      return
    }
    if (!tryAcquireConnection(cluster, host)) {
      this.#fail('overflow')
      return
    }
    this.#attempts += 1
    this.#record.attempts = this.#attempts
    this.#tried.push(host)
    this.#record.host = host
    this.#record.hostsReached = this.#tried
    count(cluster, host, 1)
    cluster.stats.rqPendingTotal.add(1)
    const transport = cluster.transportOf?.(host, { kind: 'tcp', downstream: this.#downstream })
    this.#giveUp = this.#owner.runtime.connector.connect(
      connectOptions(cluster, host, transport),
      (result) => {
        this.#giveUp = undefined
        this.#onConnect(result, cluster, host)
      },
    )
  }

  #hash(): Hash64 | undefined {
    const { hashes } = this.#config
    if (hashes === undefined) return undefined
    return xxHash64(hashes === 'source-ip' ? this.#downstream.remoteAddress : hashes.text)
  }

  #onConnect(result: ConnectResult, cluster: Cluster, host: Host): void {
    const { tunnel } = this.#config
    if (result.ok && tunnel !== undefined && !this.#isOver) {
      this.#askForTunnel(result.wire, { tunnel, cluster, host })
      return
    }
    if (result.ok) {
      cluster.outlierDetector?.report(host, { kind: 'connected', isFinal: true })
      if (this.#isOver) result.wire.destroy()
      this.#join(result.wire, cluster, host)
      return
    }
    this.#onFailure(result, cluster, host)
  }

  #askForTunnel(
    connected: Wire,
    { tunnel, cluster, host }: { tunnel: TunnelSettings; cluster: Cluster; host: Host },
  ): void {
    const onResult = (result: TunnelResult): void => {
      this.#giveUp = undefined
      if (!result.ok) {
        this.#onFailure(result, cluster, host)
        return
      }
      cluster.outlierDetector?.report(host, { kind: 'connected', isFinal: true })
      const { wire, rest } = result
      this.#join(wire, cluster, host)
      if (rest.length > 0) {
        this.#record.bytesSent += rest.length
        this.#downstream.write(rest)
      }
      wire.resume()
    }
    const { clock, random, overload, turn } = this.#owner.runtime
    if (tunnel.post === undefined && cluster.protocol !== 'http2') {
      const options = { ...tunnel, clock, timeoutMs: cluster.connectTimeoutMs }
      this.#giveUp = openTunnel(connected, options, onResult)
    } else {
      const options = { tunnel, cluster, clock, random, held: overload, copies: turn.copies }
      this.#giveUp = openStreamTunnel(connected, options, onResult)
    }
  }

  #onFailure(
    result: { readonly reason: 'refused' | 'timeout' | 'failed'; readonly message: string },
    cluster: Cluster,
    host: Host,
  ): void {
    count(cluster, host, -1)
    cluster.stats.cxConnectFail.add(1)
    host.stats.cxConnectFail.add(1)
    if (result.reason === 'timeout') cluster.stats.cxConnectTimeout.add(1)
    const reason = result.reason === 'timeout' ? 'timeout' : 'connect-failure'
    cluster.outlierDetector?.report(host, { kind: 'local-failure', reason })
    if (this.#isOver) return
    if (result.reason !== 'timeout') {
      this.#record.transportFailure = connectFailureText(result.message)
    }
    cluster.stats.rqPendingFailureEject.add(1)
    countConnectionEnd(cluster, { endedBy: 'remote', wasBusy: false })
    if (this.#attempts < this.#config.connectAttemptsMax) {
      this.#connect(cluster)
      return
    }
    cluster.stats.cxConnectAttemptsExceeded.add(1)
    this.#fail(result.reason === 'timeout' ? 'connect-timeout' : 'connect-failure', 'URX')
  }

  #join(upstream: Wire, cluster: Cluster, host: Host): void {
    this.#upstream = upstream
    this.#record.upstreamSecurity = upstream.security
    this.#record.upstreamRemoteAddress = reachedAt(host, { remoteAddress: remoteText(upstream) })
    this.#record.upstreamLocalAddress = endText(upstream.localAddress, upstream.localPort)
    this.#openWires += 1
    const onHostFailed = (): void => this.#end('UC', 'upstream_host_unhealthy')
    host.closers?.add(onHostFailed)
    upstream.listen({
      onData: (chunk) => {
        this.#noteSent(chunk.length, cluster)
        this.#touch()
        if (!this.#downstream.write(chunk)) upstream.pause()
      },
      onEnd: () => {
        // Where the client has ended its side already, this is the end of the whole.
        if (this.#isDownstreamEnded) this.#endedBy = 'remote'
        this.#downstream.end()
      },
      onDrain: () => this.#downstream.resume(),
      onClose: (error) => {
        host.closers?.delete(onHostFailed)
        count(cluster, host, -1)
        if (error !== undefined && !this.#isOver) this.#endedBy = 'remote'
        countConnectionEnd(cluster, { endedBy: this.#endedBy, wasBusy: true })
        if (error !== undefined) this.#cut(this.#downstream, 'UR', 'upstream_reset')
        this.#onWireClose()
      },
    })
    cluster.stats.rqTotal.add(1)
    this.#announce()
    this.#downstream.resume()
  }

  #downstreamEvents(): WireEvents {
    return {
      onData: (chunk) => {
        this.#noteReceived(chunk.length)
        this.#touch()
        if (this.#upstream?.write(chunk) === false) this.#downstream.pause()
      },
      onEnd: () => {
        this.#isDownstreamEnded = true
        this.#upstream?.end()
      },
      onDrain: () => this.#upstream?.resume(),
      onClose: (error) => {
        // As Envoy: only where there is no upstream yet is it worth a flag.
        if (this.#upstream === undefined) this.#end('DC', 'downstream_remote_disconnect')
        else if (error !== undefined) this.#cut(this.#upstream, '-', '')
        this.#onWireClose()
      },
    }
  }

  #noteReceived(bytes: number): void {
    this.#record.bytesReceived += bytes
    this.#record.newBytesReceived += bytes
    this.#config.stats.rxBytes.add(bytes)
    this.#cluster?.stats.txBytes.add(bytes)
    if (this.#report === undefined) this.#reportLater()
  }

  #noteSent(bytes: number, cluster: Cluster): void {
    this.#record.bytesSent += bytes
    this.#record.newBytesSent += bytes
    this.#config.stats.txBytes.add(bytes)
    cluster.stats.rxBytes.add(bytes)
    if (this.#report === undefined) this.#reportLater()
  }

  /** As Istio's metrics: a connection that goes on for days is not silent until its end. */
  #reportLater(): void {
    this.#report = this.#owner.runtime.clock.setTimer(reportMs, () => {
      this.#report = undefined
      for (const observer of this.#config.observers) observer.onProgress?.(this.#record)
      this.#record.newBytesReceived = 0
      this.#record.newBytesSent = 0
    })
  }

  #onIdle(): void {
    this.#config.stats.idleTimeout.add(1)
    // As Envoy, which has no flag for it: its counter tells.
    this.#end('-', 'idle_timeout')
  }

  #onTooOld(): void {
    this.#config.stats.maxDuration.add(1)
    this.#end('DT', 'max_connection_duration')
  }

  #touch(): void {
    const { idleTimeoutMs } = this.#config
    if (idleTimeoutMs !== 0) this.#idle.set(idleTimeoutMs, this.#owner.runtime.clock.monotonicMs())
  }

  #fail(failure: Failure, extraFlag?: string): void {
    const { flag, details } = failureReplies[failure]
    this.#end(extraFlag === undefined ? flag : `${flag},${extraFlag}`, details)
  }

  /** One side was cut: the other must not take that for an end (Envoy passes resets on). */
  #cut(other: Wire, flags: string, details: string): void {
    if (this.#isOver) return
    other.reset?.()
    this.#end(flags, details)
  }

  /** Cuts both sides; the record keeps the first reason. */
  #end(flags: string, details: string): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#record.flags = flags
    this.#record.details = details
    this.#giveUp?.()
    if (
      this.#giveUp !== undefined &&
      this.#cluster !== undefined &&
      this.#record.host !== undefined
    ) {
      count(this.#cluster, this.#record.host, -1)
    }
    this.#giveUp = undefined
    this.#downstream.destroy()
    this.#upstream?.destroy()
  }

  /** The connection is over when both wires are. */
  #onWireClose(): void {
    this.#openWires -= 1
    if (this.#openWires !== 0) return
    this.#isOver = true
    this.#owner.runtime.hiddenClasses.tcpConnection = this
    this.#idle.close()
    this.#lifetime.close()
    this.#report?.cancel()
    const record = this.#record
    const { stats, observers } = this.#config
    record.durationMs = this.#owner.runtime.clock.monotonicMs() - this.#startMs
    this.#announce()
    stats.cxActive.add(-1)
    for (const observer of observers) observer.onEnd(record)
    this.#owner.onConnectionClose(this)
  }

  #announce(): void {
    if (this.#isAnnounced) return
    this.#isAnnounced = true
    for (const observer of this.#config.observers) observer.onOpen(this.#record)
  }
}

/** Opens (+1) or closes (-1) one connection in everybody's books; the breaker was asked before. */
function count(cluster: Cluster, host: Host, change: 1 | -1): void {
  cluster.stats.cxActive.add(change)
  host.stats.cxActive.add(change)
  if (change === 1) {
    cluster.stats.cxTotal.add(1)
    host.stats.cxTotal.add(1)
    return
  }
  cluster.stats.cxDestroy.add(1)
  cluster.breaker.release('connections')
}
