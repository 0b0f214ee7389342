/**
 * Joins one HTTP/2 connection to its exchanges. They share what is known of the connection, and each has timers of its
 * own; timers of exchanges that are over are used again, so that a request makes none.
 */
import { openExchange, refuseExchange } from '../exchange-open.ts'
import { isGrpc } from '../exchange-response.ts'
import { ExchangeTimers, type ExchangeScope } from '../exchange-scope.ts'
import { Http2ServerConnection } from '../http2/server-connection.ts'
import {
  connectionLimits,
  countLimit,
  createExchangeScope,
  isLeaving,
  type HttpConnectionScope,
} from './connection-scope.ts'

/** Timers that are kept for the next requests. */
const freeTimersMax = 64

/** Call only where the manager of the connection has HTTP/2. */
export function openHttp2(options: HttpConnectionScope): Http2ServerConnection {
  const { wire, host, managers, onClose } = options
  const { first, now: manager } = managers
  const { runtime } = host
  const { http2 } = first
  if (http2 === undefined) throw new TypeError(`${first.statPrefix} speaks HTTP/1 only`)
  const scopes = new ExchangeScopes(options)
  const stats = first.stats.http2
  stats.cxTotal.add(1)
  stats.cxActive.add(1)
  const connection = new Http2ServerConnection({
    wire,
    clock: runtime.clock,
    random: runtime.random,
    http2: http2.options,
    stats: http2.stats,
    held: runtime.overload,
    copies: runtime.turn.copies,
    limits: { headBytesMax: first.headersBytesMax, headersCountMax: first.headersCountMax },
    underscores: first.headersWithUnderscores ?? 'allow',
    ...connectionLimits(first),
    flushTimeoutMs: first.streamIdleTimeoutMs,
    owner: {
      onRequest(head, stream) {
        stats.rqTotal.add(1)
        if (isGrpc(head)) stream.countMessages()
        return openExchange(scopes.take(), head, stream)
      },
      onRefusedRequest(why, head, stream) {
        stats.rqTotal.add(1)
        return refuseExchange(scopes.take(), head, { stream, why })
      },
      wantsClose: () => manager() === undefined || host.wantsClose() || isLeaving(wire),
      onLimit: (limit) => countLimit(first.stats, limit),
      onTooManyResets: () => stats.tooManyResets.add(1),
      onProtocolError: () => first.stats.cxProtocolError.add(1),
      onConnectionClose() {
        scopes.close()
        stats.cxActive.add(-1)
        onClose(connection)
      },
    },
  })
  return connection
}

class ExchangeScopes {
  readonly #options: HttpConnectionScope
  readonly #free: ExchangeScope[] = []
  #shared: ExchangeScope
  #isClosed = false

  constructor(options: HttpConnectionScope) {
    const { wire, host, managers } = options
    this.#options = options
    this.#shared = createExchangeScope(wire, host, managers.first)
  }

  /** For one exchange; comes back when that is over. */
  take(): ExchangeScope {
    const manager = this.#options.managers.now() ?? this.#shared.manager
    if (manager !== this.#shared.manager) {
      this.#shared = { ...this.#shared, manager }
      // Scopes of the old manager are not used again.
      for (const { timers } of this.#free.splice(0)) timers.close()
    }
    return this.#free.pop() ?? this.#create()
  }

  close(): void {
    this.#isClosed = true
    for (const { timers } of this.#free.splice(0)) timers.close()
  }

  #create(): ExchangeScope {
    const timers = new ExchangeTimers(this.#options.host.runtime, () => this.#giveBack(scope))
    const scope: ExchangeScope = { ...this.#shared, timers }
    return scope
  }

  #giveBack(scope: ExchangeScope): void {
    const isKept = !this.#isClosed && scope.manager === this.#shared.manager
    if (isKept && this.#free.length < freeTimersMax) this.#free.push(scope)
    else scope.timers.close()
  }
}
