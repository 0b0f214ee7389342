/** What a connection of an HTTP connection manager stands on, whichever HTTP it speaks. */
import { peerPrincipal } from '../connection-security.ts'
import { ExchangeTimers, type ExchangeScope } from '../exchange-scope.ts'
import type { ConnectionLimit, HeadLimit } from '../http1/server-connection.ts'
import type { DownstreamStats } from '../telemetry/cluster-stats.ts'
import { endText } from '../wire/end-text.ts'
import type { Wire } from '../wire/wire.ts'
import type { ConnectionHost } from './connection.ts'
import type { HttpConnectionManager } from './listener-config.ts'

export interface ConnectionManagers {
  /** Of the chain that the connection was accepted by. */
  readonly first: HttpConnectionManager
  /** Asked for each request, so that a new config takes effect without cutting the connection. */
  readonly now: () => HttpConnectionManager | undefined
}

/** How a connection ended: by whom, and whether a request was on it. */
export interface DownstreamEnd {
  readonly endedBy: 'local' | 'remote' | undefined
  readonly wasBusy: boolean
}

export interface HttpConnectionScope {
  readonly wire: Wire
  readonly host: ConnectionHost
  readonly managers: ConnectionManagers
  readonly onClose: (end: DownstreamEnd) => void
}

/** What a connection has had enough of. */
export function countLimit(stats: DownstreamStats, limit: ConnectionLimit): void {
  switch (limit) {
    case 'idle':
      stats.cxIdleTimeout.add(1)
      return
    case 'duration':
      stats.cxMaxDurationReached.add(1)
      return
    case 'requests':
      stats.cxMaxRequestsReached.add(1)
      return
    case 'close':
      stats.cxDelayedCloseTimeout.add(1)
  }
}

/** What proved the client has ended: it should connect anew. */
export function isLeaving({ security }: Wire): boolean {
  return security?.isLeaving === true
}

const limitsOf = new WeakMap<HttpConnectionManager, ReturnType<typeof readLimits>>()

/** The same for every connection of a manager. */
export function connectionLimits(manager: HttpConnectionManager) {
  let limits = limitsOf.get(manager)
  if (limits === undefined) limitsOf.set(manager, (limits = readLimits(manager)))
  return limits
}

function readLimits(manager: HttpConnectionManager) {
  const headLimit = headLimitOf(manager)
  return {
    idleTimeoutMs: manager.idleTimeoutMs,
    headLimit,
    headTimeoutMs: headLimit.timeoutMs,
    requestTimeoutMs: manager.requestTimeoutMs,
    maxDurationMs: manager.maxConnectionDurationMs,
    drainTimeoutMs: manager.drainTimeoutMs,
    delayedCloseTimeoutMs: manager.delayedCloseTimeoutMs ?? 1_000,
    requestsMax: manager.requestsPerConnectionMax,
  }
}

/** As Envoy, to which a request begins with its first byte: it may not stand still there either. */
function headLimitOf(manager: HttpConnectionManager): HeadLimit {
  const limits: readonly HeadLimit[] = [
    { refusal: 'header-timeout', timeoutMs: manager.requestHeadersTimeoutMs },
    { refusal: 'request-timeout', timeoutMs: manager.requestTimeoutMs },
    { refusal: 'head-idle', timeoutMs: manager.streamIdleTimeoutMs },
    { refusal: 'head-duration', timeoutMs: manager.maxStreamDurationMs ?? 0 },
  ]
  const noLimit: HeadLimit = { refusal: 'header-timeout', timeoutMs: 0 }
  return limits.reduce((least, limit) => {
    const isShorter = least.timeoutMs === 0 || limit.timeoutMs < least.timeoutMs
    return limit.timeoutMs !== 0 && isShorter ? limit : least
  }, noLimit)
}

export function createExchangeScope(
  wire: Wire,
  host: ConnectionHost,
  manager: HttpConnectionManager,
): ExchangeScope {
  const { runtime } = host
  const localAddressText = endText(wire.localAddress, wire.localPort)
  const remoteAddressText = endText(wire.remoteAddress, wire.remotePort)
  const { direct } = wire
  return {
    runtime,
    manager,
    timers: new ExchangeTimers(runtime),
    connectionId: runtime.nextConnectionId(),
    bufferBytesMax: host.config.bufferLimitBytes,
    localPort: wire.localPort,
    localAddressText,
    downstream: wire,
    remoteAddress: wire.remoteAddress,
    remoteAddressText,
    directLocalAddressText: direct
      ? endText(direct.localAddress, direct.localPort)
      : localAddressText,
    directRemoteAddressText: direct
      ? endText(direct.remoteAddress, direct.remotePort)
      : remoteAddressText,
    security: wire.security,
    peerPrincipal: peerPrincipal(wire.security),
    clientCertElement: { settings: undefined, text: '' },
    requestedServerName: wire.requestedServerName,
    requestIds: host.requestIds,
    dates: host.dates,
  }
}
