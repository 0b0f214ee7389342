/** Connections to one host with one identity, in one version of HTTP. */
import type { HttpProtocol } from '../http/message.ts'
import type { ResponseEvents, UpstreamStream } from '../http/stream.ts'
import type { ProxyAddresses } from '../wire/proxy-protocol.ts'
import type { Cluster } from './cluster.ts'

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
