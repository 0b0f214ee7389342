/**
 * Streams for CONNECT that ends here (Envoy `connect_config`): the bytes inside go to a plain connection to the
 * cluster, and the 200 is ours, given when that connection stands. Each tunnel has a connection of its own.
 */
import type { ConnectionSecurity } from './connection-security.ts'
import type { StreamSource } from './exchange-attempt.ts'
import { HeaderList } from './http/header-list.ts'
import type { RequestHead } from './http/message.ts'
import type { ResponseEvents, UpstreamStream } from './http/stream.ts'
import type { CircuitBreaker } from './resilience/circuit-breaker.ts'
import { connectOptions, type Cluster } from './upstream/cluster.ts'
import { countConnectionEnd, type StreamWaiter } from './upstream/host-pool.ts'
import type { Host } from './upstream/host.ts'
import { endText, remoteText } from './wire/end-text.ts'
import type { Connector, Wire, WireEvents } from './wire/wire.ts'

/** Whether a response turns the connection into a tunnel: 2xx to CONNECT, exactly 101 to an upgrade. */
export function acceptsTunnel(request: RequestHead, status: number): boolean {
  return request.method === 'CONNECT' ? status >= 200 && status < 300 : status === 101
}

/** Envoy `check_switch_protocol_websocket_handshake`: an answer that neither switches nor refuses is none. */
export function isRefusedHandshake(request: RequestHead, status: number): boolean {
  return isWebsocket(request) && status >= 200 && status < 400
}

/** As Envoy: what answers a websocket's handshake has the route's time-out, other tunnels wait. */
export function isWebsocket(request: RequestHead): boolean {
  return request.upgrade === 'websocket'
}

/** A source that connects for each request. One per exchange: it remembers only the current attempt. */
export function createTunnelSource(connector: Connector): StreamSource {
  let giveUp: (() => void) | undefined
  return {
    request(cluster, host, waiter) {
      if (!acquire(cluster)) {
        waiter.onNoStream({ failure: 'overflow', message: 'too many connections' })
        return
      }
      cluster.stats.rqPendingTotal.add(1)
      cluster.stats.cxTotal.add(1)
      cluster.stats.cxActive.add(1)
      const transport = cluster.transportOf?.(host, { kind: 'tcp', downstream: waiter.downstream })
      const cancel = connector.connect(connectOptions(cluster, host, transport), (result) => {
        giveUp = undefined
        if (result.ok) {
          waiter.onStream(new TunnelStream(result.wire, { cluster, host, events: waiter }))
          return
        }
        cluster.stats.cxConnectFail.add(1)
        release(cluster)
        const failure = result.reason === 'timeout' ? 'connect-timeout' : 'connect-failure'
        waiter.onNoStream({ failure, message: result.message })
      })
      giveUp = () => {
        cancel()
        release(cluster)
      }
    },
    cancel(_host: Host, _waiter: StreamWaiter) {
      giveUp?.()
      giveUp = undefined
    },
  }
}

function acquire(cluster: Cluster): boolean {
  return cluster.breaker.tryAcquire('connections')
}

function release(cluster: Cluster): void {
  const { breaker }: { breaker: CircuitBreaker } = cluster
  breaker.release('connections')
  cluster.stats.cxActive.add(-1)
  cluster.stats.cxDestroy.add(1)
}

interface TunnelTarget {
  readonly cluster: Cluster
  readonly host: Host
  readonly events: ResponseEvents
}

class TunnelStream implements UpstreamStream, WireEvents {
  readonly #wire: Wire
  readonly #cluster: Cluster
  #events: ResponseEvents | undefined
  readonly localAddress: string
  readonly security: ConnectionSecurity | undefined
  wireBytesReceived = 0
  wireBytesSent = 0

  constructor(wire: Wire, target: TunnelTarget) {
    this.#wire = wire
    this.#cluster = target.cluster
    this.#events = target.events
    this.localAddress = wire.localPort === 0 ? '' : endText(wire.localAddress, wire.localPort)
    this.security = wire.security
    wire.listen(this)
  }

  get remoteAddress(): string {
    return remoteText(this.#wire)
  }

  /** Nothing is sent: the tunnel is open, and the client hears so. */
  sendHead(_head: RequestHead, _isEnd: boolean): void {
    const headers = new HeaderList()
    this.#events?.onResponseHead(
      { status: 200, headers, bodyLength: 'until-end', protocol: 'HTTP/1.1' },
      false,
    )
  }

  sendData(chunk: Uint8Array): boolean {
    this.wireBytesSent += chunk.length
    return this.#wire.write(chunk)
  }

  sendEnd(): void {
    this.#wire.end()
  }

  reset(): void {
    if (this.#events !== undefined) this.#countEnd('local')
    this.#events = undefined
    this.#wire.destroy()
  }

  #countEnd(endedBy: 'local' | 'remote'): void {
    countConnectionEnd(this.#cluster, { endedBy, wasBusy: true })
  }

  discard(): void {
    this.reset()
  }

  pauseResponse(): void {
    this.#wire.pause()
  }

  resumeResponse(): void {
    this.#wire.resume()
  }

  onData(chunk: Uint8Array): void {
    this.wireBytesReceived += chunk.length
    this.#events?.onResponseData(chunk)
  }

  onEnd(): void {
    this.#events?.onResponseEnd(undefined)
  }

  onDrain(): void {
    this.#events?.onUpstreamDrain()
  }

  onClose(error: Error | undefined): void {
    release(this.#cluster)
    const events = this.#events
    if (events !== undefined) this.#countEnd('remote')
    this.#events = undefined
    events?.onUpstreamReset({
      failure: 'upstream-termination',
      message: error?.message ?? 'connection closed',
      requestSent: true,
    })
  }
}
