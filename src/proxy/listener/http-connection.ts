/** Joins one downstream wire to the exchanges of its HTTP connection manager. */
import { peerPrincipal } from '../connection-security.ts'
import { ExchangeTimers, type ExchangeScope } from '../exchange-scope.ts'
import { openExchange, refuseExchange } from '../exchange.ts'
import { ServerConnection } from '../http1/server-connection.ts'
import { endText } from '../wire/end-text.ts'
import type { Wire } from '../wire/wire.ts'
import type { ConnectionHost, OpenConnection } from './connection.ts'
import type { HttpConnectionManager } from './listener-config.ts'

export interface ConnectionManagers {
  /** Of the chain that the connection was accepted by. */
  readonly first: HttpConnectionManager
  /** Asked for each request, so that a new config takes effect without cutting the connection. */
  readonly now: () => HttpConnectionManager | undefined
}

export function openHttpConnection(
  wire: Wire,
  host: ConnectionHost,
  { first, now: manager }: ConnectionManagers,
): OpenConnection {
  const { runtime } = host
  let scope = createScope(wire, host, first)
  const { stats } = first
  stats.cxTotal.add(1)
  stats.cxActive.add(1)
  const currentScope = (): ExchangeScope => {
    const current = manager()
    if (current !== undefined && current !== scope.manager) scope = { ...scope, manager: current }
    return scope
  }
  const connection = new ServerConnection({
    wire,
    clock: runtime.clock,
    parser: {
      names: host.names,
      limits: { headBytesMax: first.headersBytesMax, headersCountMax: first.headersCountMax },
      acceptsHttp10: first.acceptHttp10,
      allowsAbsoluteUrl: first.allowAbsoluteUrl,
      allowsChunkedLength: first.allowChunkedLength === true,
      allowsCustomMethods: first.allowCustomMethods === true,
      keepsTrailers: first.enableTrailers === true,
      underscores: first.headersWithUnderscores ?? 'allow',
      defaultHostHttp10: first.defaultHostHttp10,
    },
    idleTimeoutMs: first.idleTimeoutMs,
    headTimeoutMs: first.requestHeadersTimeoutMs,
    requestTimeoutMs: first.requestTimeoutMs,
    maxDurationMs: first.maxConnectionDurationMs,
    drainTimeoutMs: first.drainTimeoutMs,
    delayedCloseTimeoutMs: first.delayedCloseTimeoutMs ?? 1_000,
    requestsMax: first.requestsPerConnectionMax,
    keepsTrailers: first.enableTrailers === true,
    owner: {
      onRequest: (head, stream) => openExchange(currentScope(), head, stream),
      onRefusedRequest: (why, head, stream) =>
        refuseExchange(currentScope(), head, { stream, why }),
      wantsClose: () => manager() === undefined || host.wantsClose() || isLeaving(wire),
      onConnectionClose() {
        scope.timers.close()
        stats.cxActive.add(-1)
        stats.cxDestroy.add(1)
        host.onConnectionClose(opened)
      },
    },
  })
  const opened: OpenConnection = {
    closeWhenIdle: () => connection.closeWhenIdle(),
    destroy: () => connection.destroy(),
  }
  return opened
}

/** What proved the client has ended: it should connect anew. */
function isLeaving({ security }: Wire): boolean {
  return security?.isLeaving === true
}

function createScope(
  wire: Wire,
  host: ConnectionHost,
  manager: HttpConnectionManager,
): ExchangeScope {
  const { runtime } = host
  return {
    runtime,
    manager,
    timers: new ExchangeTimers(runtime),
    connectionId: runtime.nextConnectionId(),
    bufferBytesMax: host.config.bufferLimitBytes,
    localPort: wire.localPort,
    localAddressText: endText(wire.localAddress, wire.localPort),
    downstream: wire,
    remoteAddress: wire.remoteAddress,
    remoteAddressText: endText(wire.remoteAddress, wire.remotePort),
    security: wire.security,
    peerPrincipal: peerPrincipal(wire.security),
    clientCertElement: { settings: undefined, text: '' },
    requestedServerName: wire.requestedServerName,
    requestIds: host.requestIds,
    dates: host.dates,
  }
}
