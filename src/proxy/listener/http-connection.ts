/** Joins one downstream wire to the exchanges of its HTTP connection manager, by HTTP/1 or by HTTP/2. */
import { openExchange, refuseExchange } from '../exchange-open.ts'
import type { ExchangeScope } from '../exchange-scope.ts'
import { ServerConnection } from '../http1/server-connection.ts'
import type { DownstreamStats } from '../telemetry/cluster-stats.ts'
import type { Wire } from '../wire/wire.ts'
import {
  connectionLimits,
  countLimit,
  createExchangeScope,
  isLeaving,
  type ConnectionManagers,
  type DownstreamEnd,
  type HttpConnectionScope,
} from './connection-scope.ts'
import type { ConnectionHost, OpenConnection } from './connection.ts'
import { openHttp2 } from './http2-connection.ts'
import type { DownstreamHttp2 } from './listener-config.ts'
import { sniffPreface } from './sniff-preface.ts'

export function openHttpConnection(
  wire: Wire,
  host: ConnectionHost,
  managers: ConnectionManagers,
): OpenConnection {
  const { stats, http2 } = managers.first
  stats.cxTotal.add(1)
  stats.cxActive.add(1)
  const opened = new HttpConnection()
  const scope: HttpConnectionScope = {
    wire,
    host,
    managers,
    onClose(end) {
      stats.cxActive.add(-1)
      countEnd(stats, end)
      host.onConnectionClose(opened)
    },
  }
  const codec = codecOf(wire, http2)
  if (codec === 'http2') opened.codec = openHttp2(scope)
  else {
    const http1 = openHttp1(scope)
    opened.codec = http1
    if (codec === 'sniffed') {
      // HTTP/1 stands ready, for nearly every connection speaks it, and gives way to a preface of HTTP/2.
      sniffPreface(wire, http1, () => {
        http1.abandon()
        const { session } = (opened.codec = openHttp2(scope))
        return session
      })
    }
  }
  return opened
}

function countEnd(stats: DownstreamStats, { endedBy, wasBusy }: DownstreamEnd): void {
  const isLocal = endedBy === 'local'
  stats.cxDestroy.add(1)
  if (isLocal) stats.cxDestroyLocal.add(1)
  else stats.cxDestroyRemote.add(1)
  if (!wasBusy) return
  stats.cxDestroyActiveRq.add(1)
  if (isLocal) stats.cxDestroyLocalActiveRq.add(1)
  else stats.cxDestroyRemoteActiveRq.add(1)
}

/** What its listener knows of a connection, whatever it turns out to speak. */
class HttpConnection implements OpenConnection {
  place = -1
  codec: Pick<OpenConnection, 'closeWhenIdle' | 'destroy'> | undefined

  closeWhenIdle(): void {
    this.codec?.closeWhenIdle()
  }

  destroy(): void {
    this.codec?.destroy()
  }
}

/** As Envoy: what was configured, else what ALPN agreed on, else what the first bytes say. */
function codecOf(wire: Wire, http2: DownstreamHttp2 | undefined): 'http1' | 'http2' | 'sniffed' {
  if (http2 === undefined) return 'http1'
  if (http2.codec === 'http2') return 'http2'
  const agreed = wire.security?.applicationProtocol
  if (agreed === undefined || agreed === '') return 'sniffed'
  return agreed === 'h2' ? 'http2' : 'http1'
}

function openHttp1({ wire, host, managers, onClose }: HttpConnectionScope): ServerConnection {
  const { first, now: manager } = managers
  let scope = createExchangeScope(wire, host, first)
  const currentScope = (): ExchangeScope => {
    const current = manager()
    if (current !== undefined && current !== scope.manager) scope = { ...scope, manager: current }
    return scope
  }
  let isCounted = false
  const noteHttp1 = (): void => {
    if (isCounted) return
    isCounted = true
    first.stats.cxHttp1Total.add(1)
    first.stats.cxHttp1Active.add(1)
  }
  const connection = new ServerConnection({
    wire,
    clock: host.runtime.clock,
    held: host.runtime.overload,
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
      spelling: first.spelling,
      passesNoHost: first.keepsAfterInvalid === true,
    },
    ...connectionLimits(first),
    keepsTrailers: first.enableTrailers === true,
    spelling: first.spelling,
    owner: {
      onRequest(head, stream) {
        noteHttp1()
        return openExchange(currentScope(), head, stream)
      },
      onRefusedRequest(why, head, stream) {
        noteHttp1()
        return refuseExchange(currentScope(), head, { stream, why })
      },
      wantsClose: () => manager() === undefined || host.wantsClose() || isLeaving(wire),
      onLimit: (limit) => countLimit(first.stats, limit),
      onConnectionClose() {
        scope.timers.close()
        if (isCounted) first.stats.cxHttp1Active.add(-1)
        onClose(connection)
      },
    },
  })
  return connection
}
