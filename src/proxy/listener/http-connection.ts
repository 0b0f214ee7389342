/** Joins one downstream wire to the exchanges of its HTTP connection manager. */
import { ExchangeTimers, type ExchangeScope } from '../exchange-scope.ts'
import { openExchange, refuseExchange } from '../exchange.ts'
import { ServerConnection } from '../http1/server-connection.ts'
import { endText } from '../wire/end-text.ts'
import type { Wire } from '../wire/wire.ts'
import type { ConnectionHost, OpenConnection } from './connection.ts'
import type { HttpConnectionManager } from './listener-config.ts'

/** `manager` is asked for each request, so that a new config takes effect without cutting the connection. */
export function openHttpConnection(
  wire: Wire,
  host: ConnectionHost,
  manager: () => HttpConnectionManager | undefined,
): OpenConnection {
  const first = manager()
  if (first === undefined) throw new Error('broken invariant: an HTTP connection has a manager')
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
      wantsClose: () => manager() === undefined || host.wantsClose(),
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
    remoteAddress: wire.remoteAddress,
    remoteAddressText: endText(wire.remoteAddress, wire.remotePort),
    isTls: false,
    requestedServerName: undefined,
    peerPrincipal: undefined,
    requestIds: host.requestIds,
    dates: host.dates,
  }
}
